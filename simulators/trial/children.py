"""Child processes: started, watched, stopped in order, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from dyncal.domain.errors import DyncalError

STOP_S: Final = 8.0


class ChildDied(DyncalError):
    """A process that had to live has ended."""


class Children:
    """The processes of a trial, as an async context manager that stops those that still live, the last started first.

    Each is in a session of its own, so that Ctrl-C at the terminal reaches only the parent, which stops them in order.
    """

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}
        self._stopping: set[str] = set()
        self.died = asyncio.Event()
        self.obituary = ""
        self._watchers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin without children."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all."""
        for name in reversed(list(self._processes)):
            await self.stop(name)
        await asyncio.gather(*self._watchers)

    async def start(self, name: str, arguments: Sequence[str], *, pipe: bool = False) -> Process:
        """Start ``python arguments``; its standard output is a pipe or goes to standard error."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            stdout=PIPE if pipe else sys.stderr.fileno(),
            env=_environment(),
            start_new_session=True,
        )
        self._processes[name] = process
        self._watchers.append(asyncio.create_task(self._watch(name, process), name=f"watch-{name}"))
        return process

    async def stop(self, name: str) -> int:
        """Ask a child to stop with SIGTERM, kill it if it does not, and return its exit status."""
        process = self._processes[name]
        self._stopping.add(name)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                _log("child_killed", child=name, after_s=STOP_S)
                process.kill()
                await process.wait()
        return process.returncode if process.returncode is not None else -1

    def check(self) -> None:
        """Raise `ChildDied` if one has ended by itself."""
        if self.died.is_set():
            raise ChildDied(self.obituary)

    async def _watch(self, name: str, process: Process) -> None:
        status = await process.wait()
        if name not in self._stopping:
            self.obituary = f"{name} ended by itself with status {status}"
            _log("child_died", child=name, status=status)
            self.died.set()


def _log(event: str, **fields: object) -> None:
    from dyncal.runtime.logging import logger  # noqa: PLC0415 - children start before this is imported

    logger("trial").error(event, **fields)


def _environment() -> dict[str, str]:
    """Return the environment without settings of other plants, and with one thread for each BLAS: cores are few."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("DYNCAL_")}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
