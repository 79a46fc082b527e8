"""Which record a broker ends the connection over: MQTT 3.1.1 knows no other way to refuse a message. Pure.

A record that was under way, unanswered, at two ends of a connection is sent with nothing else under way. If the
connection ends soon after that too, three times, it is taken for refused and left in the spool for a while. A network
that breaks by chance can bring that about for a good record: it is late then, and not lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dyncal.domain.sensors import SensorId

Key = tuple[SensorId, int]
"""A record: its sensor and its number."""

ALONE_AFTER: Final = 2
REFUSED_AFTER: Final = 3
SOON_S: Final = 5.0
AGAIN_AFTER_S: Final = 600.0
_MOST: Final = 1000


@dataclass(slots=True)
class _Doubt:
    """How often a connection has ended with a record under way, and how often with nothing else."""

    n_losses: int = 0
    n_alone: int = 0
    refused_until_s: float = float("-inf")


class Suspects:
    """Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._under_way: dict[Key, float] = {}
        self._alone: Key | None = None
        self._doubts: dict[Key, _Doubt] = {}

    @property
    def one_alone(self) -> bool:
        """True while a record is under way that nothing else may be under way with."""
        return self._alone is not None

    def suspected(self, key: Key) -> bool:
        """Tell whether a record must be sent alone."""
        doubt = self._doubts.get(key)
        return doubt is not None and doubt.n_losses >= ALONE_AFTER

    def refused(self, key: Key, now_s: float) -> bool:
        """Tell whether a record is not to be sent now."""
        doubt = self._doubts.get(key)
        return doubt is not None and now_s < doubt.refused_until_s

    def sent(self, key: Key, now_s: float) -> None:
        """Take note of a record that is under way."""
        self._under_way[key] = now_s
        if self.suspected(key):
            self._alone = key

    def answered(self, key: Key) -> None:
        """Take note that the broker has answered."""
        self._under_way.pop(key, None)
        self._doubts.pop(key, None)
        if self._alone == key:
            self._alone = None

    def lost(self, now_s: float) -> Key | None:
        """Take note that the connection has ended; return the record that it is put down to, if it is."""
        soon = [key for key, since_s in self._under_way.items() if now_s - since_s <= SOON_S]
        alone, self._alone = self._alone, None
        self._under_way.clear()
        for key in soon:
            self._doubts.setdefault(key, _Doubt()).n_losses += 1
        while len(self._doubts) > _MOST:
            del self._doubts[next(iter(self._doubts))]
        if alone not in soon or alone not in self._doubts:
            return None
        doubt = self._doubts[alone]
        doubt.n_alone += 1
        if doubt.n_alone < REFUSED_AFTER:
            return None
        doubt.refused_until_s = now_s + AGAIN_AFTER_S
        return alone
