"""How fast a backlog is sent: at a bounded rate, and no faster than the store takes it.

What is sent and not yet committed waits somewhere between here and the store, and live records wait behind it. So there
is never more of it than the store takes in half a second, by the watermarks that it sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from dyncal.domain.sensors import SensorId

DELAY_S: Final = 0.5
"""Longest that live records shall wait behind the backlog [s]."""

LEAST: Final = 200
"""Records that may be under way however little is known of the store."""

STUCK_S: Final = 5.0
"""Records of a sensor whose watermark has not risen for so long count as lost on the way [s].

If those of others rose meanwhile, its records are not counted any more until it rises: it must not hold up the others.
"""

_BURST_S: Final = 0.25
_MEASURE_S: Final = 0.5
_LOOK_S: Final = 0.02


class Pacing:
    """Counts what is under way. Times are seconds of a monotonic clock."""

    def __init__(self, per_s: float, watermark: Callable[[SensorId], int]) -> None:
        self._per_s = per_s
        self._watermark = watermark
        self.begin(0.0)

    def limit(self, per_s: float) -> None:
        """Send so many a second at most from now on."""
        self._per_s = per_s

    def begin(self, now_s: float) -> None:
        """Begin anew: nothing is under way, and nothing known of the store."""
        self._allowance = 0.0
        self._refilled_s = self._looked_s = self._measured_s = now_s
        self._under_way: dict[SensorId, deque[int]] = {}
        self._rose_s: dict[SensorId, float] = {}
        self._stuck: dict[SensorId, int] = {}
        self._last_rise_s = now_s
        self._n = self._n_done = 0
        self._taken_per_s = 0.0

    @property
    def window(self) -> float:
        """Most records that may be under way."""
        return max(LEAST, self._taken_per_s * DELAY_S)

    def allows(self, now_s: float) -> bool:
        """Tell whether one more record may be sent."""
        burst = max(1.0, self._per_s * _BURST_S)
        self._allowance = min(burst, self._allowance + (now_s - self._refilled_s) * self._per_s)
        self._refilled_s = now_s
        if now_s - self._looked_s >= _LOOK_S:
            self._look(now_s)
        return self._allowance >= 1 and self._n < self.window

    def sent(self, sensor: SensorId, last: int, now_s: float) -> None:
        """Take note of a record that is under way."""
        self._allowance -= 1
        if self._stuck.get(sensor) == self._watermark(sensor):
            return
        self._stuck.pop(sensor, None)
        if sensor not in self._under_way:
            self._under_way[sensor] = deque()
            self._rose_s[sensor] = now_s
        self._under_way[sensor].append(last)
        self._n += 1

    def _look(self, now_s: float) -> None:
        self._looked_s = now_s
        for sensor in list(self._under_way):
            numbers, upto = self._under_way[sensor], self._watermark(sensor)
            n = len(numbers)
            while numbers and numbers[0] <= upto:
                numbers.popleft()
            if len(numbers) < n:
                self._rose_s[sensor] = self._last_rise_s = now_s
                self._n_done += n - len(numbers)
            elif now_s - self._rose_s[sensor] > STUCK_S:
                if self._last_rise_s > self._rose_s[sensor]:
                    self._stuck[sensor] = upto
                numbers.clear()
            self._n -= n - len(numbers)
            if not numbers:
                del self._under_way[sensor], self._rose_s[sensor]
        self._measure(now_s)

    def _measure(self, now_s: float) -> None:
        elapsed_s = now_s - self._measured_s
        if elapsed_s >= _MEASURE_S:
            self._taken_per_s = 0.5 * (self._taken_per_s + self._n_done / elapsed_s)
            self._n_done, self._measured_s = 0, now_s
