from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dyncal.drift.limit import CLIP
from dyncal.drift.scatter import ENOUGH, Scatter


@pytest.mark.parametrize("n", [5, 10, 50, 1000])
def test_scores_have_the_probability_of_students_t(n: int) -> None:
    t = np.linspace(-3.0, 3.0, 25)
    scatter = Scatter(np.full(t.size, 4.0 * n), np.full(t.size, float(n)))
    exact = stats.norm.ppf(stats.t.cdf(t, n))
    np.testing.assert_allclose(scatter.scores(2.0 * t), exact, atol=0.006 if n < 10 else 0.0025)


def test_nothing_is_compared_before_the_scatter_is_known() -> None:
    scatter = Scatter.empty(1)
    for _ in range(ENOUGH):
        assert scatter.scores(np.array([3.0])) == 0
        assert scatter.scale == 1.0
        scatter = scatter.with_residuals(np.array([3.0]), np.array([True]))
    assert scatter.scores(np.array([3.0])) > 0
    assert scatter.scale == 3.0


def test_scores_are_bounded_and_finite() -> None:
    still = Scatter(np.zeros(3), np.full(3, 10.0))
    np.testing.assert_array_equal(still.scores(np.array([1e300, -1e300, 0.0])), [CLIP, -CLIP, 0.0])


def test_what_is_not_used_is_not_learnt() -> None:
    scatter = Scatter.empty(2).with_residuals(np.array([2.0, 5.0]), np.array([True, False]))
    np.testing.assert_array_equal(scatter.squares, [4.0, 0.0])
    np.testing.assert_array_equal(scatter.n, [1.0, 0.0])
