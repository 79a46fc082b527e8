"""Requests that no client library would send, to a service that lets nobody in unasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.api.plant import Plant, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What is sent, with KEY for a key that opens everything, and the status that it gets.
RAW = {
    "a key": ("GET /v1/keys HTTP/1.1", ["Authorization: Bearer KEY"], 200),
    "a key and something else": (
        "GET /v1/keys HTTP/1.1",
        ["Authorization: Bearer KEY", "Authorization: Bearer x"],
        401,
    ),
    "a space before the colon": ("GET /v1/keys HTTP/1.1", ["Authorization : Bearer KEY"], 400),
    "a header like it": ("GET /v1/keys HTTP/1.1", ["X-Authorization: Bearer KEY", "X_Authorization: Bearer KEY"], 401),
    "the address in full": ("GET http://127.0.0.1/v1/keys HTTP/1.1", [], 401),
    "out of the files": ("GET /assets/../v1/keys HTTP/1.1", [], 404),
    "out of the files, hidden": ("GET /assets/..%2fv1%2fkeys HTTP/1.1", [], 404),
    "the path in hexadecimal": ("GET /%76%31/keys HTTP/1.1", [], 401),
    "out of what is public": ("GET /healthz/../v1/keys HTTP/1.1", [], 401),
    "a fragment": ("GET /v1/keys#/healthz HTTP/1.1", [], 401),
    "two slashes": ("GET //v1/keys HTTP/1.1", [], 401),
    "another address in a header": (
        "GET /v1/keys HTTP/1.1",
        ["X-Original-URL: /healthz", "X-Rewrite-URL: /healthz"],
        401,
    ),
    "somebody in a header": ("GET /v1/keys HTTP/1.1", ["X-Forwarded-User: admin", "X-Remote-User: admin"], 401),
    "two lengths": ("POST /v1/session HTTP/1.1", ["Content-Length: 4", "Transfer-Encoding: chunked"], 400),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant that lets nobody in unasked."""
    async with running(2, access={"mode": "closed"}, history_s=2) as made:
        yield made


@pytest.mark.parametrize("what", RAW)
async def test_it_gets_what_it_deserves(plant: Plant, what: str) -> None:
    line, headers, expected = RAW[what]
    lines = [line, "Host: 127.0.0.1", *headers, "Connection: close", "", ""]
    sent = "\r\n".join(lines).replace("KEY", plant.first_key)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(plant.service.address.rsplit(":", 1)[1]))
    writer.write(sent.encode())
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 %d " % expected), answer[:300]
    if expected != 200:
        assert b"created_by" not in answer
