"""The whitening filter: a Kalman filter of the noise alone, run over any number of columns at once."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

_STEADY = 1e-15


@kernel("f8(f8[:, :, ::1], f8[:, :, ::1], i8[::1], f8[::1], f8, f8[:, ::1], f8[:, ::1])")
def whiten(  # noqa: C901 - one loop over samples, kept together for the compiler
    phi: FloatArray,
    q: FloatArray,
    index: Int64Array,
    c: FloatArray,
    r: float,
    cov: FloatArray,
    values: FloatArray,
) -> float:
    """Replace every column of `values` by its innovations over their standard deviations; return Σ ln S.

    With ξ₊ = Φ ξ + w, cov w = Q, v = c ξ + noise of variance r, and ξ at its stationary covariance at first: the
    decorrelated residuals have covariance 1 where v has this model (Kalman, 1960). The filter is linear, so what it
    does to residuals it does to their derivatives.

    Parameters
    ----------
    phi, q : float64, shape (m, n, n)
        For m different intervals.
    index : int64, shape (n_t - 1,)
        Which of them lies before each row but the first.
    c : float64, shape (n,)
    r : float
    cov : float64, shape (n, n)
        Covariance of ξ at first.
    values : float64, shape (n_t, k)
        In and out. NaN goes through to all later rows of its column.
    """
    n, columns = c.size, values.shape[1]
    p = cov.copy()
    new_p = np.empty((n, n))
    half = np.empty((n, n))
    x = np.zeros((n, columns))
    new_x = np.empty((n, columns))
    gain = np.zeros(n)
    pc = np.empty(n)
    logs = 0.0
    root = 1.0
    steady = False
    for t in range(values.shape[0]):
        if t > 0:
            j = index[t - 1]
            steady = steady and t > 1 and j == index[t - 2]
            for i in range(n):
                for k in range(columns):
                    total = 0.0
                    for g in range(n):
                        total += phi[j, i, g] * x[g, k]
                    new_x[i, k] = total
            for i in range(n):
                for k in range(columns):
                    x[i, k] = new_x[i, k]
            if not steady:
                for i in range(n):
                    for g in range(n):
                        total = 0.0
                        for h in range(n):
                            total += phi[j, i, h] * p[h, g]
                        half[i, g] = total
                for i in range(n):
                    for g in range(i + 1):
                        total = q[j, i, g]
                        for h in range(n):
                            total += half[i, h] * phi[j, g, h]
                        new_p[i, g] = total
                        new_p[g, i] = total
        else:
            for i in range(n):
                for g in range(n):
                    new_p[i, g] = p[i, g]
        if not steady:
            s = r
            for i in range(n):
                total = 0.0
                for g in range(n):
                    total += new_p[i, g] * c[g]
                pc[i] = total
                s += c[i] * total
            moved = 0.0
            size = 0.0
            root = np.sqrt(s)
            for i in range(n):
                moved += abs(pc[i] / s - gain[i])
                gain[i] = pc[i] / s
                size += abs(gain[i])
            for i in range(n):
                for g in range(n):
                    p[i, g] = new_p[i, g] - pc[i] * gain[g]
            steady = moved <= _STEADY * size
        logs += 2 * np.log(root)
        for k in range(columns):
            e = values[t, k]
            for i in range(n):
                e -= c[i] * x[i, k]
            for i in range(n):
                x[i, k] += gain[i] * e
            values[t, k] = e / root
    return logs
