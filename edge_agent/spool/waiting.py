"""Entries on their way to the disk: a moment as a rule, for as long as it fails otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from dyncal.domain.sensors import SensorId
from edge_agent.spool.segment import Entry

MAX_BYTES: Final = 8 << 20


class Waiting:
    """A queue of entries in the order in which they came, the first of them shown to whoever sends them."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._n_bytes = 0
        self._n_shown = 0
        self._n_out = 0  # of the first entries, those that were shown at any time: the store may have them
        self._n_taken = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def full(self) -> bool:
        """True if there is no memory for more."""
        return self._n_bytes >= MAX_BYTES

    @property
    def n_taken(self) -> int:
        """Number of entries ever taken."""
        return self._n_taken

    @property
    def n_passed(self) -> int:
        """Number of entries, from the first ever taken on, of which none waits any more."""
        return self._n_taken - len(self._entries)

    @property
    def shown(self) -> bool:
        """True if one that waits was ever shown."""
        return self._n_out > 0

    def add(self, entry: Entry) -> None:
        """Take an entry."""
        self._entries.append(entry)
        self._n_bytes += len(entry.payload)
        self._n_taken += 1

    def shift(self) -> tuple[Entry, bool]:
        """Give back the oldest, and whether it was shown."""
        entry = self._entries.popleft()
        self._n_bytes -= len(entry.payload)
        shown = self._n_shown > 0
        self._n_shown -= shown
        self._n_out = max(0, self._n_out - 1)
        return entry, shown

    def show(self, may: Callable[[Entry], bool]) -> list[Entry]:
        """Return the entries that were not shown yet, up to the first that may not be."""
        fresh: list[Entry] = []
        for position, entry in enumerate(self._entries):
            if position < self._n_shown:
                continue
            if not may(entry):
                break
            fresh.append(entry)
        self._n_shown += len(fresh)
        self._n_out = max(self._n_out, self._n_shown)
        return fresh

    def hide(self) -> None:
        """Have all shown again: what was shown may be lost."""
        self._n_shown = 0

    def let_go(self, upto: Mapping[SensorId, int]) -> list[Entry]:
        """Give back the oldest entries that were shown and have numbers up to these."""
        gone: list[Entry] = []
        while self._n_out and self._entries[0].last <= upto.get(self._entries[0].sensor, -1):
            gone.append(self.shift()[0])
        return gone
