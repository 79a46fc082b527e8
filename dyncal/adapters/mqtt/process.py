"""The embedded broker in a process of its own.

Beside fitting threads a broker would wait for the interpreter's lock at every one of its many small sends, and messages
would take seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final, Self

from dyncal.domain.errors import BusUnavailable

READY_S: Final = 20.0
STOP_S: Final = 3.0


class BrokerProcess:
    """An MQTT 3.1.1 broker on `host`:`port`; enter it (``async with``) to start it and to wait until it listens.

    It ends with the context, and by itself when this process is gone. See `EmbeddedBroker` for what it can do.

    Raises
    ------
    BusUnavailable
        On entering, if it cannot listen there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 1883) -> None:
        self.host = host
        self.port = port
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dyncal.adapters.mqtt.broker", "--host", self.host, "--port", str(self.port)),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is for us, who stop it last
        )
        try:
            await self._until_ready(process)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int:
        """Its process id while it runs, else 0."""
        return 0 if self._process is None else self._process.pid

    async def ended(self) -> None:
        """Return when it ends by itself."""
        if self._process is not None:
            await self._process.wait()

    async def _until_ready(self, process: Process) -> None:
        words = ""
        try:
            async with asyncio.timeout(READY_S):
                if process.stdout is not None:
                    words = (await process.stdout.readline()).decode(errors="replace").strip()
        except TimeoutError as error:
            raise BusUnavailable(f"the broker on {self.host}:{self.port} is not ready after {READY_S:g} s") from error
        if words != "ready":
            raise BusUnavailable(words or f"the broker on {self.host}:{self.port} did not start")

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
