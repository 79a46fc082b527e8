"""A sensor and a reference that come apart in a way that no model has: a green light would be a lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.calibration import Verdict
from dyncal.domain.health import Cause, Watch
from dyncal.domain.sensors import ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.drift.monitor import DriftState
from dyncal.identification.records import BlockOutcome, Estimate
from services.calibrate import findings, snapshots
from services.calibrate.contradiction import Contradiction, whose
from services.calibrate.events import Event, Known, PairingsChanged, PutCondition, RecordArrived, Tick

from .conftest import Run
from .plant import Plant

AT_S = 60.0


def plant(
    *shifted: tuple[str, float], until_s: float = 100.0, theta: Sequence[tuple[float, tuple[float, ...]]] = ()
) -> Plant:
    made = Plant(ModelKind.FIRST_ORDER, theta or [(0.0, (1.0, 0.4))], 0.05, 1.5, until_s)
    for channel, zero in shifted:
        getattr(made, channel)[made.t_ns > made.at(AT_S)] += zero
    return made


@pytest.mark.parametrize("zero", [0.1, 1.0])
@pytest.mark.parametrize("channel", ["raw", "reference"])
def test_a_zero_that_moves_is_neither_in_control_nor_an_idle_process(channel: str, zero: float) -> None:
    run = Run(plant((channel, zero))).pair().go()
    last = run.health()[-1][1]
    assert last.watch is Watch.CANNOT_TELL
    assert last.reason.startswith("sensor and reference contradict each other: the ")
    assert "does not move" not in last.reason
    assert abs(last.since_ns - run.plant.at(AT_S)) < 5e9
    ((second, holds),) = run.conditions(AlarmKind.DRIFT)[:1]
    assert holds
    assert AT_S < second < AT_S + 30


def test_a_sensor_replaced_by_one_with_another_zero_is_told() -> None:
    exchanged = plant(("raw", 1.0), theta=[(0.0, (1.0, 0.4)), (AT_S, (0.96, 0.5))])
    run = Run(exchanged).pair().go()
    assert run.health()[-1][1].watch is Watch.CANNOT_TELL
    assert run.conditions(AlarmKind.DRIFT)[0][1]


def test_it_ends_with_the_first_block_that_agrees_again() -> None:
    made = plant(("raw", 0.1), until_s=300.0)
    made.raw[made.t_ns > made.at(AT_S + 40)] -= 0.1
    run = Run(made).pair().go()
    assert [holds for _, holds in run.conditions(AlarmKind.DRIFT)][:1] == [True]
    assert run.conditions(AlarmKind.DRIFT)[-1][1] is False
    assert run.health()[-1][1].watch is Watch.IN_CONTROL


def test_it_outlives_a_restart() -> None:
    run = Run(plant(("raw", 1.0))).pair().go()
    (tracker,) = run.engine.trackers.values()
    again = Run(run.plant)
    paired = run.plant.paired(100)
    known = {SensorId("s1"): Known(snapshot=snapshots.take(tracker))}
    again.tell(100, PairingsChanged(paired.sensors, paired.pairings, paired.now_ns, known))
    again.tell(101, Tick(run.plant.at(101)))
    assert again.health()[-1][1].watch is Watch.CANNOT_TELL
    assert [holds for _, holds in again.conditions(AlarmKind.DRIFT)] == [], "it holds already"


def test_what_was_never_in_agreement_is_told_and_no_alarm() -> None:
    made = plant()
    made.raw += 0.3
    run = Run(made).pair().go()
    assert run.conditions(AlarmKind.DRIFT) == []
    assert run.health()[-1][1].watch is Watch.CANNOT_TELL


@pytest.mark.parametrize("zero", [0.1, 1.0])
def test_what_comes_apart_while_its_monitor_learns_is_told(zero: float) -> None:
    """It was never told: blocks in doubt say nothing to the monitor, which learnt for ever."""
    made = Plant(ModelKind.FIRST_ORDER, [(0.0, (1.0, 0.4))], 0.05, 1.5, 60.0)
    made.raw[made.t_ns > made.at(12.0)] += zero
    run = Run(made).pair().go()
    (tracker,) = run.engine.trackers.values()
    assert tracker.monitor.stands(made.at(60.0))[0] is DriftState.LEARNING
    second, holds = run.conditions(AlarmKind.DRIFT)[0]
    assert holds
    assert second < 12 + 30
    assert run.conditions(AlarmKind.DRIFT)[-1][1]


def test_after_an_upgrade_that_forgot_everything_a_set_in_force_is_agreement_enough() -> None:
    (_, desired, _) = Run(plant(until_s=20.0)).pair().go().published()[-1]
    made = plant()
    made.raw += 0.3
    run, paired = Run(made), made.paired()
    known = {SensorId("s1"): Known(desired=desired, last_sequence=desired.sequence)}
    run.tell(0.0, PairingsChanged(paired.sensors, paired.pairings, paired.now_ns, known))
    run.go()
    (tracker,) = run.engine.trackers.values()
    assert tracker.monitor.informed_ns is None
    assert run.conditions(AlarmKind.DRIFT)[-1][1]


@pytest.mark.parametrize("at_s", [12.0, AT_S])
def test_a_sensor_in_doubt_that_leaves_its_tolerance_has_an_alarm(at_s: float) -> None:
    """A gain of its own in doubt is judged against no tolerance; the doubt is an alarm all the while."""
    made = Plant(ModelKind.FIRST_ORDER, [(0.0, (1.0, 0.4)), (at_s + 20, (1.3, 0.4))], 0.05, 1.5, 110.0)
    made.raw[made.t_ns > made.at(at_s)] += 0.1
    run = Run(made).pair().go()
    told = run.conditions(AlarmKind.DRIFT)
    assert at_s < told[0][0] < at_s + 30
    assert all(holds for _, holds in told)


def two(first: Plant, second: Plant) -> Run:
    """Follow two sensors of one reference."""
    second.reference[:] = first.reference
    run = Run(first)
    pairing = first.pairing
    other = second.pairing.__class__(SensorId("s2"), pairing.reference, pairing.model)
    sensors = (*first.sensors(), second.sensors()[0])
    run.tell(0.0, PairingsChanged(sensors, (pairing, other), first.at(0)))

    def with_second(at_s: float, event: RecordArrived) -> Iterator[Event]:
        yield event
        a = round(at_s / second.dt_s) - second.block
        if event.record.sensor == "s1":
            yield second.block_of(second.raw, "s2", a, a + second.block)

    return run.go(change=with_second)


def last_of(run: Run, sensor: str) -> Condition:
    return [
        e.condition
        for _, e in run.effects
        if isinstance(e, PutCondition) and e.condition.kind is AlarmKind.DRIFT and e.condition.source == sensor
    ][-1]


def neighbour(zero: float = 0.0) -> Plant:
    made = Plant(ModelKind.FIRST_ORDER, [(0.0, (1.0, 0.6))], 0.05, 1.5, 100.0, name="s2")
    made.raw[made.t_ns > made.at(AT_S)] += zero
    return made


def test_a_neighbour_that_still_agrees_with_the_reference_says_that_it_is_the_sensor() -> None:
    found = last_of(two(plant(("raw", 0.3)), neighbour()), "s1")
    assert "other sensors still agree with the reference s1-ref: it is this one" in found.cause
    assert "zero" in found.response


def test_a_neighbour_that_drifts_along_does_not_agree() -> None:
    """A reference whose gain drifts was told to be in order by every sensor whose own gain seemed to drift with it."""
    drifts = Plant(ModelKind.FIRST_ORDER, [(0.0, (1.0, 0.6)), (AT_S - 2, (1.1, 0.6))], 0.05, 1.5, 100.0, name="s2")
    run = two(plant(("raw", 0.3)), drifts)
    assert (last_of(run, "s2").parameter, last_of(run, "s2").holds) == ("gain", True)
    assert "it is this one" not in last_of(run, "s1").cause


def test_where_none_agrees_with_the_reference_it_is_that() -> None:
    run = two(plant(("reference", 0.3)), neighbour())
    for sensor in ("s1", "s2"):
        found = last_of(run, sensor)
        assert "no other sensor agrees with the reference s1-ref either" in found.cause
        assert found.response.startswith("Compare zero and time stamps of the reference s1-ref;")


def test_a_drift_that_none_can_place_is_the_references_where_no_sensor_agrees_with_it_any_more() -> None:
    slow = plant()
    late = lfilter([0.4], [1.0, -0.6], slow.reference)  # some 0.08 s
    changed = slow.t_ns > slow.at(AT_S)
    slow.reference[changed] = late[changed]
    run = two(slow, neighbour())
    for sensor in ("s1", "s2"):
        assert "no other sensor agrees with the reference s1-ref either" in last_of(run, sensor).cause


def test_a_drift_is_told_with_what_came_after_it_once() -> None:
    drift = Condition(SiteId("plant"), "s1", AlarmKind.DRIFT, holds=True, at_ns=InstantNs(1), cause="a; b")
    once = findings.parted(drift, Cause.REFERENCE, SensorId("r"))
    assert once.cause.startswith("a; b; since then they contradict each other, and no other sensor agrees with")
    assert findings.parted(once, Cause.REFERENCE, SensorId("r")) == once
    assert findings.parted(drift, Cause.SENSOR_OR_REFERENCE, SensorId("r")) == drift


def outcome(at: int, *, excited: bool = False, rejected: bool = False) -> BlockOutcome:
    none = np.zeros(2)
    square = np.eye(2)
    return BlockOutcome(at - 1, at, 48, excited, False, rejected, none, square, none, square, 0.0)


def says(verdict: Verdict, detail: str = "why") -> Estimate:
    return Estimate(verdict, None, (), 0.0, 1.0, 0.5, 0, InstantNs(0), InstantNs(0), "m", detail)


def test_an_estimate_is_not_worked_out_for_a_block_that_agrees() -> None:
    def asked() -> Estimate:
        raise AssertionError("it costs a third of what a block costs")

    found = Contradiction()
    found.block(outcome(1, excited=True), asked)
    assert found.stands_ns is None


def test_idle_blocks_are_no_contradiction_and_one_that_agrees_ends_it() -> None:
    found = Contradiction()

    def after(*blocks: tuple[BlockOutcome, Estimate]) -> tuple[int | None, str]:
        for block, estimate in blocks:
            found.block(block, iter([estimate]).__next__)
        return found.stands_ns, found.words

    idle = says(Verdict.NOT_EXCITED)
    assert after(*((outcome(at), idle) for at in range(1, 20))) == (None, "")
    assert after(*((outcome(at, rejected=True), idle) for at in range(20, 23))) == (None, "")
    assert after((outcome(23), says(Verdict.INCONSISTENT, "a"))) == (23, "a")
    assert after((outcome(24), says(Verdict.INCONSISTENT, "b"))) == (23, "a")
    assert after(*((outcome(at), says(Verdict.INCONSISTENT, "c")) for at in range(25, 28))) == (23, "c")
    assert after((outcome(28, excited=True), says(Verdict.INCONSISTENT))) == (None, "")


@pytest.mark.parametrize(
    ("others", "cause"),
    [
        ([], Cause.SENSOR_OR_REFERENCE),
        ([(5, None), (None, None)], Cause.SENSOR_OR_REFERENCE),
        ([(12, None), (5, 11)], Cause.SENSOR),
        ([(9, 14), (8, 9)], Cause.REFERENCE),
    ],
)
def test_whose_fault_it_is(others: list[tuple[int | None, int | None]], cause: Cause) -> None:
    assert whose(10, others) is cause
