"""Short holes in an evenly sampled reference, bridged by a cubic through the values on either side.

Cut there, a record would fall into pieces too short for splines, and straight lines are wrong for what is smooth. What
the bridges do to the estimate is counted as uncertainty (`record_fit.bridge_effect`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

MOST: Final = 3
"""Values in a row that are bridged, as online."""
COMMANDED: Final = 0.1
"""Share of different values below which a reference is made of the levels of a command."""
_OFF_GRID: Final = 0.02  # of the usual interval
_ON_GRID_SHARE: Final = 0.9  # of the steps: below, the sampling is not even
_MOST_MISSING: Final = 0.4  # of the values: beyond, the usual interval may be another


def bridged(
    t_ns: Int64Array, y: FloatArray, r: FloatArray
) -> tuple[Int64Array, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Return instants, indications and reference with short holes of the reference filled, and where that is.

    Parameters
    ----------
    t_ns : int64, shape (n,), strictly increasing
    y, r : float64, shape (n,)
        NaN where there is none. Instants that are missing altogether come back with NaN as indication.
    """
    known = np.flatnonzero(np.isfinite(r))
    nothing = np.zeros(t_ns.size, dtype=np.bool_)
    holes, missing = _short_holes(t_ns[known])
    if not holes.size:
        return t_ns, y, r, nothing
    # each value with the hole it lies in, and its number there
    hole, n = np.repeat(holes, missing), np.repeat(missing, missing)
    number = np.arange(hole.size) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    begin, end = t_ns[known[hole]], t_ns[known[hole + 1]]
    at = begin + (end - begin) * number // (n + 1)
    row = np.minimum(np.searchsorted(t_ns, at), t_ns.size - 1)
    row -= np.abs(t_ns[row - 1] - at) < np.abs(t_ns[row] - at)
    there = np.abs(t_ns[row] - at) * (n + 1) <= _OFF_GRID * (end - begin)
    at = np.where(there, t_ns[row], at)
    values = _through(t_ns[known], r[known], hole, at)
    good = np.isfinite(values)
    t_ns, y, r = t_ns.copy(), y.copy(), r.copy()
    r[row[good & there]], nothing[row[good & there]] = values[good & there], True
    new = good & ~there
    places = np.searchsorted(t_ns, at[new])
    return (
        np.insert(t_ns, places, at[new]),
        np.insert(y, places, np.nan),
        np.insert(r, places, values[new]),
        np.insert(nothing, places, True),
    )


def _short_holes(t_ns: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return after which of evenly spaced instants (n,) up to `MOST` are missing, and how many; two on either side."""
    nothing = np.empty(0, dtype=np.int64)
    if t_ns.size < 4:
        return nothing, nothing
    steps = np.diff(t_ns)
    usual = float(np.median(steps))
    missing = np.rint(steps / usual).astype(np.int64) - 1
    short = (missing >= 0) & (missing <= MOST) & (np.abs(steps - (missing + 1) * usual) <= _OFF_GRID * usual)
    lost = int(missing[short].sum())
    if np.count_nonzero(short) < _ON_GRID_SHARE * steps.size or lost > _MOST_MISSING * (lost + t_ns.size):
        return nothing, nothing
    whole = np.zeros(steps.size, dtype=np.bool_)
    whole[1:-1] = short[:-2] & short[2:]
    holes = np.flatnonzero(short & whole & (missing > 0))
    return holes, missing[holes]


def _through(t_ns: Int64Array, r: FloatArray, hole: Int64Array, at: Int64Array) -> FloatArray:
    """Return values at instants `at` (k,) in the steps `hole` (k,), by cubics; of a command only where it stays."""
    near = hole[:, None] + np.arange(-1, 3)
    if np.unique(r).size <= COMMANDED * r.size:
        values: FloatArray = np.where(r[hole] == r[hole + 1], r[hole], np.nan)
        return values
    away = (t_ns[near] - at[:, None]).astype(np.float64)
    values = np.zeros(hole.size)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        values += r[near[:, i]] * np.prod(away[:, others] / (away[:, others] - away[:, [i]]), axis=1)
    return values
