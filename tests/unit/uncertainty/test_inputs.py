from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.uncertainty import Arcsine, Distribution, Independent, MultivariateNormal, Normal, StudentT, Trapezoidal

N = 200_000


@pytest.mark.parametrize(
    ("distribution", "mean", "variance"),
    [
        (Normal(3.0, 0.5), 3.0, 0.25),
        (StudentT(-1.0, 2.0, 8.0), -1.0, 4.0 * 8 / 6),
        (Trapezoidal(1.0, 3.0), 2.0, 4 / 12),
        (Trapezoidal(1.0, 3.0, flat=0.0), 2.0, 4 / 24),
        (Trapezoidal(1.0, 3.0, flat=0.5), 2.0, 4 / 24 * (1 + 0.25)),
        (Arcsine(0.0, 2.0), 1.0, 4 / 8),
    ],
)
def test_moments_are_those_of_the_table(distribution: Distribution, mean: float, variance: float) -> None:
    """JCGM 101, 6.4: within 4.5 standard deviations for 200 000 draws; kurtosis is at most 6 here."""
    drawn = distribution.draw(np.random.default_rng(1), N)
    assert drawn.shape == (N, 1)
    assert drawn.mean() == pytest.approx(mean, abs=4.5 * np.sqrt(variance / N))
    assert drawn.var() == pytest.approx(variance, rel=4.5 * np.sqrt(5 / N))


def test_limits_hold() -> None:
    for distribution in (Trapezoidal(1.0, 3.0, 0.3), Arcsine(1.0, 3.0)):
        drawn = distribution.draw(np.random.default_rng(1), N)
        assert drawn.min() >= 1.0
        assert drawn.max() <= 3.0


def test_a_vector_has_its_covariance_also_where_it_is_singular() -> None:
    cov = np.array([[4.0, 2e-6, 0.0], [2e-6, 4e-12, 0.0], [0.0, 0.0, 0.0]])
    vector = MultivariateNormal(np.array([1.0, 2.0, 3.0]), cov)
    drawn = Independent(vector, Normal(0.0, 1.0)).draw(np.random.default_rng(2), N)
    assert drawn.shape == (N, 4)
    np.testing.assert_allclose(np.cov(drawn.T)[:2, :2], cov[:2, :2], rtol=0.02)
    np.testing.assert_array_equal(drawn[:, 2], 3.0)
    perfectly = MultivariateNormal(np.zeros(2), np.ones((2, 2))).draw(np.random.default_rng(3), 100)
    np.testing.assert_allclose(perfectly[:, 0], perfectly[:, 1], atol=1e-7)


@pytest.mark.parametrize(
    ("cov", "words"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], "indefinite"),
        ([[1.0, 0.5], [0.4, 1.0]], "not symmetric"),
        ([[1.0, 0.1], [0.1, 0.0]], "variance of zero"),
        ([[-1.0, 0.0], [0.0, 1.0]], "negative variance: -1"),
        ([[np.nan, 0.0], [0.0, 1.0]], "finite"),
    ],
)
def test_what_is_no_covariance_is_named(cov: list[list[float]], words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        MultivariateNormal(np.zeros(2), np.array(cov))


def test_other_hostile_inputs_are_named() -> None:
    with pytest.raises(InvalidData, match="do not go together"):
        MultivariateNormal(np.zeros(3), np.eye(2))
    with pytest.raises(InvalidData, match="finite"):
        MultivariateNormal(np.array([np.inf]), np.eye(1))
    for make in (
        lambda: Normal(0.0, -1.0),
        lambda: Normal(float("nan"), 1.0),
        lambda: StudentT(0.0, 1.0, 0.0),
        lambda: Trapezoidal(1.0, 0.0),
        lambda: Trapezoidal(0.0, 1.0, 1.5),
        lambda: Arcsine(2.0, 1.0),
        Independent,
    ):
        with pytest.raises(InvalidData):
            make()
