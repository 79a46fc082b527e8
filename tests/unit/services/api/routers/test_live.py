from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.services.api.conftest import Api


async def test_a_client_that_is_gone_before_the_first_byte_leaves_nothing_behind(api: Api) -> None:
    headers = [(b"host", b"127.0.0.1")]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/stream",
        "raw_path": b"/v1/stream",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        if "http.response.start" not in sent:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        await asyncio.sleep(1)  # its buffers are full

    async with asyncio.timeout(5):
        await api.app(scope, receive, send)
    assert sent == ["http.response.start"]
    assert api.deps.hub.n_clients == 0
