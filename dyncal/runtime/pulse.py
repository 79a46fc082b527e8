"""Whether the event loop of this process turns, and how late it is."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Histogram

BEAT_S: Final = 0.5

LAG: Final = Histogram(
    "dyncal_event_loop_lag_seconds",
    "How late the event loop came back to a task that had slept",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
    registry=None,
)
"""Of the process: services in one process share the loop."""


async def beat() -> None:
    """Measure until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
        LAG.observe(max(0.0, loop.time() - due_s))
