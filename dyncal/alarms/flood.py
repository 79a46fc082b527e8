"""Floods: more annunciations than an operator can deal with (ISA-18.2: ten in ten minutes for each)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dyncal.domain.alarms import Annunciation, Priority
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import DurationNs, InstantNs, duration


@dataclass(frozen=True, slots=True)
class FloodSettings:
    """When a flood begins and ends, and what is held back in it.

    Attributes
    ----------
    n_operators : float
        Operators at work: the limits below are for each.
    begin : float
        A flood begins with more annunciations than this within `window_ns`,
    end : float
        and ends when fewer than this are left in it; at most `begin`.
    keeps : Priority
        The least priority of what is not held back.
    """

    n_operators: float = 1.0
    begin: float = 10.0
    end: float = 5.0
    keeps: Priority = Priority.HIGH
    window_ns: DurationNs = duration(600.0)

    def __post_init__(self) -> None:
        """Check the numbers. Raises `InvalidData`."""
        if not (0 < self.n_operators < 1e6 and 0 < self.end <= self.begin < 1e6 and self.window_ns > 0):
            raise InvalidData("a flood needs 0 < end <= begin, and operators")


@dataclass(frozen=True, slots=True)
class Flood:
    """A flood: `n_alarms` annunciations were due in it, that which began it included; `n_held` of each priority."""

    began_ns: InstantNs
    ended_ns: InstantNs | None = None
    n_alarms: int = 0
    n_held: tuple[int, int, int] = (0, 0, 0)

    def held(self, priority: Priority) -> int:
        """Return how many of a priority were held back."""
        return self.n_held[priority.rank]


class FloodWatch:
    """Counts annunciations, and says which are held back; keeps as many instants as decide."""

    def __init__(self, settings: FloodSettings, recent: Iterable[InstantNs] = (), flood: Flood | None = None) -> None:
        self._settings = settings
        self._n_begin = math.floor(settings.begin * settings.n_operators) + 1
        self._n_end = min(math.ceil(settings.end * settings.n_operators), self._n_begin)
        self._recent: deque[InstantNs] = deque(recent, self._n_begin)
        self.flood = flood

    @property
    def recent(self) -> tuple[InstantNs, ...]:
        """The last annunciations, as many as matter."""
        return tuple(self._recent)

    @property
    def ends_ns(self) -> InstantNs | None:
        """When the flood that is on will end if nothing more comes; None where there is none."""
        if self.flood is None:
            return None
        if len(self._recent) < self._n_end:  # the settings were other ones when it began
            return InstantNs(0)
        return InstantNs(self._recent[-self._n_end] + self._settings.window_ns)

    def set_back(self, now_ns: InstantNs) -> None:
        """Take note that the clock was ahead: nothing was annunciated later than now."""
        self._recent = deque((InstantNs(min(at_ns, now_ns)) for at_ns in self._recent), self._n_begin)

    def annunciate(self, priority: Priority, now_ns: InstantNs) -> tuple[Annunciation, bool]:
        """Count an annunciation that is due now; return how it is done, and whether a flood began with it."""
        self._recent.append(now_ns)
        full = len(self._recent) == self._n_begin
        began = self.flood is None and full and self._recent[0] > now_ns - self._settings.window_ns
        if began:
            self.flood = Flood(now_ns)
        if self.flood is None:
            return Annunciation.SINGLE, False
        held = priority.rank < self._settings.keeps.rank
        counts = tuple(n + (held and k == priority.rank) for k, n in enumerate(self.flood.n_held))
        self.flood = replace(self.flood, n_alarms=self.flood.n_alarms + 1, n_held=(counts[0], counts[1], counts[2]))
        return (Annunciation.HELD_BACK if held else Annunciation.SINGLE), began

    def end(self, now_ns: InstantNs) -> Flood:
        """End the flood that is on, and return it."""
        if self.flood is None:
            raise InvalidData("there is no flood to end")
        ended, self.flood = replace(self.flood, ended_ns=now_ns), None
        return ended
