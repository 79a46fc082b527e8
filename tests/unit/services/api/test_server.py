"""The parser in front of the application: what it takes, and where it ends a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fastapi import FastAPI, Request

from services.api import server
from services.api.server import MAX_HEAD_BYTES, HttpServer, bind
from services.api.settings import ApiSection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def make() -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
    """Yield what connects to a server that says how long the body of a request was."""
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.5)
        return "at last"

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    listener = bind(ApiSection(port=0))
    http = HttpServer(app)
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    while not http.started:
        await asyncio.sleep(0.01)
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
    http.stop()
    await serving
    listener.close()


@pytest.fixture
async def streams(make: Callable[[], Awaitable[Streams]]) -> Streams:
    """Return a connection to that server."""
    return await make()


async def pour(streams: Streams, begin: bytes, more: bytes, n: int) -> bytes:
    """Write `begin`, then `more` up to `n` times; return the first line of the answer, b"" where it was cut off."""
    reader, writer = streams
    writer.write(begin)
    with contextlib.suppress(ConnectionError):
        for _ in range(n):
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.readline(), 10)
    return b""


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"POST / HTTP/1.1\r\nhost: h\r\nx: ", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nhost: h\r\n", b"x: a\r\n" * 100),
        (b"POST /", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1;", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"x: a\r\n" * 100),
    ],
)
async def test_a_head_without_end_is_ended(streams: Streams, begin: bytes, more: bytes) -> None:
    answer = await pour(streams, begin, more, 20 * MAX_HEAD_BYTES // len(more))
    assert not answer or answer.startswith(b"HTTP/1.1 400"), answer


@pytest.mark.parametrize("chunked", [False, True])
async def test_long_bodies_and_many_requests_on_one_connection_are_taken(streams: Streams, chunked: bool) -> None:
    reader, writer = streams
    for _ in range(5):
        if chunked:
            body = b"".join(b"a\r\n" + b"b" * 10 + b"\r\n" for _ in range(20_000)) + b"0\r\n\r\n"
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + body)
        else:
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 200000\r\n\r\n" + b"b" * 200_000)
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(6) == b"200000"


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"POST / HTTP/1.1\r\nhost: h\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n1",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n1POST / HTTP/1.1\r\n",
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(
    begin: bytes, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Awaitable[Streams]]
) -> None:
    """Two thousand connections that say nothing, or next to nothing, kept everybody else out."""
    monkeypatch.setattr(server, "LATE_S", 0.2)
    monkeypatch.setattr(server, "LEAST_BYTES_HZ", 1e6)
    reader, writer = await make()
    writer.write(begin)
    drip = asyncio.create_task(dripping(writer)) if begin else None
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    if drip is not None:
        drip.cancel()


async def dripping(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.02)


async def test_a_long_request_may_take_its_time_and_an_answer_too(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Awaitable[Streams]]
) -> None:
    monkeypatch.setattr(server, "LATE_S", 0.15)
    monkeypatch.setattr(server, "LEAST_BYTES_HZ", 1000.0)
    reader, writer = await make()
    writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4000\r\n\r\n")
    for _ in range(8):
        writer.write(b"b" * 500)
        await asyncio.sleep(0.05)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(4) == b"4000"
    writer.write(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200")
