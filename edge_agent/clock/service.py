"""Watches this machine's clock while the agent works: asks, notices steps, and tells who must know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from dyncal.domain.time import NS_PER_S
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from edge_agent.clock.chrony import Chrony
from edge_agent.clock.command import run
from edge_agent.clock.kernel import Kernel
from edge_agent.clock.ntpd import Ntpd
from edge_agent.clock.ptp import Ptp
from edge_agent.clock.reading import ClockSource, Reading, Unreadable
from edge_agent.clock.timesyncd import Timesyncd
from edge_agent.clock.watch import ClockRules, ClockStanding, ClockWatch
from edge_agent.events import ClockTold, Kind, Notice

LOOK_S: Final = 1.0
_CHANGE: Final = 1.25
"""Factor by which the uncertainty of the clock changes before streams are told anew."""
_NEWS: Final = 2.0
"""The same, before the status of the edge is published anew."""

SOURCES: Final[Mapping[str, Callable[[], ClockSource]]] = {
    "ptp": lambda: Ptp(run),
    "chrony": lambda: Chrony(run),
    "ntpd": lambda: Ntpd(run),
    "timesyncd": lambda: Timesyncd(run),
    "kernel": Kernel,
}


class ClockService:
    """Asks sources every `interval_s`; between, lets the uncertainty grow.

    Parameters
    ----------
    sources : iterable of ClockSource
        In the order in which they are believed; the first that is synchronised counts.
    take : callable
        Gets what the engine is to be told.
    notice : callable
        Gets what people are to be told.
    changed : callable
        Called where the status that the edge publishes is not true any more.
    """

    def __init__(
        self,
        sources: Iterable[ClockSource],
        rules: ClockRules,
        clock: Clock,
        *,
        interval_s: float,
        take: Callable[[ClockTold], None],
        notice: Callable[[Notice], None],
        changed: Callable[[], None],
    ) -> None:
        self._sources = list(sources)
        self._clock, self._interval_s = clock, interval_s
        self._take, self._notice, self._changed = take, notice, changed
        self._watch = ClockWatch(rules, clock.now(), clock.monotonic_s())
        self._log = logger("edge")
        self._unreadable: dict[str, str] = {}
        self.standing = self._watch.standing(clock.now(), clock.monotonic_s())
        self._told_ns = -1
        self._published = self.standing
        self.n_steps = 0
        self.n_read: dict[tuple[str, str], int] = {}

    async def begin(self) -> None:
        """Ask once: what is published first is true, and no sample is taken in by a clock of which nothing is known."""
        self._watch.told(await self.ask(), self._clock.monotonic_s())
        self.standing = self._published = self._watch.standing(self._clock.now(), self._clock.monotonic_s())
        self._tell()
        self._log.info("clock", detail=described(self.standing))

    async def run(self) -> None:
        """Watch until cancelled."""
        next_s = self._clock.monotonic_s() + self._interval_s
        while True:
            await asyncio.sleep(LOOK_S)
            if self._stepped() or self._clock.monotonic_s() >= next_s:
                next_s = self._clock.monotonic_s() + self._interval_s
                self._watch.told(await self.ask(), self._clock.monotonic_s())
            self.look()

    async def ask(self) -> Reading | None:
        """Return what the first source says that is synchronised; else the first that answers; None where none does."""
        answers = [each for each in await asyncio.gather(*map(self._answer, self._sources)) if each is not None]
        return next((each for each in answers if each.synchronised), answers[0] if answers else None)

    async def _answer(self, source: ClockSource) -> Reading | None:
        try:
            reading = await source.read()
        except Unreadable as error:
            self._count(source.name, "unreadable")
            if self._unreadable.get(source.name) != str(error):
                self._unreadable[source.name] = str(error)
                self._log.warning("clock_source_unreadable", source=source.name, error=str(error))
            return None
        self._count(source.name, _outcome(reading))
        return reading

    def look(self) -> None:
        """Tell whoever must know how the clock stands now."""
        before, now = self._published, self._clock.now()
        self.standing = found = self._watch.standing(now, self._clock.monotonic_s())
        self._tell()
        turned = found.state is not before.state or found.source != before.source
        if turned:
            kind = Kind.CLOCK_GOOD if found.state.good else Kind.CLOCK_DOUBTFUL
            self._notice(Notice(kind, now, None, described(found)))
        if turned or not before.u_ns / _NEWS <= found.u_ns <= before.u_ns * _NEWS:
            self._published = found
            self._changed()

    def _tell(self) -> None:
        u_ns = self.standing.u_ns
        if not self._told_ns / _CHANGE <= u_ns <= self._told_ns * _CHANGE:
            self._told_ns = u_ns
            self._take(ClockTold(u_ns, self._clock.now()))

    def _stepped(self) -> bool:
        now = self._clock.now()
        step_ns = self._watch.stepped(now, self._clock.monotonic_s())
        if step_ns is None:
            return False
        self.n_steps += 1
        detail = f"this machine's clock was set by {step_ns / NS_PER_S:+.6g} s"
        self._notice(Notice(Kind.CLOCK_STEP, now, None, detail))
        return True

    def _count(self, source: str, outcome: str) -> None:
        key = source, outcome
        self.n_read[key] = self.n_read.get(key, 0) + 1


def described(standing: ClockStanding) -> str:
    """Return how a clock stands in words."""
    by = f" by {standing.source} ({standing.reference})" if standing.source else ""
    return f"{standing.state.value}{by}: u = {standing.u_ns / NS_PER_S:.3g} s"


def _outcome(reading: Reading | None) -> str:
    if reading is None:
        return "absent"
    return "synchronised" if reading.synchronised else "unsynchronised"
