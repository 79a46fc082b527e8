"""Whether the event loop of a program turns, how late it is, and how the program stands: measured, logged, told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import Histogram

from dyncal.runtime.health import Health
from dyncal.runtime.logging import Logger
from dyncal.runtime.systemd import Supervisor

BEAT_S: Final = 0.5

LAG: Final = Histogram(
    "dyncal_event_loop_lag_seconds",
    "How late the event loop came back to a task that had slept",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
    registry=None,
)
"""Of the process: services in one process share the loop."""


async def beat(health: Callable[[], Health], supervisor: Supervisor, log: Logger) -> None:
    """Measure until cancelled; at each beat tell the supervisor, and the log where readiness has changed."""
    loop = asyncio.get_running_loop()
    supervisor.started()
    ready: bool | None = None
    said = ""
    while True:
        due_s = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
        LAG.observe(max(0.0, loop.time() - due_s))
        supervisor.alive()
        found = health()
        text = described(found)
        if text != said:
            said = text
            supervisor.status(text)
        if found.ready is not ready and (found.ready or ready is not None):  # a program that starts is not ready yet
            (log.info if found.ready else log.warning)("readiness", ready=found.ready, reasons=_reasons(found))
        ready = found.ready


def described(health: Health) -> str:
    """Return in one line how a program stands."""
    faults = "; ".join(f"{part}: {fault}" for part, fault in _reasons(health).items())
    return ("ready" if health.ready else "not ready") + (f" ({faults})" if faults else "")


def _reasons(health: Health) -> dict[str, str]:
    return {part: fault for part, fault in health.parts.items() if fault}
