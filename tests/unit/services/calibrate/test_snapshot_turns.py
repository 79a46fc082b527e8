"""Snapshots are written one after the other: not those of a thousand sensors at once, each a commit."""

from __future__ import annotations

import dataclasses
from collections import Counter

from dyncal.domain.sensors import ModelKind
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import PairingsChanged, SaveSnapshot, Stopping, Tick
from services.calibrate.settings import CalibrateSection

from .plant import Plant

PLANTS = [Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 3.0, block=20, name=f"s{k}") for k in range(6)]


def following() -> CalibrateEngine:
    engine = CalibrateEngine(CalibrateSection(snapshot_s=3.0))
    sensors = tuple(sensor for plant in PLANTS for sensor in plant.sensors())
    engine.handle(PairingsChanged(sensors, tuple(plant.pairing for plant in PLANTS), PLANTS[0].at(0)))
    for plant in PLANTS:
        for _, event in plant.events():
            engine.handle(dataclasses.replace(event, now_ns=plant.at(3)))
    return engine


def saved(engine: CalibrateEngine, second: float) -> list[str]:
    for tracker in engine.trackers.values():
        tracker.changed = True
    effects = engine.handle(Tick(PLANTS[0].at(second)))
    return [effect.key for effect in effects if isinstance(effect, SaveSnapshot)]


def test_each_is_saved_once_in_an_interval_and_only_a_few_at_a_time() -> None:
    engine = following()
    turns = [saved(engine, second) for second in range(3, 13)]
    assert [len(keys) for keys in turns] == [0, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert Counter(key for keys in turns[1:] for key in keys) == {f"calibrate/s{k}": 3 for k in range(6)}


def test_after_a_long_silence_each_is_saved_once_and_a_clock_set_back_does_no_harm() -> None:
    engine = following()
    saved(engine, 3)
    assert len(saved(engine, 1000)) == 6
    assert saved(engine, 500) == []
    assert len(saved(engine, 501)) == 2


def test_an_engine_without_sensors_saves_nothing() -> None:
    engine = CalibrateEngine(CalibrateSection())
    assert [engine.handle(Tick(PLANTS[0].at(second))) for second in (0, 100)] == [[], []]


def test_at_the_end_all_that_changed_are_saved() -> None:
    engine = following()
    saved(engine, 3)
    kept = engine.handle(Stopping(PLANTS[0].at(4)))
    assert len([effect for effect in kept if isinstance(effect, SaveSnapshot)]) == 6
