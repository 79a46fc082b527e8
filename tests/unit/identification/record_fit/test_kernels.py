from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit.gain import gain_and_slope, gain_at_rest
from dyncal.identification.record_fit.problem import Point, RecordProblem
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.settings import InterSample
from dyncal.identification.record_fit.srivc import Uniform, discretised, screened
from dyncal.identification.record_fit.track import Reading
from dyncal.models import Hold, model_of
from tests.unit.identification.record_fit.naive import naive_residuals
from tests.unit.identification.record_fit.records import THETA, random_record

KINDS = list(THETA)


def _problem(
    kind: ModelKind, between: InterSample = InterSample.LINEAR, jitter: float = 0.0
) -> tuple[RecordProblem, Reading]:
    record = random_record(kind, 300, 30.0, 3, jitter=jitter)
    y = record.indication.copy()
    y[[40, 41, 99]] = np.nan
    taken = take(AlignedRecord(record.t_ns, y, record.reference))
    reading = Reading(taken.segments[0], between, (-0.05, 0.05))
    return RecordProblem(model_of(kind), [reading], taken.dt_s), reading


def _point(problem: RecordProblem, kind: ModelKind, kappa: float, delay_s: float) -> Point:
    begin = problem.begin(model_of(kind).to_internal(1.05 * THETA[kind]), delay_s, kappa)
    assert begin is not None
    begin.h[problem.p + 1] = 0.02
    return Point(begin.h, begin.x0 + 0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("between", [InterSample.ZERO, InterSample.LINEAR, InterSample.CUBIC])
@pytest.mark.parametrize("kappa", [-40.0, -2.0])
@pytest.mark.parametrize("delay_s", [0.0, 0.0123])
def test_the_pass_is_what_matrix_products_say(
    kind: ModelKind, between: InterSample, kappa: float, delay_s: float
) -> None:
    problem, reading = _problem(kind, between)
    at = _point(problem, kind, kappa, delay_s)
    there = problem.evaluate(at)
    track = reading.at(delay_s)
    assert there is not None
    assert track is not None
    gain = problem.gain(at.h)[0]
    expected = naive_residuals(problem.model, at.h[: problem.p], track, at.x0[0], gain, 0.02)
    np.testing.assert_allclose(there.e[0], expected, rtol=0, atol=1e-12)
    assert there.sse == pytest.approx(float(expected @ expected), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("between", [InterSample.ZERO, InterSample.LINEAR])
@pytest.mark.parametrize("kappa", [-40.0, -2.0])
def test_gradient_is_that_of_the_residuals(kind: ModelKind, between: InterSample, kappa: float) -> None:
    problem, _ = _problem(kind, between, jitter=0.0 if kappa > -40 else 0.3)
    at = _point(problem, kind, kappa, 0.0123)

    def residuals(h: FloatArray, x0: FloatArray) -> FloatArray:
        there = problem.evaluate(Point(h, x0))
        assert there is not None
        return there.e[0]

    # with the initial state eliminated, b = (P⊥ψ)ᵀe
    e = residuals(at.h, at.x0)
    columns = []
    for i in range(problem.m):
        step = np.zeros(problem.m)
        step[i] = 1e-6
        columns.append(-(residuals(at.h + step, at.x0) - residuals(at.h - step, at.x0)) / (2 * step[i]))
    rows = 1e-3 * np.eye(problem.n)[:, None]
    free = [-(residuals(at.h, at.x0 + row) - residuals(at.h, at.x0 - row)) / 2e-3 for row in rows]
    psi, inner = np.stack(columns, axis=1), np.stack(free, axis=1)
    psi = psi - inner @ np.linalg.lstsq(inner, psi, rcond=None)[0]
    there = problem.evaluate(at)
    assert there is not None
    scale = np.sqrt(np.maximum(np.diag(psi.T @ psi), 1e-30) * float(e @ e))
    np.testing.assert_allclose(there.b / scale, psi.T @ e / scale, atol=3e-5)
    own = np.sqrt(np.maximum(np.diag(psi.T @ psi), 1e-30))
    np.testing.assert_allclose(there.a / np.outer(own, own), psi.T @ psi / np.outer(own, own), atol=3e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kappa", [-40.0, -2.0])
def test_parts_add_up_to_the_whole(kind: ModelKind, kappa: float) -> None:
    problem, _ = _problem(kind)
    there = problem.evaluate(_point(problem, kind, kappa, 0.0123))
    assert there is not None
    scores = problem.scores(there, 7)
    assert scores.shape == (7, problem.m)
    whole = problem.scores(there, 1)[0]
    np.testing.assert_allclose(scores.sum(axis=0), whole, rtol=1e-9, atol=1e-9 * np.abs(whole).max())
    information = problem.parts(there, 7)[1].sum(axis=0)
    np.testing.assert_allclose(information, there.a, rtol=1e-9, atol=1e-9 * np.abs(there.a).max())
    begins = problem.part_begins(there, 7)
    assert begins.shape == (7,)
    assert begins[0] == problem.readings[0].t_ns[0]
    assert bool(np.all(np.diff(begins) > 0))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_what_the_pass_sums_up(kind: ModelKind) -> None:
    problem, _ = _problem(kind)
    there = problem.evaluate(_point(problem, kind, -40.0, 0.0123))
    assert there is not None
    rows = problem.rows(there, 0)
    np.testing.assert_array_equal(rows[:, -1], there.raw[0])
    free = rows[:, : problem.m] - rows[:, problem.m : -1] @ there.mix[0]
    np.testing.assert_allclose(free.T @ free, there.a, rtol=1e-6, atol=1e-9 * np.abs(there.a).max())


def test_a_nan_that_gets_through_is_seen() -> None:
    problem, reading = _problem(ModelKind.FIRST_ORDER)
    reading.y[7] = np.nan
    assert problem.evaluate(_point(problem, ModelKind.FIRST_ORDER, -40.0, 0.0)) is None


@pytest.mark.parametrize("between", [InterSample.ZERO, InterSample.LINEAR])
@pytest.mark.parametrize("delay_s", [0.0, 0.0123, 0.01])
def test_a_delay_is_what_the_delayed_model_simulates(between: InterSample, delay_s: float) -> None:
    from dyncal.models import Delayed

    kind = ModelKind.FIRST_ORDER
    record = random_record(kind, 300, 30.0, 3)
    hold = Hold.ZERO if between is InterSample.ZERO else Hold.FIRST
    delayed = Delayed(model_of(kind))
    z = delayed.simulate(np.append(THETA[kind], delay_s), record.t_ns, record.reference, hold)
    exact = AlignedRecord(record.t_ns, z, record.reference)
    taken = take(exact)
    reading = Reading(taken.segments[0], between, (0.0, 0.05))
    problem = RecordProblem(model_of(kind), [reading], taken.dt_s)
    begin = problem.begin(model_of(kind).to_internal(THETA[kind]), delay_s)
    assert begin is not None
    there = problem.evaluate(begin)
    assert there is not None
    # but for the state at the first indication, which is free
    settled = problem.evaluate(Point(begin.h, begin.x0 + there.dx0))
    assert settled is not None
    assert settled.sse < 1e-20 * problem.power


@pytest.mark.parametrize("n", [1, 2, 3])
def test_screening_is_least_squares_on_states_and_decays(n: int) -> None:
    rng = np.random.default_rng(n)
    u, y = rng.normal(size=200), rng.normal(size=200)
    a = np.array([[0.3, 0.02, 0.001][:n], [0.5, 0.07, 0.004][:n]])
    data = Uniform(y, u, 0.02)
    phi, gamma, w = discretised(a, 0.02)
    by_sse = {tuple(ratio.a): ratio for ratio in screened(data, a, n - 1)}
    for k in range(2):
        states = np.zeros((200, n))
        decays = np.zeros((200, n))
        power = np.eye(n)
        for i in range(200):
            if i:
                states[i] = phi[k] @ states[i - 1] + gamma[k] @ u[i - 1 : i + 1]
                power = phi[k] @ power
            decays[i] = power[0]
        columns = np.hstack([states, decays])
        solution = np.linalg.lstsq(columns, y, rcond=None)[0]
        ratio = by_sse[tuple(a[k])]
        np.testing.assert_allclose(ratio.b * w[k] ** np.arange(n), solution[:n], rtol=1e-6, atol=1e-9)
        assert ratio.sse == pytest.approx(float(np.sum((y - columns @ solution) ** 2)), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kappa", [-6.0, 0.0, 4.0])
def test_gain_is_that_of_the_riccati_equation(kind: ModelKind, kappa: float) -> None:
    from scipy.linalg import solve_discrete_are

    from dyncal.identification.record_fit.gain import one_interval

    model = model_of(kind)
    eta = model.to_internal(THETA[kind])
    n = model.n_states
    phi, q = one_interval(model, eta, 0.02)
    c = np.asarray(model.output)[:n]
    p = solve_discrete_are(phi.T, c[:, None], np.exp(kappa) * q, np.eye(1))
    expected = p @ c / (c @ p @ c + 1)
    gain, slope = gain_and_slope(model, eta, kappa, 0.02)
    np.testing.assert_allclose(gain, expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(gain_at_rest(phi[None], np.exp(kappa) * q[None], c)[0], expected, rtol=1e-8)
    above = gain_and_slope(model, eta, kappa + 1e-3, 0.02)[0]
    below = gain_and_slope(model, eta, kappa - 1e-3, 0.02)[0]
    np.testing.assert_allclose(slope[:, -1], (above - below) / 2e-3, rtol=1e-4, atol=1e-8)
