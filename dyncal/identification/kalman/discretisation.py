"""Exact discretisation of a linear stochastic system over any intervals, with derivatives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel


@kernel(
    "void(f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1],"
    " f8[:, :, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1])"
)
def discretise(  # noqa: C901 - Taylor series and doubling of four things at once
    a: FloatArray,
    da: FloatArray,
    g: FloatArray,
    dg: FloatArray,
    steps_s: FloatArray,
    phi: FloatArray,
    q: FloatArray,
    dphi: FloatArray,
    dq: FloatArray,
) -> None:
    """Write Φ = e^{Ah}, Q = ∫₀ʰ e^{As} G e^{Aᵀs} ds and their derivatives for intervals h [s], in place.

    Taylor series over h/2^k with ‖A‖h/2^k ≤ ¼, then k doublings, Q(2h) = Q + Φ Q Φᵀ: only sums of what is positive
    semi-definite, so that Q stays so however stiff A is.

    Parameters
    ----------
    a, g : float64, shape (n, n)
    da, dg : float64, shape (n, n, m)
    steps_s : float64, shape (k,)
    phi, q : float64, shape (k, n, n)
    dphi, dq : float64, shape (k, n, n, m)
    """
    n = a.shape[0]
    m = da.shape[2]
    f, t, u = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    w, c, v = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    df, dt, du = np.empty((n, n, m)), np.empty((n, n, m)), np.empty((n, n, m))
    dw, dc, dv = np.empty((n, n, m)), np.empty((n, n, m)), np.empty((n, n, m))
    norm = 0.0
    there = np.zeros((n, n), dtype=np.bool_)  # most of a chain of integrators is zero
    for i in range(n):
        for j in range(n):
            there[i, j] = a[i, j] != 0.0
            for r in range(m):
                there[i, j] = there[i, j] or da[i, j, r] != 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += abs(a[i, j])
        norm = max(norm, total)
    for k in range(steps_s.size):
        h = steps_s[k]
        doublings = 0
        while norm * h > 0.25 and doublings < 200:
            h *= 0.5
            doublings += 1
        for i in range(n):
            for j in range(n):
                f[i, j] = t[i, j] = 1.0 if i == j else 0.0
                c[i, j] = g[i, j] * h
                w[i, j] = c[i, j]
                for r in range(m):
                    df[i, j, r] = dt[i, j, r] = 0.0
                    dc[i, j, r] = dg[i, j, r] * h
                    dw[i, j, r] = dc[i, j, r]
        for order in range(1, 15):
            # t = (Ah)^order/order!; c = the term of Q of that order
            share, part = h / order, h / (order + 1)
            _few_products(a, da, there, t, dt, u, du)
            _few_products(a, da, there, c, dc, v, dv)
            for i in range(n):
                for j in range(n):
                    t[i, j] = u[i, j] * share
                    f[i, j] += t[i, j]
                    c[i, j] = (v[i, j] + v[j, i]) * part
                    w[i, j] += c[i, j]
                    for r in range(m):
                        dt[i, j, r] = du[i, j, r] * share
                        df[i, j, r] += dt[i, j, r]
                        dc[i, j, r] = (dv[i, j, r] + dv[j, i, r]) * part
                        dw[i, j, r] += dc[i, j, r]
        for _ in range(doublings):
            # u = Φ Q, v = Φ Φ; then Q + u Φᵀ
            _products(f, df, w, dw, u, du)
            _products(f, df, f, df, v, dv)
            for i in range(n):
                for j in range(i, n):
                    total = 0.0
                    for e in range(n):
                        total += u[i, e] * f[j, e]
                    w[i, j] += total
                    w[j, i] = w[i, j]
                    for r in range(m):
                        dt[i, j, r] = 0.0
                    for e in range(n):
                        for r in range(m):
                            dt[i, j, r] += du[i, e, r] * f[j, e] + u[i, e] * df[j, e, r]
                    for r in range(m):
                        dw[i, j, r] += dt[i, j, r]
                        dw[j, i, r] = dw[i, j, r]
            for i in range(n):
                for j in range(n):
                    f[i, j] = v[i, j]
                    for r in range(m):
                        df[i, j, r] = dv[i, j, r]
        for i in range(n):
            for j in range(n):
                phi[k, i, j], q[k, i, j] = f[i, j], w[i, j]
                for r in range(m):
                    dphi[k, i, j, r], dq[k, i, j, r] = df[i, j, r], dw[i, j, r]


@kernel(inline=True)
def _products(a: FloatArray, da: FloatArray, b: FloatArray, db: FloatArray, c: FloatArray, dc: FloatArray) -> None:
    """C = A B and its derivatives, in place."""
    n, m = a.shape[0], da.shape[2]
    c[:, :] = 0.0
    dc[:, :, :] = 0.0
    for i in range(n):
        for e in range(n):
            x = a[i, e]
            for j in range(n):
                c[i, j] += x * b[e, j]
                for r in range(m):
                    dc[i, j, r] += x * db[e, j, r] + da[i, e, r] * b[e, j]


@kernel(inline=True)
def _few_products(
    a: FloatArray, da: FloatArray, there: npt.NDArray[np.bool_], b: FloatArray, db: FloatArray,
    c: FloatArray, dc: FloatArray,
) -> None:  # fmt: skip
    """Do as `_products` for an A of which only what is `there` is not zero."""
    n, m = a.shape[0], da.shape[2]
    c[:, :] = 0.0
    dc[:, :, :] = 0.0
    for i in range(n):
        for e in range(n):
            if not there[i, e]:
                continue
            x = a[i, e]
            for j in range(n):
                c[i, j] += x * b[e, j]
                for r in range(m):
                    dc[i, j, r] += x * db[e, j, r] + da[i, e, r] * b[e, j]
