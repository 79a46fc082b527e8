"""The kernel that puts the joint model together: matrices of sensor and measurand, with their derivatives."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel


@kernel(
    "b1(f8[:, ::1], f8[::1], f8[::1], f8, f8[:, :, ::1], f8[:, ::1], f8[::1],"
    " f8[:, ::1], f8[:, ::1], f8, i8, i8, f8,"
    " f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1], f8[:, ::1])"
)
def assemble(
    sensor: FloatArray, b: FloatArray, c: FloatArray, d: float, dsensor: FloatArray, db: FloatArray, dd: FloatArray,
    chain: FloatArray, dchain: FloatArray, intensity: float, rate: int, clock: int, late_s: float,
    a: FloatArray, da: FloatArray, g: FloatArray, dg: FloatArray, rows: FloatArray, drows: FloatArray,
    gains: FloatArray, dgains: FloatArray,
) -> bool:  # fmt: skip
    """Write the joint model's matrices into arrays of zeros; False where the sensor has no rest.

    Parameters
    ----------
    sensor, b, c, d, dsensor, db, dd
        State space of the sensor, shapes (s, s), (s,), (s,), (), and its derivatives, (p, s, s), (p, s), (p,).
    chain, dchain : float64, shape (k, k)
        Generator of the process, and its derivative in ln λ.
    intensity : float
        Of the noise on its last state.
    rate, clock : int
        Positions of ln λ (that of the clock where there is none) and of the clock offset among the coordinates.
    late_s : float
        Clock offset [s]: the sensor's measurement is c ξ + δ c ξ̇, of a feedthrough only where ẇ is there.
    a, g : float64, shape (n, n); da, dg : float64, shape (n, n, m)
    rows, drows : float64, shapes (2, n), (2, n, any)
    gains, dgains : float64, shapes (2,), (2, m)
        As in `JointModel`.
    """
    s, k, p = c.size, chain.shape[0], dd.size
    for i in range(s):
        a[i, s] = b[i]
        for j in range(s):
            a[i, j] = sensor[i, j]
        for r in range(p):
            da[i, s, r] = db[r, i]
            for j in range(s):
                da[i, j, r] = dsensor[r, i, j]
    for i in range(k):
        for j in range(k):
            a[s + i, s + j] = chain[i, j]
            if rate < clock:
                da[s + i, s + j, rate] = dchain[i, j]
    last = s + k - 1
    g[last, last] = dg[last, last, p + 2] = intensity
    rows[0, s], rows[1, s] = 1.0, d
    for i in range(s):
        rows[1, i] = c[i]
    for r in range(p):
        drows[1, s, r] = dd[r]
    _late(a, da, c, d if k > 1 else 0.0, dd, k > 1, clock, late_s, rows[1], drows[1])
    return _rest(sensor, b, c, d, dsensor, db, dd, gains, dgains)


@kernel(inline=True)
def _late(
    a: FloatArray, da: FloatArray, c: FloatArray, d: float, dd: FloatArray, smooth: bool, clock: int, late_s: float,
    row: FloatArray, drow: FloatArray,
) -> None:  # fmt: skip
    """Add δ c ξ̇ to the sensor's row."""
    s, n, m = c.size, a.shape[0], da.shape[2]
    for j in range(n):
        speed = d * a[s, j]
        for i in range(s):
            speed += c[i] * a[i, j]
        row[j] += late_s * speed
        drow[j, clock] = speed
        if late_s != 0.0:
            for r in range(m):
                value = d * da[s, j, r]
                for i in range(s):
                    value += c[i] * da[i, j, r]
                drow[j, r] += late_s * value
            if smooth:
                for r in range(dd.size):
                    drow[j, r] += late_s * a[s, j] * dd[r]


@kernel(inline=True)
def _rest(
    sensor: FloatArray, b: FloatArray, c: FloatArray, d: float, dsensor: FloatArray, db: FloatArray, dd: FloatArray,
    gains: FloatArray, dgains: FloatArray,
) -> bool:  # fmt: skip
    """Write what each channel shows of a constant measurand: 1, and d - c A⁻¹ b with v = A⁻ᵀ c, x = A⁻¹ b."""
    s = c.size
    x, v = np.empty(s), np.empty(s)
    gains[0], gains[1] = 1.0, d
    if not _solved(sensor, b, x) or not _solved(sensor.T.copy(), c, v):
        return False
    for i in range(s):
        gains[1] -= c[i] * x[i]
    for r in range(dd.size):
        dgains[1, r] = dd[r]
        for i in range(s):
            value = db[r, i]
            for j in range(s):
                value -= dsensor[r, i, j] * x[j]
            dgains[1, r] -= v[i] * value
    return True


@kernel()
def _solved(matrix: FloatArray, right: FloatArray, x: FloatArray) -> bool:
    """Solve matrix · x = right by elimination with row pivots; False where a pivot is zero."""
    n = x.size
    a = matrix.copy()
    x[:] = right
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        if not abs(a[best, k]) > 0.0:
            return False
        for j in range(n):
            a[k, j], a[best, j] = a[best, j], a[k, j]
        x[k], x[best] = x[best], x[k]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k, n):
                a[i, j] -= factor * a[k, j]
            x[i] -= factor * x[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            x[k] -= a[k, j] * x[j]
        x[k] /= a[k, k]
    return True
