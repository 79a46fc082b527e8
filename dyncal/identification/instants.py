"""Compiled looks at the instants of samples, each in one pass: steps on no grid, and two streams in step."""

from __future__ import annotations

import numpy as np

from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel


@kernel("UniTuple(i8, 2)(i8[::1], i8, f8, f8)")
def off_grid(t_ns: Int64Array, dt_ns: int, longest: float, off: float) -> tuple[int, int]:
    """Count the steps between instants (n,) that are no longer than `longest`, and those of them which are off a grid.

    Both are in intervals `dt_ns`; off the grid is a step that is further than `off` from a whole number of them.
    """
    n = n_off = 0
    for k in range(1, t_ns.size):
        step = (t_ns[k] - t_ns[k - 1]) / dt_ns
        if step <= longest:
            n += 1
            n_off += abs(step - np.rint(step)) > off
    return n, n_off


@kernel("b1(i8[::1], i8[::1], i8, f8, f8)")
def in_step(s_ns: Int64Array, r_ns: Int64Array, last_ns: int, nearest_ns: float, gap_ns: float) -> bool:
    """Tell whether the newest of the instants r (m,) are the instants s (n,), which go on after `last_ns`.

    Their steps, with that from `last_ns`, are at least `nearest_ns` and at most `gap_ns`.
    """
    n, first = s_ns.size, r_ns.size - s_ns.size
    if first < 0 or n == 0 or r_ns[first] != s_ns[0]:
        return False
    odd, low, high = 0, s_ns[0] - last_ns, s_ns[0] - last_ns
    for k in range(1, n):
        step = s_ns[k] - s_ns[k - 1]
        low, high = min(low, step), max(high, step)
        odd += r_ns[first + k] != s_ns[k]
    return odd == 0 and low >= nearest_ns and high <= gap_ns
