"""How good this machine's clock is at any moment: the last reading, and what has become of it since. Sans-I/O.

u(t)² = u_read² + (rate · (t - t_read))² + u_declared²: the clock drifts from the last reading on, at a rate that is
known as a standard uncertainty only; the larger of what is stated for holdover and what the source says of its
frequency.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from edge_agent.clock.reading import Reading

_LEAST_STEP_NS: Final = 5_000_000
MOST_U_NS: Final = 3_600 * NS_PER_S
"""More is not told: by then nobody takes such instants for any."""


class ClockState(enum.StrEnum):
    """How far the clock can be trusted.

    `declared`: nothing watches it, and the settings say how good it is; `synchronised`; `degraded`: disciplined, and
    worse than allowed; `holdover`: it was disciplined and is not any more; `unknown`: it never was since the start.
    """

    DECLARED = "declared"
    SYNCHRONISED = "synchronised"
    DEGRADED = "degraded"
    HOLDOVER = "holdover"
    UNKNOWN = "unknown"

    @property
    def good(self) -> bool:
        """Whether nobody needs to look after it."""
        return self in (ClockState.DECLARED, ClockState.SYNCHRONISED)


@dataclass(frozen=True, slots=True)
class ClockRules:
    """What a clock is judged by.

    Attributes
    ----------
    declared_ns : float, optional
        Standard uncertainty that the settings give the clock beside what is measured; alone where nothing is [ns].
    unknown_ns : float
        Standard uncertainty of a clock of which nothing is known [ns].
    limit_ns : float
        Standard uncertainty above which a clock is degraded [ns].
    holdover : float
        Standard uncertainty of the frequency of a clock that nobody disciplines, relative.
    """

    declared_ns: float | None
    unknown_ns: float
    limit_ns: float
    holdover: float


@dataclass(frozen=True, slots=True)
class ClockStanding:
    """How the clock stands. `offset_ns` is None where nothing was ever read; `age_s` that of the last good reading."""

    state: ClockState
    u_ns: DurationNs
    since_ns: InstantNs
    offset_ns: int | None = None
    source: str = ""
    reference: str = ""
    age_s: float | None = None


class ClockWatch:
    """Takes readings and looks, and says how the clock stands. Ages are those of the monotonic clock, in seconds."""

    def __init__(self, rules: ClockRules, now: InstantNs, at_s: float) -> None:
        self._rules = rules
        self._good: Reading | None = None
        self._good_s = 0.0
        self._lost = True  # not synchronised by the last reading
        self._ahead_ns = now - at_s * NS_PER_S
        self._state = ClockState.UNKNOWN if rules.declared_ns is None else ClockState.DECLARED
        self._since_ns = now

    def told(self, reading: Reading | None, at_s: float) -> None:
        """Take what the sources say: the first that is synchronised, or one that is not, or none at all."""
        self._lost = reading is None or not reading.synchronised or not math.isfinite(reading.u_ns)
        if reading is not None and not self._lost:
            self._good, self._good_s = reading, at_s

    def stepped(self, now: InstantNs, at_s: float) -> DurationNs | None:
        """Return by how much the clock was set since the last look [ns]; None where it only went on.

        The monotonic clock is slewed as the other is, and never set.
        """
        ahead_ns = now - at_s * NS_PER_S
        step_ns, self._ahead_ns = ahead_ns - self._ahead_ns, ahead_ns
        return DurationNs(round(step_ns)) if abs(step_ns) >= _LEAST_STEP_NS else None

    def standing(self, now: InstantNs, at_s: float) -> ClockStanding:
        """Return how the clock stands now."""
        good, rules = self._good, self._rules
        if good is None:
            u_ns = rules.unknown_ns if rules.declared_ns is None else rules.declared_ns
            state = ClockState.UNKNOWN if rules.declared_ns is None else ClockState.DECLARED
            return ClockStanding(state, _whole(u_ns), self._turned(state, now))
        age_s = max(0.0, at_s - self._good_s)
        drift_ns = max(rules.holdover, good.rate) * age_s * NS_PER_S
        u_ns = math.hypot(good.u_ns, drift_ns, rules.declared_ns or 0.0)
        if self._lost:
            state = ClockState.HOLDOVER
        else:
            state = ClockState.DEGRADED if u_ns > rules.limit_ns else ClockState.SYNCHRONISED
        return ClockStanding(
            state,
            _whole(u_ns),
            self._turned(state, now),
            round(good.offset_ns),
            good.source,
            good.reference,
            age_s,
        )

    def _turned(self, state: ClockState, now: InstantNs) -> InstantNs:
        if state is not self._state:
            self._state, self._since_ns = state, now
        return self._since_ns


def _whole(u_ns: float) -> DurationNs:
    return DurationNs(math.ceil(min(u_ns, MOST_U_NS)))
