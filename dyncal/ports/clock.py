"""The clock."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.time import InstantNs


class Clock(Protocol):
    """Tells the time. Nothing else in the project may ask the machine for it."""

    def now(self) -> InstantNs:
        """Return the present instant."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never steps, for intervals."""
        ...
