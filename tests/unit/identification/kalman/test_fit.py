from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.kalman import KalmanFit, KalmanSettings, Process, fit_kalman
from dyncal.models import Hold, model_of
from tests.unit.identification.plant import ACCELEROMETER, PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, changed, part

OU = KalmanSettings(process=Process.ORNSTEIN_UHLENBECK)
GOOD = THERMOCOUPLE.record(800, seed=1)


def fitted(
    plant: Plant, records: Sequence[AlignedRecord], settings: KalmanSettings | None = None, off: float = 1.3
) -> KalmanFit:
    model = model_of(plant.kind)
    theta = np.array(plant.theta)
    start = theta * np.r_[1.0, np.full(theta.size - 1, off)]
    return fit_kalman(records, model, model.to_internal(start), settings=settings)


def z_scores(plant: Plant, fit: KalmanFit) -> FloatArray:
    assert fit.accepted, fit.detail
    assert fit.parameters is not None
    return np.asarray((fit.parameters.values - np.array(plant.theta)) / fit.parameters.u, dtype=np.float64)


@pytest.mark.parametrize("known", [0.01, None])
@pytest.mark.parametrize(
    "plant", [THERMOCOUPLE, PRESSURE, THERMOWELL, ACCELEROMETER], ids=lambda plant: plant.kind.value
)
def test_finds_the_sensor_and_the_noise_of_both(plant: Plant, known: float | None) -> None:
    quiet = replace(plant, snr_db=50.0)
    record = quiet.record(3000, seed=2)
    fit = fitted(quiet, [record], KalmanSettings(u_reference_noise=known))
    assert np.all(np.abs(z_scores(quiet, fit)) < 4)
    assert fit.process is not Process.ORNSTEIN_UHLENBECK  # the plant's measurand is smooth
    assert_allclose(fit.sensor_noise, record.indication.std() * 10**-2.5, rtol=0.1)
    assert_allclose(fit.reference_noise, 0.01, rtol=0.15)
    assert_allclose(fit.reduced_chi2, 1.0, atol=0.15)
    assert min(fit.whiteness_p) > 1e-4
    assert fit.n_samples == 3000
    assert fit.cov.shape == (fit.eta.size + len(fit.nuisance_names),) * 2
    assert fit.nuisance.shape == (len(fit.nuisance_names),)
    assert_allclose(fit.cov[: fit.eta.size, : fit.eta.size], fit.cov_eta)
    assert fit.window == (record.t_ns[0], record.t_ns[-1])


def test_a_measurand_that_is_not_of_the_process_is_said() -> None:
    quiet = replace(ACCELEROMETER, snr_db=50.0)
    record = quiet.record(3000, seed=2)
    assert "none of the processes" in fitted(quiet, [record], OU).detail
    assert fitted(quiet, [record]).detail == ""


@pytest.mark.parametrize("plant", [THERMOCOUPLE, PRESSURE], ids=lambda plant: plant.kind.value)
def test_lines_between_the_samples_are_found_out(plant: Plant) -> None:
    for seed in range(5):
        record = plant.driven(800, seed, Hold.FIRST)
        fit, rough = fitted(plant, [record]), fitted(plant, [record], OU)
        assert fit.process is Process.LINES
        assert np.all(np.abs(z_scores(plant, fit)) < 4)
        assert fit.parameters is not None
        assert rough.parameters is not None
        assert np.all(fit.parameters.u < rough.parameters.u / 10)


def test_a_rough_measurand_is_not_taken_for_lines() -> None:
    rough = Plant(ModelKind.FIRST_ORDER, (1.0, 0.5), 20.0, 0.5, order=1, snr_db=50.0, u_reference_noise=1e-3)
    for seed in range(5):
        assert fitted(rough, [rough.record(400, seed)]).process.hold is None


def test_lines_whose_ends_lie_between_the_samples_are_none_of_these() -> None:
    # at 60 dB: taken for lines they were up to 5 u off
    rng, n, finer = np.random.default_rng(102), 400, 16
    ends = lfilter([1.0], [1.0, -0.95], rng.normal(size=n + 300))[200:]
    t = np.arange(n * finer, dtype=np.int64) * PRESSURE.dt_ns // finer
    x = np.interp(np.arange(n * finer) / finer, 1.003 * np.arange(ends.size) - 2, ends / ends.std())
    y = model_of(PRESSURE.kind).simulate(np.array(PRESSURE.theta), t, x)[::finer]
    y, r = y + 1e-3 * y.std() * rng.normal(size=n), x[::finer] + 5e-4 * rng.normal(size=n)
    fit = fitted(PRESSURE, [AlignedRecord(t[::finer].copy(), y, r)])
    assert fit.process.hold is None
    assert np.all(np.abs(z_scores(PRESSURE, fit)) < 3)


def test_steps_at_the_samples_are_what_they_are_said_to_be() -> None:
    record = THERMOCOUPLE.driven(800, 1, Hold.ZERO)
    stepped = fitted(THERMOCOUPLE, [record], KalmanSettings(process=Process.STEPS))
    assert np.all(np.abs(z_scores(THERMOCOUPLE, stepped)) < 4)
    # they look like a late clock, and are not looked for
    assert fitted(THERMOCOUPLE, [record]).process is not Process.STEPS


def test_starts_far_off_lead_to_the_same_end() -> None:
    record = PRESSURE.record(2000, seed=4)
    ends = [fitted(PRESSURE, [record], OU, off).eta for off in (0.4, 1.0, 1.3, 2.5)]
    for end in ends:
        assert_allclose(end, ends[1], atol=1e-3)


def test_several_segments_are_one_fit() -> None:
    halves = [THERMOCOUPLE.record(500, seed=seed) for seed in (5, 6)]
    both, first, second = (fitted(THERMOCOUPLE, records) for records in (halves, halves[:1], halves[1:]))
    assert np.all(np.abs(z_scores(THERMOCOUPLE, both)) < 4)
    assert both.n_samples == 1000
    joined = 1 / (1 / np.diag(first.cov_eta) + 1 / np.diag(second.cov_eta))
    assert_allclose(np.diag(both.cov_eta), joined, rtol=0.3)


def test_sensor_and_reference_need_no_common_instants() -> None:
    y, r = GOOD.indication.copy(), GOOD.reference.copy()
    y[1::2], r[::2] = np.nan, np.nan
    fit = fitted(THERMOCOUPLE, [changed(GOOD, y=y, r=r)])
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fit)) < 4)
    assert fit.n_samples == 400
    assert np.isnan(fit.innovations[0]).sum() == 800


def test_irregular_instants_are_taken_as_they_are() -> None:
    dense = replace(THERMOCOUPLE, rate_hz=200.0).record(8000, seed=8)
    at = np.cumsum(np.random.default_rng(9).integers(4, 17, size=780))
    record = AlignedRecord(dense.t_ns[at], dense.indication[at], dense.reference[at])
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fitted(THERMOCOUPLE, [record]))) < 4)


def test_an_offset_of_the_clock_is_found_within_its_prior() -> None:
    early = THERMOCOUPLE.record(800, seed=1, early=8)  # half a sample, 25 ms
    biased = fitted(THERMOCOUPLE, [early])
    assert abs(z_scores(THERMOCOUPLE, biased)[1]) > 10
    fit = fitted(THERMOCOUPLE, [early], KalmanSettings(u_clock_s=0.05))
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fit)) < 4)
    assert_allclose(fit.clock_offset_s, -0.025, atol=5 * fit.u_clock_offset_s)
    assert 0 < fit.u_clock_offset_s < 0.002


def test_a_clock_that_the_data_say_nothing_of_keeps_its_prior() -> None:
    noisy = replace(THERMOCOUPLE, snr_db=30.0, u_reference_noise=0.1).record(400, seed=3)
    fit = fitted(THERMOCOUPLE, [noisy], KalmanSettings(u_clock_s=1e-4))
    assert_allclose(fit.u_clock_offset_s, 1e-4, rtol=0.05)


def test_an_offset_of_the_reference_is_found_within_its_prior() -> None:
    shifted = changed(GOOD, r=GOOD.reference + 0.2)
    fit = fitted(THERMOCOUPLE, [shifted], KalmanSettings(u_reference=0.3))
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fit)) < 4)
    assert_allclose(fit.reference_offset, 0.2, atol=5 * fit.u_reference_offset)


def test_the_gain_of_the_reference_widens_that_of_the_sensor_alone() -> None:
    plain, wide = (fitted(THERMOCOUPLE, [GOOD], replace(OU, u_reference_gain=u)) for u in (0.0, 0.02))
    assert plain.parameters is not None
    assert wide.parameters is not None
    extra = wide.parameters.cov - plain.parameters.cov
    assert_allclose(extra[0, 0], (0.02 * plain.parameters.values[0]) ** 2, rtol=1e-6)
    assert_allclose(np.delete(extra.ravel(), 0), 0, atol=1e-15)


def test_units_do_not_matter() -> None:
    hot = changed(GOOD, y=1e6 * GOOD.indication, r=1e6 * GOOD.reference)
    plain, scaled = fitted(THERMOCOUPLE, [GOOD]), fitted(THERMOCOUPLE, [hot])
    assert_allclose(scaled.eta, plain.eta, atol=1e-6)
    assert_allclose(scaled.cov_eta, plain.cov_eta, rtol=1e-3, atol=1e-12)
    slow = AlignedRecord(GOOD.t_ns * 1000, GOOD.indication, GOOD.reference)
    later = fitted(replace(THERMOCOUPLE, theta=(1.0, 1000.0)), [slow])
    assert_allclose(later.eta - plain.eta, [0.0, np.log(1000.0)], atol=1e-6)


def test_a_far_level_costs_no_digits() -> None:
    far = changed(GOOD, y=GOOD.indication + 1e4, r=GOOD.reference + 1e4)
    fit = fitted(THERMOCOUPLE, [far])
    assert fit.parameters is not None
    assert abs(fit.parameters.values[0] - 1.0) < 1e-5  # the level says what the gain is
    assert abs(z_scores(THERMOCOUPLE, fit)[1]) < 4


@pytest.mark.parametrize(
    ("record", "verdict", "says"),
    [
        (changed(GOOD, y=-GOOD.indication), Verdict.INCONSISTENT, "negative"),
        (changed(GOOD, y=1000 * GOOD.indication), Verdict.INCONSISTENT, "1e+3"),
        (changed(GOOD, y=GOOD.reference, r=GOOD.indication), Verdict.INCONSISTENT, ""),
        (changed(GOOD, y=np.full(800, 3.0)), Verdict.BAD_DATA, "constant"),
        (changed(GOOD, r=np.full(800, 3.0)), Verdict.BAD_DATA, "constant"),
        (changed(GOOD, y=np.clip(GOOD.indication, -0.3, 0.3)), Verdict.BAD_DATA, "saturated"),
    ],
    ids=["sign", "unit", "swapped", "dead sensor", "dead reference", "clipped"],
)
def test_a_pair_that_does_not_belong_together_gets_a_verdict(
    record: AlignedRecord, verdict: Verdict, says: str
) -> None:
    fit = fitted(THERMOCOUPLE, [record], OU)
    assert fit.verdict is verdict, fit.detail
    assert says in fit.detail
    assert not fit.accepted


def test_levels_of_a_command_are_no_saturation() -> None:
    bits = np.repeat(np.random.default_rng(4).integers(0, 2, size=40) * 2.0 - 1, 20)
    model = model_of(ModelKind.FIRST_ORDER)
    y = model.simulate(np.array([1.0, 1.0]), GOOD.t_ns, bits) + 0.01 * np.random.default_rng(5).normal(size=800)
    record = changed(GOOD, y=y, r=bits)
    assert fitted(THERMOCOUPLE, [record], OU).verdict is Verdict.BAD_DATA
    fit = fitted(THERMOCOUPLE, [record], replace(OU, levels=True))
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fit)) < 4)


def test_a_sensor_far_faster_than_its_sampling_is_not_identifiable() -> None:
    fast = replace(PRESSURE, theta=(1.0, 0.3, 5000.0))
    fit = fitted(replace(fast, theta=(1.0, 0.3, 150.0)), [fast.record(1500, seed=1)])
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert set(fit.unobservable) & {"damping", "f0_hz"}


def test_a_lag_longer_than_the_record_has_an_honest_uncertainty() -> None:
    slow = replace(THERMOCOUPLE, theta=(1.0, 400.0))
    fit = fitted(slow, [slow.record(800, seed=1)])
    assert fit.parameters is not None
    assert np.all(np.abs(fit.parameters.values - np.array(slow.theta)) < 4 * fit.parameters.u)


@pytest.mark.parametrize("damping", [1e-4, 1.0, 3.0])
def test_any_damping(damping: float) -> None:
    plant = replace(PRESSURE, theta=(1.0, damping, 5.0))
    model = model_of(plant.kind)
    start = model.to_internal(np.array([1.0, 2 * damping, 5.001 if damping < 0.1 else 4.0]))
    fit = fit_kalman([plant.record(3000, seed=1)], model, start, settings=OU)
    assert fit.parameters is not None
    assert fit.converged
    assert np.all(np.abs(fit.parameters.values - np.array(plant.theta)) < 4 * fit.parameters.u)


@pytest.mark.parametrize("known", [0.0, None])
def test_records_without_noise_are_fitted(known: float | None) -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    y = model.simulate(np.array([1.0, 1.0]), GOOD.t_ns, GOOD.reference)
    fit = fitted(
        THERMOCOUPLE, [changed(GOOD, y=y)], KalmanSettings(u_reference_noise=known, process=Process.ORNSTEIN_UHLENBECK)
    )
    assert np.all(np.abs(z_scores(THERMOCOUPLE, fit)) < 4)
    same = fitted(THERMOCOUPLE, [changed(GOOD, y=GOOD.reference.copy())], OU)
    assert not same.accepted


def test_what_is_no_data_is_refused_at_once() -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    eta = model.to_internal(np.array([1.0, 1.0]))
    infinite = GOOD.indication.copy()
    infinite[5] = np.inf
    for records, says in (
        ([changed(GOOD, y=infinite)], "infinite"),
        ([changed(GOOD, y=np.full(800, np.nan))], "indication"),
        ([changed(GOOD, r=np.full(800, np.nan))], "reference"),
        ([part(GOOD, 0, 1)], "values of the indication"),
        ([part(GOOD, 0, 9)], "values of the indication"),
        ([], "no data"),
    ):
        with pytest.raises(InvalidData, match=says):
            fit_kalman(records, model, eta)
    for start in (np.array([1.0]), np.array([1.0, np.nan])):
        with pytest.raises(InvalidData, match="start"):
            fit_kalman([GOOD], model, start)
    with pytest.raises(InvalidData, match="u_clock_s"):
        KalmanSettings(u_clock_s=-1.0)
    with pytest.raises(InvalidData, match="u_reference_noise"):
        KalmanSettings(u_reference_noise=float("nan"))
    with pytest.raises(InvalidData, match="max_relative_u"):
        KalmanSettings(max_relative_u=0.0)
    with pytest.raises(InvalidData, match="max_passes"):
        KalmanSettings(max_passes=0)


def test_a_start_without_sense_is_a_verdict() -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    fit = fit_kalman([GOOD], model, np.array([1.0, 500.0]), settings=OU)
    assert fit.verdict is Verdict.DIVERGED
    assert fit.parameters is None
