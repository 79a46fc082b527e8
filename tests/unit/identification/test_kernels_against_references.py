from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import solve_discrete_are

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.block import BlockData, BlockProblem, Start
from dyncal.identification.gain import InnovationGain
from dyncal.identification.interpolation import CONTEXT, Interpolation, refined
from dyncal.models import SensorModel, model_of

CASES = [
    (ModelKind.FIRST_ORDER, (1.1, 0.5)),
    (ModelKind.SECOND_ORDER, (0.9, 0.2, 1.3)),
    (ModelKind.LEAD_LAG, (1.0, 0.9, 0.2, 0.3)),
]


def innovations(
    model: SensorModel, h: FloatArray, shape: FloatArray, data: BlockData, x: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The recursion, as it is written down: no sensitivities, one sample at a time."""
    eta, gain = h[:-1], InnovationGain(model, shape, float(np.median(np.diff(data.t_ns))) / 1e9).at(float(h[-1]))[0]
    parts = model.discretise(eta, data.steps_s)
    c = np.asarray(model.output)
    e = np.zeros(data.t_ns.size)
    x = x.copy()
    for k in range(data.t_ns.size):
        if k > 0:
            for j in range((k - 1) * data.stride, k * data.stride):
                i = data.index[j]
                x = parts.phi[i] @ x + parts.gamma[i] @ np.array([r[j], r[j + 1]])
        if k > 0 or data.fresh:
            e[k] = data.y[k] - c @ x
            x = x + gain * e[k]
    return e, x


def block(kind: str, rng: np.random.Generator) -> BlockData:
    n = 40 + 2 * CONTEXT
    steps = rng.integers(20_000_000, 60_000_000, size=n) if kind == "irregular" else np.full(n, 50_000_000)
    t = np.cumsum(steps).astype(np.int64)
    y, r = rng.normal(size=n), rng.normal(size=n)
    interpolation = Interpolation.QUINTIC if kind == "spline" else Interpolation.LINEAR
    return BlockData.between(t, y, r, interpolation, fresh=False)


@pytest.mark.parametrize("spacing", ["uniform", "irregular", "spline"])
@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_one_pass_equals_the_plain_recursion_and_its_difference_quotients(
    kind: ModelKind, theta: tuple[float, ...], spacing: str
) -> None:
    rng = np.random.default_rng(5)
    model, data = model_of(kind), block(spacing, rng)
    h = np.append(model.to_internal(np.array(theta)), 1.0)
    m = h.size
    start = Start(np.array([0.3, -0.2 if model.n_states == 2 else 0.0]), np.zeros((m + 2, 2)))
    start.s[: m - 1, 0] = 0.1
    problem = BlockProblem(model, data, h, start)
    there = problem.evaluate(h)
    assert there is not None
    e, x = innovations(model, h, h[:-1], data, start.x, data.r)
    assert_allclose(there.e, e, atol=1e-11)
    assert_allclose(there.end.x, x, atol=1e-11)
    assert_allclose(there.sse, e @ e, rtol=1e-11)
    psi, ends = np.empty((m, e.size)), np.empty((m, 2))
    for i in range(m):
        step = np.zeros(m)
        step[i] = 1e-6
        up = innovations(model, h + step, h[:-1], data, start.x + start.s[:m].T @ step, data.r)
        down = innovations(model, h - step, h[:-1], data, start.x - start.s[:m].T @ step, data.r)
        psi[i], ends[i] = -(up[0] - down[0]) / 2e-6, (up[1] - down[1]) / 2e-6
    assert_allclose(there.a, psi @ psi.T, rtol=2e-5, atol=2e-5)
    assert_allclose(there.b, psi @ e, rtol=2e-5, atol=2e-5)
    assert_allclose(there.end.s[:m], ends, rtol=1e-5, atol=1e-6)
    for j in range(2):
        shifted, _ = innovations(model, h, h[:-1], data, start.x, data.r + 1e-6 * data.d[j])
        considered = -(shifted - e) / 1e-6
        assert_allclose(there.cross[:, j], psi @ considered, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_a_fresh_block_has_the_best_initial_state_solved_out(kind: ModelKind, theta: tuple[float, ...]) -> None:
    rng = np.random.default_rng(6)
    model = model_of(kind)
    n = 30
    t = np.cumsum(np.full(n, 50_000_000)).astype(np.int64)
    data = BlockData.of(t, rng.normal(size=n), rng.normal(size=n), fresh=True)
    h = np.append(model.to_internal(np.array(theta)), -40.0)
    there = BlockProblem(model, data, h, None).evaluate(h)
    assert there is not None
    base = innovations(model, h, h[:-1], data, np.zeros(2), data.r)[0]
    columns = [base - innovations(model, h, h[:-1], data, np.eye(2)[i], data.r)[0] for i in range(model.n_states)]
    design = np.array(columns).T
    residual = base - design @ np.linalg.lstsq(design, base, rcond=None)[0]
    assert_allclose(there.sse, residual @ residual, rtol=1e-9)


@pytest.mark.parametrize(("kind", "theta"), CASES)
@pytest.mark.parametrize("kappa", [-6.0, 0.0, 5.0])
def test_the_gain_is_that_of_a_kalman_filter_at_rest(kind: ModelKind, theta: tuple[float, ...], kappa: float) -> None:
    model = model_of(kind)
    eta = model.to_internal(np.array(theta))
    shaped = InnovationGain(model, eta, 0.05)
    n = model.n_states
    whole, noise = shaped.discretised()
    phi, q, c = whole[:n, :n], np.exp(kappa) * noise[:n, :n], np.asarray(model.output)[None, :n]
    P = solve_discrete_are(phi.T, c.T, q, np.eye(1))
    gain, slope = shaped.at(kappa)
    assert_allclose(gain[:n], (P @ c.T / (c @ P @ c.T + 1))[:, 0], rtol=1e-6, atol=1e-12)
    numeric = (shaped.at(kappa + 1e-4)[0] - shaped.at(kappa - 1e-4)[0]) / 2e-4
    assert_allclose(slope, numeric, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("kind", "limit"), [(Interpolation.CUBIC, 5e-3), (Interpolation.QUINTIC, 1.2e-3)])
def test_splines_follow_a_sine_of_seven_samples_a_period(kind: Interpolation, limit: float) -> None:
    f = 0.15
    fine = refined(np.cos(2 * np.pi * f * np.arange(100)), kind)
    at = CONTEXT + np.arange(fine.size) / 2
    # the values are raised by what straight lines between them take away again
    assert_allclose(fine * np.sinc(f / 2) ** 2, np.cos(2 * np.pi * f * at), atol=limit)


def test_splines_keep_a_constant_exactly() -> None:
    for kind in (Interpolation.CUBIC, Interpolation.QUINTIC):
        assert_allclose(refined(np.full(60, 3.0), kind), 3.0, rtol=1e-14)
