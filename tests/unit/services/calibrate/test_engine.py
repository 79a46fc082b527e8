"""The engine, end to end, on simulated streams."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from dyncal.contracts.topics import EdgeAddress
from dyncal.correction.forms import correct_at
from dyncal.correction.safety import check
from dyncal.correction.streaming.record import correct
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother, Outcome, Report, SetState
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, SensorId, SiteId
from services.calibrate import snapshots
from services.calibrate.events import (
    Connected,
    Event,
    Known,
    MoveSet,
    PairingsChanged,
    PutCondition,
    PutHolding,
    RecordArrived,
    SaveSnapshot,
    SendDesired,
    SetReported,
    Stopping,
    Tick,
)

from .conftest import Run
from .plant import EventDriven, Plant

ADDRESS = EdgeAddress(SiteId("plant"), EdgeId("edge1"))


def accelerometer(duration_s: float = 4.0) -> Plant:
    return Plant(ModelKind.SECOND_ORDER, [(0, (1.0, 0.05, 600.0))], 1 / 4000, 300.0, duration_s, block=400)


def rtd(duration_s: float = 40.0, seed: int = 1) -> Plant:
    return Plant(ModelKind.LEAD_LAG, [(0, (1.0, 3.0, 0.6, 0.3))], 0.1, 0.3, duration_s, noise=0.005, seed=seed)


def thermocouple(duration_s: float = 60.0, seed: int = 1) -> Plant:
    return Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, duration_s, block=2, seed=seed)


def sampling_line(duration_s: float = 60.0, seed: int = 1) -> Plant:
    theta = (1.0, 0.4, 0.23)
    return Plant(ModelKind.FIRST_ORDER, [(0, theta)], 0.05, 1.5, duration_s, block=2, seed=seed, dead_time=True)


def third_order(duration_s: float = 60.0, seed: int = 1) -> Plant:
    """Return a lag of 0.4 s behind a well damped resonance at 1 Hz."""
    theta = (1.0, 0.590986, 0.101722, 0.010132)
    return Plant(ModelKind.RATIONAL, [(0, theta)], 0.05, 1.5, duration_s, block=2, seed=seed, n_poles=3)


def improvement(plant: Plant, made: CoefficientSet, from_s: float) -> float:
    """Return rms error corrected over raw, against the simulated truth, of what comes after `from_s`."""
    value, _ = correct(made.filter, made.parameters, plant.raw)
    later = (plant.t_ns > plant.at(from_s)) & np.isfinite(value)
    return float(np.std((value - plant.truth)[later]) / np.std((plant.raw - plant.truth)[later]))


@pytest.mark.parametrize(
    ("plant", "within_s"),
    [
        (accelerometer(), 3.0),
        (rtd(), 30.0),
        (thermocouple(30.0), 15.0),
        (sampling_line(), 30.0),
        (third_order(), 30.0),
    ],
    ids=["accelerometer", "rtd", "thermocouple", "sampling line with dead time", "third order"],
)
def test_a_first_set_comes_soon_and_makes_the_sensor_at_least_five_times_better(plant: Plant, within_s: float) -> None:
    run = Run(plant).pair().go()
    second, made, why = run.published()[0]
    assert second <= within_s
    assert why.startswith("first set")
    assert (made.sequence, made.parent, made.sensor) == (1, None, "s1")
    assert made.provenance.window_to_ns <= plant.at(second)
    check(made, dt_ns=plant.dt_ns)
    assert improvement(plant, made, second) < 0.2
    calibration = next(c.calibration for c in run.calibrations() if c.calibration.id == made.provenance.calibration_id)
    assert calibration.conformity is not None
    assert calibration.conformity.passed
    assert calibration.conformity.as_left.rms < 0.2 * calibration.conformity.as_found.rms
    assert made.residual_limit > calibration.conformity.as_left.rms
    truth = np.array(plant.theta[0][1])
    assert np.all(np.abs(made.parameters.values - truth) < 6 * made.parameters.u + 0.02 * truth)


def test_a_sensor_that_keeps_to_no_grid_is_corrected_by_a_smoother() -> None:
    plant = EventDriven(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 0.75, 45.0)
    run = Run(plant).pair().go()
    second, made, _ = run.published()[0]
    assert second <= 30
    assert isinstance(made.correction, CorrectionSmoother)
    check(made, dt_ns=plant.dt_ns)
    value, u = correct_at(made.correction, made.parameters, plant.t_ns, plant.raw)
    later = (plant.t_ns > plant.at(second)) & np.isfinite(value)
    assert np.count_nonzero(later) > 0.95 * np.count_nonzero(plant.t_ns > plant.at(second))
    error = (value - plant.truth)[later]
    assert np.std(error) < 0.1 * np.std((plant.raw - plant.truth)[later])
    assert 0.9 < np.mean(np.abs(error) < 2 * u[later]) <= 1
    assert run.notes().count("interval_mismatch") == 0


def test_the_candidate_is_judged_on_data_that_its_fit_did_not_use() -> None:
    run = Run(thermocouple(30.0)).pair().go()
    for second, made, _ in run.published():
        calibration = next(
            c.calibration for c in run.calibrations() if c.calibration.id == made.provenance.calibration_id
        )
        assert calibration.conformity is not None
        span_s = calibration.conformity.as_left.n * run.plant.dt_s
        assert made.provenance.window_to_ns <= run.plant.at(second - span_s)


def test_a_healthy_sensor_raises_nothing_and_is_left_alone() -> None:
    run = Run(thermocouple(240.0, seed=5)).pair().go()
    assert run.conditions(AlarmKind.DRIFT) == []
    assert run.conditions(AlarmKind.OUT_OF_TOLERANCE) == []
    assert run.conditions(AlarmKind.REFERENCE_LOST) == []
    assert 1 <= len(run.published()) <= 6


def test_growing_tau_raises_drift_and_tolerance_alarms_and_the_correction_follows() -> None:
    steps: list[tuple[float, tuple[float, ...]]] = [(0.0, (1.0, 0.4))]
    steps += [(60.0 + 2 * k, (1.0, 0.4 * (1 + 0.01 * (k + 1)))) for k in range(30)]
    plant = Plant(ModelKind.FIRST_ORDER, steps, 0.05, 1.5, 180.0, block=2)
    run = Run(plant).pair().go()
    drift, out = run.conditions(AlarmKind.DRIFT), run.conditions(AlarmKind.OUT_OF_TOLERANCE)
    assert [holds for _, holds in drift] == [True, True], "found, and then what has changed"
    assert 60 < drift[0][0] <= drift[1][0] < 120
    assert [holds for _, holds in out] == [True]
    assert 60 < out[0][0] < 125
    raised = next(
        e.condition for _, e in run.effects if isinstance(e, PutCondition) and e.condition.kind is AlarmKind.DRIFT
    )
    assert raised.parameter == "tau_s"
    assert raised.value is not None
    assert raised.value > 0
    assert "response time" in raised.cause
    assert raised.response
    last = run.published()[-1][1]
    assert last.parameters.as_dict()["tau_s"] == pytest.approx(0.52, rel=0.05)
    sequences = [made.sequence for _, made, _ in run.published()]
    assert sequences == sorted(set(sequences))
    assert last.sequence > 1


def test_the_reference_lost_and_back() -> None:
    def without(second: float, event: RecordArrived) -> Iterator[Event]:
        if not (20 < second < 40 and event.record.sensor == "s1-ref"):
            yield event

    run = Run(thermocouple(60.0)).pair().go(change=without)
    (lost, back) = run.conditions(AlarmKind.REFERENCE_LOST)
    assert lost[1]
    assert 25 < lost[0] < 30
    assert not back[1]
    assert 40 <= back[0] < 43  # when the patience with what may still come is at its end
    assert run.conditions(AlarmKind.DRIFT) == []
    alarm = next(e.condition for _, e in run.effects if isinstance(e, PutCondition))
    assert alarm.edge == "edge1"
    assert "none came" in alarm.cause
    assert "s1-ref" in alarm.cause


def test_when_both_are_silent_nothing_is_said_of_the_reference() -> None:
    run = Run(thermocouple(20.0)).pair().go()
    for second in range(20, 60):
        run.tell(second, Tick(run.plant.at(second)))
    assert run.conditions(AlarmKind.REFERENCE_LOST) == []


def test_the_same_events_give_the_same_effects_to_the_last_bit() -> None:
    plant = thermocouple(40.0)
    first, second = Run(plant).pair().go(), Run(plant).pair().go()
    assert first.digest() == second.digest()
    assert len(first.published()) >= 1


def test_reports_move_sets_and_a_reverted_one_raises_an_alarm() -> None:
    run = Run(thermocouple(30.0)).pair().go()
    second, made, _ = run.published()[-1]

    def report(outcome: Outcome, set_id: str = made.id, address: EdgeAddress = ADDRESS) -> list[object]:
        said = Report(SensorId("s1"), set_id, made.sequence, outcome, run.plant.at(30), "residual")
        return list(run.tell(30, SetReported(address, said, run.plant.at(30))))

    (moved,) = report(Outcome.APPLIED)
    assert isinstance(moved, MoveSet)
    assert (moved.set_id, moved.state, moved.act.actor) == (made.id, SetState.ACTIVE, "edge:edge1")
    foreign = report(Outcome.REVERTED, address=EdgeAddress(SiteId("plant"), EdgeId("other")))
    assert not any(isinstance(e, MoveSet) for e in foreign)
    report(Outcome.REVERTED, set_id="of-long-ago")
    assert run.conditions(AlarmKind.CORRECTION_REVERTED) == []
    moved, raised = report(Outcome.REVERTED)
    assert isinstance(moved, MoveSet)
    assert moved.state is SetState.REVERTED
    assert isinstance(raised, PutCondition)
    assert "residual" in raised.condition.cause
    assert len(report(Outcome.REVERTED)) == 1  # said again, it changes nothing
    assert second < 30


def test_the_set_that_an_edge_went_back_to_is_in_force_again() -> None:
    run = Run(thermocouple(30.0)).pair().go()
    _, made, _ = run.published()[-1]
    at = run.plant.at(30)
    said = Report(SensorId("s1"), made.id, made.sequence, Outcome.REVERTED, at, "residual", running="s1.of-before")
    moved = [e for e in run.tell(30, SetReported(ADDRESS, said, at)) if isinstance(e, MoveSet)]
    assert [(e.set_id, e.state) for e in moved] == [
        (made.id, SetState.REVERTED),
        ("s1.of-before", SetState.ACTIVE),
    ]


def test_a_connection_makes_the_desired_set_and_all_that_holds_known_again() -> None:
    run = Run(thermocouple(30.0)).pair().go()
    at = run.plant.at(30)
    assert run.tell(30, Connected(at)) == [SendDesired(ADDRESS, SensorId("s1")), PutHolding((), at)]


def without_reference(second: float, event: RecordArrived) -> Iterator[Event]:
    if not (5 < second and event.record.sensor == "s1-ref"):
        yield event


def test_what_holds_is_said_again_and_outlives_a_restart() -> None:
    run = Run(thermocouple(40.0)).pair().go(0, 20, change=without_reference)
    (begun,) = (e.condition for _, e in run.effects if isinstance(e, PutCondition))
    at = run.plant.at(20)
    said = [PutCondition(begun, again=True), PutHolding(("s1:reference_lost",), at)]
    assert run.tell(20, Connected(at))[-2:] == said
    saved = [e for e in run.tell(20, Stopping(at)) if isinstance(e, SaveSnapshot)]
    again = Run(run.plant)
    known = {SensorId("s1"): Known(snapshot=saved[0].content)}
    again.pair(dataclasses.replace(run.plant.paired(), known=known))
    assert again.tell(20, Connected(at))[-2:] == said


def test_a_sensor_that_is_not_followed_any_more_has_no_conditions() -> None:
    run = Run(thermocouple(40.0)).pair().go(0, 20, change=without_reference)
    at = run.plant.at(20)
    effects = run.tell(20, dataclasses.replace(run.plant.paired(), pairings=(), now_ns=at))
    assert [(e.condition.id, e.condition.holds) for e in effects if isinstance(e, PutCondition)] == [
        ("s1:reference_lost", False)
    ]
    assert run.tell(20, Connected(at)) == [PutHolding((), at)]


def test_a_restart_from_the_snapshot_goes_on_where_it_was() -> None:
    plant = thermocouple(120.0)
    run = Run(plant).pair().go(0, 60)
    saved = [e for e in run.tell(60, Stopping(plant.at(60))) if isinstance(e, SaveSnapshot)]
    assert [s.key for s in saved] == [snapshots.key_of("s1")]
    second, desired, _ = run.published()[-1]
    known = Known(last_sequence=desired.sequence, desired=desired, snapshot=saved[0].content)
    again = Run(plant)
    again.tell(60, dataclasses.replace(plant.paired(60), known={SensorId("s1"): known}))
    assert again.notes() == []
    before, after = run.engine.trackers[SensorId("s1")], again.engine.trackers[SensorId("s1")]
    assert after.resumed_ns == before.aligner.last_ns
    assert after.baseline is not None
    old, new = before.estimator.estimate, after.estimator.estimate
    assert old is not None
    assert new is not None
    assert old.parameters is not None
    assert new.parameters is not None
    assert np.array_equal(old.parameters.values, new.parameters.values)
    again.go(60, 120)
    assert again.conditions(AlarmKind.DRIFT) == []
    assert not any(why.startswith("first set") for _, _, why in again.published())
    for _, made, _ in again.published():
        assert made.sequence > desired.sequence
    assert second < 60


def test_after_a_restart_the_certificate_of_today_counts() -> None:
    plant = thermocouple(60.0)
    run = Run(plant).pair().go(0, 60)
    saved = [e for e in run.tell(60, Stopping(plant.at(60))) if isinstance(e, SaveSnapshot)]
    again, now = Run(plant), plant.paired(60)
    pairings = tuple(dataclasses.replace(p, u_reference=0.5, u_clock_s=0.02) for p in now.pairings)
    known = {SensorId("s1"): Known(snapshot=saved[0].content)}
    again.tell(60, dataclasses.replace(now, pairings=pairings, known=known))
    assert again.notes() == []
    settings = again.engine.trackers[SensorId("s1")].estimator.settings
    assert (settings.u_reference, settings.u_clock_s) == (0.5, 0.02)


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"nonsense" * 50, None])
def test_a_damaged_snapshot_is_refused_and_the_sensor_begins_anew(damage: bytes | None) -> None:
    plant = thermocouple(30.0)
    if damage is None:
        run = Run(plant).pair().go(0, 10)
        (saved,) = [e for e in run.tell(10, Stopping(plant.at(10))) if isinstance(e, SaveSnapshot)]
        damage = saved.content[:-40] + bytes(40)
    run = Run(plant).pair(dataclasses.replace(plant.paired(), known={SensorId("s1"): Known(snapshot=damage)}))
    assert run.notes() == ["snapshot_refused"]
    run.go()
    assert len(run.published()) >= 1


@pytest.mark.parametrize(("u_noise", "method"), [(None, "Kalman"), (0.01, "innovations")])
def test_a_stated_noise_of_the_reference_spares_the_full_likelihood(u_noise: float | None, method: str) -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 1.5))], 0.05, 0.3, 30.0, block=2, noise=0.05)
    plant.pairing = dataclasses.replace(plant.pairing, u_reference_noise=u_noise)
    run = Run(plant).pair().go()
    estimate = run.engine.trackers[SensorId("s1")].estimator.estimate
    assert estimate is not None
    assert estimate.accepted
    assert method in estimate.method


def test_a_restart_goes_on_with_windows() -> None:
    plant = sampling_line(60.0)
    run = Run(plant).pair().go(0, 30)
    saved = next(e for e in run.tell(30, Stopping(plant.at(30))) if isinstance(e, SaveSnapshot))
    again = Run(plant)
    known = Known(snapshot=saved.content)
    again.tell(30, dataclasses.replace(plant.paired(30), known={SensorId("s1"): known}))
    assert again.notes() == []
    go_on, straight = again.engine.trackers[SensorId("s1")], run.engine.trackers[SensorId("s1")]
    assert go_on.estimator.snapshot() == straight.estimator.snapshot()


def test_pairings_come_change_and_go() -> None:
    plant = thermocouple(40.0)
    run = Run(plant).pair().go(0, 20)
    tracker = run.engine.trackers[SensorId("s1")]
    wished = dataclasses.replace(plant.pairing, tolerance={"tau_s": 0.2}, max_latency_s=0.5)
    run.tell(20, PairingsChanged(plant.sensors(), (wished,), plant.at(20)))
    assert run.engine.trackers[SensorId("s1")] is tracker
    sequence = run.published()[-1][1].sequence
    other = dataclasses.replace(plant.pairing, u_clock_s=0.001)
    run.tell(20, PairingsChanged(plant.sensors(), (other,), plant.at(20)))
    fresh = run.engine.trackers[SensorId("s1")]
    assert fresh is not tracker
    assert fresh.releases.last_sequence == sequence
    run.tell(20, PairingsChanged(plant.sensors(), (), plant.at(20)))
    assert run.engine.trackers == {}
    unknown = Pairing(SensorId("nobody"), SensorId("s1-ref"), ModelKind.FIRST_ORDER)
    run.tell(20, PairingsChanged(plant.sensors(), (unknown,), plant.at(20)))
    assert run.notes()[-1] == "pairing_without_sensor"
    assert run.engine.trackers == {}
