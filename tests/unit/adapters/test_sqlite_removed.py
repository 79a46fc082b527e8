"""A SQLite file removed or replaced under a program that writes to it: nothing is confirmed that is in no file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.domain.accounts import Entry
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.samples import Record
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.ledger import StreamKey
from dyncal.testing.records import TC, block, uniform

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
KEY = StreamKey(EdgeId("edge-1"), 1, TC)


class Then(list[Record]):
    """Records whose end is reached after something has happened: just before they are committed."""

    def __init__(self, records: list[Record], happens: Callable[[], object]) -> None:
        super().__init__(records)
        self._happens = happens

    def __iter__(self) -> Iterator[Record]:
        yield from super().__iter__()
        self._happens()


def values(store: SqliteSampleStore, sensor: str = TC) -> list[float]:
    raw: list[float] = store.read(SensorId(sensor), *ALL).raw.tolist()
    return raw


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(home: Path) -> Iterator[SqliteSampleStore]:
    store = SqliteSampleStore(home / "samples.sqlite")
    store.write([block([1.0])])
    yield store
    store.close()


def test_what_is_written_to_a_removed_file_is_not_confirmed(store: SqliteSampleStore, home: Path) -> None:
    away = home.rename(home.with_name("away"))
    for use in (lambda: store.write([block([2.0], axis=uniform(1, 1))]), store.check, lambda: values(store)):
        with pytest.raises(StoreUnavailable, match="removed while in use"):
            use()
    assert not home.exists()  # no other file is begun while this one may come back
    away.rename(home)
    store.write([block([2.0], axis=uniform(1, 1))])
    assert values(store) == [1.0, 2.0]


def test_a_file_that_goes_in_the_midst_of_a_write_is_noticed(store: SqliteSampleStore, home: Path) -> None:
    records = Then([block([2.0], axis=uniform(1, 1))], lambda: home.rename(home.with_name("away")))
    with pytest.raises(StoreUnavailable, match="removed while in use"):
        store.write(records)


def test_a_file_in_the_place_of_another_is_gone_over_to(store: SqliteSampleStore, home: Path) -> None:
    other = SqliteSampleStore(home.with_name("other") / "samples.sqlite")
    other.write([block([7.0], sensor="other")])
    other.close()

    def replace() -> None:
        shutil.rmtree(home)
        home.with_name("other").rename(home)

    records: list[Record] = [block([3.0], sensor="third"), block([2.0], axis=uniform(1, 1))]
    with pytest.raises(StoreUnavailable, match="removed while in use"):
        store.write(Then(records, replace))
    store.write(records)
    assert [values(store, name) for name in (TC, "other", "third")] == [[2.0], [7.0], [3.0]]


def test_what_was_noted_of_a_write_that_was_not_confirmed_is_forgotten(store: SqliteSampleStore, home: Path) -> None:
    """Numbers of sensors that it gave out are given to others by the file that takes its place."""
    fresh = SqliteSampleStore(home.with_name("other") / "samples.sqlite")
    fresh.close()
    shutil.rmtree(home)
    home.with_name("other").rename(home)
    store.write([block([3.0], sensor="third")])
    store.write([block([2.0])])
    assert [values(store, name) for name in (TC, "third")] == [[2.0], [3.0]]


def test_a_log_that_is_removed_alone_takes_nothing_along(store: SqliteSampleStore, home: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (home / f"samples.sqlite{suffix}").unlink()
    store.write([block([2.0], axis=uniform(1, 1))])
    again = SqliteSampleStore(home / "samples.sqlite")
    assert values(again) == values(store) == [1.0, 2.0]
    again.close()


def numbers(first: int, last: int) -> tuple[StreamKey, Entry]:
    return KEY, Entry(first, last, n_samples=1)


def test_a_ledger_that_was_removed_commits_nothing(home: Path) -> None:
    ledger = SqliteLedger(home / "ledger.sqlite")
    assert ledger.commit([numbers(0, 4)]) == {KEY: 4}
    away = home.rename(home.with_name("away"))
    for use in (
        lambda: ledger.commit([numbers(5, 5)]),
        ledger.accounts,
        lambda: ledger.watermarks(KEY.edge, KEY.epoch),
    ):
        with pytest.raises(StoreUnavailable, match="removed while in use"):
            use()
    away.rename(home)
    assert ledger.commit([numbers(5, 5)]) == {KEY: 5}
    ledger.close()


def test_a_ledger_that_was_replaced_is_what_counts(home: Path) -> None:
    ledger = SqliteLedger(home / "ledger.sqlite")
    ledger.commit([numbers(0, 4)])
    SqliteLedger(home.with_name("other") / "ledger.sqlite").close()
    shutil.rmtree(home)
    home.with_name("other").rename(home)
    assert ledger.commit([numbers(5, 5)]) == {KEY: -1}
    assert ledger.commit([numbers(0, 4)]) == {KEY: 5}
    ledger.close()


def test_a_ledger_that_another_ingest_has_begun_is_left_to_it(home: Path) -> None:
    ledger = SqliteLedger(home / "ledger.sqlite")
    ledger.commit([numbers(0, 4)])
    shutil.rmtree(home)
    other = SqliteLedger(home / "ledger.sqlite")
    other.commit([numbers(0, 0)])
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="in use: another ingest"):
            ledger.commit([numbers(5, 5)])
    other.close()
    assert ledger.commit([numbers(1, 1)]) == {KEY: 1}
    ledger.close()
