"""Compiled kernels of the fixed-lag smoother. `plain` holds their equals in numpy, the tests a readable reference.

The filter's states are those of `SmootherModel`. Beside them every instant that still waits for its lag is an entry:
its estimate, its variance, and its covariance with the states, which each further indication updates (the augmented
filter of Anderson & Moore, Optimal Filtering, 1979, 7.3, without the parts that stay still).
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

REGISTER, MEASURE = 1, 2
MOST_SQUARE = 100.0
"""Most that one innovation counts in the clipped sum: ten standard deviations."""
BIAS_OVER, MOST_BIAS = 32.0, 1.0
"""Innovations in a running mean, in their standard deviations; and its limit, 8 of its own: no chance."""


@kernel(
    "i8(i8[::1], i8[::1], f8[::1], i8[::1], i8[::1], i8[::1], f8[::1], f8[:,:,::1], f8[:,:,::1], f8[::1], f8[::1],"
    " f8[:,::1], f8, f8, i8, f8[::1], f8[:,::1], i8[::1], i8[:,::1], f8[:,::1], f8[:,::1], f8[::1], i8[:,::1],"
    " f8[:,::1])"
)
def advance(  # noqa: C901 - one pass over the samples is the point of it
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
    """Run the filter over events; return how many entries were told, into `told` (tick, instant, good) and `value`.

    Event i lies ``phi[step[i]]`` after the one before. REGISTER makes an entry of its instant; MEASURE takes y[i] (NaN:
    nothing was measured) and tells the entries that are `lag` ticks old. Entries lie in rows counters[0] to counters[1]
    of `entry` (tick, instant, good), `estimate` (û, variance, variance of its instant) and `shared` (covariance with
    x). A row of `value`, 0 before, is that of `estimate` when the entry is told, the next entry's estimate then, and
    how many ticks later that is. `innovations` adds up ν²/S, 1, ln S, and half the squared difference of successive
    ν/√S, clipped at `MOST_SQUARE`; then come the last ν/√S and their running mean. Where that leaves `most_bias` the
    measurand has jumped as its process does not: what is known of the state is widened by `start`, so many times that
    the innovation is likely, and entries by what the innovation did to them.
    """
    n = x.size
    half = entry.shape[0] // 2
    first, last = counters[0], counters[1]
    n_told = 0
    moved = np.empty(n)
    gain = np.empty(n)
    work = np.empty((n, n))
    for i in range(step.size):
        k = step[i]
        for a in range(n):
            total = 0.0
            for b in range(n):
                total += phi[k, a, b] * x[b]
            moved[a] = total
        x[:] = moved
        for a in range(n):
            for b in range(n):
                total = 0.0
                for c in range(n):
                    total += phi[k, a, c] * p[c, b]
                work[a, b] = total
        for a in range(n):
            for b in range(a, n):
                total = noise[k, a, b]
                for c in range(n):
                    total += work[a, c] * phi[k, b, c]
                p[a, b] = total
                p[b, a] = total
        for e in range(first, last):
            for a in range(n):
                total = 0.0
                for b in range(n):
                    total += phi[k, a, b] * shared[e, b]
                moved[a] = total
            shared[e, :] = moved
        if action[i] & REGISTER:
            if last - first == half:  # no memory for more: the oldest is told before its lag is over
                told[n_told, :] = entry[first, :]
                value[n_told, :3] = estimate[first, :]
                if first + 1 < last:
                    value[n_told, 3] = estimate[first + 1, 0]
                    value[n_told, 4] = entry[first + 1, 0] - entry[first, 0]
                n_told += 1
                first += 1
            if last == entry.shape[0]:
                m = last - first
                for e in range(m):
                    entry[e, :] = entry[first + e, :]
                    estimate[e, :] = estimate[first + e, :]
                    shared[e, :] = shared[first + e, :]
                first, last = 0, m
            level, spread = 0.0, 0.0
            for a in range(n):
                total = 0.0
                for b in range(n):
                    total += p[a, b] * measurand[b]
                shared[last, a] = total
                level += measurand[a] * x[a]
                spread += measurand[a] * total
            entry[last, 0], entry[last, 1], entry[last, 2] = tick[i], instant[i], good[i]
            estimate[last, 0], estimate[last, 1], estimate[last, 2] = level, spread, time_variance[i]
            last += 1
        if action[i] & MEASURE:
            if math.isfinite(y[i]):
                expected, scale = 0.0, variance
                for a in range(n):
                    total = 0.0
                    for b in range(n):
                        total += p[a, b] * observe[b]
                    gain[a] = total
                    expected += observe[a] * x[a]
                    scale += observe[a] * total
                surprise = y[i] - expected
                unit = surprise / math.sqrt(scale)
                innovations[0] += unit * unit
                innovations[1] += 1.0
                innovations[2] += math.log(scale)
                if innovations[1] > 1.0:
                    innovations[3] += min((unit - innovations[4]) ** 2 / 2, MOST_SQUARE)
                innovations[4] = unit
                innovations[5] += (unit - innovations[5]) / BIAS_OVER
                jumped = abs(innovations[5]) > most_bias
                for e in range(first, last):
                    total = 0.0
                    for a in range(n):
                        total += observe[a] * shared[e, a]
                    moved_by = total / scale * surprise
                    estimate[e, 0] += moved_by
                    estimate[e, 1] -= total * total / scale
                    if jumped:
                        estimate[e, 1] += moved_by * moved_by
                    for a in range(n):
                        shared[e, a] -= gain[a] * total / scale
                for a in range(n):
                    x[a] += gain[a] * surprise / scale
                    for b in range(a, n):
                        p[a, b] -= gain[a] * gain[b] / scale
                        p[b, a] = p[a, b]
                if jumped:
                    innovations[5] = 0.0
                    size = variance
                    for a in range(n):
                        for b in range(n):
                            size += observe[a] * start[a, b] * observe[b]
                    wider = max(1.0, surprise * surprise / size)
                    for a in range(n):
                        for b in range(n):
                            p[a, b] += wider * start[a, b]
            while first < last and tick[i] - entry[first, 0] >= lag:
                told[n_told, :] = entry[first, :]
                value[n_told, :3] = estimate[first, :]
                if first + 1 < last:
                    value[n_told, 3] = estimate[first + 1, 0]
                    value[n_told, 4] = entry[first + 1, 0] - entry[first, 0]
                n_told += 1
                first += 1
    counters[0], counters[1] = first, last
    return n_told


@kernel(
    "void(f8[::1], i8[::1], f8[::1], f8[:,:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8[::1], f8[::1], f8[::1],"
    " f8[::1])"
)
def propagate(
    value: FloatArray,
    step: Int64Array,
    rate: FloatArray,
    phi: FloatArray,
    old: FloatArray,
    new: FloatArray,
    output: FloatArray,
    direct: FloatArray,
    slope: FloatArray,
    state: FloatArray,
    previous: FloatArray,
    parameters: FloatArray,
) -> None:
    """Write cᵀ U c into `parameters`, for values of slopes `rate`, joined by straight lines.

    `output`, `direct` and `slope` have the root of U in them already: what they give is squared and added. Value i lies
    ``step[i]`` after value i - 1, the last of the call before being ``previous[0]``.
    """
    k = state.size
    moved = np.empty(k)
    last = previous[0]
    for i in range(value.size):
        j = step[i]
        for a in range(k):
            total = old[j, a] * last + new[j, a] * value[i]
            for b in range(k):
                total += phi[j, a, b] * state[b]
            moved[a] = total
        state[:] = moved
        last = value[i]
        square = 0.0
        for r in range(direct.size):
            total = direct[r] * last + slope[r] * rate[i]
            for a in range(k):
                total += output[r, a] * state[a]
            square += total * total
        parameters[i] = square
    previous[0] = last
