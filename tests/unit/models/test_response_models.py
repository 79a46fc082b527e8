"""Rational, delayed and static models against references that share nothing with them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm
from scipy.signal import dlsim, lsim, tf2ss

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import Delayed, Hold, Rational, ResponseModel, Static, model_of, named_model
from dyncal.models.exponential import exponential


def _bessel_like(order: int, f0_hz: float = 40.0) -> FloatArray:
    """Coefficients a1.. of a well damped denominator."""
    if order == 0:
        return np.empty(0)
    w = 2 * np.pi * f0_hz
    roots = w * np.exp(1j * np.pi * (0.5 + (np.arange(order) + 0.5) / order)) * np.linspace(1.0, 1.6, order)
    roots = np.sort_complex(np.concatenate([roots[: order // 2], roots[: order // 2].conj(), [-w][: order % 2]]))
    a = np.real(np.poly(roots))[::-1]
    return np.asarray(a[1:] / a[0])


def _rational(n_zeros: int, n_poles: int) -> tuple[Rational, FloatArray]:
    b = 0.7 * np.array([2e-3**k for k in range(1, n_zeros + 1)])
    return Rational(n_zeros, n_poles), np.concatenate([[0.9], b, _bessel_like(n_poles)])


CASES: list[tuple[ResponseModel, FloatArray]] = [
    _rational(0, 0),
    _rational(0, 1),
    _rational(1, 1),
    _rational(1, 3),
    _rational(4, 4),
    _rational(2, 6),
    _rational(6, 6),
    (Delayed(model_of(ModelKind.FIRST_ORDER)), np.array([1.1, 0.02, 0.0123456789])),
    (Delayed(model_of(ModelKind.SECOND_ORDER)), np.array([1.1, 0.3, 20.0, 0.004])),
    (Delayed(model_of(ModelKind.LEAD_LAG)), np.array([1.0, 0.3, 0.04, 0.09, 0.011])),
    (Delayed(_rational(2, 3)[0]), np.append(_rational(2, 3)[1], 0.007)),
    (Static(3, (0.0, 2.0)), np.array([0.1, 2.0, 0.1, 0.02])),
]
IDS = [model.label for model, _ in CASES]
F_HZ = np.array([0.0, 0.1, 3.0, 17.0, 40.0, 90.0])


@pytest.mark.parametrize("order", [1, 4, 8])
def test_exponential_equals_scipy(order: int) -> None:
    rng = np.random.default_rng(order)
    matrices = rng.normal(size=(5, 2, order, order)) * np.array([1e-9, 0.1, 3.0, 20.0, 60.0])[:, None, None, None]
    got = exponential(matrices)
    for index in np.ndindex(5, 2):
        expected = expm(matrices[index])
        assert_allclose(got[index], expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("model", "theta"), CASES, ids=IDS)
def test_jacobian_is_the_derivative(model: ResponseModel, theta: FloatArray) -> None:
    analytic = model.jacobian(theta, F_HZ)
    assert analytic.shape == (F_HZ.size, model.n_parameters)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-6 * abs(theta[i])
        numeric = model.frequency_response(theta + step, F_HZ) - model.frequency_response(theta - step, F_HZ)
        scale = np.abs(analytic[:, i]).max()
        assert_allclose(analytic[:, i], numeric / (2 * step[i]), rtol=1e-5, atol=1e-7 * max(scale, 1e-3))


@pytest.mark.parametrize(("n_zeros", "n_poles"), [(0, 1), (1, 1), (1, 3), (4, 4), (2, 6), (6, 6)])
def test_rational_simulation_equals_scipy(n_zeros: int, n_poles: int) -> None:
    model, theta = _rational(n_zeros, n_poles)
    t_ns = np.arange(0, 400_000_000, 2_000_000, dtype=np.int64)
    u = np.random.default_rng(1).normal(size=t_ns.size)
    u[0] = 0.0
    b, a = model.polynomials(theta)
    w = 250.0  # scipy's own realisation, in a time that keeps its coefficients near 1
    system = tf2ss(b[::-1] * w ** np.arange(b.size)[::-1], a[::-1] * w ** np.arange(a.size)[::-1])
    for hold in Hold:
        _, expected, _ = lsim(system, u, t_ns / 1e9 * w, interp=hold is Hold.FIRST)
        assert_allclose(model.simulate(theta, t_ns, u, hold), expected, atol=1e-9)


def test_rational_on_irregular_instants_is_the_regular_record_read_there() -> None:
    model, theta = _rational(2, 5)
    t_ns = np.arange(0, 500_000_000, 1_000_000, dtype=np.int64)
    knots = np.sort(np.random.default_rng(2).choice(np.arange(1, t_ns.size - 1), 60, replace=False))
    knots = np.concatenate([[0], knots, [t_ns.size - 1]])
    values = np.random.default_rng(3).normal(size=knots.size)
    u = np.interp(t_ns, t_ns[knots], values)
    expected = model.simulate(theta, t_ns, u)[knots]
    assert_allclose(model.simulate(theta, t_ns[knots], values), expected, atol=1e-10)


def test_rational_equals_second_order() -> None:
    gain, damping, f0 = 1.2, 0.1, 30.0
    w = 2 * np.pi * f0
    rational, theta = Rational(0, 2), np.array([gain, 2 * damping / w, 1 / w**2])
    second, physical = model_of(ModelKind.SECOND_ORDER), np.array([gain, damping, f0])
    assert_allclose(rational.frequency_response(theta, F_HZ), second.frequency_response(physical, F_HZ), rtol=1e-12)
    t_ns = np.cumsum(np.random.default_rng(4).integers(100_000, 9_000_000, size=80))
    u = np.random.default_rng(5).normal(size=80)
    for hold in Hold:
        assert_allclose(rational.simulate(theta, t_ns, u, hold), second.simulate(physical, t_ns, u, hold), atol=1e-11)


def test_an_unstable_or_improper_rational_is_refused() -> None:
    model = Rational(0, 2)
    for theta in ([1.0, -0.1, 0.01], [1.0, 0.0, 0.01], [1.0, 0.1, 0.0], [1.0, 0.1, -0.01], [1.0, np.inf, 0.01]):
        with pytest.raises(InvalidData):
            model.check_physical(np.array(theta))
    for zeros, poles in ((2, 1), (0, 7), (-1, 2)):
        with pytest.raises(InvalidData, match="6 poles"):
            Rational(zeros, poles)


@pytest.mark.parametrize("delay_s", [0.0, 1e-12, 0.003, 0.004, 0.0123456789, 5.0])
def test_a_delayed_line_is_the_model_s_own_answer_later(delay_s: float) -> None:
    inner, theta = model_of(ModelKind.FIRST_ORDER), np.array([1.1, 0.02])
    t_ns = np.cumsum(np.random.default_rng(6).integers(500_000, 9_000_000, size=60)) + 1_700_000_000_000_000_000
    u = np.random.default_rng(7).normal(size=60)
    for hold in Hold:
        got = Delayed(inner).simulate(np.append(theta, delay_s), t_ns, u, hold)
        # a fine grid, on which reading later is moving by whole nanoseconds, rounded
        delay_ns = round(delay_s * 1e9)
        fine = np.unique(np.concatenate([t_ns, t_ns - delay_ns]))
        fine = fine[fine >= t_ns[0]]
        if hold is Hold.FIRST:
            held = np.interp((fine - t_ns[0]).astype(float), (t_ns - t_ns[0]).astype(float), u)
        else:
            held = u[np.searchsorted(t_ns, fine, side="right") - 1]
        answer = inner.simulate(theta, fine, held, hold)
        late = t_ns - delay_ns
        expected = np.where(late < t_ns[0], theta[0] * u[0], 0.0)
        here = late >= t_ns[0]
        expected[here] = answer[np.searchsorted(fine, late[here])]
        assert_allclose(got, expected, atol=1e-6 if delay_ns != delay_s * 1e9 else 1e-11)


def test_delay_of_whole_samples_shifts_a_zero_order_hold_record() -> None:
    inner, theta = Rational(0, 1), np.array([1.0, 0.05])
    t_ns = np.arange(100, dtype=np.int64) * 10_000_000
    u = np.random.default_rng(8).normal(size=100)
    u[0] = 0.0
    a = np.exp(-0.01 / 0.05)
    _, expected, _ = dlsim((np.array([[a]]), np.array([[1 - a]]), np.eye(1), np.zeros((1, 1)), 0.01), u)
    got = Delayed(inner).simulate(np.append(theta, 0.03), t_ns, u, Hold.ZERO)
    assert_allclose(got[3:], expected[:-3, 0], atol=1e-12)
    assert_allclose(got[:3], 0.0, atol=1e-15)


def test_dead_time_below_zero_beyond_reason_or_twice_is_refused() -> None:
    inner = model_of(ModelKind.FIRST_ORDER)
    t_ns, u = np.arange(3, dtype=np.int64), np.ones(3)
    for delay in (-1e-9, 1e9):
        with pytest.raises(InvalidData):
            Delayed(inner).simulate(np.array([1.0, 0.1, delay]), t_ns, u)
    with pytest.raises(InvalidData, match="already"):
        Delayed(Delayed(inner))


def test_static_inverts_and_says_where_it_cannot() -> None:
    model, theta = Static(3, (0.0, 2.0)), np.array([0.1, 2.0, 0.1, 0.02])
    y = np.linspace(0, 2, 41)
    x = model.measurand(theta, y)
    assert_allclose(model.indication(theta, x), y, atol=1e-12)
    assert_allclose(model.indication(theta, np.array([0.0, 99.0, np.nan])), [np.nan] * 3)
    assert_allclose(model.measurand(theta, np.array([-0.1, 2.1, np.nan])), [np.nan] * 3)
    assert_allclose(model.measurand_jacobian(y) @ theta, x, rtol=1e-14)
    t_ns = np.array([0, 5, 11], dtype=np.int64)
    assert_allclose(model.simulate(theta, t_ns, x[[3, 30, 9]]), y[[3, 30, 9]], atol=1e-12)
    falling = Static(1, (-1.0, 1.0))
    assert_allclose(falling.indication(np.array([0.0, -4.0]), np.array([2.0])), -0.5, atol=1e-12)
    with pytest.raises(InvalidData, match="monotone"):
        Static(2, (-1.0, 1.0)).indication(np.array([0.0, 0.0, 1.0]), np.array([0.5]))
    with pytest.raises(InvalidData, match="monotone"):
        Static(1, (-1.0, 1.0)).check_physical(np.array([3.0, 0.0]))


def test_static_outside_its_bounds_is_refused() -> None:
    for arguments in [(0, (0.0, 1.0)), (13, (0.0, 1.0)), (2, (1.0, 1.0)), (2, (0.0, np.inf))]:
        with pytest.raises(InvalidData):
            Static(*arguments)
    with pytest.raises(InvalidData, match="outside"):
        Static(1, (0.0, 1.0), at=3.0)


def test_models_are_found_by_their_parameters() -> None:
    for model, _ in CASES[:-1]:
        found = named_model(model.kind, model.names)
        assert (found.kind, found.names, found.label) == (model.kind, model.names, model.label)
    for kind, names in [
        (ModelKind.FIRST_ORDER, ("gain",)),
        (ModelKind.RATIONAL, ("gain", "a1_s", "b1_s")),
        (ModelKind.RATIONAL, ("gain", "a2_s2")),
        (ModelKind.RATIONAL, ()),
        (ModelKind.STATIC, ("c0", "c1")),
    ]:
        with pytest.raises(InvalidData):
            named_model(kind, names)
