"""Forgets the history of alarms when it has been kept for as long as the settings say."""

from __future__ import annotations

import asyncio
from typing import Final

from dyncal.alarms.events import ENGINE
from dyncal.domain.errors import DyncalError
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.clock import Clock
from dyncal.ports.retention import AlarmRetention
from dyncal.runtime.logging import logger

STEP: Final = 500
PAUSE_S: Final = 0.2
AGAIN_S: Final = 3600.0
DAY_NS: Final = duration(86_400.0)
LEAP_NS: Final = duration(3600.0)

log = logger("api")


class HistoryKeeper:
    """Forgets whole days, a few changes at a time; not by a clock that has been set since the service began.

    Parameters
    ----------
    days : float
        How long the history is kept [d]; 0: for ever.
    """

    def __init__(self, registry: AlarmRetention, clock: Clock, days: float) -> None:
        self._registry, self._clock, self._days = registry, clock, days
        self._began_ns, self._began_s = clock.now(), clock.monotonic_s()

    async def run(self) -> None:
        """Work until cancelled."""
        if self._days == 0:
            return
        while True:
            try:
                n = await asyncio.to_thread(self.forget)
            except DyncalError as error:
                log.warning("history_not_forgotten", error=str(error))
                n = 0
            if n:
                log.info("history_forgotten", n_changes=n)
            await asyncio.sleep(PAUSE_S if n == STEP else AGAIN_S)

    def forget(self) -> int:
        """Forget one step of what is too old; return how many changes. Blocks. Raises `Unavailable`."""
        now = self._clock.now()
        leapt_ns = now - self._began_ns - duration(self._clock.monotonic_s() - self._began_s)
        if (
            abs(leapt_ns) > LEAP_NS
        ):  # a clock that is wrong by a year would have a year forgotten, and nothing brings it back
            log.warning("history_not_forgotten", error="the clock was set; history is forgotten after the next start")
            return 0
        before = (now - duration(self._days * 86_400.0)) // DAY_NS * DAY_NS
        if before <= 0:
            return 0
        return self._registry.forget_alarms(InstantNs(before), now, limit=STEP, actor=ENGINE)
