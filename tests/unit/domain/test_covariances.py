"""What can be a covariance, and its root."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dyncal.domain.covariances import correlations, root
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


def _some() -> FloatArray:
    f = np.random.default_rng(4).normal(size=(5, 5)) * np.array([1e-12, 1.0, 1e6, 1e-3, 10.0])
    return np.asarray(f.T @ f)


def test_correlations_and_deviations_give_the_covariance_back() -> None:
    cov = _some()
    found, scale = correlations(cov, "it")
    np.testing.assert_allclose(scale[:, None] * found * scale, cov, rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_the_root_reproduces_the_covariance() -> None:
    cov = _some()
    factor = root(cov, "it")
    np.testing.assert_allclose(
        factor.T @ factor, cov, rtol=1e-9, atol=1e-12 * np.sqrt(np.outer(np.diag(cov), np.diag(cov))).min()
    )


def test_what_is_known_exactly_has_no_part_in_it() -> None:
    found, scale = correlations(np.diag([4.0, 0.0]), "it")
    np.testing.assert_array_equal(scale, [2.0, 0.0])
    np.testing.assert_array_equal(found, [[1.0, 0.0], [0.0, 0.0]])


def test_no_variables_have_a_root_too() -> None:
    assert root(np.empty((0, 0)), "it").shape == (0, 0)


def test_what_rounding_does_is_no_reason_to_refuse() -> None:
    cov = np.array([[1e-12, 1e-3], [1e-3 * (1 + 5e-10), 1e6]])
    assert correlations(cov, "it")[0][0, 1] == pytest.approx(1.0)
    assert np.all(np.isfinite(root(cov, "it")))


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        ([[1.0, 0.0]], "it must be a finite square matrix, not of shape"),
        ([[math.nan]], "it must be a finite square matrix, and holds NaN"),
        ([[math.inf, 0.0], [0.0, 1.0]], "it must be a finite square matrix, and holds NaN"),
        ([[1.0, 0.0], [0.0, -2.0]], "it has a negative variance: -2 of value 1"),
        ([[1.0, 0.1], [0.1, 0.0]], "it has a covariance beside a variance of zero"),
        ([[1.0, 0.5], [0.4, 1.0]], "it is not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "it is not positive semidefinite .indefinite"),
        ([[1e-12, 2e-3], [2e-3, 1e6]], "it is not positive semidefinite .indefinite"),
    ],
)
def test_what_is_no_covariance_is_told_by_name(cov: list[list[float]], message: str) -> None:
    for judge in (correlations, root):
        with pytest.raises(InvalidData, match=message):
            judge(np.array(cov), "it")
