"""Every model's indication and derivatives against an exact reference, ordinary and nearly singular."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import Delayed, Hold, Rational, SensorModel, model_of
from tests.unit.models import exact

FIRST, SECOND, LEAD = (model_of(kind) for kind in (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG))
STEPS = [9_000_000, 1_300_000, 23_456_789, 1_300_000, 9_000_000, 40_000_000]
U = np.array([0.3, -1.0, 0.8, 0.1, 0.9, -0.4, 0.7])
W = 2 * np.pi * 40.0


def _of_factors(*factors: list[float]) -> FloatArray:
    product = np.ones(1)
    for factor in factors:
        product = np.convolve(product, factor)
    return product[1:]


def _pair(damping: float, f0_hz: float) -> list[float]:
    w = 2 * np.pi * f0_hz
    return [1.0, 2 * damping / w, w**-2.0]


Case = tuple[str, SensorModel, exact.Polynomials, list[float], float]
CASES: list[Case] = [
    ("first order", FIRST, exact.first_order, [1.1, 0.02], 1e-13),
    ("first order, slow", FIRST, exact.first_order, [1.1, 1e6], 1e-13),
    ("first order, fast", FIRST, exact.first_order, [-1.1, 1e-9], 1e-13),
    ("second order", SECOND, exact.second_order, [0.95, 0.3, 20.0], 1e-13),
    ("second order, damping 1e-4", SECOND, exact.second_order, [1.0, 1e-4, 60.0], 1e-13),
    ("second order, damping 1", SECOND, exact.second_order, [1.0, 1.0, 20.0], 1e-13),
    ("second order, damping 1 + 1e-9", SECOND, exact.second_order, [1.0, 1 + 1e-9, 20.0], 1e-13),
    ("second order, damping 1 - 1e-5", SECOND, exact.second_order, [1.0, 1 - 1e-5, 20.0], 1e-13),
    ("second order, damping 500", SECOND, exact.second_order, [1.0, 500.0, 20.0], 1e-12),
    ("second order, damping 30, fast", SECOND, exact.second_order, [1.0, 30.0, 2e4], 1e-12),
    ("second order, far above", SECOND, exact.second_order, [1.0, 0.2, 1e5], 1e-10),
    ("second order, far below", SECOND, exact.second_order, [1.0, 0.7, 1e-4], 1e-13),
    ("lead-lag", LEAD, exact.lead_lag, [1.02, 0.3, 0.04, 0.09], 1e-12),
    ("lead-lag, wide apart", LEAD, exact.lead_lag, [1.02, 3e3, 1e-6, 0.09], 1e-12),
    ("lead-lag, 1 % apart", LEAD, exact.lead_lag, [1.0, 0.0303, 0.03, 0.01], 1e-11),
    ("rational 0/0", Rational(0, 0), exact.rational(0), [1.3], 1e-15),
    ("rational 0/1", Rational(0, 1), exact.rational(0), [1.3, 0.01], 1e-13),
    ("rational 1/1", Rational(1, 1), exact.rational(1), [1.3, -0.005, 0.01], 1e-13),
    ("rational 2/2", Rational(2, 2), exact.rational(2), [1.3, 0.004, 1e-5, *_of_factors(_pair(0.1, 30.0))], 1e-12),
    ("rational 1/3", Rational(1, 3), exact.rational(1), [0.9, 1e-3, *_of_factors([1, 0.02], _pair(0.4, 50.0))], 1e-12),
    ("rational 0/3, fast lag", Rational(0, 3), exact.rational(0),
     [1.0, *_of_factors([1, 1e-6], _pair(0.4, 5.0))], 1e-9),
    ("rational 3/3, three equal lags", Rational(3, 3), exact.rational(3),
     [1.0, 0.01, 1e-5, 1e-7, *_of_factors(*[[1, 0.02]] * 3)], 1e-9),
    ("rational 2/4, equal pairs", Rational(2, 4), exact.rational(2),
     [1.0, 0.01, 1e-5, *_of_factors(_pair(0.3, 30.0), _pair(0.3, 30.0))], 1e-9),
    ("rational 4/6", Rational(4, 6), exact.rational(4),
     [1.0, 0.01, 1e-5, 1e-8, 1e-10, *_of_factors(_pair(0.3, 30.0), _pair(0.01, 70.0), _pair(2.0, 44.0))], 1e-11),
    ("rational 6/6", Rational(6, 6), exact.rational(6),
     [1.0, 0.02, 1e-4, 1e-6, 1e-9, 2e-12, 5e-15, *_of_factors(_pair(0.3, 30.0), _pair(1e-4, 70.0), _pair(2.0, 44.0))],
     1e-11),
    ("rational 1/5, scales 1e6 apart", Rational(1, 5), exact.rational(1),
     [1.0, 0.1, *_of_factors([1, 10.0], _pair(0.3, 30.0), _pair(0.5, 3e5))], 1e-8),
    ("dead time", Delayed(FIRST), exact.delayed(exact.first_order), [1.1, 0.02, 0.0123456789012], 1e-12),
    ("dead time, on an instant", Delayed(FIRST), exact.delayed(exact.first_order), [1.1, 0.02, 0.0013], 1e-12),
    ("dead time below a nanosecond", Delayed(FIRST), exact.delayed(exact.first_order), [1.1, 0.02, 3.7e-10], 1e-12),
    ("dead time, second order", Delayed(SECOND), exact.delayed(exact.second_order), [1.1, 0.3, 20.0, 0.01], 1e-12),
    ("dead time, longer than the record", Delayed(SECOND), exact.delayed(exact.second_order),
     [1.1, 0.3, 20.0, 5.0], 1e-12),
    ("dead time, rational 3/3", Delayed(Rational(3, 3)), exact.delayed(exact.rational(3)),
     [1.0, 0.01, 1e-5, 1e-7, *_of_factors([1, 0.02], _pair(0.4, 50.0)), 0.0077], 1e-11),
]  # fmt: skip


@pytest.mark.parametrize("hold", list(Hold))
@pytest.mark.parametrize(
    ("model", "polynomials", "theta", "tolerance"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_indication(
    model: SensorModel, polynomials: exact.Polynomials, theta: list[float], tolerance: float, hold: Hold
) -> None:
    t_ns = np.concatenate([[0], np.cumsum(STEPS)]) + 1_700_000_000_123_456_789
    expected = np.array([float(y) for y in exact.indication(polynomials, theta, STEPS, U, hold)])
    assert_allclose(model.simulate(np.array(theta), t_ns, U, hold), expected, atol=tolerance * abs(theta[0]))


@pytest.mark.parametrize("hold", list(Hold))
@pytest.mark.parametrize(
    ("model", "polynomials", "theta", "tolerance"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_derivatives(
    model: SensorModel, polynomials: exact.Polynomials, theta: list[float], tolerance: float, hold: Hold
) -> None:
    values = np.array(theta)
    t_ns = np.concatenate([[0], np.cumsum(STEPS)])
    eta = model.to_internal(values)
    got = model.respond(eta, t_ns, U, hold)
    if model.dead_time(eta) == 0.0013:  # a corner of the measurand arrives just then: no derivative in T
        values, got = values[:-1], got.__class__(got.y, got.dy[:, :-1])
        polynomials_ = polynomials
        expected = exact.derivatives(lambda th: polynomials_([*th, theta[-1]]), values, STEPS, U, hold)
        jacobian = model.internal_jacobian(eta)[:-1, :-1]
    else:
        expected = exact.derivatives(polynomials, values, STEPS, U, hold)
        jacobian = model.internal_jacobian(eta)
    along = expected @ jacobian
    # to_internal itself loses digits where poles come together; what is beyond 20 digits is nothing
    share = max(100 * tolerance, 1e-11)
    scale = np.maximum(np.abs(along).max(axis=0), 1e-20 / share)
    assert_allclose(got.dy / scale, along / scale, atol=share)
    assert_allclose(got.y, model.simulate(np.array(theta), t_ns, U, hold), atol=1e-13)


def test_derivative_in_dead_time_leaves_out_what_a_held_feedthrough_jumps() -> None:
    model = Delayed(Rational(1, 1))
    theta = np.array([1.0, 0.005, 0.01, 0.0031])
    t_ns = np.concatenate([[0], np.cumsum(STEPS)])
    eta = model.to_internal(theta)
    dy = model.respond(eta, t_ns, U, Hold.ZERO).dy[:, -1]
    moved = np.array([0.0, 0.0, 0.0, 1e-8])
    later, sooner = theta + moved, theta - moved
    slope = (model.simulate(later, t_ns, U, Hold.ZERO) - model.simulate(sooner, t_ns, U, Hold.ZERO)) / 2e-8
    assert_allclose(dy, slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("model", "theta"), [(c[1], c[3]) for c in CASES], ids=[c[0] for c in CASES])
def test_internal_coordinates_come_back(model: SensorModel, theta: list[float]) -> None:
    eta = model.to_internal(np.array(theta))
    assert_allclose(model.from_internal(eta), theta, rtol=1e-11)
    jacobian = model.internal_jacobian(eta)
    for i in range(eta.size):
        step = np.zeros(eta.size)
        step[i] = 1e-5
        numeric = (model.from_internal(eta + step) - model.from_internal(eta - step)) / 2e-5 / theta
        assert_allclose(jacobian[:, i] / theta, numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n_poles", range(7))
def test_any_coordinates_are_a_stable_sensor(n_poles: int) -> None:
    rng = np.random.default_rng(n_poles)
    for n_zeros in range(n_poles + 1):
        model = Rational(n_zeros, n_poles)
        for _ in range(5):
            eta = np.concatenate([[0.9], rng.normal(size=n_zeros), rng.normal(0, 1.5, n_poles)])
            theta = model.check_physical(model.from_internal(eta))
            again = model.from_internal(model.to_internal(theta))
            assert_allclose(again, theta, rtol=1e-11, atol=1e-12 * np.abs(theta).max())


def test_equal_time_constants_are_simulated_and_have_coordinates() -> None:
    theta = np.array([1.0, 0.03, 0.03, 0.01])
    t_ns = np.concatenate([[0], np.cumsum(STEPS)])
    for hold in Hold:
        expected = [float(y) for y in exact.indication(exact.lead_lag, theta.tolist(), STEPS, U, hold)]
        assert_allclose(LEAD.simulate(theta, t_ns, U, hold), expected, atol=1e-12)
        eta = LEAD.to_internal(theta)
        assert_allclose(LEAD.respond(eta, t_ns, U, hold).y, expected, atol=1e-8)
    assert_allclose(LEAD.from_internal(eta), theta, rtol=2e-5)


def test_rational_refuses_what_has_no_coordinates() -> None:
    for model, theta in [
        (Rational(1, 2), [0.0, 0.01, 0.1, 0.01]),
        (Rational(0, 3), [1.0, 0.01, 1e-4, -1e-6]),
        (Rational(0, 3), [1.0, 0.01, 1e-4, 1e-3]),
        (Rational(0, 2), [1.0, 0.0, 1e-4]),
        (Rational(0, 2), [np.nan, 0.1, 1e-4]),
        (Delayed(Rational(0, 1)), [1.0, -0.1, 0.0]),
    ]:
        with pytest.raises(InvalidData):
            model.to_internal(np.array(theta))
