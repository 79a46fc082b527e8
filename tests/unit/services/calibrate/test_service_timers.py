"""Time passes behind the samples that have come: the service must not find a silence while data wait for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.bus import FakeBroker
from services.calibrate.events import Event, Tick
from services.calibrate.lanes import Lane, Waiting
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSection, CalibrateSettings
from services.calibrate.worker import Arrived, Orders

SAMPLES = Waiting(Arrived("dyncal/v1/plant/edge1/samples/s1", b""))
NOW = InstantNs(1_700_000_000 * NS_PER_S)


class Ticking:
    """As much of a worker as timers need."""

    def tick(self) -> Event:
        return Tick(NOW)


async def waiting(tmp_path: Path, queue_size: int) -> list[Waiting]:
    """Return in their order what waits once the timers have run, where samples had come before."""
    settings = CalibrateSettings(data_dir=tmp_path, calibrate=CalibrateSection(queue_size=queue_size, poll_s=0.02))
    service = CalibrateService(settings, SimulatedClock(NOW), lambda: FakeBroker().bus("calibrate"))
    await service._queue.put(SAMPLES, Lane.BULK)
    worker: Any = Ticking()
    timers = asyncio.create_task(service._timers(worker))
    await asyncio.sleep(0.1)
    timers.cancel()
    return service._queue.empty()


async def test_a_tick_comes_behind_the_samples_that_came_before_it(tmp_path: Path) -> None:
    assert await waiting(tmp_path, 8) == [Waiting(None), Waiting(Orders()), SAMPLES, Waiting(Tick(NOW))]


async def test_samples_that_fill_their_lane_do_not_hold_up_the_look_for_pairings(tmp_path: Path) -> None:
    assert await waiting(tmp_path, 1) == [Waiting(None), SAMPLES]
