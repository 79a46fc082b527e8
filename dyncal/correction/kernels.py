"""Compiled kernels of the correction: FIR, recursive sections, sensitivities and u over a run of grid slots.

`dyncal.correction.plain` holds the equals in numpy, and tests/unit/correction/naive.py the readable reference. Sums are
taken in one fixed order for each output, whatever the cut of the stream, so that results do not depend on it.
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

_CHUNK = 512  # outputs that stay in the first-level cache while the taps run over them


@kernel("void(f8[::1], f8[::1], f8[::1])")
def fir(taps: FloatArray, extended: FloatArray, out: FloatArray) -> None:
    """Write ``out[i] = Σ_j taps[j] extended[i + n_taps - 1 - j]``; the first n_taps - 1 samples are earlier ones."""
    # Slices, and four taps a pass: so the inner loop has no index to check and runs on vectors over the outputs. Each
    # output still adds its taps one after another.
    n_taps = taps.size
    whole = n_taps - n_taps % 4
    for low in range(0, out.size, _CHUNK):
        sums = out[low : min(low + _CHUNK, out.size)]
        m = sums.size
        sums[:] = 0.0
        for j in range(0, whole, 4):
            g0, g1, g2, g3 = taps[j], taps[j + 1], taps[j + 2], taps[j + 3]
            at = low + n_taps - 1 - j
            x0, x1 = extended[at : at + m], extended[at - 1 : at - 1 + m]
            x2, x3 = extended[at - 2 : at - 2 + m], extended[at - 3 : at - 3 + m]
            for k in range(m):
                sums[k] = (((sums[k] + g0 * x0[k]) + g1 * x1[k]) + g2 * x2[k]) + g3 * x3[k]
        for j in range(whole, n_taps):
            at = low + n_taps - 1 - j
            g0, x0 = taps[j], extended[at : at + m]
            for k in range(m):
                sums[k] += g0 * x0[k]


@kernel(
    "void(f8[::1], i8, f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8[::1], f8, f8, f8, i8, i8,"
    " i8[::1], f8[::1], f8[::1], f8[::1])"
)
def advance(  # noqa: C901 - one pass over the samples is the point of it
    extended: FloatArray,
    n_taps: int,
    sos: FloatArray,
    sos_state: FloatArray,
    denominators: FloatArray,
    state: FloatArray,
    factor: FloatArray,
    time_variance: FloatArray,
    input_variance: FloatArray,
    variance: float,
    dt_s: float,
    dc_gain: float,
    delay: int,
    settle: int,
    counters: Int64Array,
    previous: FloatArray,
    value: FloatArray,
    u: FloatArray,
) -> None:
    """Turn FIR outputs (`value`, overwritten) into corrected values with u, sample by sample.

    `counters` is (finite samples in a row, whether the states hold, outputs since the states were started). `factor` is
    the triangular F of u_par = ‖F w‖, w = (w[k], w[k-1], w[k-2]) of each distinct denominator. A value that is not
    finite never enters a state: the states are started again when the window is whole.
    """
    m = denominators.shape[0]
    run, live, age = counters[0], counters[1], counters[2]
    last = previous[0]
    one = m == 1
    a1, a2, s1, s2 = denominators[0, 0], denominators[0, 1], state[0, 0], state[0, 1]
    w = np.empty(3 * m)
    for i in range(value.size):
        run = run + 1 if math.isfinite(extended[n_taps - 1 + i]) else 0
        if run < n_taps:
            value[i] = np.nan
            u[i] = np.nan
            live = 0
            continue
        x = value[i]
        if live == 0:
            # The sections start in the steady state of their first input, the biquads from the uncorrected window.
            live, age = 1, 0
            level = x
            for k in range(sos.shape[0]):
                out = level * (sos[k, 0] + sos[k, 1] + sos[k, 2]) / (1.0 + sos[k, 4] + sos[k, 5])
                sos_state[k, 0] = out - sos[k, 0] * level
                sos_state[k, 1] = sos[k, 2] * level - sos[k, 5] * out
                level = out
            about = n_taps - 1 + i - delay
            for g in range(m):
                b1, b2 = denominators[g, 0], denominators[g, 1]
                t1 = dc_gain * extended[i] / (1.0 + b1 + b2)
                t2 = t1
                for k in range(i, about):
                    t0 = dc_gain * extended[k] - b1 * t1 - b2 * t2
                    t2 = t1
                    t1 = t0
                state[g, 0] = t1
                state[g, 1] = t2
            s1, s2 = state[0, 0], state[0, 1]
            last = level - dc_gain * (extended[about] - extended[about - 1]) if about > i else level
        for k in range(sos.shape[0]):
            out = sos[k, 0] * x + sos_state[k, 0]
            sos_state[k, 0] = sos[k, 1] * x - sos[k, 4] * out + sos_state[k, 1]
            sos_state[k, 1] = sos[k, 2] * x - sos[k, 5] * out
            x = out
        slope = (x - last) / dt_s
        last = x
        if one:
            s0 = x - a1 * s1 - a2 * s2
            f0 = factor[0, 0] * s0 + factor[0, 1] * s1 + factor[0, 2] * s2
            f1 = factor[1, 1] * s1 + factor[1, 2] * s2
            f2 = factor[2, 2] * s2
            s2 = s1
            s1 = s0
            parameters = f0 * f0 + f1 * f1 + f2 * f2
        else:
            for g in range(m):
                w[3 * g] = x - denominators[g, 0] * state[g, 0] - denominators[g, 1] * state[g, 1]
                w[3 * g + 1] = state[g, 0]
                w[3 * g + 2] = state[g, 1]
                state[g, 1] = state[g, 0]
                state[g, 0] = w[3 * g]
            parameters = 0.0
            for r in range(factor.shape[0]):
                f0 = 0.0
                for k in range(r, 3 * m):
                    f0 += factor[r, k] * w[k]
                parameters += f0 * f0
        square = variance + parameters + time_variance[i] * slope * slope + input_variance[i]
        age += 1
        # x·0 catches a value, square·0 a state, that has left the range of numbers.
        if not math.isfinite(x) or not math.isfinite(square):
            value[i] = np.nan
            u[i] = np.nan
            run, live = 0, 0
        elif age <= settle:
            value[i] = np.nan
            u[i] = np.nan
        else:
            value[i] = x
            u[i] = math.sqrt(square)
    if one:
        state[0, 0] = s1
        state[0, 1] = s2
    counters[0], counters[1], counters[2] = run, live, age
    previous[0] = last


@kernel("i8(f8[::1], i8[::1], f8, f8, f8, f8[::1])")
def track(
    step_error: FloatArray, steps: Int64Array, start: float, follow: float, limit: float, residual: FloatArray
) -> int:
    """Follow the sampling grid: ``e[k] = (1 - follow) e[k-1] + step_error[k]``.

    Writes `residual` and returns how many instants lie on the grid, up to the first with |e| > `limit` or 0 steps.
    """
    e = start
    for k in range(step_error.size):
        e = (1.0 - follow) * e + step_error[k]
        if abs(e) < 0.5:  # nothing is stamped finer than a nanosecond
            e = 0.0
        if steps[k] < 1 or abs(e) > limit:
            return k
        residual[k] = e
    return step_error.size
