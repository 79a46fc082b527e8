"""The smoother's kernels in numpy, for an edge without numba: agreement to 1e-9 of the standard uncertainty."""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.smoother.kernels import BIAS_OVER, MEASURE, MOST_SQUARE, REGISTER
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array


def advance(
    step: Int64Array,
    action: Int64Array,
    y: FloatArray,
    tick: Int64Array,
    instant: Int64Array,
    good: Int64Array,
    time_variance: FloatArray,
    phi: FloatArray,
    noise: FloatArray,
    observe: FloatArray,
    measurand: FloatArray,
    start: FloatArray,
    variance: float,
    most_bias: float,
    lag: int,
    x: FloatArray,
    p: FloatArray,
    counters: Int64Array,
    entry: Int64Array,
    estimate: FloatArray,
    shared: FloatArray,
    innovations: FloatArray,
    told: Int64Array,
    value: FloatArray,
) -> int:
    """Do as `dyncal.correction.smoother.kernels.advance`."""
    first, last = int(counters[0]), int(counters[1])
    half, n_told = entry.shape[0] // 2, 0

    def tell(n: int) -> None:
        nonlocal first, n_told
        told[n_told : n_told + n], value[n_told : n_told + n] = entry[first : first + n], estimate[first : first + n]
        first, n_told = first + n, n_told + n

    for i, (k, act) in enumerate(zip(step.tolist(), action.tolist(), strict=True)):
        move = phi[k]
        x[:] = move @ x
        p[:] = move @ p @ move.T + noise[k]
        shared[first:last] = shared[first:last] @ move.T
        if act & REGISTER:
            if last - first == half:
                tell(1)
            if last == entry.shape[0]:
                for rows in (entry, estimate, shared):
                    rows[: last - first] = rows[first:last].copy()
                first, last = 0, last - first
            shared[last] = p @ measurand
            entry[last] = tick[i], instant[i], good[i]
            estimate[last] = measurand @ x, measurand @ shared[last], time_variance[i]
            last += 1
        if act & MEASURE:
            if np.isfinite(y[i]):
                gain = p @ observe
                scale = float(observe @ gain) + variance
                surprise = float(y[i] - observe @ x)
                unit = surprise / math.sqrt(scale)
                change = min((unit - innovations[4]) ** 2 / 2, MOST_SQUARE) if innovations[1] > 0 else 0.0
                innovations[:4] += unit * unit, 1.0, math.log(scale), change
                innovations[4] = unit
                innovations[5] += (unit - innovations[5]) / BIAS_OVER
                jumped = abs(innovations[5]) > most_bias
                learnt = shared[first:last] @ observe
                moved_by = learnt * (surprise / scale)
                estimate[first:last, 0] += moved_by
                estimate[first:last, 1] += jumped * moved_by**2 - learnt * learnt / scale
                shared[first:last] -= np.outer(learnt, gain / scale)
                x += gain * (surprise / scale)
                p -= np.outer(gain, gain / scale)
                p[:] = (p + p.T) / 2
                if jumped:
                    innovations[5] = 0.0
                    p += max(1.0, surprise**2 / (variance + float(observe @ start @ observe))) * start
            tell(int(np.searchsorted(entry[first:last, 0], tick[i] - lag, side="right")))
    counters[:2] = first, last
    return n_told


def propagate(
    value: FloatArray,
    step: Int64Array,
    rise_s: FloatArray,
    phi: FloatArray,
    old: FloatArray,
    new: FloatArray,
    output: FloatArray,
    direct: FloatArray,
    slope: FloatArray,
    state: FloatArray,
    previous: FloatArray,
    parameters: FloatArray,
    rate: FloatArray,
) -> None:
    """Do as `dyncal.correction.smoother.kernels.propagate`."""
    before = np.concatenate([previous, value[:-1]])
    rate[:] = (value - before) / rise_s
    for i, j in enumerate(step.tolist()):
        state[:] = phi[j] @ state + old[j] * before[i] + new[j] * value[i]
        c = output @ state + direct * value[i] + slope * rate[i]
        parameters[i] = c @ c
    previous[0] = value[-1]
