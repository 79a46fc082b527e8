"""The loops of a pass: that of one state beside the one that serves all, and passes in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.identification.online import passes
from dyncal.identification.online.passes.recursion import _run, advance, modelled

N = 90


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("cuts", [(N,), (40, N), (1, 2, 3, N)])
def test_a_sensor_of_one_state_has_a_loop_of_its_own_that_says_the_same(stride: int, cuts: tuple[int, ...]) -> None:
    """To the last bit, in one piece and in several, with samples that are missing and two intervals."""
    rng = np.random.default_rng(stride)
    r = np.cumsum(rng.normal(size=stride * N))
    slope, y = rng.normal(size=r.size), r[::stride] + 0.1 * rng.normal(size=N)
    y[[17, 44]] = np.nan
    index, steps_s = (np.arange(N - 1) > 50).astype(np.int64), np.array([0.01, 0.012])
    h, gain, gain_slope = np.array([1.1, np.log(0.3), -2.0]), np.empty(2), np.empty(2)
    base, slopes = np.empty((2, 2, 5)), np.empty((2, 4, 2, 5))
    assert modelled(0, h, h, steps_s, stride, 0.011, base, slopes, gain, gain_slope)
    left = []
    for own in (True, False):
        x, s, z, initial = np.array([0.4, 0.0]), np.zeros((2, passes.ROWS)), np.zeros((2, 2)), np.empty((2, 10))
        s[0, [0, 1, passes.KAPPA, passes.OFFSET, passes.CLOCK]] = 0.2, -0.1, 0.05, 0.3, -0.4
        gram, e, begin = np.full((passes.ROWS, passes.ROWS), np.nan), np.full(N, np.nan), 0
        for end in cuts if own else (N,):
            if own:
                advance(
                    0, begin, end, y, r, slope, index, base, slopes, gain, gain_slope, stride, False,
                    x, s, z, gram, initial, e,
                )  # fmt: skip
            else:
                _run(
                    (0, 0), begin, end, y, r, slope, index, base, slopes, 0.0, gain, gain_slope, stride,
                    False, x, s, z, gram, initial, e,
                )  # fmt: skip
            begin = end
        left.append([x, s, gram, e])
    for mine, theirs in zip(*left, strict=True):
        assert np.array_equal(mine, theirs)
    assert left[0][2][passes.KAPPA, -1] != 0
