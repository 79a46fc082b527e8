"""The filter over grid slots, with its state: compiled where numba is, numpy elsewhere."""

from __future__ import annotations

import numpy as np

from dyncal.correction.streaming import kernels, plain
from dyncal.correction.streaming.plain_running import PlainCorrection
from dyncal.correction.streaming.prepared import PreparedFilter
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

_NONE = np.empty(0)


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
        self._plain = None if self._compiled else PlainCorrection(prepared)
        self._packed, self._state = prepared.packed, prepared.fresh_state()
        self._time = np.zeros(1)  # the time variance of all slots that are still to be corrected, where it is one
        self._times: FloatArray | None = None  # else of each
        self._fresh = True
        self._input_variance = np.zeros(prepared.variance_taps.size - 1)
        self._disturbed = 0  # slots until no input variance is left in the window

    def advance(
        self, y: FloatArray, time_variance: FloatArray | float, input_variance: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Take slots of shape (n,), return value and u of shape (n,), about the slots `delay` earlier.

        Parameters
        ----------
        y : float64, shape (n,)
            NaN where a slot holds nothing; what is not finite or beyond 1e100 counts as that.
        time_variance : float, or float64 of shape (n,)
            Variance of the slots' instants [s²].
        input_variance : float64, shape (n,), optional
            Variance of y beyond the sensor's noise.
        """
        n = y.size
        value, u = np.empty(n), np.empty(n)
        times = self._delayed(time_variance, n)
        carried = _NONE if self._disturbed <= 0 and input_variance is None else self._carried(input_variance, n)
        if self._plain is None:
            y = y if y.flags.carray else y.copy()
            kernels.correct(self._packed, self._state, y, times, carried, value, u)
        else:
            self._plain.run(y, times, carried, value, u)
        return value, u

    def _delayed(self, variance: FloatArray | float, n: int) -> FloatArray:
        """Return the variances of the slots that the outputs are about: one entry where all are equal, else n."""
        delay = self.prepared.delay
        if isinstance(variance, float):
            if self._fresh:  # the slots before the first do not count: no output is about them
                self._time[0] = variance
                self._fresh = False
            if self._times is None and variance == self._time[0]:
                return self._time
        self._fresh = False
        before = np.full(delay, self._time[0]) if self._times is None else self._times
        times = np.concatenate([before, np.full(n, variance) if isinstance(variance, float) else variance])
        self._times = times[n:].copy()
        if isinstance(variance, float) and not np.count_nonzero(self._times != variance):
            self._times = None
            self._time = np.array([variance])
        return times[:n].copy() if n > 1 else times[:1]

    def _carried(self, input_variance: FloatArray | None, n: int) -> FloatArray:
        """Return the variance that the outputs have from `input_variance`, through the squared impulse response."""
        p = self.prepared
        marked = np.empty(0, np.int64) if input_variance is None else np.flatnonzero(input_variance)
        if not marked.size and self._disturbed <= 0:
            return _NONE
        length = p.variance_taps.size
        carried = np.zeros(n)
        extended = np.concatenate([self._input_variance, np.zeros(n) if input_variance is None else input_variance])
        (kernels.fir if self._compiled else plain.fir)(p.variance_taps, extended, carried)
        self._input_variance = extended[n:].copy()
        self._disturbed = length - n + int(marked[-1]) if marked.size else self._disturbed - n
        if self._disturbed <= 0:
            self._input_variance[:] = 0.0
        return carried
