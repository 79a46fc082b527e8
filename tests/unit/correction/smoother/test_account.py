"""What a smoother's u is made of, against the smoother itself and against what is known of its parts."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.budget import Budget, budget
from dyncal.correction.forms import correct_at
from dyncal.correction.smoother.build import model_of
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.rest import AtRest, n_lags
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.domain.coefficients import CorrectionSmoother
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.unit.correction.examples import ALL, FINE, T0_NS, Case, designed, instants, irregular, sampled

NAMES = [name for name in ALL if name != "non_minimum_phase"]
SUMMED = ("noise", "model", "parameters", "time", "reference_gain", "reference_offset")


def smoother_of(case: Case) -> CorrectionSmoother:
    wish = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": case.spectrum}
    return design_smoother(case.parameters, **wish).correction  # type: ignore[arg-type]  # two numbers and a spectrum


def record(case: Case, n: int) -> tuple[Int64Array, FloatArray]:
    rng = np.random.default_rng(3)
    at = irregular(rng, n)
    return T0_NS + at * (case.dt_ns // FINE), sampled(case, rng, at)[1]


def total(found: Budget) -> FloatArray:
    return np.asarray(np.sqrt(np.sum([found[name] ** 2 for name in SUMMED], axis=0)), np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_add_up_to_the_u_of_the_stream(name: str) -> None:
    case, correction = ALL[name], smoother_of(ALL[name])
    t, y = record(case, 250)
    y[60:63], y[100] = np.nan, np.inf
    t[150:] += 9 * case.dt_ns  # a hole
    u_t_s = 0.05 * case.dt_s
    value, u = correct_at(correction, case.parameters, t, y, u_t_s=u_t_s)
    found = budget(correction, case.parameters, y, t_ns=t, u_t_s=u_t_s, u_reference_gain=0.01, u_reference_offset=0.1)
    np.testing.assert_allclose(found.value, value, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.u, np.sqrt(u**2 + (0.01 * value) ** 2 + 0.01), rtol=1e-8)
    np.testing.assert_array_equal(found.u, total(found))
    missing = np.isnan(value)
    assert missing[60:63].all()
    assert missing[100]
    for line in found.contributions:
        assert (np.isnan(line.u) == missing).all(), line.name
    singles = [found[f"parameter:{one}"] ** 2 for one in case.parameters.names]
    np.testing.assert_allclose(np.sum(singles, axis=0), found["parameters"] ** 2, rtol=1e-9)  # no correlations here


@pytest.mark.parametrize("name", ["thermocouple", "pressure_line", "rational"])
def test_noise_is_that_of_the_weights(name: str) -> None:
    """r Σ w², the weights found one by one: the smoother of a record that has one indication of 1."""
    case, correction = ALL[name], smoother_of(ALL[name])
    t, _ = record(case, 90)
    known = case.parameters
    # the first indication sets the level; beside it the weights are what the others do
    weights = np.array(
        [
            [*span.value, *np.full(t.size - span.value.size, np.nan)]
            for k in range(1, t.size)
            if (span := StreamingSmoother(model_of(correction, known), known, "s", follow_jumps=False).process(
                t, np.eye(t.size)[k])) is not None
        ]
    )  # fmt: skip
    found = budget(correction, known, np.zeros(t.size), t_ns=t)
    settled = np.isfinite(found.value)
    settled[:40] = False
    expected = correction.noise_std * np.linalg.norm(weights, axis=0)
    np.testing.assert_allclose(found["noise"][settled], expected[settled], rtol=1e-2)


@pytest.mark.parametrize("name", ["thermocouple", "pressure_line", "accelerometer"])
def test_at_rest_noise_is_the_noise_gain(name: str) -> None:
    case, correction = ALL[name], smoother_of(ALL[name])
    _, y = case.simulate(np.random.default_rng(1), 900)
    found = budget(correction, case.parameters, y)
    at, model = 700, model_of(correction, case.parameters)
    rest = AtRest.of(model)
    assert found["noise"][at] == pytest.approx(correction.noise_std * rest.noise_gain(n_lags(model)), rel=1e-3)
    assert np.hypot(found["noise"][at], found["model"][at]) == pytest.approx(rest.errors(n_lags(model))[-1], rel=1e-3)


def test_what_a_jump_adds_is_no_noise() -> None:
    case, correction = ALL["thermocouple"], smoother_of(ALL["thermocouple"])
    t = instants(600, case.dt_ns)
    y = np.where(np.arange(600) < 300, 0.0, 500.0) + case.noise_std * np.random.default_rng(1).normal(size=600)
    found = budget(correction, case.parameters, y, t_ns=t)
    _, u = correct_at(correction, case.parameters, t, y)
    np.testing.assert_allclose(found.u, u, rtol=1e-7)
    assert np.nanmax(found["model"]) > 100 * found["model"][250]
    assert np.nanmax(found["noise"]) < 0.1 * np.nanmax(found["model"])


def test_instants_of_a_filter() -> None:
    """A filter on instants beside its grid pays for them in a line of its own."""
    case, f = ALL["pressure_line"], designed("pressure_line").filter
    rng = np.random.default_rng(1)
    _, y = case.simulate(rng, 600)
    t = instants(600, case.dt_ns)
    even = budget(f, case.parameters, y, u_t_s=1e-4)
    same = budget(f, case.parameters, y, t_ns=t, u_t_s=1e-4)
    np.testing.assert_allclose(same.u, even.u, rtol=1e-9)
    assert np.nanmax(same["sampling"]) < 1e-6 * f.u_noise
    moved = np.delete(t + rng.integers(-200_000, 200_000, 600), 300)
    found = budget(f, case.parameters, np.delete(y, 300), t_ns=moved, u_t_s=1e-4)
    _, u = correct_at(f, case.parameters, moved, np.delete(y, 300), u_t_s=1e-4)
    np.testing.assert_allclose(found.u, u, rtol=1e-7)
    assert np.nanmin(found["sampling"]) > 0


def test_what_a_smoother_cannot_have_is_refused() -> None:
    case, correction = ALL["thermocouple"], smoother_of(ALL["thermocouple"])
    with pytest.raises(InvalidData, match="prediction"):
        budget(correction, case.parameters, np.ones(50), prediction=designed("thermocouple").prediction)
    with pytest.raises(InvalidData, match="u_t_s"):
        budget(correction, case.parameters, np.ones(50), u_t_s=-1.0)
    with pytest.raises(InvalidData, match="increase"):
        budget(correction, case.parameters, np.ones(50), t_ns=np.full(50, T0_NS))
    assert budget(correction, case.parameters, np.empty(0)).u.shape == (0,)
    assert np.isnan(budget(correction, case.parameters, np.full(50, np.nan)).u).all()
