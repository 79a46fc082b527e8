"""A server, or a line, that sends nonsense."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np

from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_outages import edge
from tests.unit.edge_agent.helpers import Content

Change = Callable[[bytes], bytes]


class Line:
    """Passes bytes on, those of the server changed."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.change: Change | None = None
        self.n_connections = 0
        self._target = target

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.n_connections += 1
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, back, changed=False))
                    group.create_task(self._pass_on(there, writer, changed=True))
            finally:
                writer.transport.abort()
                back.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        yield self
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, changed: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                to.write(self.change(data) if changed and self.change is not None else data)
                await to.drain()
        to.transport.abort()


def flipping(seed: int, share: float) -> Change:
    rng = np.random.default_rng(seed)

    def change(data: bytes) -> bytes:
        content = np.frombuffer(data, np.uint8).copy()
        hit = rng.random(content.size) < share
        hit[:8] = False  # the frame is whole: what is in it is not
        content[hit] ^= rng.integers(1, 256, int(hit.sum()), dtype=np.uint8)
        return content.tobytes()

    return change


async def test_an_agent_outlives_whatever_is_on_the_line(tmp_path: Path) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    broker = FakeBroker()
    async with (
        Line(port).open() as line,
        running(settings_of(tmp_path, edge(line.port, timeout_s=0.5)), broker) as agent,
    ):
        url = f"opc.tcp://127.0.0.1:{line.port}"
        await until(lambda: not agent.health().parts.get(url, "not yet"), 40)
        for seed, share in enumerate((0.003, 0.02, 0.3)):
            line.change = flipping(seed, share)
            n = line.n_connections
            for k in range(400):
                await plant.write("A", float(k), now_ns())
                await asyncio.sleep(0.01)
                if line.n_connections > n + 3:
                    break
        line.change = None
        await until(lambda: not agent.health().parts[url], 40)
        last = now_ns() // 1000 * 1000
        await plant.write("A", 4711.0, last)
        await until(lambda: Content.of(sent(broker)).raw.get(last) == (4711.0, 0), 40)
    await plant.stop()
