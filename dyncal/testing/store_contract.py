"""The suite that every adapter of the sample store's port must pass."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from dyncal.contracts.samples import decode_packed, encode
from dyncal.domain import quality
from dyncal.domain.samples import (
    FloatArray,
    Gap,
    GapCause,
    GapRecord,
    Record,
    SampleSeries,
)
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import ExplicitAxis, InstantNs, axis_of
from dyncal.ports.sample_store import SampleStore, WriteReport
from dyncal.testing.records import DT, T0, TC, assert_same, block, gap, history, set_names, span, uniform
from dyncal.testing.store import MemorySampleStore

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


class SampleStoreContract:
    """What every sample store does. Subclass it and give a fixture ``store`` that yields an empty one."""

    def test_nothing_is_there_at_first(self, store: SampleStore) -> None:
        assert len(store.read(TC, *ALL)) == 0
        assert len(store.latest(TC)) == 0
        assert store.gaps(TC, *ALL) == []
        assert store.sensors() == []
        assert store.check()

    def test_writing_nothing_does_nothing(self, store: SampleStore) -> None:
        assert store.write([]) == WriteReport(0, 0, 0)

    def test_a_block_comes_back_bit_for_bit(self, store: SampleStore) -> None:
        hard = [0.1, -0.0, 5e-324, -1.7976931348623157e308, 1 / 3, 1e16, 123456789.123456789, np.pi * 1e-200]
        record = block(hard, corrected=span(uniform(8), hard[::-1], u=1 / 7))
        assert store.write([record]) == WriteReport(8, 8, 0)
        self.assert_as_reference(store, [record])

    def test_a_block_as_it_came_over_the_wire_is_stored_as_the_block(self, store: SampleStore) -> None:
        apart = ExplicitAxis(uniform(4).t_ns + np.array([0, 1, 0, 7]))
        records = [
            block([1.0, np.nan, 3.0], corrected=span(uniform(3), [1.5, np.nan, 2.5])),
            block([4.0, 5.0, 6.0, 7.0], sequence=1, axis=apart, runs=((0, 1), (0x80000000, 3))),
            block([8.0], sequence=2, axis=uniform(1, 9)),
        ]
        packed = [decode_packed(encode(record)) for record in records]
        assert store.write([packed[0], gap(20, 50), packed[1], records[2]]) == WriteReport(8, 2, 1)
        self.assert_as_reference(store, [*records, gap(20, 50)])

    def test_random_bits_come_back(self, store: SampleStore) -> None:
        bits = np.random.default_rng(1).integers(0, 2**63, 3000, dtype=np.int64).view(np.float64)
        values = np.where(np.isfinite(bits), bits, 1.0)
        store.write([block(values)])
        np.testing.assert_array_equal(store.read(TC, *ALL).raw, values)

    def test_infinities_come_back(self, store: SampleStore) -> None:
        record = block([1.0, np.inf, -np.inf, np.nan], corrected=span(uniform(3), [np.inf, 2.0, -np.inf]))
        store.write([record])
        self.assert_as_reference(store, [record])

    def test_writing_again_changes_nothing(self, store: SampleStore) -> None:
        record = block([1.0, np.nan, 3.0], corrected=span(uniform(3), [1.5, 2.5, np.nan]))
        for _ in range(3):
            store.write([record, gap(0, 50), record])
        self.assert_as_reference(store, [record])
        assert len(store.gaps(TC, *ALL)) == 1

    def test_raw_and_corrected_of_different_records_meet(self, store: SampleStore) -> None:
        late = span(uniform(4, 2), [2.5, 3.5, 4.5, 5.5])
        records = [
            block([0.0, 1, 2, 3], sequence=0, axis=uniform(4), corrected=span(uniform(2), [0.5, 1.5])),
            block([4.0, 5, 6, 7], sequence=1, axis=uniform(4, 4), corrected=late),
        ]
        for record in records:
            store.write([record])
        self.assert_as_reference(store, records)
        assert np.flatnonzero(np.isnan(store.read(TC, *ALL).corrected)).tolist() == [6, 7]

    def test_corrected_may_come_before_raw(self, store: SampleStore) -> None:
        records = [
            block([9.0], axis=uniform(1, 9), corrected=span(uniform(2), [0.5, 1.5])),
            block([0.0, 1.0], axis=uniform(2)),
        ]
        for record in records:
            store.write([record])
        self.assert_as_reference(store, records)

    def test_order_of_arrival_does_not_matter(self, store: SampleStore) -> None:
        order = np.random.default_rng(2).permutation(20).tolist()
        records = [block(np.arange(5.0) + 5 * k, sequence=k, axis=uniform(5, 5 * k)) for k in order]
        store.write(records)
        np.testing.assert_array_equal(store.read(TC, *ALL).raw, np.arange(100))

    def test_the_newest_write_replaces(self, store: SampleStore) -> None:
        records = [
            block([1.0, 2, 3, 4], corrected=span(uniform(4), [1.0, 2, 3, 4], "old")),
            block([30.0, 40, 50], axis=uniform(3, 2), corrected=span(uniform(2, 1), [20.0, 30], "new", 0.25)),
        ]
        for record in records:
            store.write([record])
        self.assert_as_reference(store, records)

    def test_within_one_write_the_later_record_replaces(self, store: SampleStore) -> None:
        records = [block([1.0, 2.0]), block([5.0], axis=uniform(1, 1))]
        store.write(records)
        assert store.read(TC, *ALL).raw.tolist() == [1.0, 5.0]

    def test_no_value_replaces_none(self, store: SampleStore) -> None:
        bad = quality.BAD_NO_COMMUNICATION
        records = [
            block([1.0, 2.0], corrected=span(uniform(2), [1.5, 2.5])),
            block([np.nan, 3.0], runs=((bad, 2),), corrected=span(uniform(2), [np.nan, np.nan], "new")),
        ]
        for record in records:
            store.write([record])
        self.assert_as_reference(store, records)
        assert store.read(TC, *ALL).quality.tolist() == [bad, bad]

    def test_a_row_without_value_keeps_its_quality(self, store: SampleStore) -> None:
        store.write([block([np.nan, 1.0], runs=((quality.BAD_OUT_OF_RANGE, 1), (quality.UNCERTAIN, 1)))])
        rows = store.read(TC, *ALL)
        assert np.isnan(rows.raw).tolist() == [True, False]
        assert rows.quality.tolist() == [quality.BAD_OUT_OF_RANGE, quality.UNCERTAIN]

    def test_every_status_code_comes_back(self, store: SampleStore) -> None:
        codes = [0, 1, 0x480, 0x4093_0000, 0x8000_0000, 0xFFFF_FFFF]
        store.write([block(np.arange(6.0), runs=quality.runs_of(codes))])
        assert store.read(TC, *ALL).quality.tolist() == codes

    def test_the_end_of_a_range_is_outside(self, store: SampleStore) -> None:
        store.write([block(np.arange(10.0))])
        rows = store.read(TC, InstantNs(T0 + 2 * DT), InstantNs(T0 + 5 * DT))
        assert rows.raw.tolist() == [2.0, 3.0, 4.0]
        assert len(store.read(TC, InstantNs(T0 + 2 * DT + 1), InstantNs(T0 + 3 * DT))) == 0
        assert len(store.read(TC, InstantNs(T0 + 3 * DT), InstantNs(T0))) == 0
        assert not rows.decimated

    def test_irregular_instants_come_back_to_the_nanosecond(self, store: SampleStore) -> None:
        steps = np.random.default_rng(3).integers(1, 10**10, 500)
        axis = axis_of(T0 + np.cumsum(steps))
        record = block(steps.astype(np.float64), axis=axis, corrected=span(axis, steps.astype(np.float64) * 2))
        store.write([record])
        self.assert_as_reference(store, [record])

    def test_the_earliest_and_the_latest_instant(self, store: SampleStore) -> None:
        axis = axis_of(np.array([0, 1, ALL[1] - 1], np.int64))
        store.write([block([1.0, 2.0, 3.0], axis=axis)])
        assert store.read(TC, *ALL).t_ns.tolist() == axis.t_ns.tolist()
        assert store.latest(TC).raw.tolist() == [3.0]

    def test_names_that_look_like_something_else(self, store: SampleStore) -> None:
        names = ["A", "a", "0", "1.5", "T.dot-dash_under", "x" * 128, "true", "time", "select"]
        store.write([block([float(k)], sensor=name) for k, name in enumerate(names)])
        assert store.sensors() == sorted(names)
        for k, name in enumerate(names):
            assert store.read(SensorId(name), *ALL).raw.tolist() == [k]

    def test_ids_of_sets_may_be_any_text(self, store: SampleStore) -> None:
        names = ['quo"te', "back\\slash", "comma, space = equals", "µ-τ", "end\\", "it's", "1i"]
        records = [
            block([1.0], axis=uniform(1, k), corrected=span(uniform(1, k), [2.0], name)) for k, name in enumerate(names)
        ]
        store.write(records)
        assert set_names(store.read(TC, *ALL)) == names

    def test_large_blocks(self, store: SampleStore) -> None:
        values = np.random.default_rng(4).normal(size=65_536)
        record = block(values, corrected=span(uniform(65_536), values + 1))
        assert store.write([record]) == WriteReport(65_536, 65_536, 0)
        self.assert_as_reference(store, [record])

    def test_many_small_blocks_in_disorder_with_repeats(self, store: SampleStore) -> None:
        rng = np.random.default_rng(5)
        records = []
        for k in rng.integers(0, 400, 900).tolist():
            values = rng.normal(size=25)
            values[rng.random(25) < 0.1] = np.nan
            corrected = span(uniform(20, 25 * k + 3), rng.normal(size=20), f"set-{k % 7}")
            records.append(block(values, sequence=k, axis=uniform(25, 25 * k), corrected=corrected))
        for first in range(0, len(records), 90):
            store.write(records[first : first + 90])
        self.assert_as_reference(store, records)

    def test_decimation_keeps_every_extreme(self, store: SampleStore) -> None:
        rng = np.random.default_rng(6)
        raw, corrected = rng.normal(size=20_000), rng.normal(size=20_000)
        raw[[17, 9_999]], corrected[[4_321, 15_000]] = [50.0, -60.0], [70.0, -80.0]
        raw[100:400] = np.nan
        store.write([block(raw, corrected=span(uniform(20_000), corrected))])
        rows = store.read(TC, *ALL, max_points=800)
        assert rows.decimated
        assert 100 <= len(rows) <= 808
        assert bool(np.all(np.diff(rows.t_ns) > 0))
        assert (np.nanmin(rows.raw), np.nanmax(rows.raw)) == (-60.0, 50.0)
        assert (np.nanmin(rows.corrected), np.nanmax(rows.corrected)) == (-80.0, 70.0)
        at = (rows.t_ns - T0) // DT
        np.testing.assert_array_equal(rows.raw, raw[at])
        np.testing.assert_array_equal(rows.corrected, corrected[at])
        self.assert_extremes_of_buckets(rows, raw, 200)

    @staticmethod
    def assert_extremes_of_buckets(rows: SampleSeries, raw: FloatArray, n_buckets: int) -> None:
        """Assert that each of the equal buckets shows its own smallest and largest value."""
        size = raw.size // n_buckets
        at = (rows.t_ns - T0) // DT
        for k in range(n_buckets):
            values = raw[k * size : (k + 1) * size]
            if np.all(np.isnan(values)):
                continue
            shown = rows.raw[(at >= k * size) & (at < (k + 1) * size)]
            assert (np.nanmin(shown), np.nanmax(shown)) == (np.nanmin(values), np.nanmax(values))

    @pytest.mark.parametrize("max_points", [1, 4, 100, 3000, 29_000])
    def test_decimation_of_many_writes_is_that_of_the_whole(self, store: SampleStore, max_points: int) -> None:
        records = history(np.random.default_rng(8))
        for first in range(0, len(records), 40):
            store.write(records[first : first + 40])
        reference = MemorySampleStore()
        reference.write(records)
        middle = InstantNs(T0 + 1234 * DT + 1), InstantNs(T0 + 21_000 * DT)
        for start, end in (ALL, middle, (InstantNs(T0 + 9000 * DT), InstantNs(T0 + 9030 * DT))):
            found = store.read(TC, start, end, max_points=max_points)
            expected = reference.read(TC, start, end, max_points=max_points)
            assert_same(found, expected)
            assert found.decimated == expected.decimated

    def test_decimation_of_few_rows_is_none(self, store: SampleStore) -> None:
        store.write([block(np.arange(100.0))])
        rows = store.read(TC, *ALL, max_points=100)
        assert len(rows) == 100
        assert not rows.decimated

    def test_decimation_shows_a_stretch_without_values(self, store: SampleStore) -> None:
        store.write([block(np.full(1000, np.nan), runs=((quality.BAD, 1000),))])
        rows = store.read(TC, *ALL, max_points=40)
        assert 1 <= len(rows) <= 40
        assert set(rows.quality.tolist()) == {quality.BAD}

    def test_latest_is_the_newest_raw_and_the_newest_corrected(self, store: SampleStore) -> None:
        store.write([block([1.0, 2.0, 3.0, np.nan], corrected=span(uniform(3), [1.5, 2.5, np.nan]))])
        rows = store.latest(TC)
        assert ((rows.t_ns - T0) // DT).tolist() == [1, 2]
        np.testing.assert_array_equal(rows.raw, [2.0, 3.0])
        np.testing.assert_array_equal(rows.corrected, [2.5, np.nan])
        store.write([block([9.0], axis=uniform(1, 9), corrected=span(uniform(1, 9), [9.5]))])
        assert len(store.latest(TC)) == 1

    def test_latest_is_newest_by_instant_not_by_arrival(self, store: SampleStore) -> None:
        store.write([block([5.0], axis=uniform(1, 5))])
        store.write([block([1.0], axis=uniform(1, 1))])
        assert store.latest(TC).raw.tolist() == [5.0]

    def test_gaps_that_touch_a_range(self, store: SampleStore) -> None:
        records = [
            gap(0, 10),
            gap(20, 30, sequence=1),
            gap(20, 40, sequence=2, cause=GapCause.SPOOL_CAPPED),
            gap(90, 99),
        ]
        assert store.write(records) == WriteReport(0, 0, 4)
        assert store.gaps(TC, *ALL) == [record.gap for record in records]
        assert store.gaps(TC, InstantNs(T0 + 25), InstantNs(T0 + 26)) == [records[1].gap, records[2].gap]
        assert store.gaps(TC, InstantNs(T0 + 10), InstantNs(T0 + 20)) == [records[0].gap]
        assert store.gaps(SensorId("other"), *ALL) == []
        assert store.gaps(TC, *ALL, limit=2) == [records[2].gap, records[3].gap]
        assert store.gaps(TC, InstantNs(T0), InstantNs(T0 + 90), limit=2) == [records[1].gap, records[2].gap]
        assert len(store.gaps(TC, *ALL, limit=9)) == 4

    def test_a_gap_of_unknown_size(self, store: SampleStore) -> None:
        unknown = Gap(InstantNs(T0), InstantNs(T0 + 1), GapCause.SERVER_OVERFLOW, None)
        store.write([GapRecord(TC, EdgeId("edge-1"), 1, 0, 5, unknown)])
        assert store.gaps(TC, *ALL) == [unknown]

    def test_readers_see_whole_states_while_a_writer_writes(self, store: SampleStore) -> None:
        failures: list[BaseException] = []
        done = threading.Event()

        def reader() -> None:
            seen = 0
            try:
                while not done.is_set():
                    rows = store.read(TC, *ALL)
                    assert len(rows) >= seen
                    np.testing.assert_array_equal(rows.raw, np.arange(len(rows)))
                    seen = len(rows)
            except BaseException as error:  # noqa: BLE001  # carried to the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=reader) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for k in range(150):
                store.write([block(np.arange(10.0) + 10 * k, sequence=k, axis=uniform(10, 10 * k))])
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[0]
        assert len(store.read(TC, *ALL)) == 1500

    def test_several_writers(self, store: SampleStore) -> None:
        def writer(name: str) -> None:
            for k in range(30):
                store.write([block(np.full(20, float(k)), sensor=name, sequence=k, axis=uniform(20, 20 * k))])

        threads = [threading.Thread(target=writer, args=(f"s{k}",)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k in range(4):
            np.testing.assert_array_equal(store.read(SensorId(f"s{k}"), *ALL).raw, np.repeat(np.arange(30.0), 20))

    def test_closing_twice(self, store: SampleStore) -> None:
        store.close()
        store.close()

    @staticmethod
    def assert_as_reference(store: SampleStore, records: Sequence[Record]) -> None:
        """Assert that the store shows what the reference shows after the same records."""
        reference = MemorySampleStore()
        reference.write(records)
        assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
        assert_same(store.latest(TC), reference.latest(TC))
