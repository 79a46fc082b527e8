"""Where a sensor's parameters are going: what a set that is made now must allow for until the next one."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from services.calibrate import response

_KEPT: Final = 256
_SIGNIFICANCE: Final = 0.999


class Trend:
    """The estimates of the recent past; bounded."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, FloatArray, FloatArray]] = deque(maxlen=_KEPT)

    def add(self, t_ns: int, values: FloatArray, cov: FloatArray) -> None:
        """Take in an estimate: values (p,) and statistical covariance (p, p)."""
        self._past.append((t_ns, values, cov))

    def expected_change(self, ahead_ns: int) -> FloatArray:
        """Return by how much the parameters (p,) will change within `ahead_ns` if they go on as in the last `ahead_ns`.

        Zeros where the past is shorter, or the change within it is not significant (99.9 %).
        """
        if not self._past:
            return np.empty(0)
        now_ns, now, cov_now = self._past[-1]
        before = next((item for item in reversed(self._past) if item[0] <= now_ns - ahead_ns), None)
        if before is None or now_ns - before[0] > 4 * ahead_ns:
            return np.zeros(now.size)
        then_ns, then, cov_then = before
        if not response.significant(response.distance(now, cov_now, then, cov_then), now.size, _SIGNIFICANCE):
            return np.zeros(now.size)
        return (now - then) * (ahead_ns / (now_ns - then_ns))
