"""Compiled kernels of recursive filters with uncertain coefficients (`dyncal.correction.uncertain`).

With w = x/A(z), y = B(z) w and q = y/A(z) the derivatives of y are ∂y/∂a_k = -q[n-k] and ∂y/∂b_k = w[n-k] (Link &
Elster, Meas. Sci. Technol. 20 (2009) 055104, eqs. 6 to 17): two recursions serve all coefficients. The recursions go
sample by sample; what follows from them has no memory and runs on vectors.

What belongs together is one flat array, so that a call unpacks few of them. A state is (live, age, whether the past was
constant, w[n-1] …, q[n-1] …).
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.fused import fma
from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

_CHUNK = 512  # samples whose recursions stay in the first-level cache
_LARGEST = 1e100  # as `dyncal.correction.streaming.slots.LARGEST`
_LIVE, _AGE, _CONSTANT, _PAST = 0, 1, 2, 3


@kernel("void(f8[::1], f8[::1], f8[::1], f8[::1])")
def second_order(par: FloatArray, x: FloatArray, y: FloatArray, u: FloatArray) -> None:
    """Filter `x` by order 2 and write `y` and its standard uncertainty `u`.

    `par` is (settle, a1, a2, b0, b1, b2, F, variance, state) with F, 5 by 5 upper triangular and row by row from its
    diagonal, of u² = variance + ‖F (q1, q2, w0, w1, w2)‖². All in one array: what a call costs is unpacking its arrays.
    """
    settle, a1, a2, b0, b1, b2 = par[0], par[1], par[2], par[3], par[4], par[5]
    f00, f01, f02, f03, f04 = par[6], par[7], par[8], par[9], par[10]
    f11, f12, f13, f14, f22, f23, f24 = par[11], par[12], par[13], par[14], par[15], par[16], par[17]
    f33, f34, f44 = par[18], par[19], par[20]
    variance, state = par[21], par[22:]
    live, age, constant = state[_LIVE], state[_AGE], state[_CONSTANT]
    w1, w2, q1, q2 = state[_PAST], state[_PAST + 1], state[_PAST + 2], state[_PAST + 3]
    w, q = np.empty(min(_CHUNK, x.size) + 2), np.empty(min(_CHUNK, x.size) + 2)
    low = 0
    while low < x.size:
        if not abs(x[low]) < _LARGEST:
            y[low] = u[low] = np.nan
            live, constant = 0.0, 0.0
            low += 1
            continue
        if live == 0.0:
            w1 = x[low] / (1.0 + a1 + a2)
            q1 = w1 * (b0 + b1 + b2) / (1.0 + a1 + a2)
            w2, q2 = w1, q1
            live, age, constant = 1.0, settle * constant, 0.0
        w[0], w[1], q[0], q[1] = w2, w1, q2, q1
        m = 0
        most = min(_CHUNK, x.size - low)
        part = y[low : low + most]
        source = x[low : low + most]
        while m < most and abs(source[m]) < _LARGEST:
            w0 = fma(-a1, w1, fma(-a2, w2, source[m]))
            out = fma(b0, w0, fma(b1, w1, b2 * w2))
            q0 = fma(-a1, q1, fma(-a2, q2, out))
            w[m + 2], q[m + 2], part[m] = w0, q0, out
            w2, w1, q2, q1 = w1, w0, q1, q0
            m += 1
        ws0, ws1, ws2, qs1, qs2 = w[2 : 2 + m], w[1 : 1 + m], w[:m], q[1 : 1 + m], q[:m]
        us = u[low : low + m]
        for i in range(m):
            p0, p1, p2, p3, p4 = qs1[i], qs2[i], ws0[i], ws1[i], ws2[i]
            g0 = fma(f00, p0, fma(f01, p1, fma(f02, p2, fma(f03, p3, f04 * p4))))
            g1 = fma(f11, p1, fma(f12, p2, fma(f13, p3, f14 * p4)))
            g2 = fma(f22, p2, fma(f23, p3, f24 * p4))
            g3 = fma(f33, p3, f34 * p4)
            g4 = f44 * p4
            us[i] = math.sqrt(fma(g0, g0, g1 * g1) + fma(g2, g2, g3 * g3) + fma(g4, g4, variance))
        unsettled = min(m, max(0, int(settle - age)))
        part[:unsettled] = np.nan
        us[:unsettled] = np.nan
        age = min(age + m, settle)
        low += m
    state[_LIVE], state[_AGE], state[_CONSTANT] = live, age, constant
    state[_PAST], state[_PAST + 1], state[_PAST + 2], state[_PAST + 3] = w1, w2, q1, q2


@kernel("void(f8[::1], f8[::1], f8[:,::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8)")
def any_order(  # noqa: C901 - a stretch of any order in one pass
    a: FloatArray,
    b: FloatArray,
    factor: FloatArray,
    state: FloatArray,
    x: FloatArray,
    variance: FloatArray,
    y: FloatArray,
    u: FloatArray,
    settle: float,
) -> None:
    """Do as `second_order` for a (p,) without its leading 1, b (p + 1,) and factor (rank, 2p + 1)."""
    p = a.size
    live, age, constant = state[_LIVE], state[_AGE], state[_CONSTANT]
    w, q, square, f = np.empty(_CHUNK + p), np.empty(_CHUNK + p), np.empty(_CHUNK), np.empty(_CHUNK)
    for k in range(p):
        w[p - 1 - k], q[p - 1 - k] = state[_PAST + k], state[_PAST + p + k]
    dc = 1.0 / (1.0 + a.sum())
    low = 0
    while low < x.size:
        if not abs(x[low]) < _LARGEST:
            y[low] = u[low] = np.nan
            live, constant = 0.0, 0.0
            low += 1
            continue
        if live == 0.0:
            w[:p] = x[low] * dc
            q[:p] = x[low] * dc * b.sum() * dc
            live, age, constant = 1.0, settle * constant, 0.0
        m = 0
        most = min(_CHUNK, x.size - low)
        while m < most and abs(x[low + m]) < _LARGEST:
            w0 = x[low + m]
            out = 0.0
            for k in range(p - 1, -1, -1):
                w0 = fma(-a[k], w[m + p - 1 - k], w0)
                out = fma(b[k + 1], w[m + p - 1 - k], out)
            out = fma(b[0], w0, out)
            q0 = out
            for k in range(p - 1, -1, -1):
                q0 = fma(-a[k], q[m + p - 1 - k], q0)
            w[m + p], q[m + p], y[low + m] = w0, q0, out
            m += 1
        square[:m] = variance[low : low + m] if variance.size > 1 else variance[:1]
        for row in range(factor.shape[0]):
            f[:m] = 0.0
            for k in range(row, 2 * p + 1):
                phi = q[p - 1 - k : p - 1 - k + m] if k < p else w[2 * p - k : 2 * p - k + m]
                c = factor[row, k]
                for i in range(m):
                    f[i] = fma(c, phi[i], f[i])
            for i in range(m):
                square[i] = fma(f[i], f[i], square[i])
        unsettled = min(m, max(0, int(settle - age)))
        for i in range(m):
            u[low + i] = math.sqrt(square[i])
        y[low : low + unsettled] = np.nan
        u[low : low + unsettled] = np.nan
        age = min(age + m, settle)
        low += m
        w[:p] = w[m : m + p].copy()
        q[:p] = q[m : m + p].copy()
    state[_LIVE], state[_AGE], state[_CONSTANT] = live, age, constant
    for k in range(p):
        state[_PAST + k], state[_PAST + p + k] = w[p - 1 - k], q[p - 1 - k]


@kernel("void(f8[::1], f8[::1], f8[:,::1], f8[::1], f8[::1])")
def noise_variance(
    a: FloatArray, b: FloatArray, cov: FloatArray, input_variance: FloatArray, variance: FloatArray
) -> None:
    """Write the variance of y from white noise of varying variance; `cov` (p, p) of (w[n-1] …) moves on in place.

    Link & Elster (2009), eqs. 12 and 18. The covariance of a shifted state is a shifted covariance with one new row.
    """
    p = a.size
    c = np.empty(p)
    row = np.empty(p)
    for k in range(p):
        c[k] = b[k + 1] - b[0] * a[k]
    for n in range(variance.size):
        total = b[0] * b[0] * input_variance[n]
        new = input_variance[n]
        for i in range(p):
            row[i] = 0.0
            for j in range(p):
                total = fma(c[i] * c[j], cov[i, j], total)
                row[i] = fma(-a[j], cov[i, j], row[i])
            new = fma(-a[i], row[i], new)
        variance[n] = total
        for i in range(p - 1, 0, -1):
            for j in range(p - 1, 0, -1):
                cov[i, j] = cov[i - 1, j - 1]
        for i in range(p - 1, 0, -1):
            cov[i, 0] = cov[0, i] = row[i - 1]
        cov[0, 0] = new
