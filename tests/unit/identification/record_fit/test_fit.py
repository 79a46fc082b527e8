from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import InterSample, Method, RecordFit, RecordSettings, fit_record
from dyncal.models import Delayed, Hold, Rational, Static, model_of
from tests.unit.identification.plant import THERMOCOUPLE
from tests.unit.identification.record_fit.records import DT_S, THETA, instants, random_record, walk

KINDS = list(THETA)


def _within(fit: RecordFit, truth: np.ndarray[tuple[int], np.dtype[np.float64]], k: float = 4.0) -> bool:
    assert fit.parameters is not None, fit.detail
    assert fit.accepted, fit.detail
    return bool(np.all(np.abs(fit.parameters.values - truth) < k * fit.parameters.u))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [50.0, 20.0])
def test_output_error_where_its_residuals_are_white(kind: ModelKind, snr_db: float) -> None:
    record = random_record(kind, 3000, snr_db, 1)
    fit = fit_record(record, kind)
    assert fit.method is Method.OUTPUT_ERROR
    assert "white" in fit.reason
    assert _within(fit, THETA[kind])
    noise = fit.noise_std
    expected = 10 ** (-snr_db / 20) * float(np.std(record.indication))
    assert noise == pytest.approx(expected, rel=0.1)
    assert fit.n_samples == 3000
    assert fit.window_from_ns == record.t_ns[0]
    residual = fit.series[0].indication - fit.series[0].predicted
    np.testing.assert_allclose(residual, fit.series[0].residual, atol=1e-12)
    assert fit.estimate.parameters is fit.parameters


@pytest.mark.parametrize("hold", [Hold.ZERO, Hold.FIRST])
@pytest.mark.parametrize("kind", KINDS)
def test_the_course_between_samples_is_found(kind: ModelKind, hold: Hold) -> None:
    fit = fit_record(random_record(kind, 3000, 30.0, 2, hold=hold), kind)
    assert fit.between is (InterSample.ZERO if hold is Hold.ZERO else InterSample.LINEAR)
    assert _within(fit, THETA[kind])


def test_the_wrong_hold_is_the_first_trap() -> None:
    kind = ModelKind.FIRST_ORDER
    record = random_record(kind, 6000, 30.0, 2, hold=Hold.ZERO)
    settings = RecordSettings(between=InterSample.LINEAR)
    fit = fit_record(record, kind, settings=settings, method=Method.OUTPUT_ERROR)
    assert fit.parameters is not None
    assert abs(fit.parameters.values[1] / 0.5 - 1) > 0.008


@pytest.mark.parametrize("kind", KINDS)
def test_irregular_instants_are_exact(kind: ModelKind) -> None:
    fit = fit_record(random_record(kind, 3000, 40.0, 3, jitter=0.45), kind)
    assert fit.method is Method.OUTPUT_ERROR
    assert _within(fit, THETA[kind])


def test_holes_cut_and_missing_indications_do_not() -> None:
    kind = ModelKind.SECOND_ORDER
    record = random_record(kind, 3000, 40.0, 4)
    y, r = record.indication.copy(), record.reference.copy()
    y[100:150] = np.nan
    y[2000] = np.inf
    r[1000:1010] = np.nan
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert _within(fit, THETA[kind])
    assert len(fit.series) == 2
    assert fit.initial_states.shape == (2, 2)
    assert fit.n_left_out == 61
    assert fit.n_samples == 3000 - 61


def test_sensor_and_reference_with_instants_of_their_own() -> None:
    kind = ModelKind.FIRST_ORDER
    record = random_record(kind, 6000, 40.0, 4)
    y, r = record.indication.copy(), record.reference.copy()
    # the reference at every instant, the sensor at every third but one; and the other way round, with a kink at each
    y[np.arange(6000) % 3 != 1] = np.nan
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert _within(fit, THETA[kind])
    assert fit.n_samples == 2000
    knots = np.arange(6000) % 4 == 0
    r = np.interp(np.arange(6000), np.flatnonzero(knots), r[knots])
    z = model_of(kind).simulate(THETA[kind], record.t_ns, r)
    y = z + 0.003 * np.random.default_rng(1).normal(size=6000)
    fit = fit_record(AlignedRecord(record.t_ns, y, np.where(knots, r, np.nan)), kind)
    assert _within(fit, THETA[kind])
    assert fit.n_samples == 5997


def test_a_jump_of_the_instants_is_a_hole() -> None:
    kind = ModelKind.SECOND_ORDER
    record = random_record(kind, 3000, 40.0, 4)
    for jitter, lost in ((0.0, 4), (0.45, 40)):
        record = random_record(kind, 3000, 40.0, 4, jitter=jitter)
        kept = np.r_[0:1200, 1200 + lost : 3000]
        fit = fit_record(AlignedRecord(record.t_ns[kept], record.indication[kept], record.reference[kept]), kind)
        assert _within(fit, THETA[kind])
        assert len(fit.series) == 2


def test_several_records_say_more_than_one() -> None:
    kind = ModelKind.FIRST_ORDER
    records = [random_record(kind, 1000, 30.0, seed) for seed in range(4)]
    one, all_of_them = fit_record(records[0], kind), fit_record(records, kind)
    assert _within(all_of_them, THETA[kind])
    assert one.parameters is not None
    assert all_of_them.parameters is not None
    assert np.all(all_of_them.parameters.u < 0.6 * one.parameters.u)
    with pytest.raises(InvalidData, match="twice"):
        fit_record([records[0], records[0]], kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0.0, 0.37, 7.6])
def test_a_dead_time_is_found(kind: ModelKind, delay: float) -> None:
    model = Delayed(model_of(kind))
    delay_s = delay * DT_S[kind]
    truth = np.append(THETA[kind], delay_s)
    record = random_record(kind, 3000, 40.0, 5, model=model, theta=truth)
    fit = fit_record(record, model)
    assert fit.parameters is not None, fit.detail
    assert fit.parameters.names[-1] == "delay_s"
    values, u = fit.parameters.values, fit.parameters.u
    assert np.all(np.abs(values - truth) < 4 * u)
    assert fit.verdict is Verdict.ACCEPTED, fit.detail


def test_clock_offset_is_estimated_where_the_data_tell_it_from_the_lag() -> None:
    kind = ModelKind.FIRST_ORDER
    rng = np.random.default_rng(6)
    x = walk(3001, 0.95, rng)
    t = instants(3001, 0.01)
    model = Delayed(model_of(kind))
    z = model.simulate(np.array([1.0, 0.5, 0.002]), t, x)
    record = AlignedRecord(t, z + 0.003 * rng.normal(size=z.size), x)
    fit = fit_record(record, kind, settings=RecordSettings(u_clock_s=0.002))
    assert fit.clock.freed
    assert fit.clock.inflation < 2
    assert abs(fit.clock.value - 0.002) < 4 * fit.clock.u < 0.001
    assert _within(fit, THETA[kind])
    ignored = fit_record(record, kind)
    assert ignored.parameters is not None
    assert fit.parameters is not None
    assert not ignored.clock.freed
    assert abs(ignored.parameters.values[1] - 0.5) > 0.005 > 4 * fit.parameters.u[1]


def test_the_full_likelihood_takes_steps_that_are_stated() -> None:
    record = THERMOCOUPLE.driven(800, 1, Hold.ZERO)
    wishes = RecordSettings(between=InterSample.ZERO, u_reference_noise=1e-3)
    fit = fit_record(record, THERMOCOUPLE.kind, settings=wishes, method=Method.KALMAN)
    assert fit.accepted, fit.detail
    assert "measurand taken as steps" in fit.detail
    assert fit.parameters is not None
    assert np.all(np.abs(fit.parameters.values - THERMOCOUPLE.theta) < 4 * fit.parameters.u)


def test_clock_and_dead_time_by_the_kalman_likelihood() -> None:
    kind = ModelKind.FIRST_ORDER
    rng = np.random.default_rng(6)
    x = walk(2001, 0.95, rng)
    t = instants(2001, 0.01)
    model = Delayed(model_of(kind))
    truth = np.array([1.0, 0.5, 0.002])
    z = model.simulate(truth, t, x)
    record = AlignedRecord(t, z + 0.003 * rng.normal(size=z.size), x - 0.03 + 0.02 * rng.normal(size=z.size))
    settings = RecordSettings(u_clock_s=0.002, u_reference_noise=0.02, u_reference=0.03)
    fit = fit_record(record, kind, settings=settings)
    assert fit.method is Method.KALMAN
    assert "noise matters" in fit.reason
    assert fit.clock.freed
    assert abs(fit.clock.value - 0.002) < 4 * fit.clock.u < 0.004
    assert fit.offset.freed
    assert abs(fit.offset.value - 0.03) < 4 * fit.offset.u < 0.02
    assert _within(fit, truth[:2])
    late = fit_record(record, model, settings=RecordSettings(u_reference_noise=0.02, u_reference=0.03))
    assert late.method is Method.KALMAN
    assert _within(late, truth)
    assert late.parameters is not None
    # a longer dead time is a shorter lag
    assert late.parameters.cov[1, 2] < 0


def test_clock_offset_is_never_freed_on_a_single_tone() -> None:
    kind = ModelKind.FIRST_ORDER
    t = instants(4000, 0.01)
    seconds = (t - t[0]) * 1e-9
    x = np.sin(2 * np.pi * 0.4 * seconds)
    z = model_of(kind).simulate(THETA[kind], t, x)
    record = AlignedRecord(t, z + 0.003 * np.random.default_rng(1).normal(size=z.size), x)
    settings = RecordSettings(u_clock_s=0.01)
    fit, certain = fit_record(record, kind, settings=settings), fit_record(record, kind)
    assert not fit.clock.freed
    assert fit.clock.inflation > 2
    assert "widens" in fit.reason
    assert fit.parameters is not None
    assert certain.parameters is not None
    # a clock off by δ is a lag off by δ(1 + (ωτ)²), since the phase is atan ωτ
    expected = 0.01 * (1 + (2 * np.pi * 0.4 * 0.5) ** 2)
    assert fit.parameters.u[1] == pytest.approx(np.hypot(expected, certain.parameters.u[1]), rel=0.1)


def test_certificate_of_the_reference_widens() -> None:
    kind = ModelKind.FIRST_ORDER
    record = random_record(kind, 3000, 40.0, 7)
    plain = fit_record(record, kind)
    gain = fit_record(record, kind, settings=RecordSettings(u_reference_gain=0.01))
    assert plain.parameters is not None
    assert gain.parameters is not None
    assert gain.parameters.u[0] == pytest.approx(np.hypot(plain.parameters.u[0], 0.01 * plain.parameters.values[0]))
    offset = fit_record(record, kind, settings=RecordSettings(u_reference=0.05))
    assert offset.offset.freed
    assert offset.offset.u < 0.01
    step = AlignedRecord(record.t_ns[:1000], record.indication[:1000] + 100, record.reference[:1000] + 100)
    high = fit_record(step, kind, settings=RecordSettings(u_reference=0.5))
    assert high.parameters is not None
    # at 100 ± 1, an offset is told from a gain no better than the variation allows
    assert not high.offset.freed or high.offset.u < 0.5
    assert high.parameters.u[0] > 0.003


@pytest.mark.parametrize("kind", [ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER])
@pytest.mark.parametrize("method", [Method.OUTPUT_ERROR, Method.INNOVATIONS, Method.KALMAN])
def test_every_method_can_be_asked_for(kind: ModelKind, method: Method) -> None:
    fit = fit_record(random_record(kind, 1500, 30.0, 8), kind, method=method)
    assert fit.method is method
    assert _within(fit, THETA[kind], 5.0)


def test_steps_of_a_held_reference() -> None:
    kind = ModelKind.SECOND_ORDER
    t = instants(2000, 0.005)
    x = np.where(np.arange(2000) >= 300, 1.0, 0.0)
    z = model_of(kind).simulate(THETA[kind], t, x, Hold.ZERO)
    fit = fit_record(AlignedRecord(t, z + 0.003 * np.random.default_rng(2).normal(size=z.size), x), kind)
    assert fit.between is InterSample.ZERO
    assert _within(fit, THETA[kind])


RATIONAL = [
    (Rational(0, 1), [1.0, 0.5]),
    (Rational(1, 2), [1.0, 1.0, 3.5, 1.5]),
    (Rational(2, 2), [1.0, 0.2, 0.05, 0.4, 0.2]),
    (Rational(0, 3), [1.0, 1.1, 0.125, 0.025]),
    (Rational(1, 4), [1.0, 0.3, 1.1666667, 0.1983333, 0.0333333, 0.0016667]),
]


@pytest.mark.parametrize(("model", "theta"), RATIONAL)
@pytest.mark.parametrize("hold", [Hold.FIRST, Hold.ZERO])
def test_rational_models(model: Rational, theta: list[float], hold: Hold) -> None:
    rng = np.random.default_rng(1)
    t, x = instants(4000, 0.05), walk(4000, 0.8, rng)
    z = model.simulate(np.array(theta), t, x, hold)
    record = AlignedRecord(t, z + 0.01 * float(z.std()) * rng.normal(size=4000), x)
    between = InterSample.LINEAR if hold is Hold.FIRST else InterSample.ZERO
    fit = fit_record(record, model, settings=RecordSettings(between=between))
    assert _within(fit, np.array(theta)), fit.detail
    chosen = fit_record(record, model)
    if chosen.accepted:
        assert _within(chosen, np.array(theta)), chosen.detail
    # with as many zeros as poles one hold is as good as the other, and moves the zeros: then that is said
    assert chosen.between is between or "would do as well" in chosen.detail


def test_response_with_its_covariance() -> None:
    kind = ModelKind.SECOND_ORDER
    fit = fit_record(random_record(kind, 3000, 40.0, 9), kind)
    f = np.array([0.5, 2.0, 5.0, 8.0])
    response, cov = fit.response(f)
    truth = model_of(kind).frequency_response(THETA[kind], f)
    away = np.stack([(response - truth).real, (response - truth).imag], axis=-1)
    chi2 = np.einsum("ki,kij,kj->k", away, np.linalg.inv(cov), away)
    assert np.all(chi2 < 20)


def test_what_has_no_dynamics_is_no_model_for_a_record() -> None:
    with pytest.raises(InvalidData, match="dynamics"):
        fit_record(random_record(ModelKind.FIRST_ORDER, 100, 30.0, 1), Static(1, (0.0, 1.0)))
    with pytest.raises(InvalidData, match="no record"):
        fit_record([], ModelKind.FIRST_ORDER)
    with pytest.raises(InvalidData):
        fit_record(random_record(ModelKind.FIRST_ORDER, 100, 30.0, 1), ModelKind.FIRST_ORDER, start=[1.0, -0.5])


@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_coloured_noise_of_the_sensor_is_named_and_costs_uncertainty(jitter: float) -> None:
    white = random_record(ModelKind.FIRST_ORDER, 4000, 300.0, 5, jitter=jitter)
    rng = np.random.default_rng(8)
    noise = lfilter([0.6], [1.0, -0.8], rng.normal(size=4500))[500:]
    y = white.indication + 0.02 * (noise + 0.2 * rng.normal(size=4000))
    fit = fit_record(AlignedRecord(white.t_ns, y, white.reference), ModelKind.FIRST_ORDER)
    assert fit.method is Method.OUTPUT_ERROR
    assert "autoregressive" in fit.noise or "relaxes" in fit.noise
    assert _within(fit, THETA[ModelKind.FIRST_ORDER])
    assert fit.whiteness_p > 1e-3
    assert fit.noise_std == pytest.approx(0.0204, rel=0.1)
    assert fit.parameters is not None
    white_y = white.indication + 0.0204 * np.random.default_rng(11).normal(size=4000)
    settings = RecordSettings(between=fit.between)
    sharp = fit_record(AlignedRecord(white.t_ns, white_y, white.reference), ModelKind.FIRST_ORDER, settings=settings)
    assert sharp.parameters is not None
    assert sharp.noise == "of the sensor, white"
    # slow noise weighs more against a slow measurand than its power says
    assert fit.parameters.u[0] > 1.5 * sharp.parameters.u[0]


@pytest.mark.parametrize("late_by", [1, 3, 10])
def test_residuals_that_follow_from_the_reference_are_no_noise(late_by: int) -> None:
    record = random_record(ModelKind.FIRST_ORDER, 4000, 50.0, 5)
    late = AlignedRecord(record.t_ns[:-late_by], record.indication[:-late_by], record.reference[late_by:])
    fit = fit_record(late, ModelKind.FIRST_ORDER)
    assert not fit.accepted
    assert "autoregressive" not in fit.noise
    assert "clock" in fit.detail or "swapped" in fit.detail


@pytest.mark.parametrize("slow", [0.5, 3.0, 20.0])
def test_no_noise_model_hides_a_mode_that_is_missing(slow: float) -> None:
    """Two lags, fitted as one: 4 % of the response come late."""
    rng = np.random.default_rng(6)
    x, t = walk(6000, 0.97, rng), instants(6000, 0.02)
    two = model_of(ModelKind.LEAD_LAG)
    lead = slow * 0.96 + 0.2 * 0.04
    y = two.simulate(np.array([1.0, slow, 0.2, lead]), t, x) + 0.003 * rng.normal(size=6000)
    fit = fit_record(AlignedRecord(t, y, x), ModelKind.FIRST_ORDER)
    assert "autoregressive" not in fit.noise
    assert "relaxes" not in fit.noise


@pytest.mark.parametrize("delayed", [False, True])
def test_systematic_contributions_come_on_top_of_the_statistical(delayed: bool) -> None:
    record = random_record(ModelKind.FIRST_ORDER, 2000, 40.0, 5)
    plain = model_of(ModelKind.FIRST_ORDER)
    model = Delayed(plain) if delayed else plain
    sharp = fit_record(record, model)
    stated = fit_record(record, model, settings=RecordSettings(u_reference_gain=0.01, u_clock_s=0.02 * delayed))
    assert sharp.parameters is not None
    assert stated.parameters is not None
    assert stated.cov_statistical is not None
    assert sharp.cov_statistical is not None
    np.testing.assert_allclose(sharp.parameters.cov, sharp.cov_statistical, rtol=1e-12)
    # a clock in question leaves out an indication at an end
    u = np.sqrt(np.diag(stated.cov_statistical))
    np.testing.assert_allclose(u, sharp.parameters.u, rtol=0.02)
    more = np.diag(stated.parameters.cov - stated.cov_statistical)
    assert more[0] == pytest.approx((0.01 * stated.parameters.values[0]) ** 2, rel=1e-6)
    if delayed:
        assert more[-1] == pytest.approx(0.02**2, rel=1e-6)
