"""The shell of a program: run until told to stop, drain, leave with the right status."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from typing import Final, Protocol

from dyncal.domain.errors import DyncalError
from dyncal.runtime.logging import logger

DRAIN_S: Final = 4.5


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service does its work: `ready`, and for each thing it depends on what is wrong ('' when nothing is)."""

    ready: bool
    parts: dict[str, str] = field(default_factory=dict)


class Service(Protocol):
    """A long-running program."""

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain and return. Peers that are absent are waited for, not fatal.

        Raises
        ------
        DyncalError
            If it can never work as configured.
        """
        ...

    def health(self) -> Health:
        """Tell how it stands; called from the event loop, must not block."""
        ...


async def supervise(service: Service, stop: asyncio.Event, *, drain_s: float = DRAIN_S) -> int:
    """Run `service` until `stop`, allow `drain_s` seconds to drain, and return the exit status: 0 clean, 1 not."""
    log = logger(service.name)
    task = asyncio.create_task(service.run(stop), name=service.name)
    waiter = asyncio.create_task(stop.wait(), name=f"{service.name}-stop")
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            log.info("draining")
            await asyncio.wait({task}, timeout=drain_s)
        if not task.done():
            log.error("drain_timeout", after_s=drain_s)
            return 1
        errors = _expected(task)
        for error in errors:
            log.error("service_failed", error=str(error), kind=type(error).__name__)
        if not errors:
            log.info("stopped")
        return 1 if errors else 0
    finally:
        for leftover in (task, waiter):
            leftover.cancel()
        await asyncio.gather(task, waiter, return_exceptions=True)


def _expected(task: asyncio.Task[None]) -> list[DyncalError]:
    """Return the errors that ended a finished task; anything but a `DyncalError` is a fault of ours and is raised."""
    error = task.exception()
    if error is None:
        return []
    if isinstance(error, BaseExceptionGroup):
        expected, rest = error.split(DyncalError)
        if rest is not None:
            raise rest
        return _leaves(expected)
    if isinstance(error, DyncalError):
        return [error]
    raise error


def _leaves(group: BaseExceptionGroup[DyncalError] | None) -> list[DyncalError]:
    leaves: list[DyncalError] = []
    for error in group.exceptions if group is not None else ():
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves


def run_service(service: Service) -> int:
    """Run `service` in an event loop of its own until SIGTERM or SIGINT; return the exit status."""

    async def main() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        return await supervise(service, stop)

    return asyncio.run(main())
