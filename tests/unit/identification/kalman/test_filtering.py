from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm, solve_continuous_lyapunov

from dyncal import kernels
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.kalman.discretisation import discretise
from dyncal.identification.kalman.filtering import filter_pass
from dyncal.identification.kalman.joint import Layout, joint_model
from dyncal.identification.kalman.measurand import Chain, Process, log_intensity
from dyncal.identification.kalman.segments import Segment, run
from dyncal.models import model_of
from tests.unit.identification.kalman.cases import SENSORS, SPACINGS, H, coordinates, segment, setup
from tests.unit.identification.kalman.naive import filtered, gaussian, likelihood, van_loan


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("process", list(Process))
@pytest.mark.parametrize(("kind", "theta"), SENSORS)
def test_one_pass_equals_the_plain_filter_and_its_difference_quotients(
    kind: ModelKind, theta: tuple[float, ...], process: Process, spacing: str
) -> None:
    model, layout, h = setup(kind, theta, process)
    h[layout.clock] = 0.004
    data = segment(spacing)
    initial = 0.1 * np.arange(1.0, layout.n_initial + 1)
    done = run(model, layout, data, h, scale_s=H, initial=initial, offset=0.2)
    assert done is not None
    cost, eps, x, p = filtered(joint_model(model, layout, h, H), data, initial, 0.2)
    assert_allclose(done.cost, cost, rtol=1e-10)
    assert_allclose(done.eps, eps, atol=1e-9)
    assert_allclose(done.end.x, x, atol=1e-9)
    assert_allclose(done.end.p, p, atol=1e-9)
    rows = np.concatenate([h, [0.2], initial])
    for i in range(rows.size):
        step = np.zeros(rows.size)
        step[i] = 1e-5
        up, down = (likelihood(model, layout, data, rows + sign * step, H) for sign in (1, -1))
        assert_allclose(done.score[i], -(up - down) / 4e-5, rtol=2e-6, atol=2e-6 * abs(cost))


@pytest.mark.parametrize("process", [Process.ORNSTEIN_UHLENBECK, Process.BUTTERWORTH_4, Process.SMOOTH_LINES])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_likelihood_is_that_of_one_large_gaussian_vector(process: Process, spacing: str) -> None:
    model, layout, h = setup(*SENSORS[1], process)
    data, initial = segment(spacing, n=20), np.array([0.3, -0.2])
    done = run(model, layout, data, h, scale_s=H, initial=initial)
    assert done is not None
    assert_allclose(done.cost, gaussian(joint_model(model, layout, h, H), data, initial), rtol=1e-8)


@pytest.mark.parametrize(("kind", "theta"), SENSORS)
def test_the_information_is_the_expected_curvature(kind: ModelKind, theta: tuple[float, ...]) -> None:
    # over many records drawn from the model itself, the covariance of the score is the mean information
    model, layout, h = setup(kind, theta, Process.MATERN_32)
    joint = joint_model(model, layout, h, H)
    rng = np.random.default_rng(11)
    phi, q = van_loan(joint.a, joint.g, H)
    root, first = np.linalg.cholesky(q), np.linalg.cholesky(joint.cov + 1e-14 * np.eye(layout.n_states))
    scores, information = [], np.zeros((h.size, h.size))
    trials, n = 600, 30
    for _ in range(trials):
        x, z = first @ rng.normal(size=layout.n_states), np.empty((n, 2))
        for k in range(n):
            x = phi @ x + root @ rng.normal(size=layout.n_states) if k else x
            z[k] = joint.rows @ x + np.sqrt(joint.noise) * rng.normal(size=2)
        t = np.arange(n, dtype=np.int64) * 50_000_000
        data = Segment(t, z, 0.0, np.array([H]), np.zeros(n - 1, dtype=np.int64))
        done = run(model, layout, data, h, scale_s=H, initial=np.zeros(layout.n_initial))
        assert done is not None
        scores.append(done.score[: h.size])
        information += done.information[: h.size, : h.size] / trials
    score = np.array(scores)
    u = np.sqrt(np.diag(information))
    assert np.all(np.abs(score.mean(axis=0)) < 4 * u / np.sqrt(trials))
    assert_allclose(score.std(axis=0) / u, 1.0, atol=0.15)


@pytest.mark.parametrize("process", list(Process))
def test_gains_at_rest_change_nothing(process: Process) -> None:
    model, layout, h = setup(*SENSORS[1], process)
    data = segment("uniform", n=3000)
    z = data.z.copy()
    z[900:903, 1], z[1500, 0] = np.nan, np.nan
    broken = Segment(data.t_ns, z, data.level, data.steps_s, data.index)
    for each in (data, broken):
        fast, slow = (run(model, layout, each, h, scale_s=H, rest=rest) for rest in (True, False))
        assert fast is not None
        assert slow is not None
        assert fast.n_rest > 1000
        assert slow.n_rest == 0
        assert_allclose(fast.cost, slow.cost, rtol=1e-11)
        assert_allclose(fast.eps, slow.eps, atol=1e-10)
        scale = np.sqrt(np.diag(slow.information))
        assert_allclose(
            fast.information / np.outer(scale, scale), slow.information / np.outer(scale, scale), atol=1e-10
        )
        assert_allclose(fast.score / scale, slow.score / scale, atol=1e-8)
        assert_allclose(fast.end.s, slow.end.s, rtol=1e-9, atol=1e-9)


def test_the_gains_of_a_fast_sensor_come_to_rest_whatever_the_size_of_its_derivative_in_a_clock_s_offset() -> None:
    model, layout, _ = setup(*SENSORS[1], Process.BUTTERWORTH_4)
    dt_s, rate = 2e-4, float(np.log(2 * np.pi * 320.0))
    logs = [np.log(0.05**2), np.log(0.15**2), log_intensity(Process.BUTTERWORTH_4, np.log(64.0), rate, dt_s), rate, 0.0]
    h = np.concatenate([model.to_internal(np.array([1.0, 0.04, 450.0])), logs])
    data = segment("uniform", n=600)
    fast = Segment(data.t_ns // 250, data.z, data.level, np.array([dt_s]), data.index)
    done = run(model, layout, fast, h, scale_s=dt_s, initial=np.zeros(layout.n_initial))
    assert done is not None
    assert done.n_rest > 450


def _part(whole: Segment, begin: int, end: int) -> Segment:
    return Segment(whole.t_ns[begin:end], whole.z[begin:end], whole.level, whole.steps_s, whole.index[begin : end - 1])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_stream_may_be_cut_anywhere(spacing: str) -> None:
    model, layout, h = setup(*SENSORS[1], Process.ORNSTEIN_UHLENBECK)
    data = segment(spacing, n=300)
    whole = run(model, layout, data, h, scale_s=H, rest=False)
    assert whole is not None
    for cut in (1, 2, 7, 21, 150, 299):
        first = run(model, layout, _part(data, 0, cut), h, scale_s=H, rest=False)
        assert first is not None
        second = run(model, layout, _part(data, cut - 1, 300), h, scale_s=H, start=first.end, rest=False)
        assert second is not None
        assert_allclose(first.cost + second.cost, whole.cost, rtol=1e-12)
        assert_allclose(first.information + second.information, whole.information, rtol=1e-11, atol=1e-11)
        assert np.array_equal(second.end.x, whole.end.x)
        assert np.array_equal(second.end.p, whole.end.p)


@pytest.mark.skipif(not kernels.HAVE_NUMBA, reason="numba is not installed: the function runs as it stands")
def test_the_compiled_kernels_equal_their_python_functions() -> None:
    model, layout, h = setup(*SENSORS[0], Process.MATERN_32)
    joint, data = joint_model(model, layout, h, H), segment("holes")
    results = []
    for solve, walk in (
        (discretise, filter_pass),
        (getattr(discretise, "py_func", discretise), getattr(filter_pass, "py_func", filter_pass)),
    ):
        n, m, rows = layout.n_states, layout.n_coordinates, layout.n_rows
        parts = np.empty((1, n, n)), np.empty((1, n, n)), np.empty((1, n, n, m)), np.empty((1, n, n, m))
        solve(joint.a, joint.da, joint.g, joint.dg, data.steps_s, *parts)
        x, s = np.zeros(n), np.zeros((n, rows))
        out = np.empty((rows, rows)), np.empty(rows), np.empty(data.z.shape), np.empty(1)
        walk(
            data.z, data.index, *parts, joint.rows, joint.drows, joint.noise, joint.dnoise, np.zeros(2),
            np.zeros((2, rows)), 1, 1, x, s, joint.cov.copy(), joint.dcov.copy(), *out,
        )  # fmt: skip
        results.append((*parts, x, s, *out))
    for compiled, plain in zip(*results, strict=True):
        assert_allclose(compiled, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "theta", [(1.0, 0.2, 1.3), (1.0, 1e-4, 1.3), (1.0, 1.0, 1.3), (1.0, 0.7, 1e-3), (1.0, 30.0, 1e4)]
)
@pytest.mark.parametrize("step_s", [1e-7, 1e-3, 0.05, 20.0])
@pytest.mark.parametrize("process", [Process.ORNSTEIN_UHLENBECK, Process.BUTTERWORTH_4])
def test_intervals_are_exact_however_stiff_or_short(process: Process, step_s: float, theta: tuple[float, ...]) -> None:
    model = model_of(ModelKind.SECOND_ORDER)
    layout = Layout(3, 2, process)
    h = coordinates(model, layout, theta)
    joint = joint_model(model, layout, h, H)
    phi, q, dphi, _ = (part[0] for part in joint.intervals(np.array([step_s])))
    expected = expm(joint.a * step_s)
    assert_allclose(
        phi, expected, atol=1e-11 * max(np.abs(expected).max(), 1.0) * max(1.0, np.abs(joint.a).max() * step_s) ** 0.5
    )
    # dQ/dh = A Q + Q Aᵀ + G holds at the end of every interval; so does its integral, Lyapunov's equation
    assert_allclose(
        joint.a @ q + q @ joint.a.T + joint.g,
        phi @ joint.g @ phi.T,
        atol=1e-9 * np.abs(joint.a).max() * np.abs(q).max(),
    )
    assert np.all(np.diag(q) >= 0)
    assert np.linalg.eigvalsh(q).min() >= -1e-14 * np.abs(q).max()
    assert np.isfinite(dphi).all()


@pytest.mark.parametrize("process", [process for process in Process if process.stationary])
def test_a_process_at_rest_has_the_covariance_of_lyapunov(process: Process) -> None:
    chain = Chain.of(process, np.log(0.3), np.log(2.0), H)
    k = process.order
    g = np.zeros((k, k))
    g[-1, -1] = chain.intensity
    size = chain.stationary_cov.max()
    assert_allclose(chain.stationary_cov / size, solve_continuous_lyapunov(chain.a, -g) / size, atol=1e-12)
    up, down = (Chain.of(process, np.log(0.3), np.log(2.0) + s * 1e-6, H) for s in (1, -1))
    assert_allclose(chain.da, (up.a - down.a) / 2e-6, rtol=1e-7, atol=1e-9)
    assert_allclose(chain.dstationary_cov, (up.stationary_cov - down.stationary_cov) / 2e-6, rtol=1e-7, atol=1e-9)
    unit = Chain.of(process, log_intensity(process, np.log(4.0), np.log(2.0), H), np.log(2.0), H)
    assert_allclose(unit.stationary_cov[0, 0], 4.0, rtol=1e-12)


@pytest.mark.parametrize("noise", [(1e-24, 1e-24), (1e-24, 1e-6), (1e-6, 1e-24), (1e-24, 1.0)])
@pytest.mark.parametrize("process", list(Process))
def test_nothing_turns_indefinite_without_noise(process: Process, noise: tuple[float, float]) -> None:
    model, layout, h = setup(*SENSORS[1], process)
    # a sensor driven by what the reference shows has no noise but its own: a fit goes no lower than this (`_floor`)
    least = 1e-24 if process.hold is None else 1e-12
    h[layout.sensor_noise], h[layout.reference_noise] = np.log(np.maximum(noise, least))
    steps = np.resize([1_000, 50_000_000, 1_000_000, 50_000_000], 400)
    rng = np.random.default_rng(3)
    t = np.cumsum(steps).astype(np.int64)
    z = np.cumsum(1e-3 * rng.normal(size=(400, 2)), axis=0)
    data = Segment(t, z, 0.0, np.array([1e-6, 1e-3, 0.05]), np.resize([2, 1, 2, 0], 399).astype(np.int64))
    done = run(model, layout, data, h, scale_s=H)
    assert done is not None
    assert done.finite
    eigen = np.linalg.eigvalsh(done.end.p)
    assert eigen.min() >= -1e-13 * eigen.max()


def test_coordinates_without_sense_are_refused_not_followed(recwarn: pytest.WarningsRecorder) -> None:
    model, layout, h = setup(*SENSORS[1], Process.ORNSTEIN_UHLENBECK)
    for position in (1, 2, layout.sensor_noise, layout.intensity, layout.rate):
        for far in (-800.0, 800.0, np.nan):
            wild: FloatArray = h.copy()
            wild[position] = far
            done = run(model, layout, segment("uniform"), wild, scale_s=H)
            assert done is None or done.finite
    assert not recwarn.list
