from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty import (
    GumResult,
    MonteCarloSettings,
    MultivariateNormal,
    gum,
    monte_carlo,
    numerical_tolerance,
    propagate,
    validate,
)

FINE = MonteCarloSettings(digits=1, tolerance_share=0.2)


@pytest.mark.parametrize(
    ("u", "digits", "delta"),
    [
        (0.00035, 2, 0.000005),  # the example of JCGM 101, 7.9.2: a nominally 100 g mass, 0.000 35 g
        (2.0, 2, 0.05),
        (2.0, 1, 0.5),
        (0.96, 1, 0.5),  # is 1 to one digit
        (0.0996, 2, 0.005),
        (9.94, 2, 0.05),
        (1e-300, 1, 5e-301),
        (0.0, 2, 0.0),
    ],
)
def test_numerical_tolerance(u: float, digits: int, delta: float) -> None:
    assert numerical_tolerance(np.array([u]), digits)[0] == pytest.approx(delta, rel=1e-9)


def test_a_linear_model_is_validated() -> None:
    matrix = np.array([[1.0, 2.0], [0.5, -1.0]])
    mean, cov = np.array([3.0, 4.0]), np.array([[0.04, 0.01], [0.01, 0.09]])

    def linear(x: FloatArray) -> FloatArray:
        return np.asarray(x @ matrix.T)

    y, cov_y = propagate(linear, mean, cov)
    np.testing.assert_allclose(y, matrix @ mean)
    np.testing.assert_allclose(cov_y, matrix @ cov @ matrix.T, rtol=1e-9)
    verdict = validate(
        gum(linear, mean, cov), monte_carlo(MultivariateNormal(mean, cov), linear, seed=1, settings=FINE)
    )
    assert verdict.passed
    assert verdict.conclusive
    assert "validated: 2 of 2" in str(verdict)


def test_a_model_that_first_order_cannot_follow_is_not_validated() -> None:
    """JCGM 101, 9.4 at the origin: the law of propagation says u = 0."""

    def loss(x: FloatArray) -> FloatArray:
        return np.asarray((x**2).sum(axis=1))

    mean, cov = np.array([0.010, 0.0]), 0.005**2 * np.eye(2)
    by_law = gum(loss, mean, cov)
    assert by_law.value[0] == pytest.approx(100e-6)
    assert by_law.u[0] == pytest.approx(100e-6, rel=1e-6)
    verdict = validate(by_law, monte_carlo(MultivariateNormal(mean, cov), loss, seed=2, settings=FINE))
    assert not verdict.passed
    assert "not validated" in str(verdict)


def test_few_draws_decide_nothing() -> None:
    model = MultivariateNormal(np.zeros(1), np.eye(1))
    few = monte_carlo(model, lambda x: x, seed=3, settings=MonteCarloSettings(n_draws=200))
    verdict = validate(GumResult(np.zeros(1), np.ones(1)), few, digits=2)
    assert not verdict.conclusive
    assert "too few draws" in str(verdict)


def test_few_degrees_of_freedom_widen_the_interval() -> None:
    result = GumResult(np.zeros(1), np.ones(1), dof=4.0)
    assert result.coverage_factor(0.95) == pytest.approx(stats.t.ppf(0.975, 4))
    assert GumResult(np.zeros(1), np.ones(1)).coverage_factor(0.95) == pytest.approx(1.959964, abs=1e-6)


def test_hostile_results_are_named() -> None:
    found = monte_carlo(MultivariateNormal(np.zeros(1), np.eye(1)), lambda x: x, seed=4, settings=FINE)
    with pytest.raises(InvalidData, match="cannot be compared"):
        validate(GumResult(np.zeros(2), np.ones(2)), found)
    for value, u, dof in (([0.0], [-1.0], 5.0), ([np.nan], [1.0], 5.0), ([0.0], [1.0], 0.0), ([0.0, 1.0], [1.0], 5.0)):
        with pytest.raises(InvalidData):
            GumResult(np.array(value), np.array(u), dof)
    with pytest.raises(InvalidData, match="indefinite"):
        propagate(lambda x: x, np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(InvalidData, match="finite"):
        propagate(lambda x: x * np.nan, np.zeros(1), np.zeros((1, 1)))
    with pytest.raises(InvalidData, match="go together"):
        propagate(lambda x: x, np.zeros(2), np.eye(3))
