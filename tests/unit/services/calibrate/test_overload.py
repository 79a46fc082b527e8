"""More samples than can be dealt with: some are passed over, no alarm comes of it, and calibration goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.contracts import samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SimulatedClock
from services.calibrate.overload import Overload
from services.calibrate.worker import Arrived, Job, Worker

from .plant import EDGE, T0, Plant
from .test_worker import insist, plant, registry, worker_on

__all__ = ["plant", "registry"]


def test_a_burst_is_dealt_with_and_what_lasts_is_passed_over() -> None:
    overload = Overload(10.0)
    assert not any(overload.look(float(s), 0.1 * s, full=True) for s in range(11))
    assert not overload.look(11.0, 1.0, full=False)  # a burst that was dealt with
    assert not overload.look(12.0, 1.0, full=True)
    assert overload.look(22.5, 5.0, full=True)


def test_it_ends_when_nothing_waits_in_the_broker_either_whatever_the_clocks_say() -> None:
    overload = Overload(10.0)
    offset_s = -3600.0  # the edge's clock is ahead
    overload.look(0.0, offset_s + 0.0, full=True)
    assert overload.look(20.0, offset_s + 10.0, full=True)
    assert overload.look(21.0, offset_s + 8.0, full=False), "the lag falls: the broker has more"
    assert overload.look(21.1, offset_s + 7.9, full=False), "too soon to tell"
    assert overload.look(22.0, offset_s + 0.5, full=True)
    assert not overload.look(23.0, offset_s + 0.4, full=False)
    assert not overload.look(24.0, offset_s + 0.4, full=True), "and begins to count anew"


def _jobs(plant: Plant, clock: SimulatedClock, begin_s: float, end_s: float) -> list[Job]:
    chosen = [event for second, event in plant.events() if begin_s <= second < end_s]
    clock.instant = plant.at(end_s)
    address = EdgeAddress(SiteId("plant"), EDGE)
    return [Arrived(address.samples(event.record.sensor), samples.encode(event.record)) for event in chosen]


def _worker(registry: SqlRegistry, tmp_path: Path) -> tuple[Worker, SimulatedClock]:
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    insist(worker, [None])
    return worker, clock


def test_what_is_passed_over_is_counted_and_no_reference_is_said_to_be_lost(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    worker, clock = _worker(registry, tmp_path)
    worker.process([*_jobs(plant, clock, 0.0, 5.0), worker.tick()])
    worker.process([*_jobs(plant, clock, 5.0, 16.0), worker.tick()], passing=True)
    assert worker._metrics.passed_over._value.get() > 100
    # what comes first after that: the sensor alone, then time
    jobs = _jobs(plant, clock, 16.0, 16.5)
    messages = worker.process([jobs[0], worker.tick()])
    assert not any("reference_lost" in message.topic for message in messages)
    messages = worker.process([*jobs[1:], *_jobs(plant, clock, 16.5, 20.0), worker.tick()])
    assert not any("reference_lost" in message.topic for message in messages)


def test_what_an_edge_kept_is_not_passed_over(registry: SqlRegistry, tmp_path: Path, plant: Plant) -> None:
    worker, clock = _worker(registry, tmp_path)
    events = [event for second, event in plant.events() if second < 3.0]
    clock.instant = plant.at(3.0)
    address = EdgeAddress(SiteId("plant"), EDGE)
    kept = [dataclasses.replace(event.record, replayed=True) for event in events]
    worker.process([Arrived(address.samples(r.sensor), samples.encode(r)) for r in kept], passing=True)
    assert worker._metrics.passed_over._value.get() == 0
