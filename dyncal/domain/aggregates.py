"""Aggregates: what stands for samples once these are forgotten, bucket by bucket of time.

A bucket of width w begins at a multiple of w since the epoch. Of the rows in it are kept: how many there were, mean,
smallest and largest of the indications and of the corrected values, the uncertainty of the mean, and the worst quality.
Aggregates of parts of a bucket combine to those of the whole, whichever way it was cut.

Uncertainty of the mean
-----------------------
The errors of corrected values are correlated: through the filter from one sample to the next, through the coefficients
and the reference for as long as these last, and the correlation is not stored. What holds whatever it is, is
``u(mean) <= (1/n) Σ u_k`` (GUM JCGM 100:2008, 5.2.2, with all coefficients 1: the triangle inequality). That bound is
what `Aggregates.u` says; it does not fall with n. It is about the mean of the instants that were sampled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.quality import is_bad
from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.time import Int64Array

SAMPLES: Final = 0
"""The width that means samples themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Aggregates:
    """Aggregates of one sensor in order of (`t_ns`, `width_ns`), each pair once; all arrays of shape (n,).

    Attributes
    ----------
    t_ns, width_ns : int64
        The bucket: ``t_ns <= t < t_ns + width_ns``.
    n_rows : int64
        Rows that it stands for, with or without values.
    n_raw, n_corrected : int64
        Values in the means: finite ones, and of the indications none of bad quality.
    raw, raw_min, raw_max, corrected, corrected_min, corrected_max : float64
        Mean and extremes, in the sensor's unit; NaN where there was no value.
    u : float64
        Bound of the standard uncertainty of `corrected`, for any correlation: the mean of the values'. NaN where
        that of one of them was not known.
    quality : uint32
        The worst status code of the rows.
    set_index : int32
        Position in `set_ids` of the set that made the last corrected value; -1 where there is none.
    """

    t_ns: Int64Array
    width_ns: Int64Array
    n_rows: Int64Array
    n_raw: Int64Array
    n_corrected: Int64Array
    raw: FloatArray
    raw_min: FloatArray
    raw_max: FloatArray
    corrected: FloatArray
    corrected_min: FloatArray
    corrected_max: FloatArray
    u: FloatArray
    quality: npt.NDArray[np.uint32]
    set_index: npt.NDArray[np.int32]
    set_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.t_ns.size)

    def at(self, rows: slice | npt.NDArray[Any]) -> Aggregates:
        """Return those at these positions."""
        return of_columns({name: getattr(self, name)[rows] for name in COLUMNS}, self.set_ids)

    def set_names(self) -> list[str | None]:
        """Return the set of each by name."""
        return [None if k < 0 else self.set_ids[k] for k in self.set_index.tolist()]


COLUMNS: Final = tuple(field.name for field in dataclasses.fields(Aggregates) if field.name != "set_ids")
VALUES: Final = ("raw", "raw_min", "raw_max", "corrected", "corrected_min", "corrected_max", "u")
COUNTS: Final = ("n_rows", "n_raw", "n_corrected")

_INTEGERS: Final = ("t_ns", "width_ns", *COUNTS)


def of_columns(columns: dict[str, npt.NDArray[Any]], set_ids: tuple[str, ...]) -> Aggregates:
    """Return the aggregates of columns by name."""
    return Aggregates(**columns, set_ids=set_ids)


NONE: Final = of_columns(
    {name: np.empty(0, np.int64) for name in _INTEGERS}
    | {name: np.empty(0) for name in VALUES}
    | {"quality": np.empty(0, np.uint32), "set_index": np.empty(0, np.int32)},
    (),
)


def of_samples(series: SampleSeries, width_ns: int) -> Aggregates:
    """Return the aggregates of width `width_ns` of rows (in order of time)."""
    raw = np.where(np.isfinite(series.raw) & ~is_bad(series.quality), series.raw, np.nan)
    corrected = np.where(np.isfinite(series.corrected), series.corrected, np.nan)
    u = np.where(np.isfinite(series.u) & ~np.isnan(corrected), series.u, np.nan)
    each = Aggregates(
        t_ns=series.t_ns,
        width_ns=np.ones(len(series), np.int64),
        n_rows=np.ones(len(series), np.int64),
        n_raw=(~np.isnan(raw)).astype(np.int64),
        n_corrected=(~np.isnan(corrected)).astype(np.int64),
        raw=raw, raw_min=raw, raw_max=raw,
        corrected=corrected, corrected_min=corrected, corrected_max=corrected,
        u=u,
        quality=series.quality,
        set_index=np.where(np.isnan(corrected), -1, series.set_index).astype(np.int32),
        set_ids=series.set_ids,
    )  # fmt: skip
    return coarser(each, width_ns)


def coarser(parts: Aggregates, width_ns: int) -> Aggregates:
    """Return the aggregates of width `width_ns`, a multiple of those of `parts`, which are in order of time."""
    return _combined(parts, parts.t_ns - parts.t_ns % width_ns, np.full(len(parts), width_ns, np.int64))


def merged(parts: Sequence[Aggregates]) -> Aggregates:
    """Return the aggregates of all parts together: of those of one bucket, each of other rows, one is made."""
    if len(parts) == 1:
        return parts[0]
    return joined(_concatenated(parts))


def joined(rows: Aggregates) -> Aggregates:
    """Return the aggregates of rows in any order, of which several may be of one bucket."""
    ordered = rows.at(np.lexsort((rows.width_ns, rows.t_ns)))  # stable: of one bucket the later part comes later
    return _combined(ordered, ordered.t_ns, ordered.width_ns)


def oldest(rows: Aggregates, limit: int | None) -> Aggregates:
    """Return about the `limit` oldest: all that begin at an instant, or none."""
    if limit is None or len(rows) <= limit:
        return rows
    return rows.at(slice(int(np.searchsorted(rows.t_ns, rows.t_ns[limit - 1], "right"))))


def same(a: Aggregates, b: Aggregates) -> bool:
    """Tell whether two are the same, bit for bit but for the names' order."""
    columns = all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name in VALUES)
        for name in COLUMNS
        if name != "set_index"
    )
    return columns and a.set_names() == b.set_names()


def _combined(parts: Aggregates, t: Int64Array, width: Int64Array) -> Aggregates:
    """Return one for each run of equal (t, width)."""
    if not len(parts):
        return NONE
    starts = np.flatnonzero(np.append(True, (np.diff(t) != 0) | (np.diff(width) != 0)))
    n_raw, raw, raw_min, raw_max = _extremes_and_mean(
        starts, parts.n_raw, parts.raw, parts.raw_min, parts.raw_max
    )  # fmt: skip
    n_corrected, corrected, corrected_min, corrected_max = _extremes_and_mean(
        starts, parts.n_corrected, parts.corrected, parts.corrected_min, parts.corrected_max
    )
    return Aggregates(
        t_ns=t[starts],
        width_ns=width[starts],
        n_rows=np.add.reduceat(parts.n_rows, starts),
        n_raw=n_raw,
        n_corrected=n_corrected,
        raw=raw, raw_min=raw_min, raw_max=raw_max,
        corrected=corrected, corrected_min=corrected_min, corrected_max=corrected_max,
        u=_mean(starts, parts.n_corrected, parts.u),
        quality=np.maximum.reduceat(parts.quality, starts),  # severity is in the highest bits
        set_index=_last_set(starts, parts.set_index),
        set_ids=parts.set_ids,
    )  # fmt: skip


def _extremes_and_mean(
    starts: npt.NDArray[np.intp], n: Int64Array, mean: FloatArray, least: FloatArray, most: FloatArray
) -> tuple[Int64Array, FloatArray, FloatArray, FloatArray]:
    lowest = np.fmin.reduceat(least, starts) + 0.0  # -0.0 becomes 0.0: it does not survive every database
    highest = np.fmax.reduceat(most, starts) + 0.0
    middle = np.clip(_mean(starts, n, mean), lowest, highest)  # rounding must not lead out
    return np.add.reduceat(n, starts), middle, lowest, highest


def _mean(starts: npt.NDArray[np.intp], n: Int64Array, values: FloatArray) -> FloatArray:
    """Return the weighted mean of each run; NaN of a part without weight does not count, any other does."""
    total = np.add.reduceat(n, starts)
    sizes = np.diff(np.append(starts, n.size))
    # Weights first, so that the sum of large values does not overflow.
    weight = n / np.repeat(np.maximum(total, 1), sizes)
    mean = np.add.reduceat(np.where(n > 0, values, 0.0) * weight, starts) + 0.0
    return np.where(total > 0, mean, np.nan)


def _last_set(starts: npt.NDArray[np.intp], index: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    with_set = np.maximum.reduceat(np.where(index < 0, -1, np.arange(index.size)), starts)
    return np.where(with_set < 0, -1, index[with_set]).astype(np.int32)


def _concatenated(parts: Sequence[Aggregates]) -> Aggregates:
    numbers: dict[str, int] = {}
    indices = []
    for part in parts:
        places = [numbers.setdefault(name, len(numbers)) for name in part.set_ids]
        indices.append(np.array([*places, -1], np.int32)[part.set_index])  # position -1 is the last one, which is -1
    columns = {
        name: np.concatenate([getattr(part, name) for part in (*parts, NONE)])
        for name in COLUMNS
        if name != "set_index"
    }
    index = np.concatenate([*indices, NONE.set_index])
    return of_columns(columns | {"set_index": index}, tuple(numbers))
