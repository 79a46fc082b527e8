"""The Monte Carlo of a correction, against what is known of it without biquads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.correction.monte_carlo import correction_monte_carlo
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs
from dyncal.models import model_of
from dyncal.uncertainty import MonteCarloSettings

DT = 0.01
FIRST = model_of(ModelKind.FIRST_ORDER)
THETA = np.array([2.0, 0.05])
DRAWS = 4_000


def parameters(*u: float) -> Parameters:
    return Parameters(ModelKind.FIRST_ORDER, FIRST.names, THETA, np.diag(np.square(u).astype(np.float64)))


def filter_of(fir: FloatArray, delay: int, u_noise: float = 0.0, u_model: float = 0.0) -> CorrectionFilter:
    """The filter with the exact biquads of a first-order sensor's bilinear form."""
    biquads = FIRST.sensitivity_biquads(THETA, DT)
    return CorrectionFilter(DurationNs(10_000_000), fir, np.empty((0, 6)), delay, biquads, u_noise, u_model, 10.0)


SMOOTH = np.hanning(9)[1:-1] / np.hanning(9)[1:-1].sum() / THETA[0]


def record(n: int = 120) -> FloatArray:
    t = DT * np.arange(n)
    return np.asarray(3 + np.sin(2 * np.pi * 1.3 * t) + 0.5 * np.sin(2 * np.pi * 2.9 * t))


def run(
    f: CorrectionFilter, p: Parameters, raw: FloatArray, noise_std: float | None = None, u_t_s: float = 0.0
) -> tuple[slice, FloatArray, FloatArray, FloatArray]:
    settings = MonteCarloSettings(n_draws=DRAWS)
    found = correction_monte_carlo(f, p, FIRST, raw, noise_std=noise_std, u_t_s=u_t_s, seed=1, settings=settings)
    return found.span, found.corrected, found.result.value, found.result.u


CLOSE = 4.5 / np.sqrt(2 * DRAWS)


def test_noise_alone_is_the_noise_through_the_filter() -> None:
    f = filter_of(SMOOTH, 3, u_noise=0.02)
    _, corrected, value, u = run(f, parameters(0, 0), record())
    np.testing.assert_allclose(u, 0.02, rtol=CLOSE)
    np.testing.assert_allclose(value, corrected, atol=4.5 * 0.02 / np.sqrt(DRAWS))
    given = run(f, parameters(0, 0), record(), noise_std=0.1)[3]
    np.testing.assert_allclose(given, 0.1 * f.noise_gain, rtol=CLOSE)


def test_the_span_is_where_the_stream_has_values() -> None:
    for delay in (0, 3, 6, 11):
        f = filter_of(SMOOTH, delay, u_noise=0.02)
        value, _ = correct(f, parameters(0, 0), record())
        span, corrected, *_ = run(f, parameters(0, 0), record())
        finite = np.flatnonzero(np.isfinite(value))
        assert (finite[0], finite[-1] + 1) == (span.start, span.stop)
        np.testing.assert_allclose(corrected, value[span], atol=1e-12)


def test_the_gain_alone_scales() -> None:
    _, corrected, _, u = run(filter_of(SMOOTH, 3), parameters(0.02, 0), record())
    np.testing.assert_allclose(u, 0.01 * corrected, rtol=CLOSE)


def test_the_time_constant_alone_is_the_slope_filtered() -> None:
    """∂û/∂τ = s/(1 + τs) û for H = g/(1 + τs), in the steady state of two tones."""
    n, u_tau = 1200, 0.0005
    t = DT * np.arange(n)
    omega = 2 * np.pi * np.array([1.3, 2.9])
    # what the filter makes of a tone, in the middle of the window
    gain = (SMOOTH * np.exp(-1j * np.outer(omega * DT, np.arange(7) - 3))).sum(axis=1)
    tones = np.array([1.0, 0.5]) * gain * np.exp(1j * (np.outer(t, omega) - np.pi / 2))
    effect = (tones * 1j * omega / (1 + 1j * omega * THETA[1])).sum(axis=1).real
    raw = np.sin(omega[0] * t) + 0.5 * np.sin(omega[1] * t)
    span, _, _, u = run(filter_of(SMOOTH, 3), parameters(0, u_tau), raw)
    inner = slice(100, -200)
    np.testing.assert_allclose(u[inner], u_tau * np.abs(effect[span][inner]), atol=0.06 * u_tau * np.abs(effect).max())


def test_the_clock_alone_is_the_slope() -> None:
    n, u_t = 1200, 0.002
    t = DT * np.arange(n)
    raw = np.sin(2 * np.pi * 1.3 * t)
    _, corrected, _, u = run(filter_of(SMOOTH, 3), parameters(0, 0), raw, u_t_s=u_t)
    slope = np.gradient(corrected, DT)
    inner = slice(100, -200)
    np.testing.assert_allclose(u[inner], u_t * np.abs(slope[inner]), atol=0.06 * u_t * np.abs(slope).max())


def test_model_error_adds_in_squares_and_all_together_is_validated() -> None:
    f = filter_of(SMOOTH, 3, u_noise=0.02, u_model=0.03)
    raw = record(400)
    assert np.mean(run(f, parameters(0, 0), raw)[3]) == pytest.approx(np.hypot(0.02, 0.03), rel=0.01)
    p = parameters(0.01, 0.001)
    value, u = correct(f, p, raw)
    settings = MonteCarloSettings(n_draws=20_000, digits=1)
    found = correction_monte_carlo(f, p, FIRST, raw, seed=2, settings=settings)
    settled = slice(found.span.start + 100, found.span.stop)
    inner = slice(100, None)
    np.testing.assert_allclose(u[settled], found.result.u[inner], rtol=0.02)
    u[: settled.start] = np.nan
    judged = found.validated(value, u)
    assert judged.passed
    assert judged.delta.size == settled.stop - settled.start
    assert not found.validated(value, 1.3 * u).passed


def test_recursive_sections_take_part() -> None:
    """A first-order lag after the FIR: noise gain √((1 - p)/(1 + p)) for white noise, DC gain 1."""
    pole = 0.6
    sos = np.array([[1 - pole, 0, 0, 1, -pole, 0]])
    f = replace(filter_of(np.array([0.5]), 0), sos=sos, u_noise=0.5 * 0.1 * np.sqrt((1 - pole) / (1 + pole)))
    raw = record()
    span, corrected, _, u = run(f, parameters(0, 0), raw)
    np.testing.assert_allclose(u, f.u_noise, rtol=CLOSE)
    value, _ = correct(f, parameters(0, 0), raw)
    finite = np.isfinite(value[span])
    np.testing.assert_allclose(corrected[finite], value[span][finite], atol=1e-12)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros(3), "shorter"),
        (np.zeros((10, 2)), "one dimension"),
        (np.array([0.0] * 20 + [np.nan] * 2), "2 samples of the record are not finite"),
        (np.array([0.0] * 20 + [np.inf]), "not finite"),
    ],
)
def test_records_that_cannot_be_judged_are_named(raw: FloatArray, words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        correction_monte_carlo(filter_of(SMOOTH, 3), parameters(0, 0), FIRST, raw, seed=1)


def test_other_trouble_is_named() -> None:
    f, raw = filter_of(SMOOTH, 3), record()
    p = Parameters(ModelKind.FIRST_ORDER, FIRST.names, THETA, np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(InvalidData, match="indefinite"):
        correction_monte_carlo(f, p, FIRST, raw, seed=1)
    for noise, u_t in ((-1.0, 0.0), (np.nan, 0.0), (0.0, np.inf)):
        with pytest.raises(InvalidData, match="not negative"):
            correction_monte_carlo(f, parameters(0, 0), FIRST, raw, noise_std=noise, u_t_s=u_t, seed=1)
    circle = f.sensitivities.copy()
    circle[1, 3:] = -1.0, 0.0
    with pytest.raises(InvalidData, match="pole at radius 1"):
        correction_monte_carlo(replace(f, sensitivities=circle), parameters(0, 0), FIRST, raw, seed=1)
