"""How full the spool is, as a condition for the alarms: it comes early, goes late, and says how long there is left."""

from __future__ import annotations

from collections import deque
from typing import Final

from dyncal.contracts import conditions, topics
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.time import InstantNs

_BELOW: Final = 0.8
_STEP: Final = 0.05
_EVERY_S: Final = 10.0
_N_SEEN: Final = 31
_HOUR_S: Final = 3600.0
_LONGEST_S: Final = 100 * _HOUR_S


class FillingWatch:
    """Says when the spool begins to fill, how it goes on, and when it has emptied.

    Parameters
    ----------
    at : float
        Share of what the spool may hold from which on it is filling, in (0, 1]; it ends below 0.8 times that.
    """

    def __init__(self, address: EdgeAddress, at: float) -> None:
        self.topic = topics.condition(address.site, address.edge, AlarmKind.SPOOL_FILLING)
        self._address, self._at = address, at
        self._holds = False
        self._since_ns: InstantNs | None = None
        self._said = 0.0
        self._seen: deque[tuple[float, float]] = deque(maxlen=_N_SEEN)

    def follow(self, at: float) -> None:
        """Say from now on that it is filling from another share on."""
        self._at = at

    def look(self, fill: float, now_ns: InstantNs, now_s: float) -> bytes | None:
        """Return what is to be said of a spool that is full to the share `fill`, retained; None if nothing is.

        `now_s` is by a clock that is never set [s]. The first word is always said: a former life may have left another.
        """
        if not self._seen or now_s - self._seen[-1][0] >= _EVERY_S:
            self._seen.append((now_s, fill))
        holds = fill >= (self._at * _BELOW if self._holds else self._at)
        if self._since_ns is None or holds != self._holds:
            self._holds, self._since_ns = holds, now_ns
        elif not holds or abs(fill - self._said) < _STEP:
            return None
        self._said = fill
        edge = self._address.edge
        found = Condition(
            self._address.site,
            edge,
            AlarmKind.SPOOL_FILLING,
            holds,
            self._since_ns,
            edge,
            parameter="fill",
            value=round(fill, 3),
            limit=self._at,
            cause=f"the spool is {fill:.0%} full{self._left(fill, now_s)}" if holds else "",
        )
        return conditions.encode(found, edge, now_ns)

    def _left(self, fill: float, now_s: float) -> str:
        """Return how long it takes to be full at the rate of the last five minutes, in words, if it is known."""
        then_s, then = self._seen[0]
        if fill >= 1 or fill <= then or now_s - then_s < _EVERY_S:
            return ""
        left_s = (1 - fill) / (fill - then) * (now_s - then_s)
        if left_s > _LONGEST_S:
            return ""
        text = f"{left_s / _HOUR_S:.2g} h" if left_s >= _HOUR_S else f"{max(left_s / 60, 1):.0f} min"
        return f"; at this rate it has no room in about {text}"
