"""The stream against a dense reference, its independence of blocks, and what becomes of gaps and bad samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.smoother import stream
from dyncal.correction.smoother.build import build_smoother
from dyncal.correction.smoother.intervals import over
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.stream import StreamingSmoother, slopes
from dyncal.domain.coefficients import MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import InstantNs, Int64Array
from tests.unit.correction.examples import ALL, FINE, T0_NS, Case, instants, sampled
from tests.unit.correction.examples import irregular as on_fine_steps

BAD = 0x80000000
NAMES = ["thermocouple", "pressure_line", "thermowell", "dead_time", "rational"]


def smoother_of(case: Case, **wishes: object) -> SmootherModel:
    return build_smoother(
        case.parameters,
        dt_ns=case.dt_ns,
        noise_std=case.noise_std,
        spectrum=case.spectrum,
        **wishes,  # type: ignore[arg-type]  # values by name
    )


def exactly_known(parameters: Parameters) -> Parameters:
    return dataclasses.replace(parameters, cov=np.zeros_like(parameters.cov))


def run(
    smoother: StreamingSmoother, t: Int64Array, y: FloatArray, cuts: list[int] | None = None
) -> tuple[Int64Array, FloatArray, FloatArray]:
    spans = []
    for low, high in zip([0, *(cuts or [])], [*(cuts or []), t.size], strict=True):
        span = smoother.process(t[low:high], y[low:high])
        if span is not None:
            spans.append(span)
    return (
        np.concatenate([span.axis.t_ns for span in spans]),
        np.concatenate([span.value for span in spans]),
        np.concatenate([span.u for span in spans]),
    )


def irregular(rng: np.random.Generator, n: int, dt_ns: int) -> Int64Array:
    """Return instants on the smoother's ticks, with intervals from a tenth to four times dt, and a gap."""
    tick = dt_ns // 256
    steps = rng.integers(25, 1024, size=n)
    steps[n // 2] = 256 * 40
    return (T0_NS // tick + np.cumsum(steps)) * tick


def dense(model: SmootherModel, t: Int64Array, y: FloatArray, until: Int64Array) -> tuple[FloatArray, FloatArray]:
    """Condition the joint Gaussian of all states on y up to sample until[i], for the measurand at instant i."""
    n, size = model.observe.size, t.size
    phi, noise, *_ = over(model, np.diff(t, prepend=t[0]) / 1e9)
    cov = np.zeros((size * n, size * n))
    mean = np.zeros((size, n))
    here, x = model.beginning, model.rest * y[np.flatnonzero(np.isfinite(y))[0]]
    for k in range(size):
        before = slice((k - 1) * n, k * n)
        at = slice(k * n, (k + 1) * n)
        x = phi[k] @ x
        mean[k] = x
        here = phi[k] @ here @ phi[k].T + noise[k]
        if k:
            cov[at, : k * n] = phi[k] @ cov[before, : k * n]
            cov[: k * n, at] = cov[at, : k * n].T
        cov[at, at] = here
    eye = np.eye(size)
    m, h = np.kron(eye, model.measurand), np.kron(eye, model.observe)
    value, u = np.empty(until.size), np.empty(until.size)
    for i in range(until.size):
        known = np.flatnonzero(np.isfinite(y[: until[i] + 1]))
        s = (h @ cov @ h.T)[np.ix_(known, known)] + model.noise_variance * np.eye(known.size)
        gain = np.linalg.solve(s, (h @ cov @ m[i])[known])
        value[i] = m[i] @ mean.ravel() + gain @ (y - h @ mean.ravel())[known]
        u[i] = np.sqrt(m[i] @ cov @ m[i] - gain @ (h @ cov @ m[i])[known])
    return value, u


@pytest.mark.parametrize("name", ["thermocouple", "pressure_line", "thermowell"])
@pytest.mark.parametrize("prior", MeasurandPrior)
@pytest.mark.parametrize("compiled", [True, False])
def test_equals_dense_conditioning_on_irregular_instants(
    name: str, prior: MeasurandPrior, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_TICK_VARIANCE", 0.0)  # the instants lie on ticks
    case = ALL[name]
    rng = np.random.default_rng(3)
    model = smoother_of(case, prior=prior, lag_s=6 * case.dt_s)
    t = irregular(rng, 60, case.dt_ns)
    y = 3.0 + rng.normal(size=t.size)
    y[[7, 8, 30]] = np.nan
    smoother = StreamingSmoother(
        model, exactly_known(case.parameters), "s", fill=True, follow_jumps=False, compiled=compiled
    )
    told, value, u = run(smoother, t, y)
    lag = round(model.lag_s * 1e9)
    until = np.array([np.searchsorted(t, instant + lag) for instant in told])
    expected, u_expected = dense(model, t, y, until)
    np.testing.assert_array_equal(told, t[: told.size])
    np.testing.assert_allclose(value, expected, atol=2e-5 * np.abs(expected).max())
    np.testing.assert_allclose(u, u_expected, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_does_not_depend_on_the_cut(name: str) -> None:
    """To the last bit compiled; numpy agrees to 1e-9 of u. Dead times, gaps, NaN, intervals of every kind."""
    case = ALL[name]
    rng = np.random.default_rng(4)
    model = smoother_of(case)
    t = irregular(rng, 300, case.dt_ns) + rng.integers(0, 999, size=300)  # off the ticks too
    y = rng.normal(size=t.size)
    y[rng.integers(0, 300, size=20)] = np.nan
    whole = run(StreamingSmoother(model, case.parameters, "s"), t, y)
    for cuts in (list(range(1, 300)), sorted(set(rng.integers(1, 300, size=12).tolist()))):
        parts = run(StreamingSmoother(model, case.parameters, "s"), t, y, cuts)
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(a, b)
    plain = run(StreamingSmoother(model, case.parameters, "s", compiled=False), t, y, [100, 101, 250])
    np.testing.assert_array_equal(whole[0], plain[0])
    scale = np.nanmax(whole[2])
    np.testing.assert_allclose(plain[1], whole[1], atol=1e-9 * scale)
    np.testing.assert_allclose(plain[2], whole[2], atol=1e-9 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_is_exact(name: str) -> None:
    case = ALL[name]
    t = instants(400, case.dt_ns)
    _, value, _ = run(
        StreamingSmoother(smoother_of(case), exactly_known(case.parameters), "s"), t, np.full(400, 7.0 * case.theta[0])
    )
    np.testing.assert_allclose(value, 7.0, rtol=1e-9)


def test_every_sample_is_told_once_and_after_its_lag() -> None:
    case = ALL["dead_time"]
    model = smoother_of(case)
    smoother = StreamingSmoother(model, case.parameters, "s")
    rng = np.random.default_rng(5)
    t = irregular(rng, 400, case.dt_ns)
    seen: list[int] = []
    for k in range(t.size):
        span = smoother.process(t[k : k + 1], rng.normal(size=1))
        for instant in [] if span is None else span.axis.t_ns.tolist():
            assert t[k] - instant >= (model.lag_s + model.dead_time_s) * 1e9 - 2 * case.dt_ns / 256
            seen.append(instant)
    assert seen == t[: len(seen)].tolist()
    assert smoother.emitted_to_ns == seen[-1]
    assert smoother.last_ns == t[-1]


def test_bad_samples_teach_nothing() -> None:
    case = ALL["thermocouple"]
    model = smoother_of(case)
    rng = np.random.default_rng(6)
    t, y = instants(200), rng.normal(size=200)
    codes = np.zeros(200, np.uint32)
    codes[50:90] = BAD
    spoilt = y.copy()
    spoilt[50:90] = 1e6
    spoilt[30], y[30] = np.inf, np.nan
    spoilt[31], y[31] = -1e101, np.nan
    smoother = StreamingSmoother(model, case.parameters, "s")
    span = smoother.process(t, spoilt, codes)
    y[50:90] = np.nan
    other = StreamingSmoother(model, case.parameters, "s").process(t, y)
    assert span is not None
    assert other is not None
    np.testing.assert_array_equal(span.value, other.value)
    assert np.isnan(span.value[50:90]).all()
    assert np.isnan(span.u[[30, 31]]).all()
    assert np.isfinite(span.value[90:110]).all()
    known = exactly_known(case.parameters)
    filled = StreamingSmoother(model, known, "s", fill=True, follow_jumps=False).process(t, y)
    assert filled is not None
    assert np.isfinite(filled.value).all()
    assert filled.u[70] > 2 * filled.u[40]


def test_a_beginning_without_values_is_nan() -> None:
    case = ALL["thermocouple"]
    y = np.random.default_rng(7).normal(size=100)
    y[:30] = np.nan
    t = instants(100)
    _, value, u = run(StreamingSmoother(smoother_of(case), case.parameters, "s"), t, y, [10, 20, 29, 31])
    assert np.isnan(value[:30]).all()
    assert np.isfinite(value[30:]).all()
    assert np.isfinite(u[30:]).all()


def test_more_samples_than_foreseen_are_told_early() -> None:
    """100 times the nominal rate: memory stays as it is, and nobody waits for ever."""
    case = ALL["thermocouple"]
    smoother = StreamingSmoother(smoother_of(case), case.parameters, "s")
    rng = np.random.default_rng(8)
    t = T0_NS + np.arange(20_000, dtype=np.int64) * (case.dt_ns // 100)
    held = sum(getattr(smoother, name).nbytes for name in ("_entry", "_estimate", "_shared"))
    told, _, u = run(smoother, t, rng.normal(size=t.size), list(range(500, 20_000, 500)))
    assert t.size - told.size < 300
    assert np.isfinite(u).all()
    assert sum(getattr(smoother, name).nbytes for name in ("_entry", "_estimate", "_shared")) == held


def test_primed_with_history_a_successor_goes_on_without_hole_or_step() -> None:
    case = ALL["thermocouple"]
    rng = np.random.default_rng(9)
    _, y = case.simulate(rng, 1200)
    t = instants(1200)
    model = smoother_of(case)
    whole = run(StreamingSmoother(model, case.parameters, "s"), t, y)
    old = StreamingSmoother(model, case.parameters, "s")
    before = run(old, t[:800], y[:800])
    new = StreamingSmoother(model, case.parameters, "s")
    history = slice(max(800 - new.history_length, 0), 800)
    new.prime(t[history], y[history], emitted_to_ns=old.emitted_to_ns)
    after = run(new, t[800:], y[800:])
    np.testing.assert_array_equal(np.concatenate([before[0], after[0]]), whole[0])
    step = np.abs(np.concatenate([before[1], after[1]]) - whole[1])
    assert np.max(step / whole[2]) < 0.05
    fresh = StreamingSmoother(model, case.parameters, "s")
    fresh.prime(t[:0], y[:0], emitted_to_ns=InstantNs(int(t[10])))
    assert run(fresh, t, y)[0][0] == t[11]


def test_innovations_say_whether_the_measurand_is_as_stated() -> None:
    case = ALL["thermocouple"]
    rng = np.random.default_rng(10)
    _, y = case.simulate(rng, 4000)
    smoother = StreamingSmoother(smoother_of(case), case.parameters, "s")
    assert np.isnan(smoother.innovation_ratio[0])
    run(smoother, instants(4000), y)
    ratio, n = smoother.innovation_ratio
    assert n == 4000
    assert 0.93 < ratio < 1.07
    loud = StreamingSmoother(smoother_of(case), case.parameters, "s", follow_jumps=False)
    run(loud, instants(4000), 3 * y)
    assert loud.innovation_ratio[0] == pytest.approx(9 * ratio, rel=1e-3)


@pytest.mark.parametrize(("name", "f_hz"), [("thermocouple", 0.2), ("pressure_line", 4.0), ("accelerometer", 200.0)])
def test_uncertain_instants_cost_the_measurands_slope(name: str, f_hz: float) -> None:
    """The slope at the instant of the value, not half an interval before, up to ten samples a period and uneven."""
    case = ALL[name]
    t = irregular(np.random.default_rng(11), 500, case.dt_ns // 2)
    t = np.delete(t, slice(249, None))
    omega = 2 * np.pi * f_hz
    response = case.model.frequency_response(case.theta, np.array([f_hz]))[0]
    phase = omega * (t - t[0]) / 1e9
    y = (response * np.exp(1j * phase)).real
    known = exactly_known(case.parameters)
    u_t_s = 0.02 / omega
    sharp = StreamingSmoother(smoother_of(case), known, "s").process(t, y)
    vague = StreamingSmoother(smoother_of(case), known, "s").process(t, y, None, u_t_s * 1e9)
    assert sharp is not None
    assert vague is not None
    np.testing.assert_array_equal(sharp.value, vague.value)
    found = np.sqrt(vague.u**2 - sharp.u**2)
    off = np.abs(found[50:] / 0.02 - np.abs(np.sin(phase[50 : found.size])))
    assert np.quantile(off, 0.98) < 0.05
    assert np.max(off) < 0.15  # where the neighbours are close, what one more indication teaches shows


def test_slopes_are_those_of_parabolas() -> None:
    x = np.array([-0.5, 0.2, 0.3])
    y = 3 * x**2 - x
    found = slopes(np.diff(y)[:1], np.diff(x)[:1], np.diff(y)[1:], np.diff(x)[1:])
    assert found[0] == pytest.approx(6 * 0.2 - 1)
    some = np.array([0.0, 2.0, 0.0]), np.array([0, 4, 0]), np.array([3.0, 9.0, 1.0]), np.array([6.0, 0.0, 0.0])
    np.testing.assert_array_equal(slopes(*some), [0.5, 0.5, 0.0])


@pytest.mark.parametrize(
    ("t", "y"),
    [
        (np.array([5, 5], np.int64), np.ones(2)),
        (np.array([5, 4], np.int64), np.ones(2)),
        (np.array([5.0, 6.0]), np.ones(2)),
        (np.array([5, 6], np.int64), np.ones(3)),
        (np.array([5, 6], np.int64), np.ones(2, np.float32)),
    ],
)
def test_wrong_blocks_are_refused(t: Int64Array, y: FloatArray) -> None:
    case = ALL["thermocouple"]
    smoother = StreamingSmoother(smoother_of(case), case.parameters, "s")
    with pytest.raises(InvalidData):
        smoother.process(t, y)
    assert smoother.process(np.array([1], np.int64), np.ones(1)) is None


def test_parameters_must_fit() -> None:
    with pytest.raises(InvalidData):
        StreamingSmoother(smoother_of(ALL["thermocouple"]), ALL["pressure_line"].parameters, "s")


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("size", [10.0, 100.0, 10_000.0])
def test_u_covers_a_step_that_the_process_does_not_have(size: float, compiled: bool) -> None:
    """A set point moves: what is told of it at once is bad and says so, and after a second all is as before."""
    case, rng = ALL["thermocouple"], np.random.default_rng(1)
    at = on_fine_steps(rng, 1500)
    measurand, y = sampled(case, rng, at)
    t = T0_NS + at * (case.dt_ns // FINE)
    since_s = np.maximum(t - t[700], 0) / 1e9
    step = size * float(np.sqrt(case.spectrum.variance))
    runs = StreamingSmoother(smoother_of(case), case.parameters, "s", compiled=compiled)
    span = runs.process(t, y + step * (1 - np.exp(-since_s / case.theta[1])))
    assert span is not None
    error = (span.value - measurand[: span.value.size] - np.where(t >= t[700], step, 0.0)[: span.value.size]) / span.u
    assert np.sqrt(np.mean(error[600:900] ** 2)) < 2.5
    assert np.max(np.abs(error[900:])) < 5
    quiet = runs.innovation_changes
    assert quiet[1] == 1499


def test_where_nothing_jumps_nothing_is_widened() -> None:
    case, rng = ALL["thermocouple"], np.random.default_rng(3)
    at = on_fine_steps(rng, 1500)
    t, (_, y) = T0_NS + at * (case.dt_ns // FINE), sampled(case, rng, at)
    runs = StreamingSmoother(smoother_of(case), case.parameters, "s")
    span = runs.process(t, y)
    assert span is not None
    assert np.max(span.u[100:]) < 3 * np.median(span.u)
    squares, n = runs.innovation_changes
    assert squares / n == pytest.approx(1.0, abs=0.15)
    assert runs.innovation_ratio[0] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("noise_std", [0.01, 1.0, 100.0, 1000.0])
def test_a_measurand_far_below_the_noise_begins_within_u(noise_std: float) -> None:
    """The level was taken for known to ten standard deviations of the measurand, about one noisy indication."""
    case = dataclasses.replace(ALL["thermocouple"], noise_std=noise_std)
    model, known = smoother_of(case), exactly_known(case.parameters)
    squares = []
    for seed in range(20):
        y = noise_std * np.random.default_rng(seed).normal(size=600)
        span = StreamingSmoother(model, known, "s").process(instants(600), y)
        assert span is not None
        squares.append(np.mean((span.value / span.u) ** 2))
    assert np.sqrt(np.mean(squares)) < 1.5
