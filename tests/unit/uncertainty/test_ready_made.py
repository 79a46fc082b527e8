"""Filters with uncertain coefficients, frequency responses, functions of parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.models import model_of
from dyncal.uncertainty import (
    GumResult,
    MonteCarloSettings,
    Parts,
    filter_monte_carlo,
    gum,
    response_model,
    response_monte_carlo,
    transform_monte_carlo,
    validate,
)

SECOND = model_of(ModelKind.SECOND_ORDER)
THETA = np.array([2.0, 0.3, 50.0])
F_HZ = np.array([1.0, 20.0, 50.0, 120.0])
ROOT = np.array([[0.01, 0.0, 0.0], [0.002, 0.003, 0.0], [0.0, 0.1, 0.2]])
PARAMETERS = Parameters(ModelKind.SECOND_ORDER, SECOND.names, THETA, ROOT @ ROOT.T)


def test_a_filter_agrees_with_the_law_of_propagation() -> None:
    """u² = u_x² Σh² + cᵀ U c with c by differences of scipy's filter; 40 000 draws."""
    b, a = butter(2, 0.2)
    x = np.sin(0.05 * np.arange(150)) + 1.0
    rng = np.random.default_rng(1)
    root = 2e-4 * rng.normal(size=(5, 5))
    cov, u_x = root @ root.T, np.linspace(0.001, 0.003, 150)
    found = filter_monte_carlo(b, a, cov, x, u_x, seed=1, settings=MonteCarloSettings(n_draws=40_000))
    coefficients, step = np.concatenate([a[1:], b]), 1e-6
    effects = []
    for i in range(5):
        ends = [coefficients + sign * step * np.eye(5)[i] for sign in (1, -1)]
        outs = [lfilter(c[2:], np.append(1.0, c[:2]), x) for c in ends]
        effects.append((outs[0] - outs[1]) / (2 * step))
    c = np.array(effects)
    impulse = lfilter(b, a, np.eye(1, 150)[0])
    u = np.sqrt(np.convolve(u_x**2, impulse**2)[:150] + np.einsum("in,ij,jn->n", c, cov, c))
    np.testing.assert_allclose(found.u, u, rtol=0.02)
    np.testing.assert_allclose(found.value, lfilter(b, a, x), atol=0.03 * u.max())
    assert validate(GumResult(lfilter(b, a, x), u), found, digits=1).passed


def test_an_fir_filter_has_no_feedback() -> None:
    taps, x = np.array([0.5, 0.3, 0.2]), np.ones(20)
    found = filter_monte_carlo(
        taps, np.ones(1), np.diag([0.01**2] * 3), x, 0.0, seed=2, settings=MonteCarloSettings(n_draws=40_000)
    )
    np.testing.assert_allclose(found.u, 0.01 * np.sqrt(np.minimum(np.arange(20) + 1, 3)), rtol=0.02)


def test_filters_that_cannot_be_are_named() -> None:
    b, a, cov, x = np.array([0.1]), np.array([1.0, -0.9]), np.diag([1e-6, 1e-6]), np.ones(10)
    few = MonteCarloSettings(n_draws=1000)
    for changed, words in (
        ({"a": np.array([2.0, -0.9])}, r"a\[0\]"),
        ({"a": np.array([1.0, -1.0])}, "not stable"),
        ({"cov": np.eye(3)}, "go together"),
        ({"cov": np.array([[1.0, 2.0], [2.0, 1.0]])}, "indefinite"),
        ({"x": np.array([1.0, np.nan])}, "finite"),
        ({"x": np.empty(0)}, "shape"),
        ({"u_x": -1.0}, "negative"),
        ({"u_x": np.ones(3)}, "shape"),
        ({"b": np.ones((2, 2))}, "one dimension"),
        ({"cov": np.diag([0.1**2, 1e-6])}, "no finite numbers for"),
    ):
        arguments = {"b": b, "a": a, "cov": cov, "x": x, "u_x": 0.1} | changed
        with pytest.raises(InvalidData, match=words):
            filter_monte_carlo(**arguments, seed=1, settings=few)  # type: ignore[arg-type]
    allowed = MonteCarloSettings(n_draws=4000, max_invalid_share=0.5)
    found = filter_monte_carlo(b, a, np.diag([0.1**2, 1e-6]), x, 0.1, seed=1, settings=allowed)
    # a pole at 0.9 ± 0.1 is outside 1 in 16 % of the draws
    assert found.n_invalid == pytest.approx(0.159 * 4000, abs=120)


@pytest.mark.parametrize("parts", list(Parts))
def test_a_response_agrees_with_the_law_of_propagation(parts: Parts) -> None:
    model = response_model(SECOND, THETA, F_HZ, parts)
    by_law = gum(model, THETA, PARAMETERS.cov)
    settings = MonteCarloSettings(n_draws=40_000)
    found = response_monte_carlo(SECOND, PARAMETERS, F_HZ, parts=parts, seed=3, settings=settings)
    np.testing.assert_allclose(by_law.u, found.u, rtol=0.02)
    assert validate(by_law, found, digits=1).passed


def test_phases_stay_near_the_estimate_across_the_cut() -> None:
    wide = Parameters(ModelKind.SECOND_ORDER, SECOND.names, np.array([-2.0, 0.3, 50.0]), np.diag([1e-6, 1e-4, 1e-2]))
    found = response_monte_carlo(
        SECOND, wide, np.array([1e-3]), parts=Parts.POLAR, seed=4, settings=MonteCarloSettings(n_draws=2000)
    )
    assert abs(found.value[1]) == pytest.approx(np.pi, abs=1e-3)
    assert found.u[1] < 1e-3


def test_a_function_of_the_parameters() -> None:
    """The damped resonance f0 √(1 - δ²)."""
    found = transform_monte_carlo(
        PARAMETERS, lambda x: x[:, 2] * np.sqrt(1 - x[:, 1] ** 2), seed=5, settings=MonteCarloSettings(n_draws=100_000)
    )
    slope = np.array([0.0, -THETA[2] * THETA[1] / np.sqrt(1 - THETA[1] ** 2), np.sqrt(1 - THETA[1] ** 2)])
    assert found.u[0] == pytest.approx(np.sqrt(slope @ PARAMETERS.cov @ slope), rel=0.01)


def test_draws_that_are_no_sensors_are_not_passed_over() -> None:
    first = model_of(ModelKind.FIRST_ORDER)
    nan = Parameters(ModelKind.FIRST_ORDER, first.names, np.array([1.0, np.nan]), np.diag([1e-4, 1e-4]))
    with pytest.raises(InvalidData, match="finite"):
        response_monte_carlo(first, nan, F_HZ, seed=6)
