"""How far two responses are apart."""

from __future__ import annotations

import numpy as np
import pytest

from services.calibrate import response
from services.calibrate.window import Window


@pytest.mark.parametrize("p", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_a_distance_is_that_of_the_pseudo_inverse(p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    new, old = rng.normal(size=(2, p))
    roots = rng.normal(size=(2, p, p)) * 10 ** rng.uniform(-6, 3, size=p)[:, None]
    one, other = (root @ root.T for root in roots)
    scale = np.sqrt(np.diag(one + other))
    whitened = (new - old) / scale
    wanted = whitened @ np.linalg.pinv((one + other) / np.outer(scale, scale)) @ whitened
    assert response.distance(new, one, old, other) == pytest.approx(wanted, rel=1e-8)


def test_what_is_known_exactly_is_infinitely_far_from_anything_else() -> None:
    zero = np.zeros((2, 2))
    assert response.distance(np.array([1.0, 2.0]), zero, np.array([1.0, 2.1]), zero) == float("inf")
    assert response.distance(np.array([1.0, 2.0]), zero, np.array([1.0, 2.0]), zero) == 0.0


def test_of_parameters_that_move_as_one_the_one_counts() -> None:
    cov = np.ones((2, 2)) / 2
    assert response.distance(np.array([1.0, 1.0]), cov, np.zeros(2), cov) == pytest.approx(1.0)


@pytest.mark.parametrize(("dt_ns", "error"), [(10, 0.0), (8, 0.25), (20, -0.5)])
def test_the_interval_is_the_median_one(dt_ns: int, error: float) -> None:
    steps = np.full(99, 10)
    steps[::4] = 7
    window = Window(100, np.concatenate(([0], np.cumsum(steps))), np.zeros(100), np.zeros(100))
    assert window.interval_error(dt_ns) == pytest.approx(error)
