from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, BlockOutcome, Estimate, OnlineEstimator, OnlineSettings
from tests.unit.identification.plant import (
    ACCELEROMETER,
    PRESSURE,
    THERMOCOUPLE,
    THERMOWELL,
    Plant,
    changed,
    part,
)

CHANNELS = ("indication", "reference")


def follow(
    plant: Plant, record: AlignedRecord, settings: OnlineSettings | None = None
) -> tuple[OnlineEstimator, list[BlockOutcome]]:
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    return estimator, estimator.update(record)


def verdict(plant: Plant, record: AlignedRecord) -> Estimate:
    estimate = follow(plant, record)[0].estimate
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(
    ("plant", "n", "within"),
    [(THERMOCOUPLE, 1600, 0.03), (PRESSURE, 4000, 0.03), (ACCELEROMETER, 8000, 0.03), (THERMOWELL, 2400, 0.12)],
    ids=lambda value: value.kind if isinstance(value, Plant) else "",
)
def test_it_finds_the_parameters_and_says_how_well(plant: Plant, n: int, within: float) -> None:
    estimator, outcomes = follow(plant, plant.record(n, seed=2))
    estimate = estimator.estimate
    assert estimate is not None
    assert estimate.accepted, estimate.detail
    assert estimate.parameters is not None
    error = np.abs(estimate.parameters.values / np.array(plant.theta) - 1)
    assert np.all(error < within)
    assert np.all(estimate.parameters.u < within * np.array(plant.theta))
    assert not any(outcome.reset for outcome in outcomes)
    assert estimate.window_to_ns == outcomes[-1].to_ns


@pytest.mark.parametrize(
    ("plant", "seconds"), [(THERMOCOUPLE, 10.0), (PRESSURE, 2.0), (ACCELEROMETER, 2.0), (THERMOWELL, 30.0)]
)
def test_the_first_estimate_comes_soon(plant: Plant, seconds: float) -> None:
    for seed in range(3):
        _, outcomes = follow(plant, plant.record(int(seconds * plant.rate_hz), seed))
        assert outcomes


@pytest.mark.parametrize("plant", [THERMOCOUPLE, PRESSURE, THERMOWELL])
def test_the_result_does_not_depend_on_how_the_stream_is_cut(plant: Plant) -> None:
    record = plant.record(1500, seed=3)
    whole, _ = follow(plant, record)
    pieces = OnlineEstimator(plant.kind, plant.dt_ns)
    rng = np.random.default_rng(0)
    at = 0
    while at < len(record):
        n = int(rng.integers(1, 90))
        pieces.update(part(record, at, at + n))
        at += n
    assert pieces.snapshot() == whole.snapshot()


@pytest.mark.parametrize("cut", [30, 200, 901])
def test_a_restored_estimator_goes_on_to_the_last_bit(cut: int) -> None:
    record = PRESSURE.record(1500, seed=4)
    straight = OnlineEstimator(PRESSURE.kind, PRESSURE.dt_ns)
    straight.update(part(record, 0, cut))
    restored = OnlineEstimator.restore(straight.snapshot())
    a, b = straight.update(part(record, cut, 1500)), restored.update(part(record, cut, 1500))
    assert straight.snapshot() == restored.snapshot()
    assert [o.theta.tolist() for o in a] == [o.theta.tolist() for o in b]


@pytest.mark.parametrize("data", [b"", b"\x81", b"nonsense", b"\x80"])
def test_a_damaged_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="snapshot"):
        OnlineEstimator.restore(data)


def test_a_constant_record_is_named() -> None:
    record = THERMOCOUPLE.record(400, seed=1)
    for bad in (changed(record, y=np.full(400, 3.0)), changed(record, r=np.full(400, 3.0))):
        estimate = verdict(THERMOCOUPLE, bad)
        assert estimate.verdict is Verdict.BAD_DATA
        assert "constant" in estimate.detail
        assert estimate.parameters is None


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e150])
def test_one_channel_twice_is_named(scale: float) -> None:
    """There is no noise at all, and no lag."""
    record = THERMOCOUPLE.record(2000, seed=1)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    estimator.update(AlignedRecord(record.t_ns, scale * record.reference, scale * record.reference))
    found = estimator.estimate
    assert found is not None
    assert found.verdict is Verdict.NOT_EXCITED
    assert "too little of the dynamics" in found.detail


def test_a_saturated_sensor_is_named() -> None:
    record = THERMOCOUPLE.record(400, seed=1)
    estimate = verdict(THERMOCOUPLE, changed(record, y=np.minimum(record.indication, 0.3)))
    assert estimate.verdict is Verdict.BAD_DATA
    assert "saturated" in estimate.detail


def test_a_swapped_pair_is_named() -> None:
    record = THERMOCOUPLE.record(600, seed=1)
    estimate = verdict(THERMOCOUPLE, changed(record, y=record.reference, r=record.indication))
    assert estimate.verdict is Verdict.INCONSISTENT
    assert "lags the sensor" in estimate.detail


def test_a_wrong_sign_is_named() -> None:
    record = THERMOCOUPLE.record(600, seed=1)
    estimate = verdict(THERMOCOUPLE, changed(record, y=-record.indication))
    assert estimate.verdict is Verdict.INCONSISTENT
    assert "sign" in estimate.detail


@pytest.mark.parametrize(("factor", "text"), [(1000.0, "1e+3"), (1e-3, "1e-3")])
def test_a_wrong_unit_is_named(factor: float, text: str) -> None:
    record = THERMOCOUPLE.record(600, seed=1)
    estimate = verdict(THERMOCOUPLE, changed(record, y=factor * record.indication))
    assert estimate.verdict is Verdict.INCONSISTENT
    assert text in estimate.detail


def test_unrelated_signals_are_not_fitted() -> None:
    record, other = THERMOCOUPLE.record(800, seed=1), THERMOCOUPLE.record(800, seed=2)
    estimate = verdict(THERMOCOUPLE, changed(record, y=other.indication))
    assert estimate.verdict is not Verdict.ACCEPTED


def test_a_sensor_that_shows_only_noise_is_not_fitted() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(4000, dtype=np.int64) * THERMOCOUPLE.dt_ns
    record = AlignedRecord(t, 100 + 0.1 * rng.normal(size=4000), 100 + 0.01 * rng.normal(size=4000))
    assert verdict(THERMOCOUPLE, record).verdict is Verdict.NOT_EXCITED


def test_a_pair_that_goes_bad_later_is_not_silently_good() -> None:
    record = THERMOCOUPLE.record(3000, seed=1)
    y = record.indication.copy()
    y[1500:] = THERMOCOUPLE.record(3000, seed=9).indication[1500:]
    estimate = verdict(THERMOCOUPLE, changed(record, y=y))
    assert estimate.verdict is not Verdict.ACCEPTED


def test_samples_that_are_no_numbers_cut_the_record_and_harm_nothing() -> None:
    record = PRESSURE.record(4000, seed=5)
    y = record.indication.copy()
    y[1000:1003] = np.nan, np.inf, -np.inf
    estimator, outcomes = follow(PRESSURE, changed(record, y=y))
    estimate = estimator.estimate
    assert estimate is not None
    assert estimate.parameters is not None
    assert np.all(np.abs(estimate.parameters.values / np.array(PRESSURE.theta) - 1) < 0.03)
    assert not any(o.reset or o.rejected for o in outcomes)


def test_a_gap_costs_the_state_and_nothing_else() -> None:
    record = THERMOCOUPLE.record(4000, seed=6)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    before = estimator.update(part(record, 0, 2000))
    u_before = estimator.estimate
    after = estimator.update(part(record, 2600, 4000), new_segment=True)
    assert u_before is not None
    assert u_before.parameters is not None
    assert not any(o.reset or o.rejected for o in before + after)
    now = estimator.estimate
    assert now is not None
    assert now.parameters is not None
    assert now.parameters.u[1] < u_before.parameters.u[1]


def test_samples_seen_already_are_left_out() -> None:
    record = THERMOCOUPLE.record(1000, seed=7)
    once, twice = (OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns) for _ in range(2))
    once.update(record)
    twice.update(part(record, 0, 700))
    twice.update(part(record, 600, 1000))
    assert once.snapshot() == twice.snapshot()


def test_an_idle_hour_moves_no_parameter() -> None:
    record = THERMOCOUPLE.record(1200, seed=8)
    estimator, _ = follow(THERMOCOUPLE, record)
    before = estimator.estimate
    rng = np.random.default_rng(8)
    n = 3600 * 20
    t = record.t_ns[-1] + THERMOCOUPLE.dt_ns * np.arange(1, n + 1)
    level = record.reference[-1]
    outcomes = estimator.update(AlignedRecord(t, level + 0.01 * rng.normal(size=n), level + 0.01 * rng.normal(size=n)))
    after = estimator.estimate
    assert before is not None
    assert before.parameters is not None
    assert after is not None
    assert after.parameters is not None
    assert len(outcomes) > 10
    moved = np.abs(after.parameters.values - before.parameters.values)
    assert np.all(moved <= before.parameters.u)
    assert np.all(after.parameters.u <= 1.05 * before.parameters.u)
    assert sum(o.excited for o in outcomes[1:]) == 0


def test_a_step_of_tau_is_followed_within_ten_time_constants() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, (1.0, 1.0), 20.0, 0.5, snr_db=30.0)
    record = plant.record(2000 + 20 * 13, seed=9, theta_after=(2000, (1.0, 1.2)))
    estimate = verdict(plant, part(record, 0, 2000 + 20 * 12))
    assert estimate.parameters is not None
    assert abs(estimate.parameters.values[1] / 1.2 - 1) < 0.05


def test_reference_and_clock_widen_the_covariance_by_what_they_do() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, (1.0, 1.0), 20.0, 0.5, mean=20.0)
    record = plant.record(3000, seed=10)

    def u(settings: OnlineSettings) -> tuple[FloatArray, FloatArray]:
        estimate = follow(plant, record, settings)[0].estimate
        assert estimate is not None
        assert estimate.parameters is not None
        return estimate.parameters.u, estimate.parameters.values

    plain, values = u(OnlineSettings())
    gain, _ = u(OnlineSettings(u_reference_gain=0.02))
    assert gain[0] == pytest.approx(np.hypot(plain[0], 0.02 * values[0]))
    assert gain[1] == plain[1]
    # a clock offset is a lag: u(τ) takes nearly all of it
    clock, _ = u(OnlineSettings(u_clock_s=0.05))
    assert clock[1] == pytest.approx(np.hypot(plain[1], 0.05), rel=0.15)
    # an offset of the reference at a mean of 20 is a gain error of a twentieth of it
    offset, _ = u(OnlineSettings(u_reference=0.2))
    assert offset[0] == pytest.approx(np.hypot(plain[0], 0.01), rel=0.15)


def test_the_shift_of_the_estimate_by_a_clock_offset_is_the_one_declared() -> None:
    # an eighth of an interval: by more the measurand's model shifts as well, and the effect is not of first order
    record, shifted = (THERMOCOUPLE.record(4000, seed=11, early=early) for early in (0, 2))
    straight, late = (verdict(THERMOCOUPLE, r).parameters for r in (record, shifted))
    assert straight is not None
    assert late is not None
    declared = follow(THERMOCOUPLE, record, OnlineSettings(u_clock_s=0.05 * 2 / 16))[0].estimate
    assert declared is not None
    assert declared.parameters is not None
    assert abs(late.values[1] - straight.values[1]) == pytest.approx(declared.parameters.u[1], rel=0.25)


def test_records_and_settings_that_cannot_be_are_refused() -> None:
    t = np.array([0, 1, 1], dtype=np.int64)
    with pytest.raises(InvalidData, match="increase"):
        AlignedRecord(t, np.zeros(3), np.zeros(3))
    with pytest.raises(InvalidData, match="reference"):
        AlignedRecord(np.arange(3), np.zeros(3), np.zeros(2))
    with pytest.raises(InvalidData, match="u_clock_s"):
        OnlineSettings(u_clock_s=-1.0)
    with pytest.raises(InvalidData, match="dt_ns"):
        OnlineEstimator(ModelKind.FIRST_ORDER, 0)
    with pytest.raises(InvalidData, match="static"):
        OnlineEstimator(ModelKind.STATIC, 1)


@pytest.mark.parametrize("channel", ["indication", "reference"])
@pytest.mark.parametrize("plant", [THERMOCOUPLE, PRESSURE], ids=["first", "second"])
def test_short_gaps_are_bridged(plant: Plant, channel: str) -> None:
    record = plant.record(4000, seed=12)
    values = getattr(record, channel).copy()
    values[50::97] = np.nan
    holed = AlignedRecord(record.t_ns, *(values if n == channel else getattr(record, n) for n in CHANNELS))
    whole, bridged = follow(plant, record), follow(plant, holed)
    for estimator, _ in (whole, bridged):
        assert estimator.estimate is not None
        assert estimator.estimate.accepted, estimator.estimate.detail
    good, found = whole[0].estimate, bridged[0].estimate
    assert good is not None and good.parameters is not None  # noqa: PT018 - for the type checker
    assert found is not None and found.parameters is not None  # noqa: PT018 - for the type checker
    assert np.all(np.abs(found.parameters.values / np.array(plant.theta) - 1) < 4 * found.parameters.u / plant.theta)
    assert np.all(found.parameters.u < 1.6 * good.parameters.u)
    assert not any(outcome.rejected for outcome in bridged[1])


def test_a_long_stretch_without_indications_is_passed_over() -> None:
    record = THERMOCOUPLE.record(3000, seed=13)
    y = record.indication.copy()
    y[1500:1800] = np.nan
    estimator, outcomes = follow(THERMOCOUPLE, changed(record, y=y))
    assert estimator.estimate is not None
    assert estimator.estimate.accepted
    assert not any(outcome.reset or outcome.rejected for outcome in outcomes)
    assert estimator.estimate.n_samples <= 2700


@pytest.mark.parametrize("plant", [THERMOCOUPLE, PRESSURE], ids=["first", "second"])
@pytest.mark.parametrize(
    ("y_at", "r_at", "says"),
    [
        (slice(None), slice(None), "without a reference"),
        (slice(None), slice(0), "indication are finite"),
        (slice(0), slice(None), "without a reference"),
    ],
)
def test_a_stream_of_no_numbers_is_named(plant: Plant, y_at: slice, r_at: slice, says: str) -> None:
    record = plant.record(600, seed=14)
    y, r = record.indication.copy(), record.reference.copy()
    y[y_at] = r[r_at] = np.nan
    estimate = verdict(plant, changed(record, y=y, r=r))
    assert estimate.verdict is Verdict.BAD_DATA
    assert says in estimate.detail


def test_segments_that_are_never_long_enough_are_named() -> None:
    record = PRESSURE.record(3000, seed=15)
    r = record.reference.copy()
    for begin in range(40, 3000, 60):
        r[begin : begin + 6] = np.nan
    estimate = verdict(PRESSURE, changed(record, r=r))
    assert estimate.verdict is Verdict.BAD_DATA
    assert "segments of fewer than" in estimate.detail


def test_coloured_noise_of_the_sensor_widens_u_and_is_named() -> None:
    plant = replace(THERMOCOUPLE, u_reference_noise=0.0003)
    z, named = [], 0
    for seed in range(6):
        record = plant.record(1500, seed)
        noise = lfilter([0.6], [1.0, -0.8], np.random.default_rng(100 + seed).normal(size=1700))[200:]
        y = record.indication + 0.05 * float(record.indication.std()) * noise
        estimate = verdict(plant, changed(record, y=y))
        assert estimate.parameters is not None
        z.append((estimate.parameters.values - np.array(plant.theta)) / estimate.parameters.u)
        named += "coloured" in estimate.detail
    assert named >= 4
    assert float(np.sqrt(np.mean(np.square(z)))) < 2.0
