"""The compiled probability to lie outside a tolerance against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from dyncal.domain.samples import FloatArray
from dyncal.drift.outside import TABLE, outside

AHEAD = np.concatenate(([0.0], np.geomspace(1e-3, 10.0, 60)))


def courses(seed: int) -> FloatArray:
    """Thirty lines that are known to some extent, and thirty steps, of which one is known exactly."""
    rng = np.random.default_rng(seed)
    n = 60
    level, slope = 0.03 * rng.normal(size=n), 0.01 * rng.normal(size=n)
    u, v = 10 ** rng.uniform(-4, -1, size=(2, n))
    found = np.stack((rng.dirichlet(np.ones(n)), level, slope, u**2, 0.5 * u * v, v**2), axis=1)
    found[::2, (2, 4, 5)] = 0.0
    found[0, 3] = 0.0
    return np.ascontiguousarray(found)


def reference(each: FloatArray, ahead: FloatArray, low: float, high: float) -> FloatArray:
    weight, level, slope, var_level, cov, var_slope = each.T
    t = ahead[:, None]
    mean = level + slope * t
    s = np.sqrt(np.maximum(var_level + 2 * cov * t + var_slope * t**2, 1e-300))
    out = (ndtr((mean - high) / s) + ndtr((low - mean) / s)) @ weight
    return np.asarray(np.maximum.accumulate(out), dtype=np.float64)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("limit", [0.01, 0.05, 0.5])
def test_it_is_what_numpy_says_up_to_the_level_that_is_asked_for(seed: int, limit: float) -> None:
    each, found = courses(seed), np.empty(AHEAD.size)
    wanted = reference(each, AHEAD, -limit, limit)
    outside(each, AHEAD, -limit, limit, 2.0, TABLE, found)
    assert found == pytest.approx(wanted, abs=1e-10, rel=1e-9)
    outside(each, AHEAD, -limit, limit, 0.3, TABLE, found)
    until = int(np.argmax(wanted >= 0.3)) + 1 if wanted[-1] >= 0.3 else wanted.size
    assert found[:until] == pytest.approx(wanted[:until], abs=1e-10, rel=1e-9)
    assert bool(np.all(found[until:] == found[until - 1]))


def test_a_course_that_is_no_number_is_told() -> None:
    each, found = courses(0), np.empty(AHEAD.size)
    each[1, 1] = np.nan
    outside(each, AHEAD, -0.05, 0.05, 0.9, TABLE, found)
    assert not bool(np.any(found > 0.9))
