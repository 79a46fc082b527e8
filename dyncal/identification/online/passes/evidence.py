"""What a fitted block says against its model: what is unexplained, coloured, or saturated."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.passes.layout import LAGS, LJUNG_BOX, NOTHING, POWER, ROWS, BoolArray
from dyncal.identification.online.passes.recursion import evaluate
from dyncal.identification.online.passes.steps import discretise
from dyncal.kernels import kernel

_LAGS: Final = 12
_STAYS: Final = 3  # samples that are what their predecessor was
SURELY: Final = 6.0
"""Standard deviations of an excess at what was known of the sensor."""
STILL: Final = 2.0
"""The same at the fit to the block: a sensor that has changed does not look saturated there."""
_LEAST_EXCESS: Final = 0.01
_UNTOUCHED: Final = 0.2
_REPEATED: Final = 0.02


@kernel("f8(i8, f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], i8)")
def unexplained(
    kind: int, eta: FloatArray, y: FloatArray, r: FloatArray, index: Int64Array, steps_s: FloatArray, stride: int
) -> float:
    """Return the share of the indication's variance that the reference does not explain at all; infinite if unstable.

    By simulation alone (K = 0, the initial state found): with a gain, any smooth indication is predicted well from its
    own past. Parameters as for `evaluate`, all samples being observations.
    """
    base, slopes = np.empty((steps_s.size, 2, 5)), np.empty((steps_s.size, 4, 2, 5))
    discretise(kind, eta, steps_s, stride, base, slopes)
    c1 = 1.0 if kind == 2 else 0.0
    x0 = eta[0] * r[0] * (1 - eta[3] if kind == 2 else 1.0)
    x1 = eta[0] * eta[3] * r[0] if kind == 2 else 0.0
    z00, z01, z10, z11 = 1.0, 0.0, 0.0, (0.0 if kind == 0 else 1.0)
    g00 = g01 = g11 = b0 = b1 = power = 0.0
    mean, spread, n = 0.0, 0.0, 0
    for k in range(y.size):
        if y[k] == y[k]:
            mean += y[k]
            n += 1
    mean /= max(n, 1)
    q = -1
    f00 = f01 = f10 = f11 = b00 = b0h = b01 = b10 = b1h = b11 = 0.0
    for k in range(y.size):
        if k > 0:
            if index[k - 1] != q:
                q = index[k - 1]
                f00, f01, b00, b0h, b01 = base[q, 0, 0], base[q, 0, 1], base[q, 0, 2], base[q, 0, 3], base[q, 0, 4]
                f10, f11, b10, b1h, b11 = base[q, 1, 0], base[q, 1, 1], base[q, 1, 2], base[q, 1, 3], base[q, 1, 4]
            at = stride * k
            r0, rh, r1 = r[at - stride], r[at - 1], r[at]
            u0, u1 = x0, x1
            x0 = f00 * u0 + f01 * u1 + b00 * r0 + b0h * rh + b01 * r1
            if kind > 0:
                x1 = f10 * u0 + f11 * u1 + b10 * r0 + b1h * rh + b11 * r1
            z00, z01 = f00 * z00 + f01 * z01, f10 * z00 + f11 * z01
            z10, z11 = f00 * z10 + f01 * z11, f10 * z10 + f11 * z11
            if abs(z00) + abs(z01) + abs(z10) + abs(z11) < NOTHING:
                z00 = z01 = z10 = z11 = 0.0
        if y[k] != y[k]:
            continue
        e = y[k] - x0 - c1 * x1
        o0, o1 = z00 + c1 * z01, z10 + c1 * z11
        g00 += o0 * o0
        g01 += o0 * o1
        g11 += o1 * o1
        b0 += o0 * e
        b1 += o1 * e
        power += e * e
        spread += (y[k] - mean) ** 2
    ridge = 1e-12 * max(g00 + g11, 1e-300)
    g00, g11 = g00 + ridge, g11 + ridge
    det = g00 * g11 - g01 * g01
    left = power - (g11 * b0 * b0 - 2 * g01 * b0 * b1 + g00 * b1 * b1) / det
    share = left / max(spread, 1e-300)
    return share if np.isfinite(share) else np.inf


@kernel("void(f8[::1], f8[::1])")
def whiteness(e: FloatArray, out: FloatArray) -> None:
    """Write the mean square, the Ljung-Box statistic and its number of lags (0: not known)."""
    n = e.size
    lags = min(_LAGS, n // 5)
    power = 0.0
    products = np.zeros(_LAGS)
    for k in range(n):
        power += e[k] * e[k]
        if k < _LAGS:
            for lag in range(1, k + 1):
                products[lag - 1] += e[k] * e[k - lag]
        else:  # all lags side by side: each sum in its own order
            for lag in range(_LAGS):
                products[lag] += e[k] * e[k - lag - 1]
    statistic = 0.0
    for lag in range(1, lags + 1):
        statistic += (products[lag - 1] / power) ** 2 / (n - lag) if power > 0 else 0.0
    out[POWER] = power / n
    out[LJUNG_BOX] = n * (n + 2) * statistic
    out[LAGS] = lags if power > 0 else 0


@kernel("UniTuple(f8, 2)(f8[::1], b1, b1[::1])")
def at_rest(values: FloatArray, high: bool, at: BoolArray) -> tuple[float, float]:
    """Mark the samples that stay at an end of a record's range; return that end and the resolution there.

    The resolution is the distance to the next value that occurs; 0 where too few samples stay for a word about them.
    """
    level, step = -np.inf if high else np.inf, np.inf
    for k in range(values.size):
        if values[k] == values[k]:
            level = max(level, values[k]) if high else min(level, values[k])
    stays = 0
    for k in range(values.size):
        at[k] = values[k] == level
        if at[k]:
            stays += k > 0 and at[k - 1]
        elif values[k] == values[k]:
            step = min(step, abs(values[k] - level))
    return level, (step if stays >= _STAYS and np.isfinite(step) else 0.0)


@kernel()
def repeats(values: FloatArray) -> int:
    """Count the samples that are what their predecessor was: where they are few, nothing stays anywhere."""
    n = 0
    for k in range(1, values.size):
        n += values[k] == values[k - 1]
    return n


@kernel("void(f8[::1], f8[::1])")
def motion(r: FloatArray, out: FloatArray) -> None:
    """Write Σ|Δr|, Σ(Δr)² and Σ(Δ²r)² of a reference, (3,); a difference to what is not finite is none."""
    length = power = bend = 0.0
    before = np.nan
    for k in range(1, r.size):
        step = r[k] - r[k - 1]
        if step == step:
            length += abs(step)
            power += step * step
            if before == before:
                bend += (step - before) ** 2
        before = step
    out[0], out[1], out[2] = length, power, bend


@kernel()
def _spread(values: FloatArray) -> float:
    low, high = np.inf, -np.inf
    for k in range(values.size):
        if values[k] == values[k]:
            low, high = min(low, values[k]), max(high, values[k])
    return high - low


@kernel("b1(f8[::1], f8[::1], b1[::1])")
def stuck(values: FloatArray, other: FloatArray, at: BoolArray) -> bool:
    """Tell whether a channel repeats itself exactly where it stays and nowhere else, while the other one moves.

    No converter with noise does that, and nothing at rest.
    """
    inside = stays = n = 0
    for k in range(1, values.size):
        n += at[k]
        if values[k] == values[k - 1] and other[k] != other[k - 1]:
            stays += at[k]
            inside += not at[k]
    return stays >= _STAYS and 2 * stays > n and inside <= _REPEATED * (values.size - n)


@kernel("f8(f8[::1], f8[::1], f8, f8, f8)")
def excess(e: FloatArray, effect: FloatArray, resolution: float, spread: float, surely: float) -> float:
    """Return by how much a channel should have left the range that it stays in; 0 where nothing shows that.

    Had the channel shown b more while it stayed, the innovations would have been e + b·effect. So b is what makes them
    least; it counts where it is beyond the resolution, and beyond `surely` standard deviations.

    Parameters
    ----------
    e : float64, shape (n,)
        Innovations.
    effect : float64, shape (n,)
        What they become where the channel alone is 1 while it stays and 0 otherwise, everything else being 0.
    resolution, spread : float
        Of the channel: distance to the next value that occurs, and range. A signal at rest at an end of its range may
        be off by the former; less than `_LEAST_EXCESS` of the latter is no saturation worth a word.
    """
    own = mixed = largest = 0.0
    for k in range(e.size):
        own += effect[k] * effect[k]
        mixed += effect[k] * e[k]
        largest = max(largest, abs(effect[k]))
    if not (own > 0 and np.isfinite(own + mixed)):
        return 0.0
    b = -mixed / own
    if abs(b) <= max(resolution, _LEAST_EXCESS * spread):
        return 0.0
    noise, n, rest = 0.0, 0, 0.0
    for k in range(e.size):
        rest += (e[k] + b * effect[k]) ** 2
        if abs(effect[k]) < _UNTOUCHED * largest:
            noise += e[k] * e[k]
            n += 1
    # what the noise is where the channel does not stay; where it always does, what is left
    variance = noise / n if n >= _UNTOUCHED * e.size else rest / e.size
    return b if b * b * own > surely**2 * variance else 0.0


@kernel("void(i8, f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], i8, f8, b1, f8[::1], f8, f8[::1])")
def saturated(
    kind: int, h: FloatArray, origin: FloatArray, y: FloatArray, raw: FloatArray, r: FloatArray, index: Int64Array,
    steps_s: FloatArray, stride: int, middle_s: float, fresh: bool, e: FloatArray, surely: float, out: FloatArray,
) -> None:  # fmt: skip
    """Write side (-1 low, 1 high, 0 none), level and share for indication and reference that are saturated, (6,).

    A channel that stays at an end of its range is saturated where the other one shows that it should have gone beyond;
    at rest, of few values, or commanded it is not.

    Parameters
    ----------
    raw : float64, shape (n + 1,)
        The reference as it was given.
    e : float64, shape (n + 1,)
        Innovations at h; e[0] = 0 unless `fresh`.

    surely : float
        As for `excess`.

    The others are those of `evaluate`.
    """
    out[:] = 0.0
    n, begin = y.size, 0 if fresh else 1
    if repeats(y) < _STAYS and repeats(raw) < _STAYS:
        return
    at, mark, nothing, flat = np.empty(n, dtype=np.bool_), np.zeros(n), np.zeros(n), np.zeros(r.size)
    fine = np.empty(r.size)
    x, s, gram, effect, gain = np.empty(2), np.empty((2, ROWS)), np.empty((ROWS, ROWS)), np.empty(n), np.empty(2)
    for channel in range(2):
        values = y if channel == 0 else raw
        for side in (-1.0, 1.0):
            level, resolution = at_rest(values, side > 0, at)
            if resolution == 0.0:
                continue
            if channel == 0 and stuck(y, raw, at):
                out[0], out[1], out[2] = side, level, at.sum() / n
                break
            for k in range(n):
                mark[k], nothing[k] = (1.0 if at[k] else 0.0), 0.0
            for k in range(r.size):
                fine[k] = (mark[k // stride] + mark[(k + stride - 1) // stride]) / 2
            share = mark.sum() / n
            for k in range(n):
                if y[k] != y[k]:
                    mark[k] = nothing[k] = np.nan
            x[:], s[:] = 0.0, 0.0
            if not evaluate(
                kind, h, origin, mark if channel == 0 else nothing, flat if channel == 0 else fine, flat, index,
                steps_s, stride, middle_s, fresh, x, s, gram, effect, gain,
            ):  # fmt: skip
                continue
            if side * excess(e[begin:], effect[begin:], resolution, _spread(values), surely) > 0:
                out[3 * channel], out[3 * channel + 1], out[3 * channel + 2] = side, level, share
                break
