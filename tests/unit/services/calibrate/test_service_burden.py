"""Samples that wait are passed over when there is no room; what comes from a spool, time and gaps stay."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Final

from dyncal.contracts import samples
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import ModelKind
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.bus import FakeBroker
from services.calibrate.events import PassedOver, Tick
from services.calibrate.lanes import Lane, Waiting
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSection, CalibrateSettings
from services.calibrate.worker import Arrived

from .plant import EDGE, Plant
from .test_service_timers import NOW

TOPIC = f"dyncal/v1/plant/{EDGE}/samples/s1"


def block() -> SampleBlock:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 2.0, block=4)
    record = next(iter(plant.events(0, 1)))[1].record
    assert isinstance(record, SampleBlock)
    return record


BLOCK: Final = block()


class Acknowledged:
    """A delivery that knows whether it was acknowledged."""

    topic, payload, retained = TOPIC, b"", False

    def __init__(self) -> None:
        self.done = False

    def ack(self) -> None:
        """Be acknowledged."""
        self.done = True


def service(tmp_path: Path, queue_size: int) -> CalibrateService:
    settings = CalibrateSettings(data_dir=tmp_path, calibrate=CalibrateSection(queue_size=queue_size))
    return CalibrateService(settings, SimulatedClock(NOW), lambda: FakeBroker().bus("calibrate"))


def waiting(block: SampleBlock) -> Waiting:
    return Waiting(Arrived(TOPIC, samples.encode(block)), Acknowledged())


async def test_one_that_finds_no_room_passes_over_those_that_wait_but_not_what_comes_from_a_spool(
    tmp_path: Path,
) -> None:
    calibrate = service(tmp_path, 4)
    live, spooled = waiting(BLOCK), waiting(dataclasses.replace(BLOCK, replayed=True))
    for item in (live, spooled, Waiting(Tick(NOW)), live):
        await calibrate._queue.put(item, Lane.BULK)
    newest = waiting(BLOCK)
    async with asyncio.timeout(1):
        await calibrate._take_samples(newest)
    assert calibrate._queue.empty() == [spooled, Waiting(Tick(NOW)), Waiting(PassedOver(NOW)), newest]
    counted = calibrate.metrics.registry.get_sample_value("dyncal_calibrate_samples_passed_over_total")
    assert counted == 2 * len(BLOCK.raw)
    assert [isinstance(each.delivery, Acknowledged) and each.delivery.done for each in (live, spooled)] == [True, False]


async def test_of_many_that_wait_the_broker_keeps_a_few(tmp_path: Path) -> None:
    calibrate = service(tmp_path, 2000)
    made = [waiting(BLOCK) for _ in range(1500)]
    for item in made:
        await calibrate._take_samples(item)
    open_ = [isinstance(item.delivery, Acknowledged) and not item.delivery.done for item in made]
    assert open_ == [True] * 500 + [False] * 1000
    assert len(calibrate._queue) == 1500
