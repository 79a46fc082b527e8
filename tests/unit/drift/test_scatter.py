from __future__ import annotations

import numpy as np

from dyncal.drift.kernels import ENOUGH
from dyncal.drift.scatter import Scatter


def test_a_scatter_is_taken_as_claimed_until_it_is_known() -> None:
    scatter = Scatter.empty(1)
    for _ in range(ENOUGH):
        assert scatter.scale == 1.0
        scatter = scatter.with_residuals(np.array([3.0]), np.array([True]))
    assert scatter.scale == 3.0


def test_what_is_not_used_is_not_learnt() -> None:
    scatter = Scatter.empty(2).with_residuals(np.array([2.0, 5.0]), np.array([True, False]))
    np.testing.assert_array_equal(scatter.squares, [4.0, 0.0])
    np.testing.assert_array_equal(scatter.n, [1.0, 0.0])
