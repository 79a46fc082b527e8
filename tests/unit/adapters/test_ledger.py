"""The ledger: watermarks, holes, restarts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyncal.adapters.ledger import Progress, SqliteLedger
from dyncal.domain.accounts import Account, Entry, Lost
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.ledger import StreamKey

KEY = StreamKey(EdgeId("edge-1"), 1, SensorId("tc-1"))


def stored(key: StreamKey, first: int, last: int) -> tuple[StreamKey, Entry]:
    return key, Entry(first, last, n_samples=10 * (last - first + 1))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "deep" / "ledger.sqlite")
    yield ledger
    ledger.close()


def test_the_watermark_is_the_end_of_what_has_no_hole(ledger: SqliteLedger) -> None:
    assert ledger.commit([stored(KEY, 0, 4)]) == {KEY: 4}
    assert ledger.commit([stored(KEY, 6, 9), stored(KEY, 20, 20)]) == {KEY: 4}
    assert ledger.commit([stored(KEY, 5, 5)]) == {KEY: 9}
    assert ledger.commit([stored(KEY, 0, 30)]) == {KEY: 30}


def test_nothing_from_the_beginning_is_minus_one(ledger: SqliteLedger) -> None:
    assert ledger.commit([stored(KEY, 1, 1)]) == {KEY: -1}
    assert ledger.commit([]) == {}


def test_epochs_and_edges_are_apart(ledger: SqliteLedger) -> None:
    other = KEY._replace(epoch=2)
    ledger.commit([stored(KEY, 0, 4), stored(other, 0, 1), stored(KEY._replace(sensor=SensorId("b")), 0, 0)])
    assert ledger.watermarks(KEY.edge, 1) == {"tc-1": 4, "b": 0}
    assert ledger.watermarks(KEY.edge, 2) == {"tc-1": 1}
    assert ledger.watermarks(EdgeId("edge-2"), 1) == {}


@pytest.mark.parametrize("seed", range(5))
def test_any_order_with_restarts_ends_where_it_should(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    present: set[int] = set()
    for _ in range(6):
        ledger = SqliteLedger(tmp_path / "ledger.sqlite")
        for _ in range(40):
            first = int(rng.integers(0, 300))
            last = first + int(rng.integers(0, 5))
            present.update(range(first, last + 1))
            expected = next(k for k in range(400) if k not in present) - 1
            assert ledger.commit([stored(KEY, first, last)]) == {KEY: expected}
        ledger.close()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    assert ledger.commit([stored(KEY, 0, 310)]) == {KEY: 310}
    ledger.close()


def test_what_waits_beyond_a_hole_is_kept_as_spans() -> None:
    progress = Progress()
    for k in range(1000, 0, -1):
        progress = progress.with_span(k, k)
    assert progress == Progress(-1, ((1, 1000),))
    assert progress.count == 1000
    assert progress.with_span(0, 0) == Progress(1000)


def test_each_number_is_accounted_for_once(ledger: SqliteLedger) -> None:
    other = KEY._replace(epoch=2)
    ledger.commit([(KEY, Entry(0, 0, n_samples=100)), (KEY, Entry(2, 2, n_samples=50))])
    ledger.commit([(KEY, Entry(0, 0, n_samples=100)), (KEY, Entry(1, 1, quarantined=True))])
    ledger.commit([(KEY, Entry(3, 5, cause=GapCause.SPOOL_CAPPED, n_lost=300))])
    ledger.commit([(KEY, Entry(6, 6, cause=GapCause.CONNECTION_LOST)), (other, Entry(0, 9))])
    ledger.commit([(other, Entry(12, 12, cause=GapCause.CONNECTION_LOST, n_lost=7))] * 2)
    account = ledger.accounts()[KEY.edge, KEY.sensor]
    assert account == Account(
        numbers=18, blocks=2, samples=150, gap_numbers=5,
        gaps={GapCause.SPOOL_CAPPED: Lost(1, 300), GapCause.CONNECTION_LOST: Lost(2, 7, 1)},
        quarantined=1, unknown=10, repeated_records=2, repeated_samples=100,
    )  # fmt: skip
    assert account.adds_up
    assert account.lost == 307


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(["block", "gap", "aside"]))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_the_account_adds_up(tmp_path: Path, records: list[tuple[int, int, str]]) -> None:
    ledger = SqliteLedger(tmp_path / f"{uuid.uuid4().hex}.sqlite")
    kinds = {
        "block": {"n_samples": 5},
        "gap": {"cause": GapCause.REJECTED, "n_lost": 3},
        "aside": {"quarantined": True},
    }
    seen: set[int] = set()
    samples = 0
    for first, more, kind in records:
        last = first if kind == "block" else first + more
        new = set(range(first, last + 1)) - seen
        seen |= new
        samples += 5 * (kind == "block" and bool(new))
        ledger.commit([(KEY, Entry(first, last, **kinds[kind]))])  # type: ignore[arg-type]  # as they are named
        account = ledger.accounts()[KEY.edge, KEY.sensor]
        assert account.adds_up
        assert (account.numbers, account.samples) == (len(seen), samples)
    ledger.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"ledger\.sqlite"):
        SqliteLedger(path)


def test_after_closing_it_says_so(ledger: SqliteLedger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        ledger.commit([stored(KEY, 0, 0)])


def test_two_cannot_have_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first = SqliteLedger(path)
    with pytest.raises(StoreUnavailable, match="another ingest"):
        SqliteLedger(path)
    first.close()
    SqliteLedger(path).close()


def test_streams_beyond_those_kept_in_memory_are_read_again(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dyncal.adapters.ledger.MAX_KNOWN", 3)
    keys = [KEY._replace(sensor=SensorId(f"s{k}")) for k in range(10)]
    for n in range(4):
        for key in keys:
            assert ledger.commit([stored(key, n, n), stored(key, 90, 90)]) == {key: n}
    assert len(ledger._known) == 3
    assert ledger.commit([stored(key, 4, 89) for key in keys]) == dict.fromkeys(keys, 90)
