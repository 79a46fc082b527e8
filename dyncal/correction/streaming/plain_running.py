"""The equal in numpy of `dyncal.correction.streaming.kernels.correct`."""

from __future__ import annotations

import numpy as np

from dyncal.correction.streaming import plain
from dyncal.correction.streaming.prepared import PreparedFilter
from dyncal.correction.streaming.slots import usable
from dyncal.domain.samples import FloatArray


class PlainCorrection:
    """Runs a prepared filter over slots, a stretch of whole windows at a time; agreement to 1e-12."""

    def __init__(self, prepared: PreparedFilter) -> None:
        self._prepared = prepared
        self._sections = plain.sections(prepared.sos)
        self._resonators = plain.resonators(prepared.denominators)
        self._window = np.full(prepared.taps.size - 1, np.nan)
        self._sos_state = np.zeros((prepared.sos.shape[0], 2))
        self._slope_state = np.zeros_like(self._sos_state)
        self._state = np.zeros((prepared.denominators.shape[0], 2))
        self._run, self._live, self._age, self._previous, self._moving = 0, False, 0, 0.0, False

    def run(self, y: FloatArray, times: FloatArray, carried: FloatArray, value: FloatArray, u: FloatArray) -> None:
        """Write `value` and `u`, shape (n,); `times` has one entry or n, `carried` none or n."""
        n_taps, n = self._prepared.taps.size, y.size
        extended = np.concatenate([self._window, np.where(usable(y), y, np.nan)])
        filtered = np.empty(n)
        plain.fir(self._prepared.taps, extended, filtered)
        slopes = np.zeros(n)
        if self._prepared.slope_taps.size and (self._moving or np.count_nonzero(times)):
            plain.fir(self._prepared.slope_taps, extended, slopes)
        times = np.broadcast_to(times, n)
        carried = carried if carried.size else np.zeros(n)
        finite = np.isfinite(extended[n_taps - 1 :])
        value[:] = np.nan
        u[:] = np.nan
        low = 0
        while low < n:
            if not finite[low]:
                self._run, self._live = 0, False
                ahead = np.flatnonzero(finite[low:])
                low += int(ahead[0]) if ahead.size else n - low
                continue
            broken = np.flatnonzero(~finite[low:])
            high = low + int(broken[0]) if broken.size else n
            first = low + max(n_taps - 1 - self._run, 0)
            if first >= high:
                self._run += high - low
                self._live = False
                low = high
                continue
            done = self._stretch(extended, filtered, slopes, times, carried, first, high, value, u)
            self._run += done - low
            if done < high:  # a number left its range at slot `done`: as in the kernel, start again after it
                self._run, self._live = 0, False
                done += 1
            low = done
        self._window = extended[n:].copy()

    def _stretch(
        self,
        extended: FloatArray,
        filtered: FloatArray,
        slopes: FloatArray,
        times: FloatArray,
        carried: FloatArray,
        first: int,
        high: int,
        value: FloatArray,
        u: FloatArray,
    ) -> int:
        """Fill outputs [first, high) of one stretch; return the first whose numbers are not finite, or `high`."""
        p = self._prepared
        if not self._live:
            self._start(extended, float(filtered[first]), first)
        with np.errstate(all="ignore"):  # what leaves the range of numbers is looked for below
            x = filtered[first:high]
            for section, state in zip(self._sections, self._sos_state, strict=True):
                x = section.run(x, state)[0]
            slope = self._slope(x, slopes[first:high], times[first:high])
            w = np.concatenate([r.run(x, state) for r, state in zip(self._resonators, self._state, strict=True)])
            square = p.variance + ((p.factor @ w) ** 2).sum(axis=0)
            square += np.where(times[first:high] != 0, times[first:high] * slope * slope, 0.0) + carried[first:high]
        self._previous = float(x[-1])
        lost = np.flatnonzero(~(np.isfinite(x) & np.isfinite(square)))
        good = int(lost[0]) if lost.size else x.size
        begin = min(max(p.settle - self._age, 0), good)
        value[first + begin : first + good] = x[begin:good]
        u[first + begin : first + good] = np.sqrt(square[begin:good])
        self._age += good
        return first + good

    def _slope(self, x: FloatArray, filtered: FloatArray, times: FloatArray) -> FloatArray:
        """Return the slope of the values x, shape (n,), wrong where `times` are 0; `filtered` by the slope's taps."""
        if not self._prepared.slope_taps.size:
            return np.diff(x, prepend=self._previous) / self._prepared.dt_s
        uncertain = np.flatnonzero(times)
        if not self._sections or not (self._moving or uncertain.size):
            return filtered
        begin = 0 if self._moving else int(uncertain[0])
        slope = filtered[begin:]
        if not self._moving:
            _steady(self._prepared.sos, self._slope_state, float(slope[0]))
            self._moving = True
        for section, state in zip(self._sections, self._slope_state, strict=True):
            slope = section.run(slope, state)[0]
        return np.concatenate([np.zeros(begin), slope])

    def _start(self, extended: FloatArray, level: float, first: int) -> None:
        """Start the states: sections in a steady state, sensitivities from the uncorrected window."""
        p = self._prepared
        self._live, self._age = True, 0
        with np.errstate(all="ignore"):
            level = _steady(p.sos, self._sos_state, level)
            self._moving = False
            about = first + p.taps.size - 1 - p.delay
            window = p.dc_gain * extended[first : max(about, first)]
            for resonator, state, (a1, a2) in zip(self._resonators, self._state, p.denominators, strict=True):
                state[:] = p.dc_gain * extended[first] / (1.0 + a1 + a2)
                resonator.run(window, state)
            moved = extended[about] - extended[about - 1] if about > first else 0.0
            self._previous = level - p.dc_gain * float(moved)


def _steady(sos: FloatArray, states: FloatArray, level: float) -> float:
    """Start sections in the steady state of an input of `level`; return the output."""
    for k, (b0, b1, b2, _, a1, a2) in enumerate(sos):
        out = level * (b0 + b1 + b2) / (1.0 + a1 + a2)
        states[k] = out - b0 * level, b2 * level - a2 * out
        level = float(out)
    return level
