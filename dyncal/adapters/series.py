"""Rows of a sensor: newest write wins, raw and corrected joined on their instant, and decimation that keeps extremes.

A NaN is no value: it never replaces one that is there. The quality of an instant is that of the newest write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dyncal.domain.quality import GOOD
from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.time import Int64Array

ROWS_PER_BUCKET: Final = 4


class RawRows(NamedTuple):
    """Indications: `t_ns` int64, `value` float64, `quality` uint32, all of shape (n,)."""

    t_ns: Int64Array
    value: FloatArray
    quality: npt.NDArray[np.uint32]

    def within(self, start: int, end: int) -> RawRows:
        """Return the rows with start <= t < end; `t_ns` must increase."""
        return self.at(_between(self.t_ns, start, end))

    def at(self, rows: slice | npt.NDArray[np.bool_]) -> RawRows:
        """Return the rows at these positions."""
        return RawRows(self.t_ns[rows], self.value[rows], self.quality[rows])


class CorrectedRows(NamedTuple):
    """Corrected values: `t_ns` int64, `value` (no NaN) and `u` float64, `set_index` int32, all of shape (n,)."""

    t_ns: Int64Array
    value: FloatArray
    u: FloatArray
    set_index: npt.NDArray[np.int32]

    def within(self, start: int, end: int) -> CorrectedRows:
        """Return the rows with start <= t < end; `t_ns` must increase."""
        return self.at(_between(self.t_ns, start, end))

    def at(self, rows: slice | npt.NDArray[np.bool_]) -> CorrectedRows:
        """Return the rows at these positions."""
        return CorrectedRows(self.t_ns[rows], self.value[rows], self.u[rows], self.set_index[rows])


NO_RAW: Final = RawRows(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32))
NO_CORRECTED: Final = CorrectedRows(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.int32))


def newest_raw(parts: Sequence[RawRows]) -> RawRows:
    """Return one row for each instant of `parts`, which come oldest write first; instants increase strictly."""
    if not parts:
        return NO_RAW
    t, value, quality = (_joined([part[k] for part in parts]) for k in range(3))
    order, groups = _groups(t)
    if order is None or groups is None:
        return RawRows(t, value, quality)
    t, value, quality = t[order], value[order], quality[order]
    last = np.append(groups[1:], t.size) - 1
    with_value = np.maximum.reduceat(np.where(np.isnan(value), -1, np.arange(t.size)), groups)
    return RawRows(t[groups], value[np.where(with_value < 0, last, with_value)], quality[last])


def newest_corrected(parts: Sequence[CorrectedRows]) -> CorrectedRows:
    """Return one row for each instant of `parts`, which come oldest write first; instants increase strictly."""
    if not parts:
        return NO_CORRECTED
    columns = CorrectedRows(*(_joined([part[k] for part in parts]) for k in range(4)))
    order, groups = _groups(columns.t_ns)
    if order is None or groups is None:
        return columns
    last = order[np.append(groups[1:], order.size) - 1]
    return CorrectedRows(*(column[last] for column in columns))


def join(raw: RawRows, corrected: CorrectedRows, set_ids: Sequence[str]) -> SampleSeries:
    """Return the rows of both on the union of their instants; both must increase strictly."""
    t, at_raw, at_corrected = _union(raw.t_ns, corrected.t_ns)
    used, position = renumbered(corrected.set_index)
    n = t.size
    return SampleSeries(
        t_ns=t,
        raw=_placed(n, np.nan, np.float64, at_raw, raw.value),
        corrected=_placed(n, np.nan, np.float64, at_corrected, corrected.value),
        u=_placed(n, np.nan, np.float64, at_corrected, corrected.u),
        quality=_placed(n, GOOD, np.uint32, at_raw, raw.quality),
        set_index=_placed(n, -1, np.int32, at_corrected, position),
        set_ids=tuple(set_ids[k] for k in used.tolist()),
    )


def decimate(series: SampleSeries, max_points: int | None) -> SampleSeries:
    """Return at most about `max_points` rows: of equal buckets of time those with the extremes of raw and corrected.

    A bucket without any value keeps its first row, so that its quality is seen.
    """
    if max_points is None or len(series) <= max(max_points, ROWS_PER_BUCKET):
        return series
    return Buckets.over(int(series.t_ns[0]), int(series.t_ns[-1]), max_points).extremes(series)


class Buckets(NamedTuple):
    """Equal buckets of time: number k begins at ``first_ns + k width_ns``."""

    first_ns: int
    width_ns: int
    n: int

    @classmethod
    def over(cls, first: int, last: int, max_points: int) -> Self:
        """Return the buckets from the first row to the last one, of which about `max_points` rows are to stay."""
        n = max(1, max_points // ROWS_PER_BUCKET)
        return cls(first, (last - first) // n + 1, n)

    def extremes(self, series: SampleSeries) -> SampleSeries:
        """Return of each bucket the rows with its extremes. The rows of `series` (one or more) lie in the buckets."""
        t = series.t_ns
        starts = np.unique(np.searchsorted(t, self.first_ns + self.width_ns * np.arange(self.n, dtype=np.int64)))
        starts = starts[starts < t.size]
        keep = np.concatenate([_extremes(series.raw, starts), _extremes(series.corrected, starts)])
        empty = np.setdiff1d(starts, starts[np.searchsorted(starts, keep, "right") - 1], assume_unique=True)
        return _rows(series, np.union1d(keep, empty))


def renumbered(index: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """Return the numbers (not negative, not many) that occur, in order, and for each place which of them it is."""
    if index.size and index[0] == index[-1] and bool(np.all(index == index[0])):  # as it is but for a change of sets
        return index[:1].astype(np.intp), np.zeros(index.size, np.int32)
    occurs = np.bincount(index) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1).astype(np.int32)[index]


def _rows(series: SampleSeries, rows: npt.NDArray[np.intp]) -> SampleSeries:
    index = series.set_index[rows]
    used, position = renumbered(index[index >= 0])
    index[index >= 0] = position
    return SampleSeries(
        t_ns=series.t_ns[rows],
        raw=series.raw[rows],
        corrected=series.corrected[rows],
        u=series.u[rows],
        quality=series.quality[rows],
        set_index=index,
        set_ids=tuple(series.set_ids[k] for k in used.tolist()),
        decimated=True,
    )


def _extremes(values: FloatArray, starts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Positions of the first smallest and the first largest value of each bucket; NaN is passed over."""
    sizes = np.diff(np.append(starts, values.size))
    found = []
    for extreme in (np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)):
        hits = np.flatnonzero(values == np.repeat(extreme, sizes))
        bucket = np.searchsorted(starts, hits, "right")
        found.append(hits[np.append(True, bucket[1:] != bucket[:-1])] if hits.size else hits)
    return np.concatenate(found)


def _between(t: Int64Array, start: int, end: int) -> slice:
    first, last = np.searchsorted(t, np.array([start, end], np.int64))
    return slice(int(first), int(last))


def _joined(columns: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _groups(t: Int64Array) -> tuple[npt.NDArray[np.intp] | None, npt.NDArray[np.intp] | None]:
    """Stable order by time and where each group of equal instants begins in it; None where `t` increases already."""
    if t.size < 2 or bool(np.all(t[1:] > t[:-1])):
        return None, None
    order = np.argsort(t, kind="stable")
    ordered = t[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def _union(
    a: Int64Array, b: Int64Array
) -> tuple[Int64Array, npt.NDArray[np.intp] | slice, npt.NDArray[np.intp] | slice]:
    """Return the union of two increasing sequences, and the places of each in it."""
    if not b.size:
        return a, slice(None), slice(0, 0)
    first = int(np.searchsorted(a, b[0]))
    if bool(np.array_equal(a[first : first + b.size], b)):  # as it is where nothing is missing
        return a, slice(None), slice(first, first + b.size)
    before = int(np.searchsorted(b, a[0])) if a.size else 0
    if bool(np.array_equal(b[before:], a[: b.size - before])):  # as it is in a batch: corrected values come late
        return np.concatenate([b[:before], a]), slice(before, None), slice(0, b.size)
    merged = np.sort(np.concatenate([a, b]), kind="stable")  # finds the two runs, and takes linear time
    t = merged[np.append(True, merged[1:] != merged[:-1])]
    return t, np.searchsorted(t, a), np.searchsorted(t, b)


def _placed(
    n: int, fill: float, dtype: type[Any], at: npt.NDArray[np.intp] | slice, values: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    if isinstance(at, slice) and values.size == n:
        return values
    column = np.full(n, fill, dtype)
    column[at] = values
    return column
