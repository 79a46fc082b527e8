"""Around the desk, in the event loop: what waits for it, the passing of time, and who is told of what it wrote."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from dyncal.alarms.events import Changed, Completed, Event, Reported, Tick
from dyncal.alarms.flood import Flood
from dyncal.contracts import alarms as contract
from dyncal.contracts import conditions, topics
from dyncal.domain.errors import BusUnavailable, DyncalError, InvalidData, MalformedMessage
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger
from services.api.alarms import shapes
from services.api.alarms.desk import MAX_ALARMS, AlarmDesk, Handled
from services.api.hub import LiveHub
from services.api.metrics import ApiMetrics

BATCH: Final = 200
PART: Final = 50
ROOM: Final = 100_000
TICK_S: Final = 0.25
RETRY_S: Final = 1.0
FLOOD_S: Final = 1.0
AHEAD: Final = duration(60.0)

log = logger("api")


class _Said(NamedTuple):
    """A change as it goes out."""

    number: int
    kind: str
    what: str
    annunciated: str
    sensor: str
    event: bytes
    topic: str
    message: bytes

    @classmethod
    def of(cls, change: Changed) -> _Said:
        alarm, found = change.alarm, change.alarm.found
        topic = topics.alarm(found.site, found.source, found.kind) if found.site else ""
        event = shapes.encode(shapes.of_change(change))
        return cls(
            alarm.number,
            alarm.kind,
            change.event,
            change.annunciated,
            alarm.sensor or "",
            event,
            topic,
            contract.encode(alarm),
        )


class AlarmClerk:
    """Hands what happens to the desk in batches, and what the desk wrote to the live stream and the broker."""

    def __init__(self, desk: AlarmDesk, hub: LiveHub, clock: Clock, metrics: ApiMetrics) -> None:
        self._desk, self._hub, self._clock, self._metrics = desk, hub, clock, metrics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Event] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._lists: dict[str, InstantNs] = {}
        self._outbox: dict[str, tuple[int, bytes]] = {}
        self._to_send = asyncio.Event()
        self._flood: Flood | None = None
        self._flood_due_s = 0.0
        desk.tell = self._tell

    # What comes in -------------------------------------------------------------------------------------------------

    async def feed(self, events: Iterable[Event]) -> None:
        """Take events for the desk; wait where too many do already."""
        before = len(self._waiting)
        self._waiting.extend(events)
        if len(self._waiting) == before:
            return  # most samples say nothing of alarms
        self._wake.set()
        if len(self._waiting) > ROOM:
            self._room.clear()
            await self._room.wait()

    async def condition(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Take what a program found; `retained` where the broker had kept it. Raises `MalformedMessage`."""
        if not payload:
            return
        condition, said = conditions.decode(topic, payload)
        if retained and said.said_ns < self._lists.get(said.reporter, 0):
            return  # from before the reporter said all that it knows
        if self._desk.known(condition.id) is None and len(self._desk) >= MAX_ALARMS:
            raise MalformedMessage("there are more alarms than this service keeps")
        await self.feed([Reported(condition, said.reporter, self._clock.now())])

    async def holding(self, payload: bytes, *, retained: bool = False) -> None:
        """Take the list of all that holds by one reporter. Raises `MalformedMessage`."""
        if not payload:
            return
        said, now = conditions.decode_list(payload), self._clock.now()
        if said.said_ns > now + AHEAD or len(self._lists) > 1000:
            raise MalformedMessage(f"a list of {said.reporter} that is ahead of its time, or one too many")
        if not retained or said.said_ns >= self._lists.get(said.reporter, 0):
            at_ns = InstantNs(said.said_ns)
            self._lists[said.reporter] = at_ns
            await self.feed([Completed(said.reporter, said.kinds, frozenset(said.holding), at_ns, now)])

    async def run(self) -> None:
        """Work until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._desk.running = True
        try:
            while True:
                await self._turn()
        finally:
            self._desk.running = False
            self._loop = None

    async def _turn(self) -> None:
        if not self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
        self._wake.clear()
        self._metrics.alarms_waiting.set(len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        now = self._clock.now()
        if batch or self._desk.due(now):
            await self._handle([*batch, Tick(now)])
        if len(self._waiting) <= ROOM // 2:
            self._room.set()
        self._tell_flood()

    async def _handle(self, events: list[Event]) -> None:
        """Deal with events; wait for a registry that is away, and leave out what it can never keep."""
        while True:
            try:
                await asyncio.to_thread(self._desk.handle, events)
            except InvalidData as error:
                if len(events) == 1:
                    log.error("alarm_event_left_out", what=repr(events[0])[:500], error=str(error))
                    return
                half = len(events) // 2
                await self._handle(events[:half])
                await self._handle(events[half:])
                return
            except DyncalError as error:
                log.warning("alarms_wait", n=len(events), error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    # What goes out -------------------------------------------------------------------------------------------------

    def _tell(self, handled: Handled) -> None:
        """Take what was written, in whatever thread: encode it there, a part at a time, for the loop to hand out."""
        for first in range(0, len(handled.changes), PART):
            said = [_Said.of(change) for change in handled.changes[first : first + PART]]
            self._in_loop(partial(self._told, said))
        for flood in handled.floods:
            self._in_loop(partial(self._told_flood, flood))

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is None:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def _told(self, said: Sequence[_Said]) -> None:
        for one in said:
            self._hub.announce("alarm", one.event, one.sensor)
            self._metrics.alarms.labels(one.kind, one.what, one.annunciated).inc()
            if one.topic:
                self._outbox[one.topic] = one.number, one.message
        self._to_send.set()

    def _told_flood(self, flood: Flood) -> None:
        self._hub.announce("flood", shapes.encode(shapes.of_flood(flood)))
        self._flood = flood

    def _tell_flood(self) -> None:
        """Say how a flood grows, not more often than people can read."""
        now_s = self._clock.monotonic_s()
        if now_s < self._flood_due_s or not self._desk.running:
            return
        self._flood_due_s = now_s + FLOOD_S
        flood = self._desk.flood
        if flood is not None and flood != self._flood:
            self._flood = flood
            self._hub.announce("flood", shapes.encode(shapes.of_flood(flood)))

    async def send(self, bus: MessageBus) -> None:
        """Publish what changed, and all after each connection, until cancelled."""
        seen = 0
        while True:
            await bus.wait_connected()
            if bus.connections != seen:
                seen = bus.connections
                await self._again()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._to_send.wait()
            self._to_send.clear()
            if not await self._flush(bus):
                self._to_send.set()
                await asyncio.sleep(RETRY_S)

    async def _again(self) -> None:
        try:
            alarms = (await asyncio.to_thread(self._desk.picture)).alarms
        except DyncalError as error:
            log.warning("alarms_not_repeated", error=str(error))
            return
        for n, alarm in enumerate(reversed(alarms)):
            if alarm.found.site:
                topic = topics.alarm(alarm.found.site, alarm.found.source, alarm.kind)
                if self._outbox.get(topic, (0, b""))[0] <= alarm.number:
                    self._outbox[topic] = alarm.number, contract.encode(alarm)
            if n % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        self._to_send.set()

    async def _flush(self, bus: MessageBus) -> bool:
        """Publish what waits, many at once; what fails, or changed meanwhile, is kept. Tell whether all went."""
        went = True
        while self._outbox and went:
            part = list(self._outbox.items())[:BATCH]
            posted = [(topic, said, bus.post(topic, said[1], retain=True)) for topic, said in part]
            for topic, said, done in posted:
                try:
                    await done
                except BusUnavailable as error:
                    went = False
                    log.warning("alarm_not_published", topic=topic, error=str(error))
                else:
                    if self._outbox.get(topic) == said:
                        del self._outbox[topic]
        return went
