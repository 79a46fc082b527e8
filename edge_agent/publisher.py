"""Sends what the outbox says, several messages at a time, and the edge's own messages: status, reports, notices."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable, PublishRefused
from dyncal.domain.time import NS_PER_S
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.families import Durations
from dyncal.runtime.logging import logger
from edge_agent.outbox import Outbox, Outgoing
from edge_agent.suspects import Key, Suspects

_WINDOW: Final = 64
_MAX_SAID: Final = 1000
_IDLE_S: Final = 0.05
_AFTER_REFUSAL_S: Final = 1.0
_THROUGH_S: Final = (5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_MAP: Final = 0x80  # of up to 15 fields: MessagePack says how many in its first byte
_MOST_FIELDS: Final = 15
_ENDS: Final = "the broker ends the connection whenever it is sent: too large for it?"
_MARK: Final = msgspec.msgpack.encode("replayed") + msgspec.msgpack.encode(True)  # noqa: FBT003  # a value


def replayed(payload: bytes) -> bytes:
    """Return a record's wire form with its mark of having been sent from the spool.

    A record of the spool has not been marked, and the mark is its last field: a map of one more.
    """
    n_fields = payload[0] - _MAP if payload else -1
    if not 0 <= n_fields < _MOST_FIELDS or payload.endswith(_MARK):
        return payload
    return b"%c%b%b" % (payload[0] + 1, payload[1:], _MARK)


class Publisher:
    """Keeps up to a window of publishes in flight; order is kept for each topic while the connection lasts."""

    def __init__(self, bus: MessageBus, address: EdgeAddress, outbox: Outbox, clock: Clock) -> None:
        self._bus = bus
        self._address = address
        self._outbox = outbox
        self._clock = clock
        self._log = logger("edge")
        self._retained: dict[str, bytes] = {}
        self._unsaid: dict[str, None] = {}
        self._events: deque[tuple[str, bytes]] = deque(maxlen=_MAX_SAID)
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Future[None]] = set()
        self._broken = asyncio.Event()
        self._suspects = Suspects()
        self._look: asyncio.TimerHandle | None = None  # the next, while connected
        self._held: Outgoing | None = None  # until nothing else is under way
        self.refused: dict[str, str] = {}  # why, by topic; to be told
        self.through = Durations(_THROUGH_S)  # from a block's last message to its publication; of live blocks
        self.n_published = 0
        self.n_replayed = 0
        self.n_failed = 0

    # What others want said; never waits

    def keep_said(self, topic: str, payload: bytes) -> None:
        """Publish retained, now and again after every reconnection; the newest counts."""
        self._retained[topic] = payload
        self._unsaid[topic] = None
        self._wake.set()

    def say(self, payload: bytes, topic: str | None = None) -> None:
        """Publish an event, or something else to `topic`; of too many that wait, the oldest are dropped."""
        self._events.append((topic or self._address.events, payload))
        self._wake.set()

    def wake(self) -> None:
        """Look at the outbox again."""
        self._wake.set()

    # The loop

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._bus.wait_connected()
            self._broken.clear()
            self._unsaid.update(dict.fromkeys(self._retained))
            self._outbox.connected(self._clock.monotonic_s())
            try:
                await self._while_connected()
            finally:
                self._outbox.disconnected()
                await self._settle()
                self._held = None
            self._judge()
            if self._bus.connected:  # the broker is there and does not take it: do not insist
                await asyncio.sleep(_AFTER_REFUSAL_S)

    async def _while_connected(self) -> None:
        self._look_again()
        try:
            while not self._broken.is_set() and self._bus.connected:
                self._wake.clear()
                while self._room and (message := self._next()) is not None:
                    self._send(*message)
                await self._wake.wait()
        finally:
            if self._look is not None:
                self._look.cancel()

    def _look_again(self) -> None:
        """Have the outbox looked at now and then: what it sends again is due by time."""
        self._look = asyncio.get_running_loop().call_later(_IDLE_S, self._look_again)
        self._wake.set()

    def _judge(self) -> None:
        """Look at what was under way when the connection ended: a record may be the reason."""
        if self._bus.connected:
            return
        refused = self._suspects.lost(self._clock.monotonic_s())
        if refused is not None:
            self._refused(self._address.samples(refused[0]), _ENDS)

    @property
    def _room(self) -> bool:
        return len(self._under_way) < _WINDOW and not self._suspects.one_alone

    def _next(self) -> tuple[str, bytes, bool, Key | None] | None:
        if self._unsaid:
            topic = next(iter(self._unsaid))
            del self._unsaid[topic]
            return topic, self._retained[topic], True, None
        outgoing = self._next_record()
        if outgoing is not None:
            key = outgoing.entry.sensor, outgoing.entry.first
            return self._address.samples(key[0]), self._payload(outgoing), False, key
        if self._events and self._held is None:
            return *self._events.popleft(), False, None
        return None

    def _next_record(self) -> Outgoing | None:
        """Return the next record that may go out; one that is suspected waits until nothing else is under way."""
        now_s = self._clock.monotonic_s()
        outgoing, self._held = self._held or self._outbox.next(now_s), None
        while outgoing is not None:
            key = outgoing.entry.sensor, outgoing.entry.first
            if not self._suspects.refused(key, now_s):
                break
            outgoing = self._outbox.next(now_s)
        if outgoing is not None and self._under_way and self._suspects.suspected(key):
            self._held, outgoing = outgoing, None
        return outgoing

    def _payload(self, outgoing: Outgoing) -> bytes:
        payload = outgoing.entry.payload
        if not outgoing.replayed:
            self._note_through(outgoing.entry.arrival_ns)
            return payload
        self.n_replayed += 1
        return replayed(payload)

    def _note_through(self, arrival_ns: int) -> None:
        """Count how long a live block took; a clock that was set back meanwhile tells nothing."""
        took_ns = self._clock.now() - arrival_ns if arrival_ns else -1  # a gap has no message that it came in
        if took_ns >= 0:
            self.through.add(took_ns / NS_PER_S)

    def _send(self, topic: str, payload: bytes, retain: bool, key: Key | None) -> None:  # as the port has it
        if key is not None:
            self._suspects.sent(key, self._clock.monotonic_s())
        answer = self._bus.post(topic, payload, retain=retain)
        self._under_way.add(answer)
        answer.add_done_callback(lambda answer: self._answered(answer, topic, retain=retain, key=key))

    def _answered(self, answer: asyncio.Future[None], topic: str, *, retain: bool, key: Key | None) -> None:
        if self._held is not None or not self._room or self._outbox.backlogged:  # else nothing waits for it
            self._wake.set()
        self._under_way.discard(answer)
        error = BusUnavailable("given up") if answer.cancelled() else answer.exception()
        if key is not None and (error is None or isinstance(error, PublishRefused)):
            self._suspects.answered(key)
        if error is None:
            self.n_published += 1
            return
        if isinstance(error, PublishRefused):
            self._refused(topic, str(error))
            return
        if not isinstance(error, BusUnavailable):
            raise error
        self.n_failed += 1
        if not self._broken.is_set():
            self._log.warning("publish_failed", topic=topic, error=str(error))
        self._broken.set()
        self._wake.set()
        if retain:
            self._unsaid[topic] = None

    def _refused(self, topic: str, why: str) -> None:
        """Go on with what else there is: a record stays in the spool, and is sent again when its stream is missed."""
        self.n_failed += 1
        self.refused[topic] = why

    @property
    def n_under_way(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return len(self._under_way)

    async def _settle(self) -> None:
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def drained(self) -> None:
        """Return when everything live was taken over by the broker, or there is none."""
        while self._bus.connected and (self._outbox.n_live or self._unsaid or self._under_way):
            self._wake.set()
            await asyncio.sleep(0.01)
