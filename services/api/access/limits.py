"""How often somebody may do something: token buckets, as many as are in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_BUCKETS: Final = 20_000


class Buckets:
    """A token bucket for each key: `burst` tokens at first, `rate_hz` more a second, never more than `burst`.

    The ones unused for longest are forgotten beyond 20 000: who forgets a bucket gives its owner a full one, so that an
    attacker with that many addresses gains no more than with them alone.
    """

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz, self._burst = rate_hz, burst
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """Return how long `key` has to wait for its next token [s]; 0 if it has one."""
        left = self._now(key, now_s)
        return 0.0 if left >= 1 else (1 - left) / self._rate_hz

    def take(self, key: Hashable, now_s: float) -> float:
        """Take a token of `key` and return 0, or, where there is none, how long it has to wait [s]."""
        left = self._now(key, now_s)
        if left < 1:
            return (1 - left) / self._rate_hz
        self._left[key] = (left - 1, now_s)
        self._left.move_to_end(key)
        if len(self._left) > MAX_BUCKETS:
            self._left.popitem(last=False)
        return 0.0

    def _now(self, key: Hashable, now_s: float) -> float:
        left, at_s = self._left.get(key, (self._burst, now_s))
        return min(self._burst, left + (now_s - at_s) * self._rate_hz)
