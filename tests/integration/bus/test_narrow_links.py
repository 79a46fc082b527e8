"""A link that is slow is not a link that is dead."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from dyncal.adapters.mqtt import PahoMessageBus
from dyncal.adapters.mqtt.client import LinkOptions
from dyncal.adapters.mqtt.connector import Backoff
from dyncal.domain.errors import BusUnavailable

PAYLOAD = bytes(3_000_000)
TOPIC = "t"
TIMEOUT_S = 0.4
CONNACK, PUBACK = b"\x20\x02\x00\x00", b"\x40\x02\x80\x00"


@contextlib.asynccontextmanager
async def slow_broker(stalls_after: int = 1 << 40) -> AsyncIterator[int]:
    """Serve one client after the other: 64 KiB every 20 ms, answered when all of a publish is there; or only so much.

    Yields the port.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        listening.setblocking(False)
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            while True:
                client, _ = await loop.sock_accept(listening)
                with client, contextlib.suppress(ConnectionError):
                    await loop.sock_recv(client, 4096)
                    await loop.sock_sendall(client, CONNACK)
                    n = 0
                    while n < min(len(PAYLOAD), stalls_after) and (data := await loop.sock_recv(client, 1 << 16)):
                        n += len(data)
                        await asyncio.sleep(0.02)
                    if n >= len(PAYLOAD):
                        await loop.sock_sendall(client, PUBACK)
                    await asyncio.sleep(3600)

        task = asyncio.create_task(serve())
        try:
            yield listening.getsockname()[1]
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def bus(port: int) -> PahoMessageBus:
    options = LinkOptions("127.0.0.1", port, "a", clean=True, keepalive_s=60, protocol="3.1.1")
    return PahoMessageBus(options, backoff=Backoff(first_s=5.0), answer_timeout_s=TIMEOUT_S)


async def test_a_publish_may_take_longer_than_the_time_out_while_it_gets_on() -> None:
    async with asyncio.timeout(20), slow_broker() as port, bus(port) as slow:
        await slow.wait_connected()
        began = asyncio.get_running_loop().time()
        await slow.publish(TOPIC, PAYLOAD)
        assert asyncio.get_running_loop().time() - began > 1.5 * TIMEOUT_S, "this was no slow link"
        assert slow.connections == 1


@pytest.mark.parametrize("stalls_after", [0, 500_000])
async def test_one_that_does_not_get_on_is_given_up(stalls_after: int) -> None:
    async with asyncio.timeout(20), slow_broker(stalls_after) as port, bus(port) as slow:
        await slow.wait_connected()
        with pytest.raises(BusUnavailable, match="no answer to a publish"):
            await slow.publish(TOPIC, PAYLOAD)


async def test_a_broker_that_has_it_and_does_not_answer_is_given_up_however_much_follows() -> None:
    async with asyncio.timeout(20), slow_broker() as port, bus(port) as slow:
        await slow.wait_connected()
        first = slow.post(TOPIC, b"x")
        while not first.done():
            slow.post(TOPIC, b"more").add_done_callback(lambda done: done.exception())
            await asyncio.sleep(0.02)
        assert isinstance(first.exception(), BusUnavailable)
