"""A receiver of webhooks that answers as it is told, over plain HTTP or TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """What came, and what is answered: `script` first, then `status`. A negative status drops the connection."""

    port: int = 0
    status: int = 204
    script: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    """Ids of alarms that are answered with 422."""
    delay_s: float = 0.0
    n_at_once: int = 0
    most_at_once: int = 0

    @property
    def ids(self) -> list[str]:
        return [post.headers["webhook-id"] for post in self.posts]

    async def until(self, n: int, timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.posts) < n:
                await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                path, headers = line.split()[1].decode(), {}
                while (line := await reader.readline()).strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers["content-length"]))
                self.n_at_once += 1
                self.most_at_once = max(self.most_at_once, self.n_at_once)
                await asyncio.sleep(self.delay_s)
                self.n_at_once -= 1
                self.posts.append(Post(path, headers, body))
                status, more = self.script.pop(0) if self.script else (self.status, {})
                if json.loads(body)["data"].get("id") in self.refuse:
                    status = 422
                if status < 0:
                    return
                lines = [f"HTTP/1.1 {status} X", "content-length: 0", *(f"{k}: {v}" for k, v in more.items()), "", ""]
                writer.write("\r\n".join(lines).encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def receiving(port: int = 0, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[Receiver]:
    """Run a receiver on the loopback address."""
    receiver = Receiver(**more)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
