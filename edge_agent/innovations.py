"""The check that an edge makes on a smoother: what it expects of the next indication must agree with what comes.

A smoother states the variance S of each innovation ν. Where sensor, measurand and noise are those of the set, half the
mean square of successive differences of ν/√S is 1, whatever the intervals (differences: after a change of level the
level is learnt slowly, which biases innovations and hardly the values). The statistic is its root over the last windows
times the set's noise, compared with the set's `residual_limit`. A difference counts for ten standard deviations at
most, so that no single step, however large, is a failure. A measurand much livelier than the set's, for which u would
be too small, is one.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.domain.samples import FloatArray
from edge_agent.residual import MIN_WINDOW, N_WINDOWS
from edge_agent.tally import Tally


class InnovationMonitor:
    """Judges a smoother while it runs; bounded state. `tally` has the mean squares of windows, times the noise squared.

    Parameters
    ----------
    smoother : StreamingSmoother
        What it did before is not judged.
    noise_std, residual_limit : float
        Of the set; a limit of 0 means: no check.
    """

    def __init__(self, smoother: StreamingSmoother, noise_std: float, residual_limit: float) -> None:
        self._smoother = smoother
        self._noise_std, self._limit = noise_std, residual_limit
        self._squares, self._n = smoother.innovation_changes
        self._windows: deque[tuple[float, int]] = deque(maxlen=N_WINDOWS)
        self.tally = Tally()

    def update(self, value: FloatArray, raw: FloatArray) -> str:
        """Look at the smoother after it told corrected values, shape (n,); return what is wrong, or ''."""
        del raw  # the smoother has seen it
        if np.count_nonzero(np.isinf(value)):
            return "a corrected value is infinite"
        squares, n = self._smoother.innovation_changes
        if n - self._n >= MIN_WINDOW:
            square = (squares - self._squares) / (n - self._n)
            self._windows.append((squares - self._squares, n - self._n))
            self.tally.add(self._noise_std * self._noise_std * square)
            self._squares, self._n = squares, n
        if self._limit <= 0 or len(self._windows) < N_WINDOWS:
            return ""
        total, count = (sum(column) for column in zip(*self._windows, strict=True))
        rms = self._noise_std * math.sqrt(total / count)
        if rms <= self._limit:
            return ""
        return f"innovations of {rms:.4g} rms, times the noise, exceed the set's limit {self._limit:.4g}"
