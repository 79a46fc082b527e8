"""Samples that have piled up are dealt with together: the same estimates, for less work."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.contracts import samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import SetState
from dyncal.domain.sensors import ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from services.calibrate import snapshots
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import AddSet, PairingsChanged, Proceed, RecordArrived
from services.calibrate.settings import CalibrateSection
from services.calibrate.tracker import Tracker
from services.calibrate.worker import Arrived

from .plant import EDGE, T0, EventDriven, Plant
from .test_worker import Flaky, insist, worker_on

S1 = SensorId("s1")


def fed(plant: Plant, together: int) -> tuple[CalibrateEngine, int]:
    """Return an engine that was given a stream `together` events at a time, and how often its estimator was called."""
    engine, calls = CalibrateEngine(CalibrateSection()), 0
    engine.handle(plant.paired())
    estimator: Any = engine.trackers[S1].estimator
    update = estimator.update

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return update(*arguments, **options)

    estimator.update = counted
    events = [event for _, event in plant.events()]
    for first in range(0, len(events), together):
        batch = events[first : first + together]
        for event in batch:
            engine.handle(dataclasses.replace(event, held=together > 1))
        while engine.holds:
            engine.handle(Proceed(batch[-1].now_ns))
    return engine, calls


def known(tracker: Tracker) -> tuple[bytes, bytes]:
    return tracker.estimator.snapshot(), tracker.monitor.snapshot()


PLANTS = [
    Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4)), (15, (1.0, 0.6))], 0.05, 1.5, 32.0, block=4),
    Plant(ModelKind.SECOND_ORDER, [(0, (1.0, 0.4, 4.0))], 0.01, 3.0, 12.0, block=20),
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.model)
@pytest.mark.parametrize("together", [7, 50])
def test_what_is_taken_in_one_go_gives_the_same_estimates_for_fewer_calls(plant: Plant, together: int) -> None:
    (alone, calls), (at_once, fewer) = fed(plant, 1), fed(plant, together)
    assert known(at_once.trackers[S1]) == known(alone.trackers[S1])
    estimate = alone.trackers[S1].estimator.estimate
    assert estimate is not None
    assert estimate.accepted
    samples_of_one = min(together, 2 * 64 / plant.block)
    assert fewer <= 2.5 * calls / samples_of_one + 1


def followed(plants: Sequence[Plant], together: int) -> dict[SensorId, tuple[bytes | None, list[str]]]:
    """Return what an engine that follows these plants knows of each in the end, and the sets that it made."""
    engine, sets = CalibrateEngine(CalibrateSection()), defaultdict(list)
    sensors = tuple(sensor for plant in plants for sensor in plant.sensors())
    engine.handle(PairingsChanged(sensors, tuple(plant.pairing for plant in plants), plants[0].at(0)))
    steps = list(zip(*(plant.events() for plant in plants), strict=True))
    for first in range(0, len(steps), together):
        events = [event for step in steps[first : first + together] for _, event in step]
        effects = [e for event in events for e in engine.handle(dataclasses.replace(event, held=True))]
        while engine.holds:
            effects += engine.handle(Proceed(events[-1].now_ns))
        for effect in effects:
            if isinstance(effect, AddSet):
                sets[effect.coefficients.sensor].append(repr(effect.coefficients.parameters.values))
    return {s: (snapshots.take(tracker), sets[s]) for s, tracker in engine.trackers.items()}


@pytest.mark.parametrize("together", [4, 24])  # all are held until the last has come; they are not, being too many
def test_sensors_that_are_stepped_together_are_known_as_each_is_alone(together: int) -> None:
    kinds: list[tuple[ModelKind, tuple[float, ...]]] = [
        (ModelKind.FIRST_ORDER, (1.0, 0.4)),
        (ModelKind.FIRST_ORDER, (0.9, 0.3)),
        (ModelKind.SECOND_ORDER, (1.0, 0.4, 8.0)),
    ]
    plants = [
        Plant(kind, [(0, theta)], 0.02, 1.5, 24.0, block=20, seed=k, name=f"s{k}")
        for k, (kind, theta) in enumerate(kinds, 1)
    ]
    at_once = followed(plants, together)
    assert any(sets for _, sets in at_once.values())
    for plant in plants:
        alone = followed([plant], together)
        assert at_once[plant.pairing.sensor] == alone[plant.pairing.sensor]


def test_a_sensor_without_a_grid_is_known_for_one_sooner_and_estimated_alike() -> None:
    plant = EventDriven(ModelKind.FIRST_ORDER, [(0, (1.0, 0.6))], 0.1, 0.5, 40.0)
    (alone, _), (at_once, _) = fed(plant, 1), fed(plant, 20)
    one, other = (engine.trackers[S1].estimator.estimate for engine in (alone, at_once))
    assert one is not None
    assert other is not None
    assert one.parameters is not None
    assert other.parameters is not None
    assert other.n_samples >= one.n_samples
    for found in (one.parameters, other.parameters):
        assert np.all(np.abs(found.values - [1.0, 0.6]) < 3 * found.u)


def test_samples_are_not_held_until_their_buffer_overflows() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 120.0, block=4)
    engine, calls = fed(plant, 10_000)  # 2400 samples at once, where 1024 are kept
    tracker = engine.trackers[S1]
    assert tracker.aligner.sensor.n_overflow == tracker.aligner.reference.n_overflow == 0
    assert calls >= 4
    estimate = tracker.estimator.estimate
    assert estimate is not None
    assert estimate.n_samples > 2000


def test_a_fault_of_one_sensor_is_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 10.0, block=4)
    second = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 10.0, block=4, name="s2")
    registry = open_registry(RegistrySettings(), tmp_path)
    registry.put_sensors(
        first.sensors() + second.sensors(), [first.pairing, second.pairing], Act("test", InstantNs(T0))
    )
    worker = worker_on(registry, tmp_path, SimulatedClock(first.at(10)))
    worker.process([None])

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault that nobody foresaw")

    monkeypatch.setattr(worker.engine.trackers[S1].aligner, "pull", broken)
    worker.process([arrived(event) for plant in (first, second) for _, event in plant.events()])
    assert worker.n_waiting == 0
    assert worker.engine.trackers[SensorId("s2")].aligner.last_ns == second.t_ns[-1]
    registry.close()


def arrived(event: RecordArrived) -> Arrived:
    topic = EdgeAddress(SiteId("plant"), EDGE).samples(event.record.sensor)
    return Arrived(topic, samples.encode(event.record))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    opened = open_registry(RegistrySettings(), tmp_path)
    yield opened
    opened.close()


def test_a_backlog_survives_a_registry_that_is_away_and_ends_with_the_sets_in_order(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4)), (15, (1.0, 0.6))], 0.05, 1.5, 30.0, block=4)
    registry.put_sensors(plant.sensors(), [plant.pairing], Act("test", InstantNs(T0)))
    clock = SimulatedClock(plant.at(30))
    worker = worker_on(Flaky(registry, 0.1), tmp_path, clock)
    events = [arrived(event) for _, event in plant.events()]
    messages = insist(worker, [None, *events[:150], worker.tick(), *events[150:]])
    assert worker.n_waiting == 0
    alone, _ = fed(plant, 1)
    assert known(worker.engine.trackers[S1]) == known(alone.trackers[S1])
    assert snapshots.take(worker.engine.trackers[S1]) is not None
    made = [record.envelope for record in registry.sets(S1) if record.state is SetState.PUBLISHED]
    desired = EdgeAddress(SiteId("plant"), EDGE).desired(S1)
    assert made
    assert [m.payload for m in messages if m.topic == desired] == list(reversed(made))
    assert registry.verify_audit() is None


def test_what_is_held_of_a_sensor_that_is_unpaired_meanwhile_is_forgotten() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 2.0, block=4)
    engine = CalibrateEngine(CalibrateSection())
    engine.handle(plant.paired())
    for _, event in plant.events():
        engine.handle(dataclasses.replace(event, held=True))
    engine.handle(PairingsChanged(plant.sensors(), (), plant.at(2)))
    assert engine.handle(Proceed(plant.at(2))) == []
    assert not engine.holds
