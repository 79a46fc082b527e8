"""The ledger: watermarks, holes, restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.ledger import Progress, SqliteLedger
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.ledger import StreamKey

KEY = StreamKey(EdgeId("edge-1"), 1, SensorId("tc-1"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "deep" / "ledger.sqlite")
    yield ledger
    ledger.close()


def test_the_watermark_is_the_end_of_what_has_no_hole(ledger: SqliteLedger) -> None:
    assert ledger.commit([(KEY, 0, 4)]) == {KEY: 4}
    assert ledger.commit([(KEY, 6, 9), (KEY, 20, 20)]) == {KEY: 4}
    assert ledger.commit([(KEY, 5, 5)]) == {KEY: 9}
    assert ledger.commit([(KEY, 0, 30)]) == {KEY: 30}


def test_nothing_from_the_beginning_is_minus_one(ledger: SqliteLedger) -> None:
    assert ledger.commit([(KEY, 1, 1)]) == {KEY: -1}
    assert ledger.commit([]) == {}


def test_epochs_and_edges_are_apart(ledger: SqliteLedger) -> None:
    other = KEY._replace(epoch=2)
    ledger.commit([(KEY, 0, 4), (other, 0, 1), (KEY._replace(sensor=SensorId("b")), 0, 0)])
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
            assert ledger.commit([(KEY, first, last)]) == {KEY: expected}
        ledger.close()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    assert ledger.commit([(KEY, 0, 310)]) == {KEY: 310}
    ledger.close()


def test_what_waits_beyond_a_hole_is_kept_as_spans() -> None:
    progress = Progress().with_spans([(k, k) for k in range(1000, 0, -1)])
    assert progress == Progress(-1, ((1, 1000),))
    assert progress.with_spans([(0, 0)]) == Progress(1000)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"ledger\.sqlite"):
        SqliteLedger(path)


def test_after_closing_it_says_so(ledger: SqliteLedger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        ledger.commit([(KEY, 0, 0)])


def test_two_cannot_have_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first = SqliteLedger(path)
    with pytest.raises(StoreUnavailable, match="another ingest"):
        SqliteLedger(path)
    first.close()
    SqliteLedger(path).close()
