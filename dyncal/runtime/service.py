"""The shell of a program: run until told to stop, drain, leave with the right status."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, Protocol

from dyncal.domain.errors import DyncalError, InvalidSetting
from dyncal.runtime.health import Health
from dyncal.runtime.logging import logger
from dyncal.runtime.pulse import beat
from dyncal.runtime.systemd import Supervisor

__all__ = ["Health", "Service", "run_service", "supervise"]

EXIT_FAILED: Final = 1
EXIT_MISCONFIGURED: Final = 2

DRAIN_S: Final = 4.2
LIMIT_S: Final = 4.8
"""Longest from the signal to the end of the process, whatever a service does; 5 s are promised."""
_CANCEL_S: Final = 0.4
_STARTED_S: Final = 10.0  # what is there by then is there for good, as a rule
_SAME_SIGNAL_S: Final = 0.1  # `timeout`, terminals and supervisors signal a process and its group: one wish, twice


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


async def supervise(
    service: Service, stop: asyncio.Event, *, drain_s: float = DRAIN_S, origin: str = "settings"
) -> int:
    """Run `service` until `stop`, allow `drain_s` seconds to drain, and return the exit status.

    0 means clean, 1 failed, 2 that a setting cannot be used; that is said with `origin`, the file of the settings.
    """
    log = logger(service.name)
    task = asyncio.create_task(service.run(stop), name=service.name)
    waiter = asyncio.create_task(stop.wait(), name=f"{service.name}-stop")
    supervisor = Supervisor()
    pulse = asyncio.create_task(beat(service.health, supervisor, log), name=f"{service.name}-pulse")
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        supervisor.stopping()
        if not task.done():
            log.info("draining")
            await asyncio.wait({task}, timeout=drain_s)
        if not task.done():
            log.error("drain_timeout", after_s=drain_s)
            return EXIT_FAILED
        errors = _expected(task)
        for error in errors:
            said = f"{origin}: {error}" if isinstance(error, InvalidSetting) else str(error)
            log.error("service_failed", error=said, kind=type(error).__name__)
        if not errors:
            log.info("stopped")
            return 0
        return EXIT_MISCONFIGURED if any(isinstance(error, InvalidSetting) for error in errors) else EXIT_FAILED
    finally:
        for leftover in (task, waiter, pulse):
            leftover.cancel()
        # one that swallows the cancellation is left
        _, stuck = await asyncio.wait({task, waiter, pulse}, timeout=_CANCEL_S)
        for done in {task, waiter, pulse} - stuck:
            if not done.cancelled():
                done.exception()
        supervisor.close()


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


def run_service(
    service: Service,
    *,
    limit_s: float = LIMIT_S,
    origin: str = "settings",
    reload: Callable[[], object] | None = None,
) -> int:
    """Run `service` in an event loop of its own until SIGTERM or SIGINT; return the exit status, as `supervise` does.

    At SIGHUP `reload` is called; of a program that a terminal started it is the terminal's end, and the program's.

    Ends the process with status 1 if the service, or a thread of it, is not out `limit_s` seconds after the signal, and
    at once at a second signal that is not the first one over again.
    """

    async def main() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        first_s = float("inf")

        def on_signal() -> None:
            nonlocal first_s
            if stop.is_set():
                if loop.time() - first_s > _SAME_SIGNAL_S:
                    _leave_at_once(service.name, "second signal")
                return
            first_s = loop.time()
            stop.set()
            guard = threading.Timer(limit_s, _leave_at_once, (service.name, f"not out {limit_s:g} s after the signal"))
            guard.daemon = True
            guard.start()

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, on_signal)
        if reload is not None:  # it reads a few small files
            loop.add_signal_handler(signal.SIGHUP, on_signal if os.isatty(0) else reload)
        loop.call_later(_STARTED_S, gc.freeze)  # without a look at it, which may take half a second
        return await supervise(service, stop, origin=origin)

    # The garbage collector is to look no more at what is there: with 200 sensors each look stops a program for 50 ms.
    gc.collect()
    gc.freeze()
    return asyncio.run(main())


def _leave_at_once(name: str, why: str) -> None:
    logger(name).error("killed_itself", why=why)
    sys.stderr.flush()
    os._exit(EXIT_FAILED)
