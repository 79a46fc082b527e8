"""The gain of the innovations form: a Kalman filter at rest, from one coordinate."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.passes.layout import NO_NOISE
from dyncal.identification.online.passes.steps import rotation
from dyncal.kernels import kernel

_PIECES: Final = 4  # of an interval, for the input noise within it
_DOUBLINGS: Final = 60


@kernel()
def _held(kind: int, eta: FloatArray, t_s: float, out: FloatArray, f: FloatArray) -> None:
    """Write Φ (4) and the response to a unit step (2) after t; f (12,) is room to work in."""
    out[:] = 0.0
    if kind == 1:
        rotation(np.exp(eta[1]), 2 * np.pi * np.exp(eta[2]) * t_s, f)
        out[:4] = f[:4]
        out[4], out[5] = eta[0] * (1 - f[0]), -eta[0] * f[2]
        return
    for k in range(1 if kind == 0 else 2):
        share = 1.0 if kind == 0 else (1 - eta[3] if k == 0 else eta[3])
        x = t_s / np.exp(eta[1 + k])
        out[3 * k] = np.exp(-x)
        out[4 + k] = -np.expm1(-x) * eta[0] * share


@kernel("void(i8, f8[::1], f8, f8, f8[::1], f8[::1])")
def innovation_gain(kind: int, eta: FloatArray, h_s: float, kappa: float, gain: FloatArray, slope: FloatArray) -> None:
    """Write the gain K(κ) of a Kalman filter at rest and dK/dκ, each of shape (2,).

    What the reference does not show of the measurand (its own noise, and what happens between its samples) reaches the
    sensor like a white input of variance v a sample, in `_PIECES` independent parts; the sensor adds white noise of
    variance R. κ = ln(v/R) is the one coordinate of the noise: K(κ) is stable by construction, two free components of
    K would not be. P = Φ(I - Kc)PΦᵀ + e^κ Q is solved by doubling (Anderson & Moore, Optimal Filtering, 6.7), its
    derivative exactly from the Lyapunov equation that P obeys; K is zero where the model is too far away for numbers.
    """
    gain[:] = 0.0
    slope[:] = 0.0
    if kappa <= -NO_NOISE:
        return
    c1 = 1.0 if kind == 2 else 0.0
    work = np.empty(30)  # taken once: a short block has this called at each of its passes
    part, system, d = work[:6], work[18:27].reshape(3, 3), work[27:30]
    before0 = before1 = q00 = q01 = q11 = 0.0
    for k in range(1, _PIECES + 1):
        _held(kind, eta, h_s * k / _PIECES, part, work[6:18])
        d0, d1 = part[4] - before0, part[5] - before1
        before0, before1 = part[4], part[5]
        q00 += _PIECES * d0 * d0
        q01 += _PIECES * d0 * d1
        q11 += _PIECES * d1 * d1
    ratio = np.exp(kappa)
    q00, q01, q11 = ratio * q00, ratio * q01, ratio * q11
    f00, f01, f10, f11 = part[0], part[1], part[2], part[3]
    if not np.isfinite(q00 + q11 + f00 + f01 + f10 + f11):
        return
    p00, p01, p11 = _riccati(f00, f01, f10, f11, c1, q00, q01, q11)
    m0, m1 = p00 + p01 * c1, p01 + p11 * c1
    s = m0 + c1 * m1 + 1.0
    k0, k1 = m0 / s, m1 / s
    # dP = F dP Fᵀ + e^κ Q with F = Φ(I - Kc), solved for (dP00, dP01, dP11)
    a00, a01 = f00 * (1 - k0) - f01 * k1, -f00 * k0 * c1 + f01 * (1 - k1 * c1)
    a10, a11 = f10 * (1 - k0) - f11 * k1, -f10 * k0 * c1 + f11 * (1 - k1 * c1)
    system[0, 0], system[0, 1], system[0, 2] = 1 - a00 * a00, -2 * a00 * a01, -a01 * a01
    system[1, 0], system[1, 1], system[1, 2] = -a00 * a10, 1 - a00 * a11 - a01 * a10, -a01 * a11
    system[2, 0], system[2, 1], system[2, 2] = -a10 * a10, -2 * a10 * a11, 1 - a11 * a11
    d[0], d[1], d[2] = q00, q01, q11
    _solve3(system, d)
    n0, n1 = d[0] + d[1] * c1, d[1] + d[2] * c1
    t = n0 + c1 * n1
    if np.isfinite(k0 + k1 + n0 + n1):
        gain[0], gain[1] = k0, k1
        slope[0], slope[1] = (n0 - k0 * t) / s, (n1 - k1 * t) / s


@kernel()
def _riccati(
    f00: float, f01: float, f10: float, f11: float, c1: float, q00: float, q01: float, q11: float
) -> tuple[float, float, float]:
    """Return P at rest for noise of variance 1, by doubling: each round takes twice as many steps as the last."""
    # A = Φᵀ, G = cᵀc, H = Q
    a00, a01, a10, a11 = f00, f10, f01, f11
    g00, g01, g11 = 1.0, c1, c1 * c1
    h00, h01, h11 = q00, q01, q11
    for _ in range(_DOUBLINGS):
        # V = (I + G H)⁻¹
        w00, w01 = 1 + g00 * h00 + g01 * h01, g00 * h01 + g01 * h11
        w10, w11 = g01 * h00 + g11 * h01, 1 + g01 * h01 + g11 * h11
        det = w00 * w11 - w01 * w10
        v00, v01, v10, v11 = w11 / det, -w01 / det, -w10 / det, w00 / det
        # V A and V G
        x00, x01 = v00 * a00 + v01 * a10, v00 * a01 + v01 * a11
        x10, x11 = v10 * a00 + v11 * a10, v10 * a01 + v11 * a11
        y00, y01 = v00 * g00 + v01 * g01, v00 * g01 + v01 * g11
        y10, y11 = v10 * g00 + v11 * g01, v10 * g01 + v11 * g11
        # H += Aᵀ H V A
        z00, z01 = h00 * x00 + h01 * x10, h00 * x01 + h01 * x11
        z10, z11 = h01 * x00 + h11 * x10, h01 * x01 + h11 * x11
        d00, d01, d11 = a00 * z00 + a10 * z10, a00 * z01 + a10 * z11, a01 * z01 + a11 * z11
        h00, h01, h11 = h00 + d00, h01 + d01, h11 + d11
        # G += A V G Aᵀ
        u00, u01 = a00 * y00 + a01 * y10, a00 * y01 + a01 * y11
        u10, u11 = a10 * y00 + a11 * y10, a10 * y01 + a11 * y11
        g00 += u00 * a00 + u01 * a01
        g01 += u00 * a10 + u01 * a11
        g11 += u10 * a10 + u11 * a11
        a00, a01, a10, a11 = (
            a00 * x00 + a01 * x10,
            a00 * x01 + a01 * x11,
            a10 * x00 + a11 * x10,
            a10 * x01 + a11 * x11,
        )
        if abs(d00) + abs(d11) <= 1e-15 * (h00 + h11):
            break
    return h00, h01, h11


@kernel()
def _solve3(a: FloatArray, b: FloatArray) -> None:
    """Solve a x = b (3, 3) in place by elimination with row pivots."""
    for k in range(3):
        best = k
        for i in range(k + 1, 3):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        for j in range(3):
            a[k, j], a[best, j] = a[best, j], a[k, j]
        b[k], b[best] = b[best], b[k]
        for i in range(k + 1, 3):
            factor = a[i, k] / a[k, k]
            for j in range(k, 3):
                a[i, j] -= factor * a[k, j]
            b[i] -= factor * b[k]
    for k in range(2, -1, -1):
        for j in range(k + 1, 3):
            b[k] -= a[k, j] * b[j]
        b[k] /= a[k, k]
