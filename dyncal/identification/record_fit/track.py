"""The reference as the sensor reads it: sub-intervals between its knots and the instants of the indications.

A dead time, and a clock of the reference that is late, are one thing: the indication of instant t answers to the
reference at t - T. So the model runs over the reference's knots and the instants t - T, and is read at the latter:
exact for any T and any spacing (as `dyncal.models.Delayed` simulates).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.interpolation import CONTEXT, Interpolation, is_even, refined, refined_unevenly
from dyncal.identification.record_fit.segments import Segment
from dyncal.identification.record_fit.settings import InterSample

_EXACT: Final = 2**52  # ticks beyond this are no longer exact in a float
_SPLINES: Final = {InterSample.CUBIC: Interpolation.CUBIC, InterSample.QUINTIC: Interpolation.QUINTIC}


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One segment at one T; arrays as `record_pass` takes them, `steps_s` (m,) the different intervals [s].

    Attributes
    ----------
    begins : float
        Reference at the first indication.
    """

    y: FloatArray
    steps_s: FloatArray
    index: Int64Array
    observed: Int64Array
    u0: FloatArray
    u1: FloatArray
    slope: FloatArray
    jump: FloatArray
    begins: float


class Reading:
    """The reference of one segment, ready to be read at any T in `reach`.

    Parameters
    ----------
    segment : Segment
    between : InterSample
    reach : (float, float)
        Range of T [s] for which the same indications must have an answer; the others are left out.

    Attributes
    ----------
    segment : Segment
    t_ns : int64, shape (n,)
    y : float64, shape (n,)
        The indications that are left, with their instants.
    """

    def __init__(self, segment: Segment, between: InterSample, reach: tuple[float, float] = (0.0, 0.0)) -> None:
        self.segment, self._hold = segment, between is InterSample.ZERO
        span = int(segment.t_ns[-1] - segment.t_ns[0])
        # ticks finer than a nanosecond where there is room for them: T is not a whole number of anything
        self._per_ns = 1000 if span < _EXACT // 1000 else 1
        knots, self._values = segment.knots
        at = (segment.t_ns - segment.t_ns[0]) * self._per_ns
        self._knots = (knots - segment.t_ns[0]) * self._per_ns
        if between in _SPLINES and not is_even(self._knots):
            self._knots, self._values = refined_unevenly(self._knots, self._values, _SPLINES[between])
        elif between in _SPLINES:
            inner = self._knots[CONTEXT : knots.size - CONTEXT]
            self._knots = np.empty(2 * inner.size - 1, dtype=np.int64)
            self._knots[::2], self._knots[1::2] = inner, inner[:-1] + np.diff(inner) // 2
            self._values = refined(self._values, _SPLINES[between])
        low, high = (self.ticks(each) for each in reach)
        seen = np.isfinite(segment.y) & (at - high >= self._knots[0]) & (at - low <= self._knots[-1])
        self._at, self.y = at[seen], np.ascontiguousarray(segment.y[seen])
        self.t_ns = segment.t_ns[seen]
        self._ready: tuple[int, Track] | None = None

    @property
    def n(self) -> int:
        """Number of indications."""
        return int(self._at.size)

    def ticks(self, delay_s: float) -> int:
        """Return T in ticks."""
        return round(delay_s * NS_PER_S * self._per_ns)

    def at(self, delay_s: float) -> Track | None:
        """Return the sub-intervals for T [s]; None where it is out of reach."""
        delay = self.ticks(delay_s)
        if self._ready is None or self._ready[0] != delay:
            track = self._made(delay)
            if track is None:
                return None
            self._ready = (delay, track)
        return self._ready[1]

    def _made(self, delay: int) -> Track | None:
        wanted = self._at - delay
        if wanted[0] < self._knots[0] or wanted[-1] > self._knots[-1]:
            return None
        begin, end = np.searchsorted(self._knots, [wanted[0], wanted[-1]], side="right").tolist()
        points = np.sort(np.concatenate([wanted, self._knots[begin:end]]), kind="stable")
        points = points[np.concatenate([[True], points[1:] > points[:-1]])]
        observed = np.full(points.size, -1, dtype=np.int64)
        observed[np.searchsorted(points, wanted)] = np.arange(wanted.size)
        steps = np.diff(points)
        if bool(np.all(steps == steps[0])):
            different, index = steps[:1], np.zeros(steps.size, dtype=np.int64)
        else:
            different, index = np.unique(steps, return_inverse=True)
        values = self._read(points)
        steps_s = different / (NS_PER_S * self._per_ns)
        u0 = np.ascontiguousarray(values[:-1])
        # what is held jumps where the next interval begins; an indication of that instant comes after the jump
        u1 = u0 if self._hold else np.ascontiguousarray(values[1:])
        jump = np.diff(values) if self._hold else np.zeros_like(u0)
        slope = np.zeros_like(u0) if self._hold else (u1 - u0) / steps_s[index]
        return Track(
            self.y, steps_s, index.astype(np.int64, copy=False), observed[1:], u0, u1, slope, jump, float(values[0])
        )  # fmt: skip

    def _read(self, points: Int64Array) -> FloatArray:
        if self._hold:
            return self._values[np.searchsorted(self._knots, points, side="right") - 1]
        return np.interp(points, self._knots, self._values)
