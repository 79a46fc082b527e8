"""Attempts to get in that failed, gathered for the audit trail: by source and minute, a bounded number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act

GATHER_S: Final = 60.0
"""Time for which attempts are gathered before they are entries [s]."""

ENTRIES: Final = 20
ENTRY_S: Final = 30.0
"""20 entries at once, then one every 30 s: nobody fills the trail by guessing."""

MAX_SOURCES: Final = 1000
MAX_NAMES: Final = 5
SEVERAL: Final = "several addresses"
REASON: Final = "nobody was let in"


@dataclass(slots=True)
class _Gathered:
    """Attempts of one source, or of several."""

    n: int = 0
    n_held_off: int = 0
    n_sources: int = 0
    names: dict[str, None] = field(default_factory=dict)

    def add(self, other: _Gathered) -> None:
        self.n += other.n
        self.n_held_off += other.n_held_off
        self.n_sources += other.n_sources
        self.names |= other.names

    def subject(self) -> str:
        said = f"{self.n} attempt{'' if self.n == 1 else 's'} to get in"
        if self.n_held_off:
            said += f", {self.n_held_off} of them held off"
        if self.names:
            said += f", as {', '.join(list(self.names)[:MAX_NAMES])}{' and others' * (len(self.names) > MAX_NAMES)}"
        return said + (f", from {self.n_sources} sources" if self.n_sources > 1 else "")


class Refusals:
    """Counts attempts, and says what is to be written down of them. For the event loop."""

    def __init__(self) -> None:
        self._by_source: dict[str, _Gathered] = {}
        self._since_s = 0.0
        self._left, self._at_s = float(ENTRIES), 0.0
        self._waiting: list[tuple[Act, str]] = []

    def count(self, source: str, now_s: float, name: str = "", *, held_off: bool = False) -> None:
        """Count an attempt from `source`: as the user `name` or ''; `held_off` if it was not even tried."""
        if not self._by_source:
            self._since_s = now_s
        if source not in self._by_source and len(self._by_source) >= MAX_SOURCES:
            source = SEVERAL
        found = self._by_source.setdefault(source, _Gathered(n_sources=1))
        found.n += 1
        found.n_held_off += held_off
        if name and len(found.names) <= MAX_NAMES:
            found.names[name] = None

    def due(self, now_s: float, now_ns: int, *, at_once: bool = False) -> Sequence[tuple[Act, str]]:
        """Return the entries that are due as (act, subject), the same ones until they are `written`.

        The sources with the most attempts have entries of their own, as many as there may be; the others have one
        together.
        """
        ripe = bool(self._by_source) and (at_once or now_s - self._since_s >= GATHER_S)
        if self._waiting or not ripe:
            return self._waiting
        self._left = min(ENTRIES, self._left + (now_s - self._at_s) / ENTRY_S)
        self._at_s = now_s
        most = max(int(self._left), int(at_once))
        if not most:
            return []  # they are gathered on
        ranked = sorted(self._by_source.items(), key=lambda item: item[1].n, reverse=True)
        if len(ranked) > most:
            rest = _Gathered()
            for _, found in ranked[most - 1 :]:
                rest.add(found)
            ranked = [*ranked[: most - 1], (SEVERAL, rest)]
        self._left -= len(ranked)
        self._by_source = {}
        self._waiting = [
            (Act(f"http:{source}", InstantNs(now_ns), REASON), found.subject()) for source, found in ranked
        ]
        return self._waiting

    def written(self) -> None:
        """Forget what was due: it is in the trail."""
        self._waiting = []
