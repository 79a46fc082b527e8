from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.design.folding import fold, fold_moves
from dyncal.domain.samples import FloatArray

RNG = np.random.default_rng(3)
SHAPE, POWER = RNG.uniform(size=(4, 61)), 10 ** RNG.uniform(-9, 3, size=(4, 61))
LOG_OMEGA = RNG.uniform(-3, 7, size=(4, 61))


def reference(
    density: float, corner: float, order: float, noise: float, shape: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What the kernel says, in numpy."""
    seen = density * shape * POWER
    slope = 2 * seen * (1 - shape)
    expected = seen.sum(axis=0) + noise
    bends = (slope * (LOG_OMEGA - corner)).sum(axis=0)
    moves = np.stack([seen.sum(axis=0), order * slope.sum(axis=0), -bends, np.full_like(expected, noise)])
    return moves / expected, expected


@pytest.mark.parametrize("p", [(0.3, 1.1, 2.5, 0.01), (1e-9, -2.0, 8.0, 4.0)])
def test_sums_over_folds_are_those_of_numpy_to_the_last_bit(p: tuple[float, float, float, float]) -> None:
    moves, expected = np.empty((4, 61)), np.empty(61)
    fold_moves(*p, SHAPE, POWER, LOG_OMEGA, moves, expected)
    for found, wanted in zip((moves, expected), reference(*p, SHAPE), strict=True):
        assert found.tobytes() == wanted.tobytes()
    fold(p[0], p[3], SHAPE, POWER, expected)
    assert expected.tobytes() == (p[0] * (SHAPE * POWER).sum(axis=0) + p[3]).tobytes()


def test_what_is_no_number_spoils_its_own_bin() -> None:
    shape = SHAPE.copy()
    shape[2, 7] = np.nan
    moves, expected = np.empty((4, 61)), np.empty(61)
    fold_moves(0.3, 1.1, 2.5, 0.01, shape, POWER, LOG_OMEGA, moves, expected)
    assert np.flatnonzero(np.isnan(expected)).tolist() == [7]
    assert np.flatnonzero(np.isnan(moves).any(axis=0)).tolist() == [7]
    fold(0.3, 0.01, shape, POWER, expected)
    assert np.flatnonzero(np.isnan(expected)).tolist() == [7]
