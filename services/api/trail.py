"""The check of the audit trail for those who ask over HTTP: one at a time, and one for all who ask at once."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.registry import AuditTrail

FRESH_S: Final = 5.0
"""Time for which what was found is told again [s]: a check of a long trail takes a core for seconds."""


class Checked(NamedTuple):
    """The number of the first entry that does not fit, None where all do, and when that was found."""

    at_ns: InstantNs
    first_misfit: int | None


class TrailCheck:
    """For the event loop; works in a thread."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._found: Checked | None = None

    async def check(self, trail: AuditTrail, clock: Clock) -> Checked:
        """Follow the whole chain, or return what was found just now. Raises `StoreUnavailable`."""
        async with self._one_at_a_time:
            found = self._found
            if found is None or not 0 <= clock.now() - found.at_ns < FRESH_S * NS_PER_S:
                misfit = await asyncio.to_thread(trail.verify_audit)
                found = self._found = Checked(InstantNs(clock.now()), misfit)
            return found
