"""From a wish to a smoother of a set: what it must keep to, and what no edge takes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from dyncal.correction.design.spectrum import MeasurandSpectrum, from_bandwidth
from dyncal.correction.safety import SafetyLimits, check
from dyncal.correction.smoother.build import build_smoother, model_of
from dyncal.correction.smoother.design import SmootherDesign, design_smoother
from dyncal.correction.smoother.rest import AtRest, lag_errors, n_lags
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother, MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData, RejectedSet
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs
from tests.unit.correction.examples import ALL, Case, coefficient_set
from tests.unit.correction.smoother.test_smoother import NAMES


def designed(case: Case, **wishes: object) -> SmootherDesign:
    asked = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": case.spectrum} | wishes
    return design_smoother(case.parameters, **asked)  # type: ignore[arg-type]  # values by name


def smoother_set(name: str = "thermocouple", **changes: object) -> CoefficientSet:
    case = ALL[name]
    correction = designed(case).correction
    gain = 1 / case.theta[0]
    return coefficient_set(
        case.parameters,
        dataclasses.replace(correction, **changes),  # type: ignore[arg-type]  # values by name
        gain_limits=(0.9 * gain, 1.1 * gain),
    )


@pytest.mark.parametrize("prior", MeasurandPrior)
@pytest.mark.parametrize("name", NAMES)
def test_a_set_tells_the_edge_all_that_the_designer_ran(name: str, prior: MeasurandPrior) -> None:
    """A whole order: for others the designer's own numbers are those of the nearest."""
    case = ALL[name]
    result = designed(case, prior=prior)
    again = model_of(result.correction, case.parameters)
    made = build_smoother(
        case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, prior=prior
    )
    for part in dataclasses.fields(again):
        np.testing.assert_allclose(getattr(again, part.name), getattr(made, part.name), rtol=1e-12, atol=1e-12)
    latency_s = made.lag_s + made.dead_time_s
    assert result.correction.latency_ns == pytest.approx(latency_s * 1e9, abs=1)
    lag = n_lags(made)
    assert result.rms_error == pytest.approx(lag_errors(made, lag)[-1], rel=1e-9)
    assert result.rms_error < (0.1 if prior is MeasurandPrior.BUTTERWORTH else 0.2) * math.sqrt(case.spectrum.variance)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_does_at_rest_is_what_the_stream_comes_to(name: str) -> None:
    """Its gains, by the response to a step and to an impulse through the recursion itself."""
    model = build_smoother(
        ALL[name].parameters, dt_ns=ALL[name].dt_ns, noise_std=ALL[name].noise_std, spectrum=ALL[name].spectrum
    )
    rest, lags = AtRest.of(model), n_lags(model)
    assert rest.dc_gain(lags) * ALL[name].theta[0] == pytest.approx(1.0, abs=1e-9)
    state, weights = np.zeros(rest.observe.size), rest.weights(lags)
    n = 20_000
    expected, surprise = np.empty(n), np.empty(n)
    for k in range(n):
        y = float(k == 0)
        expected[k], surprise[k] = rest.measurand @ state, y - rest.observe @ state
        state = rest.closed @ state + rest.taken * y
    response = expected[: n - lags].copy()
    for j, weight in enumerate(weights):
        response += weight * surprise[j : n - lags + j]
    before = np.array([weights[j:] @ surprise[: lags + 1 - j] for j in range(1, lags + 1)])  # told before the impulse
    assert math.sqrt(np.sum(response**2) + np.sum(before**2)) == pytest.approx(rest.noise_gain(lags), rel=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_designed_sets_pass(name: str) -> None:
    coefficients = smoother_set(name)
    check(coefficients, SafetyLimits(), dt_ns=coefficients.correction.dt_ns)


def _rational(*values: float) -> Parameters:
    names = ("gain", "a1_s", "a2_s2")
    return Parameters(ModelKind.RATIONAL, names, np.array(values), np.diag([1e-6, 1e-6, 1e-6]))


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("not_finite", {"density": math.inf}),
        ("not_finite", {"corner_rad_s": math.nan}),
        ("not_finite", {"noise_std": math.nan}),
        ("not_finite", {"band_hz": math.inf}),
        ("uncertainty", {"noise_std": 0.0}),
        ("uncertainty", {"density": -1.0}),
        ("latency", {"latency_ns": DurationNs(10**12)}),
        ("interval", {"dt_ns": DurationNs(20_000_000)}),
        ("noise_gain", {"density": 1e30, "corner_rad_s": 300.0, "order": 1}),
        ("model", {"density": 1e300, "corner_rad_s": 1e200}),
        ("model", {"density": 1e-300, "corner_rad_s": 1e-200}),
        ("model", {"corner_rad_s": 1e300}),
    ],
)
def test_what_an_edge_does_not_take(reason: str, changes: dict[str, object]) -> None:
    with pytest.raises(RejectedSet) as refused:
        check(smoother_set("thermocouple", **changes), SafetyLimits(max_noise_gain=20.0), dt_ns=10_000_000)
    assert refused.value.reason == reason, refused.value


@pytest.mark.parametrize(
    ("reason", "parameters"),
    [
        ("model", _rational(1.0, -0.5, 0.1)),
        ("model", _rational(0.0, 0.5, 0.1)),
        ("dc_gain", _rational(5.0, 0.5, 0.1)),
        ("model", Parameters(ModelKind.FIRST_ORDER, ("gain", "what"), np.ones(2), np.zeros((2, 2)))),
        ("covariance", Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.ones(2), np.array([[1.0, 2], [2, 1]]))),
    ],
    ids=["unstable", "no gain", "gain beyond the limits", "no such parameter", "indefinite"],
)
def test_sensors_that_an_edge_does_not_take(reason: str, parameters: Parameters) -> None:
    with pytest.raises(RejectedSet) as refused:
        check(dataclasses.replace(smoother_set(), parameters=parameters))
    assert refused.value.reason == reason, refused.value


def test_a_latency_below_the_dead_time_is_no_smoother() -> None:
    case = ALL["dead_time"]
    correction = dataclasses.replace(designed(case).correction, latency_ns=DurationNs(1_000_000))
    with pytest.raises(RejectedSet, match="less than the dead time"):
        check(coefficient_set(case.parameters, correction))
    with pytest.raises(InvalidData, match="dead time"):
        designed(case, max_latency_s=0.001)


def test_the_latency_wished_for_is_kept() -> None:
    for name, latency_s in (("thermocouple", 0.05), ("thermocouple", 0.0), ("dead_time", 0.5)):
        case = ALL[name]
        result = designed(case, max_latency_s=latency_s)
        assert result.correction.latency_ns <= latency_s * 1e9 + 1
        assert result.rms_error >= designed(case).rms_error


def test_a_design_says_what_a_user_should_know() -> None:
    case = ALL["thermocouple"]
    assert designed(case).notes == ()
    slow = Parameters(case.kind, case.model.names, np.array([1.0, 1e5]), np.diag([1e-6, 1e9]))
    notes = design_smoother(slow, dt_ns=case.dt_ns, noise_std=0.01, spectrum=case.spectrum).notes
    assert any("tau_s (32%)" in note for note in notes)
    assert any("little is restored" in note for note in notes)


def test_no_noise_at_all_is_taken_for_very_little() -> None:
    case = ALL["thermocouple"]
    result = designed(case, noise_std=0.0)
    assert 0 < result.correction.noise_std <= 1e-5
    check(coefficient_set(case.parameters, result.correction), SafetyLimits(max_noise_gain=1e6))


@pytest.mark.parametrize("order", [1.4, 3.7, 20.0])
def test_an_order_between_keeps_corner_and_variance(order: float) -> None:
    case = ALL["pressure_line"]
    spectrum = from_bandwidth(6.0, 2.0, order=order)
    correction = designed(case, spectrum=spectrum).correction
    assert correction.order == min(max(round(order), 1), 8)
    found = MeasurandSpectrum(correction.density, correction.corner_rad_s, correction.order)
    assert found.variance == pytest.approx(2.0)
    assert correction.corner_rad_s == spectrum.corner_rad_s


@pytest.mark.parametrize(
    "changes", [{"order": 0}, {"order": 9}, {"dt_ns": DurationNs(0)}, {"latency_ns": DurationNs(-1)}], ids=str
)
def test_smoothers_that_cannot_be(changes: dict[str, object]) -> None:
    correction = designed(ALL["thermocouple"]).correction
    assert isinstance(correction, CorrectionSmoother)
    with pytest.raises(InvalidData):
        dataclasses.replace(correction, **changes)  # type: ignore[arg-type]  # values by name


@pytest.mark.parametrize("noise_std", [-1.0, float("nan"), float("inf")])
def test_noise_that_is_none(noise_std: float) -> None:
    with pytest.raises(InvalidData, match="noise"):
        designed(ALL["thermocouple"], noise_std=noise_std)
