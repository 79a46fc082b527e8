from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import solve_discrete_are

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.interpolation import CONTEXT, Interpolation, refined
from dyncal.identification.online import renewal
from dyncal.identification.online.block import BlockData, BlockProblem, Start, rows
from dyncal.identification.online.passes import CODES, ROWS, discretise, innovation_gain
from dyncal.models import model_of
from tests.unit.identification import references
from tests.unit.identification.references import innovations, noise_gain

CASES = [
    (ModelKind.FIRST_ORDER, (1.1, 0.5)),
    (ModelKind.SECOND_ORDER, (0.9, 0.2, 1.3)),
    (ModelKind.SECOND_ORDER, (0.9, 1.7, 1.3)),
    (ModelKind.LEAD_LAG, (1.0, 0.9, 0.2, 0.3)),
]


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
    m, at = h.size, list(rows(h.size - 1))
    start = Start(np.array([0.3, -0.2 if model.n_states == 2 else 0.0]), np.zeros((2, ROWS)))
    start.s[0, : m - 1] = 0.1
    there = BlockProblem(model, data, h, start).evaluate(h)
    assert there is not None
    e, x = innovations(model, h, h[:-1], data, start.x, data.r)
    assert_allclose(there.e, e, atol=1e-11)
    assert_allclose(there.end.x, x, atol=1e-11)
    assert_allclose(there.sse, e @ e, rtol=1e-11)
    psi, ends = np.empty((m, e.size)), np.empty((m, 2))
    for i in range(m):
        step = np.zeros(m)
        step[i] = 1e-6
        moved = start.s[:, at] @ step
        up = innovations(model, h + step, h[:-1], data, start.x + moved, data.r)
        down = innovations(model, h - step, h[:-1], data, start.x - moved, data.r)
        psi[i], ends[i] = -(up[0] - down[0]) / 2e-6, (up[1] - down[1]) / 2e-6
    assert_allclose(there.a, psi @ psi.T, rtol=2e-5, atol=2e-5)
    assert_allclose(there.b, psi @ e, rtol=2e-5, atol=2e-5)
    assert_allclose(there.end.s[:, at].T, ends, rtol=1e-5, atol=1e-6)
    for j, disturbance in enumerate((np.ones_like(data.r), -data.slope)):
        shifted, _ = innovations(model, h, h[:-1], data, start.x, data.r + 1e-6 * disturbance)
        considered = -(shifted - e) / 1e-6
        assert_allclose(there.cross[:, j], psi @ considered, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("spacing", ["uniform", "irregular"])
def test_the_slope_of_the_reference_is_that_of_a_parabola_through_three_values(spacing: str) -> None:
    data = block(spacing, np.random.default_rng(2))
    assert_allclose(data.slope, np.gradient(data.r, (data.t_ns - data.t_ns[0]) / 1e9), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_a_fresh_block_has_the_best_initial_state_solved_out(kind: ModelKind, theta: tuple[float, ...]) -> None:
    rng = np.random.default_rng(6)
    model = model_of(kind)
    n = 30
    t = np.cumsum(np.full(n, 50_000_000)).astype(np.int64)
    data = BlockData.of(t, rng.normal(size=n), rng.normal(size=n), fresh=True)
    h = np.append(model.to_internal(np.array(theta)), -40.0)
    problem = BlockProblem(model, data, h, None)
    there = problem.evaluate(h)
    assert there is not None
    base = innovations(model, h, h[:-1], data, np.zeros(2), data.r)[0]
    columns = [base - innovations(model, h, h[:-1], data, np.eye(2)[i], data.r)[0] for i in range(model.n_states)]
    design = np.array(columns).T
    residual = base - design @ np.linalg.lstsq(design, base, rcond=None)[0]
    assert_allclose(there.sse, residual @ residual, rtol=1e-9)
    assert_allclose(problem.unexplained(h[:-1]), residual @ residual / np.sum((data.y - data.y.mean()) ** 2), rtol=1e-9)


@pytest.mark.parametrize("h_s", [1e-4, 0.05, 3.0])
@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_the_discretisation_is_that_of_the_model(kind: ModelKind, theta: tuple[float, ...], h_s: float) -> None:
    model = model_of(kind)
    eta = model.to_internal(np.array(theta))
    base, slopes = np.empty((1, 2, 5)), np.empty((1, 4, 2, 5))
    discretise(CODES[kind], eta, np.array([h_s]), 1, base, slopes)
    parts = model.discretise(eta, np.array([h_s]))
    p = model.n_parameters
    assert_allclose(base[0][:, :2], parts.phi[0], rtol=1e-12, atol=1e-14)
    assert_allclose(base[0][:, [2, 4]], parts.gamma[0], rtol=1e-9, atol=1e-12)
    assert_allclose(slopes[0, :p, :, :2], parts.dphi[0], rtol=1e-9, atol=1e-12)
    assert_allclose(slopes[0, :p][:, :, [2, 4]], parts.dgamma[0], rtol=1e-6, atol=1e-10)
    twice, again = np.empty((1, 2, 5)), np.empty((1, 4, 2, 5))
    discretise(CODES[kind], eta, np.array([2 * h_s]), 2, twice, again)
    assert_allclose(twice[0][:, :2], base[0][:, :2] @ base[0][:, :2], rtol=1e-12, atol=1e-15)
    assert_allclose(
        twice[0, :, 2:].sum(axis=1) @ np.array(model.output)[:2],
        (base[0][:, :2] @ base[0][:, 2:].sum(axis=1) + base[0][:, 2:].sum(axis=1)) @ np.array(model.output)[:2],
        rtol=1e-9,
    )


@pytest.mark.parametrize(("kind", "theta"), CASES)
@pytest.mark.parametrize("kappa", [-6.0, 0.0, 5.0])
def test_the_gain_is_that_of_a_kalman_filter_at_rest(kind: ModelKind, theta: tuple[float, ...], kappa: float) -> None:
    model = model_of(kind)
    eta = model.to_internal(np.array(theta))

    def at(kappa: float) -> tuple[FloatArray, FloatArray]:
        gain, slope = np.empty(2), np.empty(2)
        innovation_gain(CODES[kind], eta, 0.05, kappa, gain, slope)
        return gain, slope

    gain, slope = at(kappa)
    assert_allclose(gain, noise_gain(model, eta, 0.05, kappa), rtol=1e-8, atol=1e-12)
    n = model.n_states
    whole, noise = references.discretised_noise(model, eta, 0.05)
    phi, q, c = whole[:n, :n], np.exp(kappa) * noise[:n, :n], np.asarray(model.output)[None, :n]
    P = solve_discrete_are(phi.T, c.T, q, np.eye(1))
    assert_allclose(gain[:n], (P @ c.T / (c @ P @ c.T + 1))[:, 0], rtol=1e-6, atol=1e-12)
    numeric = (at(kappa + 1e-4)[0] - at(kappa - 1e-4)[0]) / 2e-4
    assert_allclose(slope, numeric, rtol=1e-6, atol=1e-10)


def knowledge(kind: ModelKind, theta: tuple[float, ...]) -> dict[str, FloatArray]:
    """Information of a past and of a block, badly scaled."""
    rng = np.random.default_rng(8)
    model = model_of(kind)
    m = model.n_parameters + 1
    past, now = (rng.normal(size=(n, m)) * np.geomspace(1, 100, m) for n in (40, 9))
    b = now.T @ rng.normal(size=9)
    h = np.append(model.to_internal(np.array(theta)), 0.5)
    return {
        "h": h, "information": past.T @ past, "a": now.T @ now, "b": b,
        "cross": rng.normal(size=(m, 2)), "considered": rng.normal(size=(m, 2)),
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_renewal_equals_its_reference(kind: ModelKind, theta: tuple[float, ...]) -> None:
    k = knowledge(kind, theta)
    p = k["h"].size - 1
    information, considered = k["information"][None].copy(), k["considered"][None].copy()
    theta_out, cov = np.empty((1, p)), np.empty((1, p, p))
    score, evidence = np.empty((1, p)), np.empty((1, p, p))
    renewal.renew_blocks(
        CODES[kind], np.array([1 / 60]), k["h"][None], k["a"][None], k["b"][None], k["cross"][None], np.array([0.7]),
        information, considered, theta_out, cov, score, evidence,
    )  # fmt: skip
    after, moved = references.renewed(k["information"], k["considered"], k["a"], k["cross"], 0.7, 1 / 60)
    assert_allclose(information[0], after, rtol=1e-9)
    assert_allclose(considered[0], moved, rtol=1e-8, atol=1e-10)
    model = model_of(kind)
    jacobian = model.internal_jacobian(k["h"][:p])
    assert_allclose(theta_out[0], model.from_internal(k["h"][:p]), rtol=1e-14)
    assert_allclose(cov[0], jacobian @ references.inverse(after)[:p, :p] @ jacobian.T, rtol=1e-9)
    own_score, own_information = references.evidence(kind, k["h"], k["a"], k["b"], 0.7, after)
    assert_allclose(score[0], own_score, rtol=1e-8)
    assert_allclose(evidence[0], own_information, rtol=1e-8)


@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_the_whitened_disagreement_equals_its_reference(kind: ModelKind, theta: tuple[float, ...]) -> None:
    k = knowledge(kind, theta)
    p = k["h"].size - 1
    white = np.empty(p)
    renewal.whiten(p, k["a"], k["b"], 0.7, k["information"], white)
    assert_allclose(white, references.disagreement(k["a"], k["b"], 0.7, k["information"], p), rtol=1e-9)


@pytest.mark.parametrize(("kind", "theta"), CASES)
def test_two_blocks_in_a_row_differ_as_in_the_reference(kind: ModelKind, theta: tuple[float, ...]) -> None:
    k, past = knowledge(kind, theta), np.random.default_rng(7).normal(size=(9, 4))
    p = k["h"].size - 1
    newest = np.zeros((p, p + 1))
    args = p, k["h"], k["a"], k["b"], 0.7, k["information"]
    assert np.isnan(renewal.differ(*args, newest))  # there is none before the first
    own = k["a"][:p, :p] / 0.7
    assert_allclose(newest, np.column_stack([own, own @ k["h"][:p] + k["b"][:p] / 0.7]), rtol=1e-12)
    before = past[:, :p].T @ past[:, :p]
    newest[:, :p], newest[:, p] = before, before @ (k["h"][:p] + 0.3)
    reference = references.difference(k["a"], k["b"], 0.7, k["h"], newest.copy(), renewal.TRACE * k["information"])
    assert_allclose(renewal.differ(*args, newest), reference, rtol=1e-7)


def test_forgetting_forgets_nothing_where_nothing_is_learnt() -> None:
    information = knowledge(*CASES[1])["information"]
    kept = information.copy()
    renewal.forget(kept, np.zeros_like(kept), 0.1)
    assert_allclose(kept, information, rtol=1e-10)
    new = np.zeros_like(kept)
    new[1, 1] = 1e9 * information[1, 1]
    renewal.forget(kept, new, 0.1)
    lost = np.linalg.eigvals(np.linalg.solve(information, information - kept)).real
    assert_allclose(np.sort(lost), [0.0, 0.0, 0.0, 0.1], atol=1e-9)


@pytest.mark.parametrize(("kind", "limit"), [(Interpolation.CUBIC, 5e-3), (Interpolation.QUINTIC, 1.2e-3)])
def test_splines_follow_a_sine_of_seven_samples_a_period(kind: Interpolation, limit: float) -> None:
    f = 0.15
    fine = refined(np.cos(2 * np.pi * f * np.arange(100)), kind)
    at = CONTEXT + np.arange(fine.size) / 2
    # the values are raised by what straight lines between them take away again
    assert_allclose(fine * np.sinc(f / 2) ** 2, np.cos(2 * np.pi * f * at), atol=limit)


@pytest.mark.parametrize("kind", [Interpolation.CUBIC, Interpolation.QUINTIC])
def test_blocks_are_interpolated_by_these_splines(kind: Interpolation) -> None:
    rng = np.random.default_rng(3)
    n = 70
    t, r = np.arange(n, dtype=np.int64) * 1_000_000, rng.normal(size=n)
    data = BlockData.between(t, rng.normal(size=n), r, kind, fresh=True)
    assert_allclose(data.r, refined(r, kind), rtol=1e-12, atol=1e-12)
    assert_allclose(data.slope, np.gradient(data.r, 0.5e-3), rtol=1e-9, atol=1e-6)


def test_splines_keep_a_constant_exactly() -> None:
    for kind in (Interpolation.CUBIC, Interpolation.QUINTIC):
        assert_allclose(refined(np.full(60, 3.0), kind), 3.0, rtol=1e-14)


def test_a_pass_is_refused_where_there_is_none() -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    data = block("uniform", np.random.default_rng(1))
    h = np.array([1.0, np.log(0.5), 0.0])
    for bad in ([1.0, 50.0, 0.0], [1.0, np.nan, 0.0], [np.inf, 0.0, 0.0], [1.0, 0.0, 60.0]):
        assert BlockProblem(model, replace(data, fresh=True), h, None).evaluate(np.array(bad)) is None
