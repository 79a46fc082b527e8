"""What has changed, and when a tolerance is left, as the service says it of sensors that share a reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.health import Cause, SensorHealth, Watch
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.drift.following import Blocks
from dyncal.identification import AlignedRecord
from dyncal.identification.records import BlockOutcome
from dyncal.identification.series import BlockSeries
from services.calibrate import snapshots
from services.calibrate.causes import Causes
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import Known, PairingsChanged, PutCondition, PutHealth, Tick
from services.calibrate.settings import CalibrateSection

from .plant import Plant

TAUS = {"s1": 0.4, "s2": 0.3, "s3": 0.55}
CHANGE_S, END_S = 60.0, 130.0


def plants(*, of_sensor: float = 1.0, of_reference: float = 1.0) -> list[Plant]:
    """Three sensors on one measurand, with noise of their own; the reference is that of the first."""
    made = []
    for k, (name, tau) in enumerate(TAUS.items()):
        theta = [(0.0, (1.0, tau)), (CHANGE_S, (1.0, tau * (of_sensor if name == "s1" else 1.0)))]
        plant = Plant(ModelKind.FIRST_ORDER, theta, 0.05, 1.5, END_S, name=name)
        plant.raw += plant.noise * np.random.default_rng(k).standard_normal(plant.raw.size)
        plant.pairing = dataclasses.replace(plant.pairing, reference=SensorId("s1-ref"))
        made.append(plant)
    made[0].reference[made[0].t_ns > made[0].at(CHANGE_S)] *= of_reference
    return made


class Fleet:
    """An engine with several sensors, and what was said of each last."""

    def __init__(self, made: list[Plant]) -> None:
        self.made, self.said = made, dict[str, SensorHealth]()
        self.told: list[Condition] = []
        self.engine = CalibrateEngine(CalibrateSection(health_s=1.0))
        sensors = (*made[0].sensors(), *(plant.sensors()[0] for plant in made[1:]))
        self.paired = PairingsChanged(sensors, tuple(plant.pairing for plant in made), made[0].at(0))

    def go(self) -> Fleet:
        self.engine.handle(self.paired)
        tick = 0.0
        for events in zip(*(plant.events() for plant in self.made), strict=True):
            second = events[0][0]
            for k, (_, event) in enumerate(events):
                if k == 0 or not event.record.sensor.endswith("-ref"):
                    self.engine.handle(event)
            if second >= tick:
                for effect in self.engine.handle(Tick(self.made[0].at(second))):
                    if isinstance(effect, PutHealth) and effect.health is not None:
                        self.said[effect.sensor] = effect.health
                    elif isinstance(effect, PutCondition) and not effect.again:
                        self.told.append(effect.condition)
                tick = second + 1
        return self


def test_a_sensor_that_changed_is_told_from_its_reference() -> None:
    fleet = Fleet(plants(of_sensor=1.15)).go()
    said = fleet.said
    explained = [condition for condition in fleet.told if condition.kind is AlarmKind.DRIFT and condition.holds][-1]
    assert explained.source == "s1"
    assert explained.cause.startswith("Most likely the sensor itself has changed; response time changed")
    assert said["s1"].watch is Watch.DRIFT
    assert said["s1"].attribution is not None
    assert said["s1"].attribution.cause is Cause.SENSOR
    for name in ("s2", "s3"):
        assert said[name].watch is Watch.IN_CONTROL
        assert said[name].attribution is None


def test_a_reference_that_changed_is_named_by_all_its_sensors() -> None:
    said = Fleet(plants(of_reference=0.94)).go().said
    for name in TAUS:
        told = said[name].attribution
        assert told is not None, name
        assert told.cause is Cause.REFERENCE


def test_what_is_to_come_is_said_of_a_sensor_at_rest_too() -> None:
    fleet = Fleet(plants()).go()
    for name in TAUS:
        outlook = fleet.said[name].outlook
        assert [part.parameter for part in outlook] == ["gain", "tau_s"]
        assert all(part.late_ns is None for part in outlook)
    tracker = fleet.engine.trackers[SensorId("s1")]
    again = CalibrateEngine(CalibrateSection())
    content = snapshots.take(tracker)
    again.handle(dataclasses.replace(fleet.paired, known={SensorId("s1"): Known(snapshot=content)}))
    resumed = again.trackers[SensorId("s1")].causes.ledger
    assert np.array_equal(resumed.vectors, tracker.causes.ledger.vectors)


def test_samples_are_kept_for_one_block_only() -> None:
    causes = Causes(("gain", "tau_s"))
    for k in range(50):
        t = np.arange(1000, dtype=np.int64) + 1000 * k
        causes.samples(AlignedRecord(t, np.zeros(1000), np.zeros(1000)))
    assert sum(map(len, causes._samples)) <= 20_000


@pytest.mark.parametrize("drifts", [True, False])
def test_before_there_is_a_block_there_is_no_answer(drifts: bool) -> None:
    causes = Causes(("gain", "tau_s"))
    assert causes.pair() is None
    assert causes.wants_asking(drifts=drifts, alone=True) is drifts
    assert causes.ask((), None) == ""
    assert causes.attribution is None
    assert not causes.wants_foretelling(10**18)


def outcome(from_ns: int, to_ns: int) -> BlockOutcome:
    information = np.diag([1e4, 1e4])
    theta, score = np.array([1.0, 0.4]), np.zeros(2)
    cov = np.linalg.inv(information)
    return BlockOutcome(from_ns, to_ns, 100, True, False, False, theta, cov, score, information, 0.1)


@pytest.mark.parametrize("back", [False, True])
def test_blocks_together_are_kept_as_one_by_one(back: bool) -> None:
    """Also where a clock was put back: then records overlap."""
    rng = np.random.default_rng(1)
    starts = (0, 1000, 500 if back else 2000)
    records = [AlignedRecord(np.arange(k, k + 1000), *rng.normal(size=(2, 1000))) for k in starts]
    outcomes = [outcome(100, 899), outcome(900, 1450), outcome(1451, 1480)]
    one, other = Causes(("gain", "tau_s")), Causes(("gain", "tau_s"))
    for record in records:
        one.samples(record)
        other.samples(record)
    for each in outcomes:
        one.block(each)
    other.blocks(BlockSeries.of(outcomes), Blocks.of(outcomes))
    assert one.ledger.snapshot() == other.ledger.snapshot()
    assert len(one.ledger) == 3
    assert np.isfinite(one.ledger.features).all()
    assert one.wants_foretelling(0) == other.wants_foretelling(0)
