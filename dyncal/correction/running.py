"""The filter over grid slots, with its state: compiled where numba is, numpy elsewhere."""

from __future__ import annotations

import numpy as np

from dyncal.correction import kernels, plain
from dyncal.correction.prepared import PreparedFilter
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

_RUN, _LIVE, _AGE = 0, 1, 2


class RunningFilter:
    """Runs a prepared filter over slots, in pieces of any length.

    Output i is about the slot `delay` before input slot i. It is NaN, with its u, until the window holds finite
    samples only and the recursive sections have settled. State: one window of samples, two numbers for each section
    and denominator.

    Parameters
    ----------
    prepared : PreparedFilter
    compiled : bool, optional
        Whether to run the kernels; by default where numba is installed.
    """

    def __init__(self, prepared: PreparedFilter, *, compiled: bool | None = None) -> None:
        self.prepared = prepared
        self._compiled = HAVE_NUMBA if compiled is None else compiled
        self._window = np.full(prepared.taps.size - 1, np.nan)
        self._time_variance = np.zeros(prepared.delay)
        self._input_variance = np.zeros(prepared.variance_taps.size - 1)
        self._disturbed = 0  # slots until no input variance is left in the window
        self._sos_state = np.zeros((prepared.sos.shape[0], 2))
        self._state = np.zeros((prepared.denominators.shape[0], 2))
        self._counters = np.zeros(3, np.int64)
        self._previous = np.zeros(1)
        if not self._compiled:
            self._sections = plain.sections(prepared.sos)
            self._resonators = plain.resonators(prepared.denominators)

    def advance(
        self, y: FloatArray, time_variance: FloatArray, input_variance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Take slots of shape (n,), return value and u of shape (n,), about the slots `delay` earlier."""
        p = self.prepared
        n = y.size
        extended = np.concatenate([self._window, y])
        times = np.concatenate([self._time_variance, time_variance])
        value, u = np.empty(n), np.empty(n)
        carried = self._carried(input_variance)
        (kernels.fir if self._compiled else plain.fir)(p.taps, extended, value)
        if self._compiled:
            kernels.advance(
                extended,
                p.taps.size,
                p.sos,
                self._sos_state,
                p.denominators,
                self._state,
                p.factor,
                times[:n],
                carried,
                p.variance,
                p.dt_s,
                p.dc_gain,
                p.delay,
                p.settle,
                self._counters,
                self._previous,
                value,
                u,
            )
        else:
            self._advance_plain(extended, times[:n], carried, value, u)
        self._window = extended[n:].copy()
        self._time_variance = times[n:].copy()
        return value, u

    def _carried(self, input_variance: FloatArray) -> FloatArray:
        """Return the variance that the outputs have from `input_variance`, through the squared impulse response."""
        p, n = self.prepared, input_variance.size
        if self._disturbed <= 0 and not np.count_nonzero(input_variance):
            return np.zeros(n)
        length = p.variance_taps.size
        marked = np.flatnonzero(input_variance)
        carried = np.zeros(n)
        if marked.size or self._disturbed > 0:
            extended = np.concatenate([self._input_variance, input_variance])
            (kernels.fir if self._compiled else plain.fir)(p.variance_taps, extended, carried)
            self._input_variance = extended[n:].copy()
        self._disturbed = length - n + int(marked[-1]) if marked.size else self._disturbed - n
        if self._disturbed <= 0 and self._disturbed + n > 0:
            self._input_variance[:] = 0.0
        return carried

    def _advance_plain(
        self, extended: FloatArray, times: FloatArray, carried: FloatArray, value: FloatArray, u: FloatArray
    ) -> None:
        """Do as `kernels.advance`, a stretch of whole windows at a time."""
        n_taps, n = self.prepared.taps.size, value.size
        finite = np.isfinite(extended[n_taps - 1 :])
        filtered = value.copy()
        value[:] = np.nan
        u[:] = np.nan
        low = 0
        while low < n:
            if not finite[low]:
                self._counters[_RUN] = self._counters[_LIVE] = 0
                ahead = np.flatnonzero(finite[low:])
                low += int(ahead[0]) if ahead.size else n - low
                continue
            broken = np.flatnonzero(~finite[low:])
            high = low + int(broken[0]) if broken.size else n
            first = low + max(n_taps - 1 - int(self._counters[_RUN]), 0)
            if first >= high:
                self._counters[_RUN] += high - low
                self._counters[_LIVE] = 0
                low = high
                continue
            done = self._stretch(extended, filtered, times, carried, first, high, value, u)
            self._counters[_RUN] += done - low
            if done < high:  # a number left its range at slot `done`: as in the kernel, start again after it
                self._counters[_RUN] = self._counters[_LIVE] = 0
                done += 1
            low = done

    def _stretch(
        self,
        extended: FloatArray,
        filtered: FloatArray,
        times: FloatArray,
        carried: FloatArray,
        first: int,
        high: int,
        value: FloatArray,
        u: FloatArray,
    ) -> int:
        """Fill outputs [first, high) of one stretch; return the first whose numbers are not finite, or `high`."""
        p = self.prepared
        if not self._counters[_LIVE]:
            self._start(extended, float(filtered[first]), first)
        with np.errstate(all="ignore"):  # what leaves the range of numbers is looked for below
            x = filtered[first:high]
            for section, state in zip(self._sections, self._sos_state, strict=True):
                x = section.run(x, state)[0]
            slope = np.diff(x, prepend=self._previous[0]) / p.dt_s
            w = np.concatenate([r.run(x, state) for r, state in zip(self._resonators, self._state, strict=True)])
            square = p.variance + ((p.factor @ w) ** 2).sum(axis=0)
            square += times[first:high] * slope * slope + carried[first:high]
        self._previous[0] = x[-1]
        lost = np.flatnonzero(~(np.isfinite(x) & np.isfinite(square)))
        good = int(lost[0]) if lost.size else x.size
        age = int(self._counters[_AGE])
        begin = min(max(p.settle - age, 0), good)
        value[first + begin : first + good] = x[begin:good]
        u[first + begin : first + good] = np.sqrt(square[begin:good])
        self._counters[_AGE] = age + good
        return first + good

    def _start(self, extended: FloatArray, level: float, first: int) -> None:
        """Start the states: sections in a steady state, sensitivities from the uncorrected window."""
        p = self.prepared
        self._counters[_LIVE], self._counters[_AGE] = 1, 0
        with np.errstate(all="ignore"):
            for k, (b0, b1, b2, _, a1, a2) in enumerate(p.sos):
                out = level * (b0 + b1 + b2) / (1.0 + a1 + a2)
                self._sos_state[k] = out - b0 * level, b2 * level - a2 * out
                level = float(out)
            about = first + p.taps.size - 1 - p.delay
            window = p.dc_gain * extended[first : max(about, first)]
            for resonator, state, (a1, a2) in zip(self._resonators, self._state, p.denominators, strict=True):
                state[:] = p.dc_gain * extended[first] / (1.0 + a1 + a2)
                resonator.run(window, state)
            moved = extended[about] - extended[about - 1] if about > first else 0.0
            self._previous[0] = level - p.dc_gain * moved
