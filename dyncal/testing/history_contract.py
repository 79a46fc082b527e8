"""The suite that every adapter of the port of aggregates must pass, besides that of the sample store."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain import aggregates, quality
from dyncal.domain.aggregates import SAMPLES, Aggregates
from dyncal.domain.errors import Conflict
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.history import HistoryStore
from dyncal.testing.records import DT, T0, TC, assert_same, block, gap, history, span, uniform
from dyncal.testing.store import MemorySampleStore

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
SECOND = NS_PER_S
MINUTE = 60 * NS_PER_S


def at(seconds: float) -> InstantNs:
    """Return an instant some seconds after T0, which is 20 s after a whole minute."""
    return InstantNs(T0 + round(seconds * NS_PER_S))


def replace(store: HistoryStore, width_ns: int, start: InstantNs, end: InstantNs, by_ns: int) -> Aggregates:
    """Have what is in a range stand as aggregates of width `by_ns` from now on, as the retention job does."""
    if width_ns == SAMPLES:
        rows = store.read(TC, start, end)
        by, n = aggregates.of_samples(rows, by_ns), len(rows)
    else:
        found = store.aggregates(TC, start, end)
        found = found.at(found.width_ns == width_ns)
        by, n = aggregates.coarser(found, by_ns), len(found)
    store.replace(TC, width_ns, start, end, by, n)
    return by


class HistoryStoreContract:
    """What every store does with aggregates. Subclass it and give a fixture ``store`` that yields an empty one."""

    def test_no_aggregates_at_first(self, store: HistoryStore) -> None:
        store.settle()
        assert len(store.aggregates(TC, *ALL)) == 0
        assert store.first(TC, SAMPLES) is None
        assert store.first(TC, SECOND) is None
        assert store.held() == []

    def test_samples_become_aggregates_and_what_is_beside_them_stays(self, store: HistoryStore) -> None:
        store.write([*history(np.random.default_rng(11))[:200], gap(0, 5 * SECOND)])
        before = store.read(TC, *ALL)
        start, end = at(7), at(19)
        made = replace(store, SAMPLES, start, end, SECOND)
        assert len(made) > 5
        assert aggregates.same(store.aggregates(TC, *ALL), made)
        assert len(store.read(TC, start, end)) == 0
        after = store.read(TC, *ALL)
        outside = (before.t_ns < start) | (before.t_ns >= end)
        np.testing.assert_array_equal(after.t_ns, before.t_ns[outside])
        np.testing.assert_array_equal(after.raw, before.raw[outside])
        np.testing.assert_array_equal(after.corrected, before.corrected[outside])
        assert len(store.gaps(TC, *ALL)) == 1

    def test_all_stores_make_the_same(self, store: HistoryStore) -> None:
        reference = MemorySampleStore()
        records = history(np.random.default_rng(12))[:120]
        for kept in (store, reference):
            kept.write(records)
            replace(kept, SAMPLES, at(0), at(9), SECOND)
            replace(kept, SAMPLES, at(9), at(23), SECOND)
            kept.write([block(np.arange(500.0), sequence=1000)])  # late: their buckets are aggregates already
            replace(kept, SAMPLES, at(0), at(5), SECOND)
            replace(kept, SECOND, at(-20), at(40), MINUTE)
        assert aggregates.same(store.aggregates(TC, *ALL), reference.aggregates(TC, *ALL))
        assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
        for width in (SAMPLES, SECOND, MINUTE):
            assert store.first(TC, width) == reference.first(TC, width)

    def test_late_samples_are_added_to_their_buckets(self, store: HistoryStore) -> None:
        store.write([block([1.0, 3.0], axis=uniform(2), corrected=span(uniform(2), [1.0, 3.0], "set-1", 0.5))])
        replace(store, SAMPLES, at(0), at(1), SECOND)
        late = span(uniform(2, 2), [5.0, 7.0], "set-2", 1.5)
        store.write([block([5.0, 7.0], axis=uniform(2, 2), corrected=late, runs=((quality.UNCERTAIN, 2),))])
        replace(store, SAMPLES, at(0), at(1), SECOND)
        found = store.aggregates(TC, *ALL)
        assert (found.n_rows.tolist(), found.n_raw.tolist(), found.n_corrected.tolist()) == ([4], [4], [4])
        assert (found.raw.tolist(), found.raw_min.tolist(), found.raw_max.tolist()) == ([4.0], [1.0], [7.0])
        assert (found.u.tolist(), found.quality.tolist()) == ([1.0], [quality.UNCERTAIN])

    def test_nothing_is_replaced_that_the_caller_has_not_seen(self, store: HistoryStore) -> None:
        store.write([block(np.arange(100.0))])
        rows = store.read(TC, *ALL)
        by = aggregates.of_samples(rows, SECOND)
        store.write([block([1.0], axis=uniform(1, 100), sequence=1)])
        with pytest.raises(Conflict):
            store.replace(TC, SAMPLES, at(0), at(2), by, len(rows))
        assert len(store.read(TC, *ALL)) == 101
        assert len(store.aggregates(TC, *ALL)) == 0

    def test_the_last_width_is_forgotten(self, store: HistoryStore) -> None:
        store.write([block(np.arange(400.0))])
        replace(store, SAMPLES, at(0), at(4), SECOND)
        assert store.held() == [TC]
        store.replace(TC, SECOND, at(1), at(3), aggregates.NONE, 2)
        assert ((store.aggregates(TC, *ALL).t_ns - T0) // SECOND).tolist() == [0, 3]
        store.replace(TC, SECOND, at(0), at(4), aggregates.NONE, 2)
        assert store.held() == []

    def test_many_aggregates_come_in_pages(self, store: HistoryStore) -> None:
        n = 9000
        store.write([block(np.arange(float(n)), axis=uniform(n, dt_ns=SECOND))])
        for k in range(0, n, 3000):
            replace(store, SAMPLES, at(k), at(min(k + 3000, n)), SECOND)
        replace(store, SECOND, at(-20), at(100), MINUTE)
        whole = store.aggregates(TC, *ALL)
        assert len(whole) == n - 100 + 2
        pages, start = [], ALL[0]
        while len(page := store.aggregates(TC, start, ALL[1], limit=1000)):
            assert len(page) <= 1001
            pages.append(page)
            start = InstantNs(int(page.t_ns[-1]) + 1)
        assert len(pages) > 8
        assert aggregates.same(aggregates.merged(pages), whole)
        assert len(store.aggregates(TC, at(200), at(210))) == 10

    def test_infinite_and_absent_values(self, store: HistoryStore) -> None:
        values = [np.nan, np.inf, -0.0, np.nan]
        store.write([block(values, runs=((quality.BAD, 1), (quality.GOOD, 3)))])
        made = replace(store, SAMPLES, at(0), at(1), SECOND)
        assert aggregates.same(store.aggregates(TC, *ALL), made)
        assert (made.n_rows.tolist(), made.n_raw.tolist(), made.raw.tolist()) == ([4], [1], [0.0])

    def test_what_is_written_while_rows_go(self, store: HistoryStore) -> None:
        """A tail of newer rows over older segments stays the newer one, whatever is cut out of it."""
        store.write([block(np.arange(300.0))])
        for k in range(3):
            store.write([block(np.full(50, 1000.0 + k), axis=uniform(50, 200), sequence=1 + k)])
        replace(store, SAMPLES, at(0), at(1), SECOND)
        rows = store.read(TC, *ALL)
        assert rows.t_ns.tolist() == (T0 + DT * np.arange(100, 300)).tolist()
        assert rows.raw.tolist() == [*range(100, 200), *[1002.0] * 50, *range(250, 300)]

    def test_names_of_sensors_are_apart(self, store: HistoryStore) -> None:
        store.write([block(np.arange(100.0), sensor=name) for name in ("a", "b")])
        rows = store.read(SensorId("a"), *ALL)
        store.replace(SensorId("a"), SAMPLES, at(0), at(1), aggregates.of_samples(rows, SECOND), len(rows))
        assert len(store.aggregates(SensorId("b"), *ALL)) == 0
        assert len(store.read(SensorId("b"), *ALL)) == 100
        assert store.held() == ["a", "b"]
        assert store.sensors() == ["b"] or store.sensors() == ["a", "b"]  # a server may remember a name for a while
