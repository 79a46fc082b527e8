"""Compiled kernels of the correction: FIR, recursive sections, sensitivities and u over a run of grid slots.

`dyncal.correction.streaming.plain` holds the equals in numpy, and tests/unit/correction/streaming/naive.py the readable
reference. Sums are taken in one fixed order for each output, whatever the cut of the stream, so that results do not
depend on it. What belongs together lies in one flat array, so that a call unpacks few of them.
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.fused import fma
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

HEAD = 9  # numbers before the taps: n_taps, n_sections, m, delay, settle, variance, dt_s, dc_gain, n_slope
STATE = 5  # numbers before the states: run, live, age, previous output, whether the slope's sections are live
_CHUNK = 512  # outputs that stay in the first-level cache while the taps run over them
_LARGEST = 1e100  # as `dyncal.correction.streaming.slots.LARGEST`


@kernel(inline=True)
def _fir(taps: FloatArray, first: int, extended: FloatArray, sums: FloatArray) -> None:
    """Write ``sums[i] = Σ_{j >= first} taps[j] extended[i + n_taps - 1 - j]``."""
    # Slices, and eight taps a pass: so the inner loop has no index to check and runs on vectors over the outputs. Each
    # output still adds its taps one after another.
    n_taps, m = taps.size, sums.size
    whole = n_taps - (n_taps - first) % 8
    sums[:] = 0.0
    for j in range(first, whole, 8):
        at = n_taps - 1 - j
        g0, g1, g2, g3 = taps[j], taps[j + 1], taps[j + 2], taps[j + 3]
        g4, g5, g6, g7 = taps[j + 4], taps[j + 5], taps[j + 6], taps[j + 7]
        x0, x1 = extended[at : at + m], extended[at - 1 : at - 1 + m]
        x2, x3 = extended[at - 2 : at - 2 + m], extended[at - 3 : at - 3 + m]
        x4, x5 = extended[at - 4 : at - 4 + m], extended[at - 5 : at - 5 + m]
        x6, x7 = extended[at - 6 : at - 6 + m], extended[at - 7 : at - 7 + m]
        for k in range(m):
            s = fma(g3, x3[k], fma(g2, x2[k], fma(g1, x1[k], fma(g0, x0[k], sums[k]))))
            sums[k] = fma(g7, x7[k], fma(g6, x6[k], fma(g5, x5[k], fma(g4, x4[k], s))))
    for j in range(whole, n_taps):
        at = n_taps - 1 - j
        g0, x0 = taps[j], extended[at : at + m]
        for k in range(m):
            sums[k] = fma(g0, x0[k], sums[k])


@kernel("void(f8[::1], f8[::1], f8[::1])")
def fir(taps: FloatArray, extended: FloatArray, out: FloatArray) -> None:
    """Write ``out[i] = Σ_j taps[j] extended[i + n_taps - 1 - j]``; the first n_taps - 1 samples are earlier ones."""
    for low in range(0, out.size, _CHUNK):
        high = min(low + _CHUNK, out.size)
        _fir(taps, 0, extended[low : high + taps.size - 1], out[low:high])


@kernel("void(f8[::1], f8[:,::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def uncertain_fir(
    taps: FloatArray,
    factor: FloatArray,
    window: FloatArray,
    x: FloatArray,
    variance: FloatArray,
    y: FloatArray,
    u: FloatArray,
) -> None:
    """Write y = taps * x and u = √(variance + ‖factor x‖²), both NaN where a sample of the window is worth nothing.

    `factor` (rank, n_taps) is upper trapezoidal, `window` holds the n_taps - 1 samples before x and moves on in place,
    `variance` has one entry, or one a sample.
    """
    past = taps.size - 1
    extended, f, square = np.empty(past + _CHUNK), np.empty(_CHUNK), np.empty(_CHUNK)
    extended[:past] = window
    for low in range(0, x.size, _CHUNK):
        m = min(_CHUNK, x.size - low)
        fresh, sums = extended[past : past + m], y[low : low + m]
        for k in range(m):
            fresh[k] = x[low + k] if abs(x[low + k]) < _LARGEST else np.nan
        _fir(taps, 0, extended[: past + m], sums)
        squares, row = square[:m], f[:m]
        squares[:] = variance[low : low + m] if variance.size > 1 else variance[:1]
        for r in range(factor.shape[0]):
            _fir(factor[r], r, extended[: past + m], row)
            for k in range(m):
                squares[k] = fma(row[k], row[k], squares[k])
        us = u[low : low + m]
        for k in range(m):
            us[k] = math.sqrt(squares[k]) if sums[k] == sums[k] else np.nan  # not so for NaN
        for k in range(past):
            extended[k] = extended[m + k]
    window[:] = extended[:past]


@kernel(inline=True)
def _steady(sos: FloatArray, sos_state: FloatArray, x: float) -> float:
    """Start sections in the steady state of their first input `x`; return the output."""
    level = x
    for k in range(sos.shape[0]):
        out = level * (sos[k, 0] + sos[k, 1] + sos[k, 2]) / (1.0 + sos[k, 4] + sos[k, 5])
        sos_state[k, 0] = out - sos[k, 0] * level
        sos_state[k, 1] = sos[k, 2] * level - sos[k, 5] * out
        level = out
    return level


@kernel(inline=True)
def _start(poles: FloatArray, state: FloatArray, dc: float, raw: FloatArray) -> float:
    """Start the biquads from the uncorrected window; return by how much the output rose before, as far as that tells.

    `raw` are the samples from the window's first to the one that the output is about.
    """
    for g in range(poles.shape[0]):
        a1, a2 = poles[g, 0], poles[g, 1]
        t1 = dc * raw[0] / (1.0 + a1 + a2)
        t2 = t1
        for k in range(raw.size - 1):
            t0 = fma(-a1, t1, fma(-a2, t2, dc * raw[k]))
            t2, t1 = t1, t0
        state[g, 0], state[g, 1] = t1, t2
    return dc * (raw[raw.size - 1] - raw[raw.size - 2]) if raw.size > 1 else 0.0


@kernel(inline=True)
def _sections(sos: FloatArray, sos_state: FloatArray, x: FloatArray) -> None:
    """Run sections over x in place."""
    for k in range(sos.shape[0]):
        b0, b1, b2, a1, a2 = sos[k, 0], sos[k, 1], sos[k, 2], sos[k, 4], sos[k, 5]
        z1, z2 = sos_state[k, 0], sos_state[k, 1]
        for i in range(x.size):
            out = fma(b0, x[i], z1)
            z1 = fma(b1, x[i], fma(-a1, out, z2))
            z2 = fma(b2, x[i], -a2 * out)
            x[i] = out
        sos_state[k, 0], sos_state[k, 1] = z1, z2


@kernel(inline=True)
def _biquads(poles: FloatArray, state: FloatArray, x: FloatArray, w: FloatArray) -> None:
    """Write the states of the biquads over x into the rows of w, two earlier ones first."""
    for g in range(poles.shape[0]):
        a1, a2, s1, s2, row = poles[g, 0], poles[g, 1], state[g, 0], state[g, 1], w[g]
        row[0], row[1] = s2, s1
        for i in range(x.size):
            s0 = fma(-a1, s1, fma(-a2, s2, x[i]))
            row[i + 2] = s0
            s2, s1 = s1, s0
        state[g, 0], state[g, 1] = s1, s2


@kernel(inline=True)
def _parameters(factor: FloatArray, w: FloatArray, f: FloatArray, square: FloatArray) -> None:
    """Write ‖F w‖² to `square` (n,); w as `_biquads` leaves it, `f` (n,) is overwritten."""
    n = square.size
    if factor.shape[0] == 3:
        f00, f01, f02 = factor[0, 0], factor[0, 1], factor[0, 2]
        f11, f12, f22 = factor[1, 1], factor[1, 2], factor[2, 2]
        w0, w1, w2 = w[0, 2 : n + 2], w[0, 1 : n + 1], w[0, :n]
        for i in range(n):
            g0 = fma(f00, w0[i], fma(f01, w1[i], f02 * w2[i]))
            g1 = fma(f11, w1[i], f12 * w2[i])
            g2 = f22 * w2[i]
            square[i] = fma(g0, g0, fma(g1, g1, g2 * g2))
        return
    square[:] = 0.0
    for r in range(factor.shape[0]):
        f[:] = 0.0
        for k in range(r, factor.shape[1]):
            shifted, c = w[k // 3, 2 - k % 3 : n + 2 - k % 3], factor[r, k]
            for i in range(n):
                f[i] = fma(c, shifted[i], f[i])
        for i in range(n):
            square[i] = fma(f[i], f[i], square[i])


@kernel("void(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def correct(  # noqa: C901 - one pass over the samples is the point of it
    par: FloatArray,
    state: FloatArray,
    y: FloatArray,
    time_variance: FloatArray,
    carried: FloatArray,
    value: FloatArray,
    u: FloatArray,
) -> None:
    """Correct slots, `value` and `u` about the slots `delay` earlier.

    `par` is (HEAD numbers, taps, sos, denominators, F, slope taps) of a `PreparedFilter`
    (`dyncal.correction.streaming.prepared`); `state` is (STATE numbers, states of the sections, of the slope's sections
    and of the denominators, n_taps - 1 earlier slots). `time_variance` has one entry for all or one a slot, `carried`
    (variance from the input) none or one a slot.

    A value that is not finite never enters a state: the states are started again when the window is whole. The slope's
    sections start with the first slot of a whole window whose instant is uncertain.
    """
    n_taps, n_sections, m, delay = int(par[0]), int(par[1]), int(par[2]), int(par[3])
    settle, variance, rate, dc, n_slope = par[4], par[5], 1.0 / par[6], par[7], int(par[8])
    ends = HEAD + n_taps, HEAD + n_taps + 6 * n_sections, HEAD + n_taps + 6 * n_sections + 2 * m
    taps = par[HEAD : ends[0]]
    sos, poles = par[ends[0] : ends[1]].reshape((n_sections, 6)), par[ends[1] : ends[2]].reshape((m, 2))
    factor, slope_taps = par[ends[2] : par.size - n_slope].reshape((3 * m, 3 * m)), par[par.size - n_slope :]
    at = STATE + 2 * n_sections
    sos_state, slope_state = state[STATE:at].reshape((n_sections, 2)), state[at : at + 2 * n_sections]
    at += 2 * n_sections
    pole_state, window = state[at : at + 2 * m].reshape((m, 2)), state[at + 2 * m :]
    run, live, age, last, moving = state[0], state[1], state[2], state[3], state[4]
    past = n_taps - 1
    most = min(_CHUNK, y.size)
    extended, both, x = np.empty(past + most), np.empty(2 * most), np.empty(most + 1)
    sums, slopes = both[:most], both[most:]
    w, f, square = np.empty((m, most + 2)), np.empty(most), np.empty(most)
    extended[:past] = window
    for low in range(0, y.size, _CHUNK):
        n = min(_CHUNK, y.size - low)
        fresh, worthless = extended[past : past + n], 0
        for k in range(n):
            fresh[k] = y[low + k] if abs(y[low + k]) < _LARGEST else np.nan
            worthless += 0 if abs(y[low + k]) < _LARGEST else 1
        timed = moving != 0.0 or time_variance[0] != 0.0
        if time_variance.size > 1:
            for k in range(low, low + n):
                timed = timed or time_variance[k] != 0.0
        for part in range(2 if timed and n_slope else 1):
            _fir(taps if part == 0 else slope_taps, 0, extended[: past + n], both[part * most : part * most + n])
        i = 0
        while i < n:
            run = run + 1.0 if math.isfinite(extended[past + i]) else 0.0
            if run < n_taps:
                value[low + i] = u[low + i] = np.nan
                live = 0.0
                i += 1
                continue
            if live == 0.0:
                about = past + i - delay
                raw = extended[i : max(about, i) + 1]
                last = _steady(sos, sos_state, sums[i]) - _start(poles, pole_state, dc, raw)
                live, age, moving = 1.0, 0.0, 0.0
            k = i + 1 if worthless else n
            while k < n and math.isfinite(extended[past + k]):
                k += 1
            h = k - i
            x[0] = last
            x[1 : 1 + h] = sums[i:k]
            new, before, squares = x[1 : 1 + h], x[:h], square[:h]
            _sections(sos, sos_state, new)
            _biquads(poles, pole_state, new, w)
            _parameters(factor, w, f[:h], squares)
            if timed:
                moves = slopes[i:k]
                if n_slope == 0:
                    for j in range(h):
                        moves[j] = (new[j] - before[j]) * rate
                elif n_sections:
                    j = 0
                    while (
                        moving == 0.0 and j < h and time_variance[low + i + j if time_variance.size > 1 else 0] == 0.0
                    ):
                        j += 1
                    if j < h:
                        rows = slope_state.reshape((n_sections, 2))
                        if moving == 0.0:
                            _steady(sos, rows, moves[j])
                            moving = 1.0
                        _sections(sos, rows, moves[j:])
                if time_variance.size > 1:
                    times = time_variance[low + i : low + k]
                    for j in range(h):
                        squares[j] = fma(times[j] * moves[j], moves[j], squares[j]) if times[j] != 0.0 else squares[j]
                elif time_variance[0] != 0.0:
                    for j in range(h):
                        squares[j] = fma(time_variance[0] * moves[j], moves[j], squares[j])
            if carried.size:
                extra = carried[low + i : low + k]
                for j in range(h):
                    squares[j] += extra[j]
            values, us, lost = value[low + i : low + k], u[low + i : low + k], 0
            for j in range(h):
                s = squares[j] + variance
                values[j] = new[j]
                us[j] = math.sqrt(s)
                lost += 0 if abs(s) < np.inf and abs(new[j]) < np.inf else 1
            done = h
            if lost:  # a number left its range: start again after it
                done = 0
                while abs(us[done]) < np.inf and abs(values[done]) < np.inf:
                    done += 1
            for j in range(min(done, max(0, int(settle - age)))):
                values[j] = us[j] = np.nan
            run += done - 1.0
            age += done
            if done < h:
                values[done] = us[done] = np.nan
                run, live = 0.0, 0.0
                done += 1
            else:
                last = new[h - 1]
            i += done
        for k in range(past):
            extended[k] = extended[n + k]
    window[:] = extended[:past]
    state[0], state[1], state[2], state[3], state[4] = run, live, age, last, moving


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
