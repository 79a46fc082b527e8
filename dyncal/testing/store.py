"""The reference of what a sample store does, and the suite that every adapter of the port must pass."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from dyncal.adapters.series import decimate
from dyncal.domain import quality
from dyncal.domain.quality import GOOD, QualityRuns
from dyncal.domain.samples import (
    CorrectedSpan,
    FloatArray,
    Gap,
    GapCause,
    GapRecord,
    Record,
    SampleBlock,
    SampleSeries,
)
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, TimeAxis, UniformAxis, axis_of
from dyncal.ports.sample_store import SampleStore, WriteReport

T0 = 1_760_000_000 * NS_PER_S
DT = 10_000_000
TC = SensorId("tc-1")
ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


@dataclass(slots=True)
class _Row:
    raw: float = np.nan
    corrected: float = np.nan
    u: float = np.nan
    quality: int = GOOD
    set_id: str | None = None


@dataclass(slots=True)
class MemorySampleStore:
    """A `SampleStore` of plain dictionaries, row by row: slow, and easy to see through."""

    _rows: dict[SensorId, dict[int, _Row]] = field(default_factory=dict)
    _gaps: dict[SensorId, dict[tuple[int, GapCause], Gap]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, records: Sequence[Record]) -> WriteReport:
        """Write; see the port."""
        with self._lock:
            counts = np.array([self._write(record) for record in records]).reshape(-1, 3).sum(axis=0)
        return WriteReport(*counts.tolist())

    def _write(self, record: Record) -> tuple[int, int, int]:
        if isinstance(record, GapRecord):
            self._gaps.setdefault(record.sensor, {})[record.gap.after_ns, record.gap.cause] = record.gap
            return 0, 0, 1
        rows = self._rows.setdefault(record.sensor, {})
        codes = quality.expand(record.quality).tolist()
        for t, raw, code in zip(record.axis.t_ns.tolist(), record.raw.tolist(), codes, strict=True):
            row = rows.setdefault(t, _Row())
            row.quality = code
            row.raw = row.raw if np.isnan(raw) else raw
        n_corrected = 0 if record.corrected is None else self._write_span(rows, record.corrected)
        return len(record), n_corrected, 0

    @staticmethod
    def _write_span(rows: dict[int, _Row], span: CorrectedSpan) -> int:
        given = [
            (t, value, u)
            for t, value, u in zip(span.axis.t_ns.tolist(), span.value.tolist(), span.u.tolist(), strict=True)
            if not np.isnan(value)
        ]
        for t, value, u in given:
            row = rows.setdefault(t, _Row())
            row.corrected, row.u, row.set_id = value, u, span.set_id
        return len(given)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return a range; see the port."""
        with self._lock:
            chosen = [(t, row) for t, row in sorted(self._rows.get(sensor, {}).items()) if start <= t < end]
            return decimate(_series(chosen), max_points)

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Return the newest row with a raw value and the newest with a corrected one."""
        with self._lock:
            rows = self._rows.get(sensor, {})
            newest = {
                max((t for t, row in rows.items() if not np.isnan(getattr(row, column))), default=-1)
                for column in ("raw", "corrected")
            }
            return _series([(t, rows[t]) for t in sorted(newest - {-1})])

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch a range; see the port."""
        with self._lock:
            found = [g for g in self._gaps.get(sensor, {}).values() if g.after_ns < end and g.before_ns >= start]
        found.sort(key=lambda gap: (gap.after_ns, gap.before_ns))
        return found if limit is None else found[-limit:]

    def sensors(self) -> list[SensorId]:
        """Return the sensors that have rows, in order of name."""
        with self._lock:
            return sorted(self._rows)

    def check(self) -> str:
        """Return a line that names the store."""
        return "memory"

    def close(self) -> None:
        """Do nothing."""


def _series(rows: list[tuple[int, _Row]]) -> SampleSeries:
    names = sorted({row.set_id for _, row in rows if row.set_id is not None})
    return SampleSeries(
        t_ns=np.array([t for t, _ in rows], np.int64),
        raw=np.array([row.raw for _, row in rows], np.float64),
        corrected=np.array([row.corrected for _, row in rows], np.float64),
        u=np.array([row.u for _, row in rows], np.float64),
        quality=np.array([row.quality for _, row in rows], np.uint32),
        set_index=np.array([-1 if row.set_id is None else names.index(row.set_id) for _, row in rows], np.int32),
        set_ids=tuple(names),
    )


def uniform(n: int, first: int = 0, dt_ns: int = DT) -> UniformAxis:
    """Return the instants of samples first … first + n - 1 of a sensor that began at T0."""
    return UniformAxis(InstantNs(T0 + first * dt_ns), DurationNs(dt_ns), n)


def block(
    raw: Sequence[float] | FloatArray,
    *,
    sensor: str = TC,
    sequence: int = 0,
    axis: TimeAxis | None = None,
    runs: QualityRuns | None = None,
    corrected: CorrectedSpan | None = None,
) -> SampleBlock:
    """Return a block; from T0 on and good, unless said otherwise."""
    values = np.asarray(raw, np.float64)
    return SampleBlock(
        sensor=SensorId(sensor),
        edge=EdgeId("edge-1"),
        epoch=1,
        sequence=sequence,
        axis=uniform(values.size) if axis is None else axis,
        raw=values,
        quality=quality.good(values.size) if runs is None else runs,
        arrival_ns=InstantNs(T0),
        u_t_ns=DurationNs(1_000),
        server_ns=InstantNs(T0 + 5),
        corrected=corrected,
    )


def span(axis: TimeAxis, value: Sequence[float] | FloatArray, set_id: str = "set-1", u: float = 0.5) -> CorrectedSpan:
    """Return a corrected span with a constant uncertainty."""
    values = np.asarray(value, np.float64)
    return CorrectedSpan(axis, values, np.where(np.isnan(values), np.nan, u), set_id)


def gap(after: int, before: int, *, sequence: int = 0, cause: GapCause = GapCause.CONNECTION_LOST) -> GapRecord:
    """Return a gap record between two instants given in ns after T0."""
    return GapRecord(
        TC, EdgeId("edge-1"), 1, sequence, sequence, Gap(InstantNs(T0 + after), InstantNs(T0 + before), cause, 3)
    )


def assert_same(found: SampleSeries, expected: SampleSeries) -> None:
    """Assert that two series hold the same rows, bit for bit, and the same sets."""
    np.testing.assert_array_equal(found.t_ns, expected.t_ns)
    for column in ("raw", "corrected", "u"):
        a, b = getattr(found, column), getattr(expected, column)
        np.testing.assert_array_equal(a, b, err_msg=column)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b), err_msg=f"sign of {column}")
    np.testing.assert_array_equal(found.quality, expected.quality)
    assert set_names(found) == set_names(expected)


def set_names(series: SampleSeries) -> list[str | None]:
    """Return the set of each row by name."""
    return [None if k < 0 else series.set_ids[k] for k in series.set_index.tolist()]


def history(rng: np.random.Generator) -> list[Record]:
    """Return blocks in disorder, some again with other values, with holes, equal extremes and stretches of no value."""
    records: list[Record] = []
    for k in [*rng.permutation(280).tolist(), *rng.integers(0, 280, 60).tolist()]:
        if 90 <= k < 100:  # a hole
            continue
        values = np.round(rng.normal(size=100), 1)
        values[rng.random(100) < 0.05] = np.nan
        if 200 <= k < 210:
            values[:] = np.nan
        corrected = span(uniform(100, max(100 * k - 7, 0)), np.round(rng.normal(size=100), 1), f"set-{k // 50}")
        codes = quality.runs_of(np.where(np.isnan(values), quality.BAD, quality.GOOD).tolist())
        given = None if 150 <= k < 155 else corrected
        records.append(block(values, sequence=k, axis=uniform(100, 100 * k), runs=codes, corrected=given))
    return records


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


__all__ = ["MemorySampleStore", "SampleStoreContract", "assert_same", "block", "gap", "set_names", "span", "uniform"]
