from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from dyncal.domain.sensors import SensorId
from edge_agent.pacing import LEAST, STUCK_S, Pacing

A, B = SensorId("A"), SensorId("B")


@dataclass
class Store:
    """Takes so many records a second, in order, and tells its watermarks every 0.2 s."""

    per_s: float
    queue: deque[tuple[SensorId, int, float]] = field(default_factory=deque)
    has: dict[SensorId, int] = field(default_factory=dict)
    told: dict[SensorId, int] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    credit: float = 0.0

    def run(self, now_s: float, step_s: float, k: int) -> None:
        self.credit = min(self.per_s * 0.05, self.credit + self.per_s * step_s)
        while self.queue and self.credit >= 1:
            sensor, number, sent_s = self.queue.popleft()
            self.has[sensor] = number
            self.delays_s.append(now_s - sent_s)
            self.credit -= 1
        if k % 20 == 0:
            self.told = dict(self.has)


def drained(store: Store, per_s: float, seconds: float, stuck: SensorId | None = None) -> list[int]:
    """Send as the pacing allows; return how many went out in each second."""
    pacing = Pacing(per_s, lambda sensor: -1 if sensor == stuck else store.told.get(sensor, -1))
    counts, step_s, numbers = [0] * int(seconds), 0.01, {A: 0, B: 0}
    for k in range(int(seconds / step_s)):
        now_s = k * step_s
        while pacing.allows(now_s):
            sensor = (A, B)[(numbers[A] + numbers[B]) % 2]
            pacing.sent(sensor, numbers[sensor], now_s)
            store.queue.append((sensor, numbers[sensor], now_s))
            numbers[sensor] += 1
            counts[int(now_s)] += 1
        store.run(now_s, step_s, k)
    return counts


@pytest.mark.parametrize("store_per_s", [500.0, 1500.0, 2900.0])
def test_a_slow_store_is_kept_busy_and_never_far_behind(store_per_s: float) -> None:
    store = Store(store_per_s)
    counts = drained(store, 3000.0, 40)
    assert np.mean(counts[10:]) >= 0.8 * store_per_s
    assert np.quantile(store.delays_s, 0.99) <= 0.7


def test_a_fast_store_gets_the_whole_rate() -> None:
    counts = drained(Store(1e5), 3000.0, 30)
    assert counts[15:] == pytest.approx([3000] * 15, rel=0.02)


def test_a_store_that_says_nothing_gets_little() -> None:
    counts = drained(Store(0.0), 3000.0, 20)
    assert counts[0] == LEAST
    assert sum(counts) <= LEAST * (1 + 20 / STUCK_S)


def test_one_stream_that_is_stuck_does_not_hold_up_the_others_for_ever() -> None:
    counts = drained(Store(1000.0), 3000.0, 60, stuck=B)
    assert sum(counts[-30:]) > 30 * 100
