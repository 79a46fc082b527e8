from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.contracts import samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import ModelKind, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from services.calibrate.service import CalibrateService
from tests.unit.services.calibrate.plant import EDGE, T0, Plant

ADDRESS = EdgeAddress(SiteId("plant"), EDGE)
WAIT_S = 40.0


def make_plant(duration_s: float = 60.0) -> Plant:
    return Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, duration_s, block=4)


@dataclass(slots=True)
class Stage:
    """A directory with a registry that knows the plant's sensors, a clock, and what the plant publishes."""

    directory: Path
    plant: Plant
    clock: SimulatedClock

    @classmethod
    def set_up(cls, directory: Path, plant: Plant) -> Stage:
        stage = cls(directory, plant, SimulatedClock(InstantNs(T0)))
        with stage.registry() as registry:
            registry.put_sensors(plant.sensors(), [plant.pairing], Act("test", InstantNs(T0)))
        return stage

    def registry(self) -> contextlib.closing[SqlRegistry]:
        return closing(open_registry(RegistrySettings(), self.directory))

    async def feed(self, publish: Callable[[str, bytes], object], from_s: float, to_s: float) -> None:
        """Publish what sensor and reference say, and let the clock follow."""
        for second, event in self.plant.events(from_s, to_s):
            self.clock.instant = max(self.clock.instant, self.plant.at(second))
            result = publish(ADDRESS.samples(event.record.sensor), samples.encode(event.record))
            if asyncio.iscoroutine(result):
                await result
            await asyncio.sleep(0)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, a bounded time, for a condition."""
    for _ in range(round(WAIT_S / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {WAIT_S:g} s: {what}")


@contextlib.asynccontextmanager
async def running(service: CalibrateService) -> AsyncIterator[CalibrateService]:
    """Run a service, ready at the beginning, drained at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        await until(lambda: task.done() or service.health().ready, f"ready: {service.health()}")
        if task.done():
            await task
        yield service
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task
