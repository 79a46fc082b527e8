"""From time stamps to the filter's grid: jitter, holes, gaps.

A filter knows samples every dt and nothing else. What the stamps say is therefore decided here, sample by sample, and
what it costs is put into the uncertainty:

- an instant within `max_jitter` of the grid is taken as on it. The grid follows the instants slowly, so that a sampling
  clock that runs a little fast or slow is no jitter. A sample e off the grid has the input variance (ẏ e)², and its
  instant the variance e²;
- a hole of up to `max_bridge` missing samples is filled by a straight line. The error of such a line is measured on
  the stream itself: the mean square distance, over the recent past, of a sample from a line as long as the one over the
  hole, in its middle; or the last sample's distance from the line to the sample after the hole if that is more.
  Neighbours in one hole err together, therefore times the number of them (Cauchy-Schwarz);
- anything else (a longer gap, an instant off the grid) ends the grid, and a new one begins with the next sample;
- a sample that the source calls bad, or NaN, is a slot with NaN: the source says that it was not measuring, and its
  neighbours cannot stand for it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.correction.streaming import kernels, plain
from dyncal.correction.streaming.slots import NO_SAMPLE, Slots, usable
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.kernels import HAVE_NUMBA

FOLLOW: Final = 0.1
"""Share of a sample's distance from the grid by which the grid follows."""

_PAST: Final = 66  # slots from which the error of a straight line is measured
_ENOUGH: Final = 8  # distances that such a measurement needs


class SamplingGrid:
    """Places samples on slots; state of bounded size.

    Parameters
    ----------
    dt_ns : int
        Interval of the grid [ns].
    flush : int
        Slots without sample that are put between two grids, at least 1: they make a filter of delay `flush` give what
        it still owes.
    max_jitter : float
        Largest distance from the grid, as a share of dt, below 0.5.
    max_bridge : int
        Longest hole that is filled [samples]; 0 fills none.
    """

    def __init__(
        self, dt_ns: int, flush: int, max_jitter: float, max_bridge: int, *, compiled: bool | None = None
    ) -> None:
        self._dt = dt_ns
        self._flush = max(flush, 1)
        self._limit = max_jitter * dt_ns
        self._most = max_bridge + 1
        self._track = kernels.track if (HAVE_NUMBA if compiled is None else compiled) else plain.track
        self._last: int | None = None
        self._off = 0.0  # how far the last sample lay off the grid [ns]
        self._past = np.full(_PAST, np.nan)  # y of the last slots
        self._measured = np.zeros(_PAST, np.bool_)  # which of them were not bridged
        self._noted: list[FloatArray] = []  # newer slots, all measured, that are not in `_past` yet
        self._n_noted = 0

    @property
    def last_ns(self) -> int | None:
        """Instant of the last sample placed."""
        return self._last

    @property
    def exact(self) -> bool:
        """Whether the last sample lay on the grid."""
        return self._off == 0.0

    def continues(self, t_ns: Int64Array) -> bool:
        """Tell whether instants, at least one, go on exactly on the grid: every dt, and the last one was on it."""
        if self._last is None or self._off != 0.0 or int(t_ns[0]) - self._last != self._dt:
            return False
        return t_ns.size == 1 or not np.count_nonzero(t_ns[1:] - t_ns[:-1] != self._dt)

    def follow(self, t_ns: Int64Array, raw: FloatArray) -> None:
        """Note samples that `continues` has found to be one a slot; `place` would leave them as they are."""
        self._last = int(t_ns[-1])
        self._noted.append(raw[-_PAST:].copy())
        self._n_noted += self._noted[-1].size
        if self._n_noted >= 2 * _PAST or len(self._noted) >= _PAST:
            self._recall()

    def place(self, t_ns: Int64Array, y: FloatArray, u_t_ns: float) -> Slots:
        """Place samples, at least one, strictly increasing and after the last; NaN in `y` where there is no value."""
        self._recall()
        first = int(t_ns[0])
        before = first - self._dt if self._last is None else self._last
        variance = (u_t_ns / NS_PER_S) ** 2
        on_grid = self._off == 0.0 and first - before == self._dt
        if on_grid and (t_ns.size == 1 or not np.count_nonzero(t_ns[1:] - t_ns[:-1] != self._dt)):
            slots = Slots(t_ns, y, np.full(y.size, variance), np.zeros(y.size))
            self._remember(slots.y, slots.t_ns)
        else:
            slots = self._spread(t_ns, y, np.diff(t_ns, prepend=before), variance)
        self._last = int(t_ns[-1])
        return slots

    def _recall(self) -> None:
        """Take over what `follow` noted."""
        if self._noted:
            y = np.concatenate(self._noted)[-_PAST:]
            self._remember(np.where(usable(y), y, np.nan), np.zeros(y.size, np.int64))
            self._noted.clear()
            self._n_noted = 0

    def _spread(self, t_ns: Int64Array, y: FloatArray, intervals: Int64Array, variance: float) -> Slots:
        steps, off = self._steps(intervals)
        restart = steps > self._most
        at = np.cumsum(steps) - 1
        n = int(at[-1]) + 1
        t = np.full(n, NO_SAMPLE, np.int64)
        placed = np.full(n, np.nan)
        times, extra = np.zeros(n), np.zeros(n)
        t[at], placed[at] = t_ns, y
        times[at] = variance + (off / NS_PER_S) ** 2
        slots = Slots(t, placed, times, extra)
        past = np.concatenate([self._past, placed])
        measured = np.concatenate([self._measured, t != NO_SAMPLE])
        for i in np.flatnonzero((steps > 1) & ~restart).tolist():
            _bridge(past, measured, extra, int(at[i]), int(steps[i]) - 1)
        placed[:] = past[_PAST:]
        self._remember(placed, t)
        self._blur(slots, at, off, past)
        return slots

    def _steps(self, intervals: Int64Array) -> tuple[Int64Array, FloatArray]:
        """Return the slots from each sample to the next, and how far each lies off the grid [ns].

        A new grid shows as a step of 1 + flush beyond the longest hole.
        """
        within = np.minimum(intervals, (self._most + 1) * self._dt)
        steps = (2 * within + self._dt) // (2 * self._dt)
        error = (within - steps * self._dt).astype(np.float64)
        steps[steps > self._most] = 0
        off = np.zeros(steps.size)
        low, start = 0, self._off
        while low < steps.size:
            low += self._track(error[low:], steps[low:], start, FOLLOW, self._limit, off[low:])
            if low < steps.size:
                steps[low] = self._most + self._flush
                off[low] = start = 0.0
                low += 1
            else:
                break
        self._off = float(off[-1])
        return steps, off

    def _blur(self, slots: Slots, at: Int64Array, off: FloatArray, past: FloatArray) -> None:
        """Give samples off the grid the variance (ẏ e)²; where ẏ is unknown the sample is worth nothing."""
        moved = np.flatnonzero(off)
        if not moved.size:
            return
        where = at[moved]
        with np.errstate(over="ignore"):
            slope = past[_PAST + where] - past[_PAST + where - 1]
            slots.input_variance[where] += np.nan_to_num((slope * off[moved] / self._dt) ** 2, nan=0.0)
        slots.y[where[~np.isfinite(slope)]] = np.nan

    def _remember(self, y: FloatArray, t_ns: Int64Array) -> None:
        n = min(y.size, _PAST)
        if n == 1:
            self._past[:-1], self._past[-1] = self._past[1:], y[-1]
            self._measured[:-1], self._measured[-1] = self._measured[1:], t_ns[-1] != NO_SAMPLE
            return
        for kept, new in ((self._past, y[-n:]), (self._measured, t_ns[-n:] != NO_SAMPLE)):
            kept[: _PAST - n] = kept[n:]
            kept[_PAST - n :] = new


def _bridge(past: FloatArray, measured: npt.NDArray[np.bool_], extra: FloatArray, at: int, hole: int) -> None:
    """Fill the `hole` slots before slot `at`; leave NaN where the stream does not tell how well a line would do."""
    right = _PAST + at
    left = right - hole - 1
    known = past[left - _PAST + 1 : left + 1]
    with np.errstate(over="ignore", invalid="ignore"):
        back = (hole + 2) // 2
        ahead = hole + 1 - back
        ends, middle = slice(None, -hole - 1), slice(back, known.size - ahead)
        bend = known[middle] - (ahead * known[ends] + back * known[hole + 1 :]) / (hole + 1)
        seen = measured[left - _PAST + 1 : left + 1]
        bend = bend[seen[middle] & seen[ends] & seen[hole + 1 :] & np.isfinite(bend)]
        if bend.size < _ENOUGH:
            return
        line = np.linspace(past[left], past[right], hole + 2)[1:-1]
        aside = past[left] - (past[left - 1] + (past[right] - past[left - 1]) / (hole + 2))
        square = hole * max(float(np.mean(bend**2)), float(aside**2))
    if math.isfinite(square) and bool(np.all(np.isfinite(line))):
        past[left + 1 : right] = line
        extra[at - hole : at] = square
