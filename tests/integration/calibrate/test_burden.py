"""What calibration cannot deal with yet is no burden to the broker, and does not cost the connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dyncal.adapters.mqtt import open_bus
from dyncal.contracts import samples
from dyncal.domain.samples import SampleBlock
from dyncal.ports.message_bus import MessageBus
from services.calibrate.keeping import Message
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSettings
from services.calibrate.worker import Arrived, Job, Worker
from tests.servers_mosquitto import Mosquitto

from .conftest import ADDRESS, Stage, make_plant, until

N_BLOCKS = 12_000  # more than one connection holds, and than a broker has under way
BATCH = 256  # blocks that were taken for the worker and wait for it
PASSED_OVER = "dyncal_calibrate_samples_passed_over_total"


@pytest.mark.mosquitto
@pytest.mark.parametrize("stuck_in", ["work", "start"])
async def test_a_flood_that_finds_calibration_busy_is_passed_over_and_not_left_in_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mosquitto: Mosquitto, stuck_in: str
) -> None:
    """A worker that is busy for long, with a fit, or with what was missed before it began."""
    go_on = threading.Event()
    given = _hold_up(monkeypatch, go_on, after=0 if stuck_in == "start" else 3)
    stage = Stage.set_up(tmp_path / "var", make_plant(20))
    settings = CalibrateSettings.model_validate(
        {"data_dir": tmp_path / "var", "broker": {"port": mosquitto.port}, "calibrate": {"queue_size": 2000}}
    )
    record = next(iter(stage.plant.events(0, 1)))[1].record
    assert isinstance(record, SampleBlock)
    bus = open_bus(settings.broker, "calibrate")
    service = CalibrateService(settings, stage.clock, lambda: bus)
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    try:
        async with open_bus(settings.broker, "edge", clean=True) as edge:
            await asyncio.gather(edge.wait_connected(), bus.wait_connected())
            await until(lambda: len(bus._filters) > 0, "it listens")
            await _flood(edge, record)

        def in_the_broker() -> int:
            passed = (service.metrics.registry.get_sample_value(PASSED_OVER) or 0) / len(record.raw)
            return N_BLOCKS - round(passed) - len(service._queue) - sum(given) - BATCH

        await until(lambda: in_the_broker() <= 0, "all of it was taken from the broker")
        assert service.metrics.registry.get_sample_value(PASSED_OVER)
        assert (bus.connections, bus.dropped) == (1, 0)
        go_on.set()
        await until(lambda: len(service._queue) == 0, "it deals with what was kept")
        assert (bus.connections, bus.dropped) == (1, 0)
    finally:
        go_on.set()
        stop.set()
        async with asyncio.timeout(20):
            await running


async def _flood(edge: MessageBus, record: SampleBlock) -> None:
    payload = samples.encode(record)
    for _ in range(N_BLOCKS // 500):
        await asyncio.gather(*(edge.publish(ADDRESS.samples(record.sensor), payload) for _ in range(500)))


def _hold_up(monkeypatch: pytest.MonkeyPatch, go_on: threading.Event, *, after: int) -> list[int]:
    """Have the worker stand still from its call number `after` on; return how many messages each call was given."""
    process = Worker.process
    given: list[int] = []

    def slow(worker: Worker, jobs: Iterable[Job], *arguments: Any, **options: Any) -> list[Message]:
        batch = list(jobs)
        given.append(sum(isinstance(job, Arrived) for job in batch))
        if len(given) > after:
            go_on.wait(100)
        return process(worker, batch, *arguments, **options)

    monkeypatch.setattr(Worker, "process", slow)
    return given
