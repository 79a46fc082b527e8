"""How often somebody may do something: token buckets, as many as are in use."""

from __future__ import annotations

import functools
import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_BUCKETS: Final = 20_000


@functools.lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, or the network of 64 bits that one host has of IPv6."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return address if known.is_loopback else str(ipaddress.ip_network((int(known) >> 64 << 64, 64)))


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
