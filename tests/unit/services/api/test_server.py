"""The parser in front of the application: what it takes, and where it ends a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request

from services.api.server import MAX_HEAD_BYTES, HttpServer, bind
from services.api.settings import ApiSection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    """Yield a connection to a server that says how long the body of a request was."""
    app = FastAPI()

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    listener = bind(ApiSection(port=0))
    server = HttpServer(app)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    yield reader, writer
    writer.close()
    server.stop()
    await serving
    listener.close()


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
