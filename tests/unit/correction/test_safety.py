from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.contracts.coefficients import canonical, open_set
from dyncal.correction.safety import SafetyLimits, check, noise_gain, pole_radius
from dyncal.domain.coefficients import CoefficientSet, Parameters
from dyncal.domain.errors import InvalidData, RejectedSet
from tests.unit.correction.examples import CASES, arbitrary_set, designed, set_of


def with_filter(coefficients: CoefficientSet, **changes: object) -> CoefficientSet:
    return dataclasses.replace(coefficients, correction=dataclasses.replace(coefficients.filter, **changes))  # type: ignore[arg-type]  # values by name


def with_cov(coefficients: CoefficientSet, cov: np.ndarray) -> CoefficientSet:
    p = coefficients.parameters
    return dataclasses.replace(coefficients, parameters=Parameters(p.model, p.names, p.values, cov))


@pytest.mark.parametrize("name", CASES)
def test_designed_sets_pass(name: str) -> None:
    coefficients = set_of(name)
    check(coefficients, SafetyLimits(), dt_ns=coefficients.filter.dt_ns)


def test_recursive_sets_pass() -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=1)
    check(dataclasses.replace(coefficients, gain_limits=(0.0, 10.0)))


FIR = designed("pressure_line").filter.fir
NAN = float("nan")


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("not_finite", {"fir": np.append(FIR, NAN)}),
        ("not_finite", {"fir": np.append(FIR, np.inf)}),
        ("not_finite", {"sos": np.array([[1, 0, 0, 1, NAN, 0]])}),
        ("not_finite", {"sensitivities": np.full((3, 5), NAN)}),
        ("not_finite", {"u_noise": NAN}),
        ("not_finite", {"u_model": np.inf}),
        ("not_finite", {"band_hz": NAN}),
        ("uncertainty", {"u_noise": -1e-9}),
        ("uncertainty", {"u_model": -1.0}),
        ("size", {"fir": np.full(5000, 1 / 5000)}),
        ("size", {"sos": np.tile([1.0, 0, 0, 1, 0, 0], (17, 1))}),
        ("latency", {"delay": 5000}),
        ("interval", {"dt_ns": 20_000_000}),
        ("interval", {"dt_ns": 10_020_000}),
        ("pole_radius", {"sos": np.array([[1.0, 0, 0, 1, -2.0, 1.0]])}),
        ("pole_radius", {"sos": np.array([[0.1, 0, 0, 1, -1.1, 0.0]])}),
        ("pole_radius", {"sos": np.array([[1.0, 0, 0, 2.0, 0.0, 0.0]])}),
        ("pole_radius", {"sensitivities": np.tile([1.0, -1, 0, 0.0, 1.0], (3, 1))}),
        ("dc_gain", {"fir": FIR * 100}),
        ("dc_gain", {"fir": -FIR}),
        ("dc_gain", {"sos": np.array([[100.0, 0, 0, 1, 0.0, 0.0]])}),
        ("noise_gain", {"fir": np.concatenate([FIR, [2e3, -2e3]])}),
    ],
)
def test_filters_are_rejected_for_a_named_reason(reason: str, changes: dict[str, object]) -> None:
    coefficients = with_filter(set_of("pressure_line"), **changes)
    with pytest.raises(RejectedSet) as caught:
        check(coefficients, dt_ns=10_000_000)
    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize(
    "cov",
    [
        np.diag([1.0, -1e-3, 1.0]),
        np.array([[1.0, 2.0, 0], [2.0, 1.0, 0], [0, 0, 1]]),
        np.array([[1.0, 0.5, 0], [0.4, 1.0, 0], [0, 0, 1]]),
        np.array([[0.0, 0.1, 0], [0.1, 1.0, 0], [0, 0, 1]]),
    ],
    ids=["negative", "indefinite", "unsymmetric", "covariance without variance"],
)
def test_impossible_covariances_are_rejected(cov: np.ndarray) -> None:
    with pytest.raises(RejectedSet) as caught:
        check(with_cov(set_of("pressure_line"), cov))
    assert caught.value.reason == "covariance"


def test_a_singular_covariance_is_possible() -> None:
    check(with_cov(set_of("pressure_line"), np.outer([1e-3, 1.0, 1e3], [1e-3, 1.0, 1e3])))
    check(with_cov(set_of("pressure_line"), np.zeros((3, 3))))


@pytest.mark.parametrize("limits", [(2.0, 1.0), (0.6, 1.0), (NAN, 1.0)])
def test_gain_limits_of_the_set_hold(limits: tuple[float, float]) -> None:
    with pytest.raises(RejectedSet):
        check(dataclasses.replace(set_of("pressure_line"), gain_limits=limits))  # the sensor's gain is 2


def test_pole_radius_of_known_poles() -> None:
    poles = np.array([[0.9, 0.5], [0.3 + 0.4j, 0.3 - 0.4j]])
    rows = np.array([np.poly(pair)[1:].real for pair in poles])
    assert pole_radius(rows) == pytest.approx(0.9)
    assert pole_radius(rows[1:]) == pytest.approx(0.5)
    assert pole_radius(rows[:0]) == 0.0


def test_noise_gain_with_a_recursive_section() -> None:
    a = 0.95  # one pole: Σ a^2k = 1/(1 - a²)
    assert noise_gain(np.ones(1), np.array([[1, 0, 0, 1, -a, 0]])) == pytest.approx(1 / np.sqrt(1 - a * a), rel=1e-9)


def test_several_biquads_for_a_parameter_travel_and_are_checked() -> None:
    coefficients = set_of("rational")
    p = len(coefficients.parameters.names)
    assert coefficients.filter.sensitivities.shape[0] >= 2 * p
    check(coefficients)
    again = open_set(canonical(coefficients))
    np.testing.assert_array_equal(again.filter.sensitivities, coefficients.filter.sensitivities)
    half = dataclasses.replace(coefficients.filter, sensitivities=coefficients.filter.sensitivities[: p + 1])
    with pytest.raises(InvalidData):
        dataclasses.replace(coefficients, correction=half)
    unstable = coefficients.filter.sensitivities.copy()
    unstable[-1, 3:] = -2.1, 1.1
    with pytest.raises(RejectedSet) as caught:
        check(
            dataclasses.replace(
                coefficients, correction=dataclasses.replace(coefficients.filter, sensitivities=unstable)
            )
        )
    assert caught.value.reason == "pole_radius"
