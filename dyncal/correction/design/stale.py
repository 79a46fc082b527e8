"""Values that were not measured: a channel that stands still, or repeats each value, far below its resolution.

A source that has lost its sensor gives the last value on and on; a slow one that is polled too often gives each value
several times. Either is taken for a measurement by whoever does not look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_LONG: Final = 8  # samples: equal so often in a row by chance of one in (resolution over motion) to the power 7
_FINE: Final = 16.0  # motion from sample to sample over the resolution
_ROUNDING: Final = 1e-9  # of the range: differences below it are not the resolution
_SPOILT: Final = 0.2  # share of the samples: fewer do not take a sensor its correction
_MOST: Final = 0.5  # share of the samples in runs of equal ones


@dataclass(frozen=True, slots=True, eq=False)
class Stale:
    """Runs of equal values, `begin` to `end` (exclusive), int64 (n_runs,); `held` where most of the record is such."""

    begin: Int64Array
    end: Int64Array
    held: bool

    @property
    def length(self) -> int:
        """Median number of samples of a run."""
        return round(float(np.median(self.end - self.begin)))


def stale(values: FloatArray) -> Stale | None:
    """Return the runs of equal values of a finite record (n,) that its resolution does not explain; None without any.

    Levels that come again in another long run (rest between shocks, a command) are none, and neither is a rest at the
    beginning. Whether the others are levels of a command only shows in what a sensor makes of them.
    """
    steps = np.diff(values)
    moving = steps != 0
    if not moving.any() or np.count_nonzero(~moving) < _LONG - 1:
        return None
    levels = np.unique(values)
    gaps = np.diff(levels)
    resolution = float(gaps[gaps > _ROUNDING * (levels[-1] - levels[0])].min())
    if float(np.median(np.abs(steps[moving]))) < _FINE * resolution:
        return None
    edges = np.flatnonzero(np.concatenate([[True], moving, [True]]))
    begin, end = edges[:-1], edges[1:]
    repeated = _alone(values, begin, end, 2)
    if int(np.sum((end - begin)[repeated])) > _MOST * values.size:
        return Stale(begin[repeated], end[repeated], held=True)
    frozen = _alone(values, begin, end, _LONG)
    return Stale(begin[frozen], end[frozen], held=False) if frozen.size else None


def refuse_standstill(y: FloatArray) -> None:
    """Refuse a record of indications of which more than a fifth stands still where it should not.

    Raises
    ------
    InvalidData
        If so, with the level and the number of samples.
    """
    runs = stale(y)
    if runs is None or runs.held:
        return
    lengths = runs.end - runs.begin
    if int(lengths.sum()) > _SPOILT * y.size:
        longest = int(np.argmax(lengths))
        level, n = y[runs.begin[longest]], lengths[longest]
        raise InvalidData(f"the indication stands still at {level:.6g} for {n} samples, which were not measured")


def _alone(values: FloatArray, begin: Int64Array, end: Int64Array, least: int) -> Int64Array:
    """Return which runs of at least so many samples have a level of their own, the one at the beginning left out."""
    long = np.flatnonzero(end - begin >= least)
    _, inverse, counts = np.unique(values[begin[long]], return_inverse=True, return_counts=True)
    return np.asarray(long[(counts[inverse] == 1) & (begin[long] > 0)], dtype=np.int64)
