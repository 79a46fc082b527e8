"""Sends what the outbox says, several messages at a time, and the edge's own messages: status, reports, notices."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts import samples as wire
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable, MalformedMessage
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger
from edge_agent.outbox import Outbox, Outgoing

_WINDOW: Final = 64
_MAX_SAID: Final = 1000
_IDLE_S: Final = 0.05
_AFTER_REFUSAL_S: Final = 1.0


def replayed(payload: bytes) -> bytes:
    """Return a record's wire form with its mark of having been sent from the spool. Raises `MalformedMessage`."""
    message: wire.RecordMessage = codec.unpack(payload, wire.RecordMessage)  # type: ignore[arg-type]  # a union, tagged
    return codec.pack(msgspec.structs.replace(message, replayed=True))


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
        self._events: deque[bytes] = deque(maxlen=_MAX_SAID)
        self._wake = asyncio.Event()
        self._window = asyncio.Semaphore(_WINDOW)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = asyncio.Event()
        self.n_published = 0
        self.n_replayed = 0
        self.n_failed = 0

    # What others want said; never waits

    def keep_said(self, topic: str, payload: bytes) -> None:
        """Publish retained, now and again after every reconnection; the newest counts."""
        self._retained[topic] = payload
        self._unsaid[topic] = None
        self._wake.set()

    def say(self, payload: bytes) -> None:
        """Publish an event; of too many that wait, the oldest are dropped."""
        self._events.append(payload)
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
            if self._bus.connected:  # the broker is there and does not take it: do not insist
                await asyncio.sleep(_AFTER_REFUSAL_S)

    async def _while_connected(self) -> None:
        while not self._broken.is_set() and self._bus.connected:
            self._wake.clear()
            while await self._send_one():
                if self._broken.is_set():
                    return
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send_one(self) -> bool:
        """Start one publish when there is room; return False if there is nothing to send."""
        await self._window.acquire()
        message = self._next()
        if message is None:
            self._window.release()
            return False
        task = asyncio.create_task(self._send(*message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(0)  # the publish reaches the client in this order
        return True

    def _next(self) -> tuple[str, bytes, bool] | None:
        if self._unsaid:
            topic = next(iter(self._unsaid))
            del self._unsaid[topic]
            return topic, self._retained[topic], True
        outgoing = self._outbox.next(self._clock.monotonic_s())
        if outgoing is not None:
            return self._address.samples(outgoing.entry.sensor), self._payload(outgoing), False
        if self._events:
            return self._address.events, self._events.popleft(), False
        return None

    def _payload(self, outgoing: Outgoing) -> bytes:
        payload = outgoing.entry.payload
        if not outgoing.replayed:
            return payload
        self.n_replayed += 1
        try:
            return replayed(payload)
        except MalformedMessage:  # its checksum was right, so we wrote it so: send it as it is, and let ingest judge
            self._log.exception("spooled_record_unreadable", sensor=outgoing.entry.sensor)
            return payload

    async def _send(self, topic: str, payload: bytes, retain: bool) -> None:  # as the port has it
        try:
            await self._bus.publish(topic, payload, retain=retain)
            self.n_published += 1
        except BusUnavailable as error:
            self.n_failed += 1
            if not self._broken.is_set():
                self._log.warning("publish_failed", topic=topic, error=str(error))
            self._broken.set()
            self._wake.set()
            if retain:
                self._unsaid[topic] = None
        finally:
            self._window.release()

    async def _settle(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def drained(self) -> None:
        """Return when everything live was taken over by the broker, or there is none."""
        while self._bus.connected and (self._outbox.n_live or self._unsaid or self._tasks):
            self._wake.set()
            await asyncio.sleep(0.01)
