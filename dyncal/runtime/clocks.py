"""Clocks: the machine's, and one for tests and replay."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs


class SystemClock:
    """The machine's clock."""

    def now(self) -> InstantNs:
        """Return the present instant by the system's real-time clock."""
        return InstantNs(time.time_ns())

    def monotonic_s(self) -> float:
        """Return the system's monotonic seconds."""
        return time.monotonic()


@dataclass(slots=True)
class SimulatedClock:
    """A clock that stands still until it is set."""

    instant: InstantNs = InstantNs(1_700_000_000 * NS_PER_S)

    def now(self) -> InstantNs:
        """Return the instant that was set last."""
        return self.instant

    def monotonic_s(self) -> float:
        """Return the instant in seconds."""
        return self.instant / NS_PER_S

    def advance(self, span: DurationNs) -> None:
        """Move forward by `span`."""
        self.instant = InstantNs(self.instant + span)
