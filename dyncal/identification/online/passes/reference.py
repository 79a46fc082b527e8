"""The reference of a block: its intervals, what it did between its samples, and its slope."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

_UNEVEN: Final = 0.02


@kernel("UniTuple(i8, 2)(i8[::1], f8[::1], f8[:, :, ::1], i8, f8[::1], f8[::1], i8[::1], f8[::1])")
def prepare(
    t_ns: Int64Array, r: FloatArray, taps: FloatArray, interpolation: int,
    fine: FloatArray, slope: FloatArray, index: Int64Array, steps_s: FloatArray,
) -> tuple[int, int]:  # fmt: skip
    """Interpolate the reference of a block and find its intervals; return stride and number of distinct intervals.

    Parameters
    ----------
    t_ns : int64, shape (n + 2c,)
        Instants, with c = (taps.shape[2] - 1)/2 more of them at either end, as in `interpolation`.
    r : float64, shape (n + 2c,)
        Reference; NaN is bridged by a cubic through its neighbours (a line, or the one value, where there are fewer).
    taps : float64, shape (kinds, 2, 2c + 1)
        Filters for values at samples and (one tap less) half-way; those of kind 0, straight lines, are not used.
    interpolation : int
        Which kind; unevenly spaced samples are always joined by straight lines.
    fine, slope : float64, shape (2n - 1,) or more
        On return the interpolated reference and its derivative.
    index : int64, shape (n - 1,) or more; steps_s : float64, shape (n,) or more
        On return which interval lies between two samples, and the distinct intervals [s]; the element after the last is
        the mean.
    """
    context = taps.shape[2] // 2
    r = _bridged(t_ns, r)
    n = t_ns.size - 2 * context
    low = high = t_ns[1] - t_ns[0]
    total = 0.0
    for k in range(1, t_ns.size):
        step = t_ns[k] - t_ns[k - 1]
        low, high = min(low, step), max(high, step)
        total += step
    stride = 1
    if interpolation > 0 and high - low <= _UNEVEN * total / (t_ns.size - 1):
        stride = 2
        at, half = slope[:n], slope[n : 2 * n - 1]  # side by side, where the compiler takes several samples at once
        _convolve(r, taps[interpolation, 0], 2 * context + 1, at)
        _convolve(r[1:], taps[interpolation, 1], 2 * context, half)
        fine[: 2 * n - 1 : 2] = at
        fine[1 : 2 * n - 1 : 2] = half
    else:
        fine[:n] = r[context : context + n]
    n_steps = _distinct(t_ns[context : context + n], low, high, index, steps_s)
    if n_steps == 1 and n > 1:
        _differentiate_evenly(fine[: stride * (n - 1) + 1], steps_s[0] / stride, slope)
    else:
        _differentiate(fine, n, stride, index, steps_s, slope)
    return stride, n_steps


@kernel()
def _convolve(values: FloatArray, taps: FloatArray, n_taps: int, out: FloatArray) -> None:
    out[:] = 0.0
    for j in range(n_taps):
        tap, window = taps[j], values[j : j + out.size]
        for k in range(out.size):
            out[k] += tap * window[k]


@kernel()
def _bridged(t_ns: Int64Array, r: FloatArray) -> FloatArray:
    """Return r itself, or a copy without NaN."""
    n, count = r.size, 0
    for k in range(n):
        count += r[k] == r[k]
    if count == n or count == 0:
        return r
    good, filled = np.flatnonzero(r == r), r.copy()
    for k in range(n):
        if r[k] == r[k]:
            continue
        after = int(np.searchsorted(good, k))
        near = 2 if 2 <= after <= count - 2 else 1
        low, high = max(after - near, 0), min(after + near, count)
        value = 0.0
        for i in range(low, high):  # Lagrange's polynomial
            weight = r[good[i]]
            for j in range(low, high):
                if j != i:
                    weight *= (t_ns[k] - t_ns[good[j]]) / (t_ns[good[i]] - t_ns[good[j]])
            value += weight
        filled[k] = value
    return filled


@kernel()
def _distinct(t_ns: Int64Array, low: int, high: int, index: Int64Array, steps_s: FloatArray) -> int:
    """Number the distinct intervals, in the order of their first appearance (open addressing)."""
    n = t_ns.size - 1
    if low == high or n < 1:
        index[:n] = 0
        steps_s[0] = steps_s[1] = low / 1e9
        return 1
    mask = 1
    while mask < 2 * n:
        mask *= 2
    table, steps = np.full(mask, -1, dtype=np.int64), np.empty(n, dtype=np.int64)
    count = 0
    for k in range(n):
        step = t_ns[k + 1] - t_ns[k]
        place = (step * 40503 >> 3) & (mask - 1)
        while table[place] >= 0 and steps[table[place]] != step:
            place = (place + 1) & (mask - 1)
        if table[place] < 0:
            table[place], steps[count] = count, step
            steps_s[count] = step / 1e9
            count += 1
        index[k] = table[place]
    steps_s[count] = (t_ns[n] - t_ns[0]) / 1e9 / n
    return count


@kernel()
def _differentiate(
    fine: FloatArray, n: int, stride: int, index: Int64Array, steps_s: FloatArray, slope: FloatArray
) -> None:
    """Write the derivative of `fine`: of the parabola through three values, at the ends of the line through two."""
    last, shift = stride * (n - 1), stride - 1  # a division by 1 or 2, for every point
    slope[0] = slope[last] = 0.0
    for k in range(last + 1):
        before = steps_s[index[(k - 1) >> shift]] / stride if k > 0 else 0.0
        after = steps_s[index[k >> shift]] / stride if k < last else 0.0
        if k > 0 and k < last:
            slope[k] = (
                before * before * fine[k + 1]
                + (after * after - before * before) * fine[k]
                - after * after * fine[k - 1]
            ) / (before * after * (before + after))
        elif k < last:
            slope[k] = (fine[1] - fine[0]) / after
        elif k > 0:
            slope[k] = (fine[k] - fine[k - 1]) / before


@kernel()
def _differentiate_evenly(fine: FloatArray, step_s: float, slope: FloatArray) -> None:
    """Do as `_differentiate` for one interval, to the last bit, several points at once."""
    last = fine.size - 1
    square, scale = step_s * step_s, step_s * step_s * (step_s + step_s)
    for k in range(1, last):
        slope[k] = (square * fine[k + 1] + (square - square) * fine[k] - square * fine[k - 1]) / scale
    slope[0], slope[last] = (fine[1] - fine[0]) / step_s, (fine[last] - fine[last - 1]) / step_s
