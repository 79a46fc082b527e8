"""What is said of a sensor: never that all is well where nothing is known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from dyncal.domain.health import Conformance, SensorHealth, Watch
from dyncal.domain.sensors import ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.testing.registry import make_sensor
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import Connected, Known, PairingsChanged, PutHealth, Tick
from services.calibrate.health import HealthDesk, number
from services.calibrate.settings import CalibrateSection

from .conftest import Run
from .plant import Plant

SECOND = 1_000_000_000


def thermocouple(duration_s: float) -> Plant:
    return Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, duration_s)


def test_a_sensor_at_work_learns_and_is_then_in_control() -> None:
    run = Run(thermocouple(60.0)).pair().go()
    said = run.health()
    watches = [health.watch for _, health in said]
    assert watches[0] is Watch.CANNOT_TELL
    assert watches[-1] is Watch.IN_CONTROL
    last = said[-1][1]
    assert last.informed_ns is not None
    assert last.since_ns <= last.informed_ns <= last.at_ns
    assert last.holds_until_ns - last.at_ns == 180 * SECOND
    assert {part.parameter: part.verdict for part in last.conformity} == dict.fromkeys(
        ("gain", "tau_s"), Conformance.CONFORMS
    )


def test_without_excitation_it_cannot_be_told_since_the_last_informative_block() -> None:
    plant = thermocouple(900.0)
    still = plant.t_ns > plant.at(60)
    level, noise = float(plant.truth[~still][-1]), np.random.default_rng(3).normal(size=(2, plant.t_ns.size))
    plant.raw[still] = level + 0.01 * noise[0][still]
    plant.reference[still] = level + 0.002 * noise[1][still]
    run = Run(plant).pair().go()
    last = run.health()[-1][1]
    assert last.watch is Watch.CANNOT_TELL
    assert "does not move" in last.reason
    assert plant.at(50) < last.since_ns < plant.at(75)
    assert last.informed_ns == last.since_ns


def test_after_how_long_without_news_it_cannot_be_told_is_for_the_plant_to_say() -> None:
    for seconds_idle, watch in ((30.0, Watch.CANNOT_TELL), (7200.0, Watch.IN_CONTROL)):
        engine = CalibrateEngine(CalibrateSection(idle_after_s=seconds_idle))
        run = Run(thermocouple(60.0), engine).pair().go()
        run.tell(700, Tick(run.plant.at(700 if seconds_idle > 60 else 95)))
        assert run.health()[-1][1].watch is watch


def test_without_pairs_it_cannot_be_told_even_where_no_block_ever_comes_again() -> None:
    run = Run(thermocouple(60.0)).pair().go()
    informed = run.engine.trackers[SensorId("s1")].monitor.informed_ns
    for second in range(60, 700, 10):
        run.tell(second, Tick(run.plant.at(second)))
    last = run.health()[-1][1]
    assert (last.watch, last.since_ns, last.informed_ns) == (Watch.CANNOT_TELL, informed, informed)
    assert last.reason == "no pairs of sensor and reference arrive"


def test_before_the_first_block_nothing_is_known() -> None:
    run = Run(thermocouple(10.0)).pair()
    run.tell(1, Tick(run.plant.at(1)))
    ((_, said),) = run.health()
    assert (said.watch, said.since_ns, said.informed_ns) == (Watch.CANNOT_TELL, run.plant.at(0), None)


def test_it_outlives_a_restart() -> None:
    from services.calibrate import snapshots

    run = Run(thermocouple(60.0)).pair().go()
    (tracker,) = run.engine.trackers.values()
    before = tracker.health(run.plant.at(61))
    content = snapshots.take(tracker)
    again = Run(run.plant)
    paired = run.plant.paired(60)
    again.tell(
        60, PairingsChanged(paired.sensors, paired.pairings, paired.now_ns, {SensorId("s1"): Known(snapshot=content)})
    )
    (resumed,) = again.engine.trackers.values()
    after = resumed.health(run.plant.at(61))
    assert (after.watch, after.informed_ns) == (before.watch, before.informed_ns)


def test_a_drift_is_told_with_its_parameter_and_size() -> None:
    steps: list[tuple[float, tuple[float, ...]]] = [(0.0, (1.0, 0.4)), (60.0, (1.0, 0.48))]
    run = Run(Plant(ModelKind.FIRST_ORDER, steps, 0.05, 1.5, 120.0)).pair().go()
    drifting = [health for _, health in run.health() if health.watch is Watch.DRIFT]
    assert drifting
    assert drifting[-1].parameter == "tau_s"
    assert drifting[-1].change == pytest.approx(0.2, abs=0.03)
    assert abs(drifting[-1].since_ns - run.plant.at(60)) < 5 * SECOND


def test_it_is_said_again_to_a_broker_that_comes_back_and_taken_away_with_the_pairing() -> None:
    run = Run(thermocouple(30.0)).pair().go()
    n = len(run.health())
    run.tell(30, Tick(run.plant.at(29.5)))
    assert len(run.health()) == n
    run.tell(30, Connected(run.plant.at(30)))
    run.tell(30, Tick(run.plant.at(30)))
    assert len(run.health()) == n + 1
    gone = run.tell(31, PairingsChanged(run.plant.sensors(), (), run.plant.at(31)))
    assert PutHealth(SiteId("plant"), SensorId("s1"), None) in gone


def test_it_is_said_at_once_where_it_changes_and_else_at_intervals() -> None:
    desk = HealthDesk(make_sensor(), 60 * SECOND)

    def told(second: int, watch: Watch) -> Iterator[SensorHealth]:
        at = InstantNs(second * SECOND)
        for effect in desk.tell(SensorHealth(SensorId("tc-1"), at, at, watch, InstantNs(0))):
            assert effect.health is not None
            yield effect.health

    said = [
        health
        for second in range(200)
        for health in told(second, Watch.CANNOT_TELL if 70 <= second < 75 else Watch.IN_CONTROL)
    ]
    assert [health.at_ns // SECOND for health in said] == [0, 60, 70, 75, 135, 195]
    assert all(b.at_ns <= a.holds_until_ns for a, b in pairwise(said))
    assert list(told(100, Watch.IN_CONTROL)), "a clock that was put back must not silence it"


def test_numbers_that_are_none_do_not_go_out() -> None:
    assert (number(1.5), number(float("nan")), number(float("inf"))) == (1.5, None, None)
