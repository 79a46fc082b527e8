from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import Hold, SensorModel, model_of

CASES: list[tuple[ModelKind, tuple[float, ...]]] = [
    (ModelKind.FIRST_ORDER, (1.1, 0.5)),
    (ModelKind.FIRST_ORDER, (-0.9, 2e-5)),
    (ModelKind.SECOND_ORDER, (0.95, 0.3, 5.0)),
    (ModelKind.SECOND_ORDER, (1.0, 0.02, 40.0)),
    (ModelKind.SECOND_ORDER, (1.0, 1.0, 5.0)),
    (ModelKind.SECOND_ORDER, (1.0, 2.5, 5.0)),
    (ModelKind.LEAD_LAG, (1.02, 3.0, 0.4, 0.9)),
    (ModelKind.LEAD_LAG, (1.0, 3.0, 0.4, 0.0)),
]
F_HZ = np.array([0.0, 0.01, 0.3, 1.0, 4.9, 20.0])


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[SensorModel, FloatArray]:
    kind, theta = request.param
    return model_of(kind), np.array(theta)


def _state_space(model: SensorModel, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A plain realisation (A, B, C) that shares nothing with the models' own."""
    if model.kind is ModelKind.FIRST_ORDER:
        g, tau = theta
        return np.array([[-1 / tau]]), np.array([[g / tau]]), np.array([[1.0]])
    if model.kind is ModelKind.SECOND_ORDER:
        g, d, f0 = theta
        w = 2 * np.pi * f0
        return np.array([[0, 1], [-(w**2), -2 * d * w]]), np.array([[0], [g * w**2]]), np.array([[1.0, 0.0]])
    g, t1, t2, tz = theta
    a = np.array([[0, 1], [-1 / (t1 * t2), -(t1 + t2) / (t1 * t2)]])
    return a, np.array([[0], [1.0]]), np.array([[g, g * tz]]) / (t1 * t2)


def _brute_force(model: SensorModel, theta: FloatArray, t_s: FloatArray, u: FloatArray, hold: Hold) -> FloatArray:
    """Matrix exponentials of the state augmented by input and slope."""
    A, B, C = _state_space(model, theta)
    n = A.shape[0]
    x = -np.linalg.solve(A, B)[:, 0] * u[0]
    y = [float(C[0] @ x)]
    for k, h in enumerate(np.diff(t_s)):
        M = np.zeros((n + 2, n + 2))
        M[:n, :n], M[:n, n], M[n, n + 1] = A, B[:, 0], 1.0
        slope = (u[k + 1] - u[k]) / h if hold is Hold.FIRST else 0.0
        x = (expm(M * h) @ np.array([*x, u[k], slope]))[:n]
        y.append(float(C[0] @ x))
    return np.array(y)


@pytest.mark.parametrize("hold", list(Hold))
def test_simulation_equals_matrix_exponentials_on_irregular_instants(
    case: tuple[SensorModel, FloatArray], hold: Hold
) -> None:
    model, theta = case
    rng = np.random.default_rng(1)
    t_ns = np.cumsum(rng.integers(1_000_000, 80_000_000, size=60))
    u = rng.normal(size=60)
    expected = _brute_force(model, theta, t_ns / 1e9, u, hold)
    assert_allclose(model.simulate(theta, t_ns, u, hold), expected, atol=2e-11)


def test_jacobian_is_the_derivative(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    analytic = model.jacobian(theta, F_HZ)
    assert analytic.shape == (F_HZ.size, model.n_parameters)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-6 * max(abs(theta[i]), 1e-2 * abs(theta).max())
        numeric = model.frequency_response(theta + step, F_HZ) - model.frequency_response(theta - step, F_HZ)
        assert_allclose(analytic[:, i], numeric / (2 * step[i]), rtol=2e-5, atol=1e-7 * abs(analytic[:, i]).max())


def test_discretisation_derivatives(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    eta = model.to_internal(theta)
    h = np.array([1e-4, 0.01, 0.3])
    for hold in Hold:
        parts = model.discretise(eta, h, hold)
        for i in range(eta.size):
            step = np.zeros(eta.size)
            step[i] = 1e-5
            up, down = model.discretise(eta + step, h, hold), model.discretise(eta - step, h, hold)
            assert_allclose(parts.dphi[:, i], (up.phi - down.phi) / 2e-5, atol=3e-8)
            assert_allclose(parts.dgamma[:, i], (up.gamma - down.gamma) / 2e-5, atol=3e-8)


def test_state_space_has_the_frequency_response_and_its_derivatives(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    eta = model.to_internal(theta)
    sys = model.state_space(eta)
    n, s = model.n_states, 2j * np.pi * F_HZ[:, None, None]
    assert (sys.a.shape, sys.b.shape, sys.c.shape) == ((n, n), (n,), (n,))
    resolvent = np.linalg.inv(s * np.eye(n) - sys.a)
    response = np.einsum("i,fij,j->f", sys.c, resolvent, sys.b) + sys.d
    assert_allclose(response, model.frequency_response(theta, F_HZ), rtol=1e-12)
    slope = np.einsum("i,fij,pjk,fkl,l->fp", sys.c, resolvent, sys.da, resolvent, sys.b)
    slope = slope + np.einsum("i,fij,pj->fp", sys.c, resolvent, sys.db) + sys.dd
    expected = model.jacobian(theta, F_HZ) @ model.internal_jacobian(eta)
    assert_allclose(slope, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


def test_state_space_is_what_is_discretised(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    eta = model.to_internal(theta)
    sys, n = model.state_space(eta), model.n_states
    slowest = 1 / np.abs(np.linalg.eigvals(sys.a)).min()
    h = slowest * np.array([1e-3, 0.1, 1.0])
    parts = model.discretise(eta, h, Hold.ZERO)
    for k in range(h.size):
        both = np.zeros((n + 1, n + 1))
        both[:n, :n], both[:n, n] = sys.a * h[k], sys.b * h[k]
        exact = expm(both)
        assert_allclose(parts.phi[k, :n, :n], exact[:n, :n], atol=1e-12)
        assert_allclose(parts.gamma[k, :n, 0], exact[:n, n], atol=1e-12)


def test_a_constant_measurand_stays_at_rest_and_reads_gain_times_it(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    t_ns = np.arange(0, 50_000_000_000, 1_000_000_000, dtype=np.int64)
    assert_allclose(model.simulate(theta, t_ns, np.full(50, 7.0)), 7.0 * theta[0], rtol=1e-12)


def test_internal_coordinates_round_trip(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    eta = model.to_internal(theta)
    assert_allclose(model.from_internal(eta), theta, rtol=1e-12, atol=1e-12)
    jacobian = model.internal_jacobian(eta)
    for i in range(eta.size):
        step = np.zeros(eta.size)
        step[i] = 1e-6
        numeric = (model.from_internal(eta + step) - model.from_internal(eta - step)) / 2e-6
        assert_allclose(jacobian[:, i], numeric, atol=1e-8 * max(1.0, abs(theta).max()))


def test_sensitivity_biquads_follow_the_logarithmic_derivative(case: tuple[SensorModel, FloatArray]) -> None:
    model, theta = case
    dt_s = 1e-4
    if model.kind is ModelKind.FIRST_ORDER and theta[1] < dt_s:
        dt_s = theta[1] / 50
    f = (
        np.array([0.02, 0.05]) / (2 * np.pi * max(theta[-1], 0.1))
        if model.kind is not ModelKind.SECOND_ORDER
        else theta[2] * np.array([0.1, 0.9, 1.0, 1.3])
    )
    z1 = np.exp(-2j * np.pi * f * dt_s)
    expected = -model.jacobian(theta, f) / model.frequency_response(theta, f)[:, None]
    for i, (b0, b1, b2, a1, a2) in enumerate(model.sensitivity_biquads(theta, dt_s)):
        got = (b0 + b1 * z1 + b2 * z1**2) / (1 + a1 * z1 + a2 * z1**2)
        assert_allclose(got, expected[:, i], rtol=3e-3)
        assert np.all(np.abs(np.roots([1.0, a1, a2])) < 1)


def test_a_kind_without_model_and_impossible_parameters_are_refused() -> None:
    with pytest.raises(InvalidData, match="rational"):
        model_of(ModelKind.RATIONAL)
    for kind, theta in [
        (ModelKind.FIRST_ORDER, [1.0, -1.0]),
        (ModelKind.FIRST_ORDER, [1.0, np.nan]),
        (ModelKind.FIRST_ORDER, [1.0]),
        (ModelKind.SECOND_ORDER, [1.0, 0.0, 5.0]),
        (ModelKind.LEAD_LAG, [1.0, 2.0, -2.0, 1.0]),
    ]:
        with pytest.raises(InvalidData):
            model_of(kind).to_internal(np.array(theta))


def test_simulation_refuses_what_is_no_record() -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    theta = np.array([1.0, 1.0])
    t = np.array([0, 1, 1], dtype=np.int64)
    with pytest.raises(InvalidData, match="increase"):
        model.simulate(theta, t, np.zeros(3))
    with pytest.raises(InvalidData, match="together"):
        model.simulate(theta, t, np.zeros(2))
    with pytest.raises(InvalidData, match="finite"):
        model.simulate(theta, np.arange(3), np.array([0.0, np.nan, 1.0]))
