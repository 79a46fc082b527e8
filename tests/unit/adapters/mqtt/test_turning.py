"""A connection that the event loop has taken over from the thread that made it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dyncal.adapters.mqtt.bus import PahoMessageBus
from dyncal.adapters.mqtt.client import LinkOptions

CONNACK = b"\x20\x03\x00\x00\x00"  # of MQTT 5
MESSAGE = b"\x32\x07\x00\x01t\x00\x07\x00y"
PUBACK = b"\x40\x02\x00\x07"
DISCONNECT = b"\xe0"


@dataclass
class Broker:
    """A few bytes of one, for one connection."""

    writer: asyncio.StreamWriter | None = None
    found: bytearray = field(default_factory=bytearray)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        self.writer = writer
        writer.write(CONNACK)
        while data := await reader.read(1 << 16):
            self.found += data
            self.came.set()
        writer.close()

    async def has(self, what: bytes) -> None:
        async with asyncio.timeout(5):
            while what not in self.found:
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[PahoMessageBus, Broker]]:
    broker = Broker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with PahoMessageBus(LinkOptions("127.0.0.1", port, "a", clean=True, keepalive_s=60, protocol="5")) as bus:
            async with asyncio.timeout(5):
                await bus.wait_connected()
            yield bus, broker


async def test_messages_come_and_go_in_the_loop_s_own_thread() -> None:
    async with connected() as (bus, broker):
        answer = bus.post("t", b"mine")
        await broker.has(b"mine")
        assert broker.writer is not None
        broker.writer.write(MESSAGE)
        async with asyncio.timeout(5):
            delivery = await anext(aiter(bus.deliveries()))
        assert delivery.payload == b"y"
        thread = threading.Thread(target=delivery.ack)  # from anywhere
        thread.start()
        await broker.has(PUBACK)
        thread.join()
        answer.cancel()
    await broker.has(PUBACK + DISCONNECT + b"\x00")
    assert broker.found.endswith(DISCONNECT + b"\x00")


async def test_what_is_put_in_one_round_of_the_loop_is_sent_together() -> None:
    async with connected() as (bus, broker):
        await asyncio.sleep(0.05)  # taken over
        sent: list[int] = []
        link = bus._link
        assert link is not None
        wire = link._wire
        assert wire is not None
        flush = wire.flush

        def counted(*, begun: bool = False) -> None:
            sent.append(len(wire._queue))
            flush(begun=begun)

        wire.flush = counted  # type: ignore[method-assign]
        answers = [bus.post("t", b"%03d" % k) for k in range(100)]
        assert not sent
        await broker.has(b"099")
        assert 100 in sent
        for answer in answers:
            answer.cancel()


async def test_a_network_that_takes_no_more_is_waited_for() -> None:
    async with connected() as (bus, broker):
        size = 8 << 20
        answer = bus.post("t", b"x" * size)
        await broker.has(b"x" * size)
        answer.cancel()


async def test_a_connection_that_ends_is_made_anew() -> None:
    async with connected() as (bus, broker):
        answer = bus.post("t", b"lost")
        await broker.has(b"lost")
        assert broker.writer is not None
        broker.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        async with asyncio.timeout(5):
            while bus.connections < 2:
                await asyncio.sleep(0.01)
        assert answer.exception() is not None
