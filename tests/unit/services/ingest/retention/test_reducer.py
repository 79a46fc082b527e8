"""The job: what it leaves, what it never touches, and that it may be killed anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.retention import EVER, Span, policy_of
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis, duration
from dyncal.ports.history import HistoryStore
from dyncal.testing.records import block, span
from dyncal.testing.store import MemorySampleStore
from services.ingest.retention import reducer as module
from services.ingest.retention.protection import Guard, Kept, Protection
from services.ingest.retention.reducer import Reducer, Step

A, B = SensorId("a"), SensorId("b")
DAY = duration(86_400.0)
NOW = InstantNs(400 * DAY)
ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
SECOND, MINUTE = NS_PER_S, 60 * NS_PER_S
POLICY = policy_of(DurationNs(2 * DAY), [(SECOND, DurationNs(10 * DAY)), (MINUTE, None)])


class Told(Guard):
    """A guard that is told what stays."""

    def __init__(self, *kept: Kept, known: frozenset[SensorId] = frozenset({A, B})) -> None:
        self.told = Protection(known, kept)

    def protection(self, now: InstantNs) -> Protection:
        return self.told


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HistoryStore]:
    made: HistoryStore = MemorySampleStore() if request.param == "memory" else SqliteSampleStore(tmp_path / "s.sqlite")
    yield made
    made.close()


def fill(store: HistoryStore, sensor: SensorId, age_days: float, n: int = 3000, dt_ns: int = SECOND // 4) -> None:
    """Write samples that begin so many days ago."""
    axis = UniformAxis(InstantNs(NOW - duration(age_days * 86_400.0)), DurationNs(dt_ns), n)
    values = np.sin(np.arange(n) / 50.0)
    store.write([block(values, sensor=sensor, axis=axis, corrected=span(axis, values + 1.0))])


def reduce(store: HistoryStore, *kept: Kept, now: InstantNs = NOW, dry: bool = False) -> list[Step]:
    """Go through once."""
    job = Reducer(store, Told(*kept), POLICY, dry=dry)
    return list(job.steps(job.begin(now)))


def counted(store: HistoryStore, sensor: SensorId) -> tuple[int, int, int]:
    """Return the rows that samples, seconds and minutes stand for."""
    found = store.aggregates(sensor, *ALL)
    rows = [int(found.n_rows[found.width_ns == width].sum()) for width in (SECOND, MINUTE)]
    return len(store.read(sensor, *ALL)), rows[0], rows[1]


def test_each_age_is_kept_as_the_policy_says(store: HistoryStore) -> None:
    for sensor in (A, B):
        for age in (20, 5, 1):
            fill(store, sensor, age)
    values = store.read(A, *ALL).raw
    assert {step.width_ns for step in reduce(store)} == {SAMPLES, SECOND}
    assert counted(store, A) == counted(store, B) == (3000, 3000, 3000)
    found = store.aggregates(A, *ALL)
    minutes = found.at(found.width_ns == MINUTE)
    assert np.average(minutes.raw, weights=minutes.n_raw) == pytest.approx(values[:3000].mean(), rel=1e-12)
    assert (minutes.raw_min.min(), minutes.raw_max.max()) == (values.min(), values.max())
    assert reduce(store) == []


def test_a_dry_run_says_the_same_and_changes_nothing(store: HistoryStore) -> None:
    fill(store, A, 5)
    told = reduce(store, dry=True)
    assert counted(store, A) == (3000, 0, 0)
    assert told == reduce(store)


def test_the_border_is_where_the_policy_says(store: HistoryStore) -> None:
    fill(store, A, 2 + 300 / 86_400.0)
    reduce(store)
    assert store.first(A, SAMPLES) == NOW - 2 * DAY
    assert counted(store, A) == (1800, 1200, 0)


def test_what_must_stay_stays_to_the_last_sample(store: HistoryStore) -> None:
    for sensor in (A, B):
        fill(store, sensor, 5)
    begin = NOW - 5 * DAY
    held = Span(begin + 100 * SECOND + 1, begin + 200 * SECOND)
    before = store.read(A, InstantNs(held.from_ns), InstantNs(held.to_ns))
    reduce(store, Kept(A, held, "hold"))
    after = store.read(A, InstantNs(held.from_ns), InstantNs(held.to_ns))
    np.testing.assert_array_equal(after.t_ns, before.t_ns)
    np.testing.assert_array_equal(after.raw, before.raw)
    assert counted(store, A) == (400, 2600, 0)
    assert counted(store, B) == (0, 3000, 0)
    reduce(store)  # released
    assert counted(store, A) == (0, 3000, 0)


def test_a_hold_of_all_and_sensors_that_nobody_knows(store: HistoryStore) -> None:
    unknown = SensorId("unknown")
    for sensor in (A, unknown):
        fill(store, sensor, 5)
    assert reduce(store, Kept(None, EVER, "hold")) == []
    reduce(store)
    assert counted(store, unknown) == (3000, 0, 0)
    assert counted(store, A) == (0, 3000, 0)


def test_samples_that_come_late_join_what_is_there(store: HistoryStore) -> None:
    fill(store, A, 20)
    reduce(store)
    assert counted(store, A) == (0, 0, 3000)
    axis = UniformAxis(InstantNs(NOW - 20 * DAY + 1), DurationNs(SECOND), 600)
    store.write([block(np.full(600, 50.0), sensor=A, axis=axis, sequence=9)])
    reduce(store)
    assert counted(store, A) == (0, 0, 3600)
    assert store.aggregates(A, *ALL).raw_max.max() == 50.0


def test_steps_are_bounded_whatever_the_rate(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY_ROWS", 400)
    monkeypatch.setattr(module, "MOST_ROWS", 1000)
    fill(store, A, 5, n=20_000, dt_ns=SECOND // 200)
    fill(store, B, 5, n=2000, dt_ns=10 * SECOND)
    steps = reduce(store)
    assert max(step.n_rows for step in steps) <= 1000
    assert len([step for step in steps if step.sensor == B]) < 60  # short steps at first only
    assert counted(store, A)[:2] == (0, 20_000)
    assert counted(store, B)[:2] == (0, 2000)


def test_writing_between_steps_loses_nothing(store: HistoryStore) -> None:
    fill(store, A, 5)
    job = Reducer(store, Told(), POLICY)
    under_way = job.begin(NOW)
    assert job.step(under_way, NOW) is not None
    axis = UniformAxis(
        InstantNs(NOW - 5 * DAY + 1), DurationNs(SECOND // 4), 3000
    )  # into what has gone, and what has not
    store.write([block(np.arange(3000.0), sensor=A, axis=axis, sequence=7)])
    list(job.steps(under_way))
    reduce(store)
    assert counted(store, A) == (0, 6000, 0)


def test_a_registry_that_is_away_stops_it(store: HistoryStore) -> None:
    class Away(Told):
        def protection(self, now: InstantNs) -> Protection:
            raise StoreUnavailable("registry: gone")

    fill(store, A, 5)
    job = Reducer(store, Away(), POLICY)
    with pytest.raises(StoreUnavailable):
        job.step(job.begin(NOW), NOW)
    assert counted(store, A) == (3000, 0, 0)


def test_without_aggregates_samples_are_forgotten(store: HistoryStore) -> None:
    fill(store, A, 5)
    job = Reducer(store, Told(), policy_of(DurationNs(DAY), []))
    assert sum(step.n_rows for step in job.steps(job.begin(NOW))) == 3000
    assert store.held() == []
    assert aggregates.same(store.aggregates(A, *ALL), aggregates.NONE)
