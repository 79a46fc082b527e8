"""Compiled passes over blocks: what `dyncal.identification.block` and the fleet evaluate.

The model of a block is the innovations form (Ljung, System Identification, 2nd ed., 4.3 and 11; docs/metrology.md)::

    e_k = y_k - c x_k,      x_k⁺ = x_k + K e_k,      x_{k+1} = Φ x_k⁺ + Γ0 r_k + Γh r_{k+½} + Γ1 r_{k+1}

with K = 0 for output error. Coordinates are h = (η, κ), K = K(κ); a sensitivity s_i = ∂x/∂h_i obeys the differentiated
recursion. All kinds have two states and four rows for η here, what a kind lacks being zero, so that every loop over
rows has a length known to the compiler. Rows: 0 to 3 η, `KAPPA`, `OFFSET` and `CLOCK` (unit disturbances of the
reference, to be considered), and the innovation itself as the last column of the Gram matrix.

One family in one file, because numba's cache does not see changes in other files (ADR 0004).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

BoolArray = npt.NDArray[np.bool_]

CODES: Final = {ModelKind.FIRST_ORDER: 0, ModelKind.SECOND_ORDER: 1, ModelKind.LEAD_LAG: 2}
"""Kinds of model by the number that kernels know them by."""

KAPPA: Final = 4
OFFSET: Final = 5
CLOCK: Final = 6
ROWS: Final = 8
"""Width of a Gram matrix; its last column is that of the innovation."""

NO_NOISE: Final = 40.0
"""As -κ: output error; there K is 0 to the last digit."""

CONVERGED: Final = 0
SSE: Final = 1
POWER: Final = 2
LJUNG_BOX: Final = 3
LAGS: Final = 4
NOISE_SHARE: Final = 5
UNEXPLAINED: Final = 6
CLIPPED: Final = 7
N_RESULT: Final = 13
"""Columns of what `fit_blocks` says beside h."""

_UNEVEN: Final = 0.02
_CLIPPED_SHARE: Final = 0.05
_CLIPPED_RUN: Final = 3
_LAGS: Final = 12
_MAX_PASSES: Final = 12
_GOOD_STEP: Final = 1e-3  # squared length of a last step, in posterior standard deviations
_SHORT_STEP: Final = 0.1  # in logarithms: the linear model is trusted that far
_LONGEST_STEP: Final = 2.0
_FARTHEST: Final = 45.0  # logarithms beyond this are no time constants of sensors
_PIECES: Final = 4  # of an interval, for the input noise within it
_DOUBLINGS: Final = 60
_SMALL: Final = 1e-4
_NOTHING: Final = 1e-100


@kernel()
def _lag(tau_s: float, h_s: float, out: FloatArray) -> None:
    """Write a, γ0, γ1 and their derivatives in ln τ for one lag of gain 1 under a straight line (models.lag)."""
    q = h_s / tau_s
    a = np.exp(-q)
    fall = -np.expm1(-q)
    late = q / 2 * (1 - q / 3 * (1 - q / 4 * (1 - q / 5))) if q < 1e-3 else 1 - fall / q
    early = fall - late
    out[0], out[1], out[2] = a, early, late
    out[3], out[4], out[5] = a * q, early - a * q, -early


@kernel()
def _rotation(damping: float, angle: float, out: FloatArray) -> None:
    """Write Φ (4), ∂Φ/∂δ (4) and ∂Φ/∂φ (4) of a second-order sensor in (z, ż/ω0) (models.second_order)."""
    q = angle**2 * (1 - damping**2)
    root = np.sqrt(abs(q))
    c = np.cos(root) if q >= 0 else np.cosh(root)
    if abs(q) < _SMALL:
        s = 1 - q / 6 * (1 - q / 20)
        ds = -1 / 6 + q / 60 - q**2 / 1680
    else:
        s = np.sin(root) / root if q >= 0 else np.sinh(root) / root
        ds = (c - s) / (2 * q)
    dc = -s / 2
    decay = np.exp(-damping * angle)
    if q < -400.0:  # cosh would overflow long before e^{-δφ} brings it down: the slow mode alone is left
        c, s, ds, dc, decay = _aperiodic(damping, angle, root, q)
    f00, f01 = decay * (c + angle * s * damping), decay * angle * s
    f11 = decay * (c - angle * s * damping)
    out[0], out[1], out[2], out[3] = f00, f01, -f01, f11
    dq = -2 * damping * angle**2
    diagonal = decay * angle * (ds * dq * damping + s)
    out[4] = -angle * f00 + decay * dc * dq + diagonal
    out[5] = -angle * f01 + decay * angle * ds * dq
    out[6] = -out[5]
    out[7] = -angle * f11 + decay * dc * dq - diagonal
    out[8], out[9] = -f01, f11
    out[10], out[11] = -f00 + 2 * damping * f01, -f01 - 2 * damping * f11


@kernel()
def _aperiodic(damping: float, angle: float, root: float, q: float) -> tuple[float, float, float, float, float]:
    """Return C, S, S', C' divided by e^√|q|/2, and the decay times that, for a strongly damped sensor."""
    s = 1 / root
    return 1.0, s, (1 - s) / (2 * q), -s / 2, 0.5 * np.exp(root - damping * angle)


@kernel()
def _line(kind: int, eta: FloatArray, h_s: float, base: FloatArray, slopes: FloatArray) -> None:
    """Write Φ, Γ0, Γ1 row by row into `base` (2, 4) and their derivatives into `slopes` (4, 2, 4), for one line."""
    base[:] = 0.0
    slopes[:] = 0.0
    gain = eta[0]
    if kind == 1:
        _line_of_resonance(gain, np.exp(eta[1]), 2 * np.pi * np.exp(eta[2]) * h_s, base, slopes)
        return
    mode = np.empty(6)
    for k in range(1 if kind == 0 else 2):
        _lag(np.exp(eta[1 + k]), h_s, mode)
        share = 1.0 if kind == 0 else (1 - eta[3] if k == 0 else eta[3])
        base[k, k] = mode[0]
        slopes[1 + k, k, k] = mode[3]
        for j in range(2):
            base[k, 2 + j] = gain * share * mode[1 + j]
            slopes[0, k, 2 + j] = share * mode[1 + j]
            slopes[1 + k, k, 2 + j] = gain * share * mode[4 + j]
            if kind == 2:
                slopes[3, k, 2 + j] = gain * mode[1 + j] * (-1.0 if k == 0 else 1.0)


@kernel()
def _line_of_resonance(gain: float, damping: float, angle: float, base: FloatArray, slopes: FloatArray) -> None:
    f = np.empty(12)
    _rotation(damping, angle, f)
    w0, w1 = -2 * damping / angle, 1 / angle
    v0 = -2 / angle  # ∂w/∂δ = (v0, 0), ∂w/∂φ = -w/φ
    for i in range(2):
        unit = 1.0 if i == 0 else 0.0
        w, v = (w0, v0) if i == 0 else (w1, 0.0)
        lead = w - f[2 * i] * w0 - f[2 * i + 1] * w1
        lead_d = v - f[2 * i] * v0 - f[4 + 2 * i] * w0 - f[5 + 2 * i] * w1
        lead_a = -lead / angle - f[8 + 2 * i] * w0 - f[9 + 2 * i] * w1
        for j in range(2):
            base[i, j] = f[2 * i + j]
            slopes[1, i, j] = damping * f[4 + 2 * i + j]
            slopes[2, i, j] = angle * f[8 + 2 * i + j]
        slopes[0, i, 2], slopes[0, i, 3] = -f[2 * i] - lead, unit + lead
        slopes[1, i, 2], slopes[1, i, 3] = gain * damping * (-f[4 + 2 * i] - lead_d), gain * damping * lead_d
        slopes[2, i, 2], slopes[2, i, 3] = gain * angle * (-f[8 + 2 * i] - lead_a), gain * angle * lead_a
        base[i, 2], base[i, 3] = gain * slopes[0, i, 2], gain * slopes[0, i, 3]


@kernel("void(i8, f8[::1], f8[::1], i8, f8[:, :, ::1], f8[:, :, :, ::1])")
def discretise(
    kind: int, eta: FloatArray, steps_s: FloatArray, stride: int, base: FloatArray, slopes: FloatArray
) -> None:
    """Solve the model exactly over intervals between samples, the reference moving in `stride` straight lines.

    Parameters
    ----------
    kind : int
        `CODES`.
    eta : float64, shape (p,)
        Internal coordinates of the model.
    steps_s : float64, shape (q,)
        Intervals [s].
    stride : int
        1, or 2 where the reference is also known half-way.
    base : float64, shape (q, 2, 5)
        On return, for each state, the factors of x0, x1, r_k, r_{k+½}, r_{k+1}.
    slopes : float64, shape (q, 4, 2, 5)
        On return, their derivatives in η.
    """
    one, done = np.empty((2, 4)), np.empty((4, 2, 4))
    for q in range(steps_s.size):
        _line(kind, eta, steps_s[q] / stride, one, done)
        for i in range(2):
            for j in range(2):
                if stride == 1:
                    base[q, i, j] = one[i, j]
                    base[q, i, 2 + 2 * j] = one[i, 2 + j]
                else:
                    base[q, i, j] = one[i, 0] * one[0, j] + one[i, 1] * one[1, j]
                    # the first line's end is the second one's begin
                    base[q, i, 2 + j] = one[i, 0] * one[0, 2 + j] + one[i, 1] * one[1, 2 + j]
            if stride == 1:
                base[q, i, 3] = 0.0
            else:
                base[q, i, 3] += one[i, 2]
                base[q, i, 4] = one[i, 3]
        for a in range(4):
            for i in range(2):
                for j in range(2):
                    if stride == 1:
                        slopes[q, a, i, j] = done[a, i, j]
                        slopes[q, a, i, 2 + 2 * j] = done[a, i, 2 + j]
                    else:
                        slopes[q, a, i, j] = (
                            done[a, i, 0] * one[0, j] + done[a, i, 1] * one[1, j]
                            + one[i, 0] * done[a, 0, j] + one[i, 1] * done[a, 1, j]
                        )  # fmt: skip
                        slopes[q, a, i, 2 + j] = (
                            done[a, i, 0] * one[0, 2 + j] + done[a, i, 1] * one[1, 2 + j]
                            + one[i, 0] * done[a, 0, 2 + j] + one[i, 1] * done[a, 1, 2 + j]
                        )  # fmt: skip
                if stride == 1:
                    slopes[q, a, i, 3] = 0.0
                else:
                    slopes[q, a, i, 3] += done[a, i, 2]
                    slopes[q, a, i, 4] = done[a, i, 3]


@kernel()
def _held(kind: int, eta: FloatArray, t_s: float, out: FloatArray) -> None:
    """Write Φ (4) and the response to a unit step (2) after t."""
    out[:] = 0.0
    if kind == 1:
        f = np.empty(12)
        _rotation(np.exp(eta[1]), 2 * np.pi * np.exp(eta[2]) * t_s, f)
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
    part, before, Q = np.empty(6), np.zeros(2), np.zeros((2, 2))
    for k in range(1, _PIECES + 1):
        _held(kind, eta, h_s * k / _PIECES, part)
        d0, d1 = part[4] - before[0], part[5] - before[1]
        before[0], before[1] = part[4], part[5]
        Q[0, 0] += _PIECES * d0 * d0
        Q[0, 1] += _PIECES * d0 * d1
        Q[1, 1] += _PIECES * d1 * d1
    ratio = np.exp(kappa)
    q00, q01, q11 = ratio * Q[0, 0], ratio * Q[0, 1], ratio * Q[1, 1]
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
    system = np.array(
        [
            [1 - a00 * a00, -2 * a00 * a01, -a01 * a01],
            [-a00 * a10, 1 - a00 * a11 - a01 * a10, -a01 * a11],
            [-a10 * a10, -2 * a10 * a11, 1 - a11 * a11],
        ]
    )
    d = np.array([q00, q01, q11])
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


@kernel()
def _run(  # noqa: C901 - one loop over samples, kept together for the compiler
    shape: tuple[int, ...], y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array,
    base: FloatArray, slopes: FloatArray, c1: float, gain: FloatArray, gain_slope: FloatArray, stride: int, fresh: bool,
    x: FloatArray, s: FloatArray, z: FloatArray, gram: FloatArray, initial: FloatArray, e: FloatArray,
) -> None:  # fmt: skip
    """Run the recursion over a block, in place; all sums are written anew.

    `shape` is any tuple of p numbers: its length alone counts, and is known to the compiler, so that each kind has a
    loop of its own. s (2, ROWS) are the sensitivities by state; z (2, 2) those of the states to the initial ones, for a
    fresh block, and `initial` (2, 2 + ROWS) the sums of their outputs with each other and with the rest. Of the Gram
    matrix those sums are formed that someone needs: not of the disturbances with each other and with the innovation.
    """
    p = len(shape)
    k0, k1, l0, l1 = gain[0], gain[1], gain_slope[0], gain_slope[1]
    psi = np.zeros(ROWS)
    gram[:] = 0.0
    initial[:] = 0.0
    x0, x1 = x[0], x[1]
    s0, s1 = s[0], s[1]
    z00, z01, z10, z11 = z[0, 0], z[0, 1], z[1, 0], z[1, 1]
    e[0] = 0.0
    q = -1
    f00 = f01 = f10 = f11 = g00 = g0h = g01 = g10 = g1h = g11 = 0.0
    d = slopes[0]
    for k in range(y.size):
        if k > 0:
            if index[k - 1] != q:
                q = index[k - 1]
                b, d = base[q], slopes[q]
                f00, f01, g00, g0h, g01 = b[0, 0], b[0, 1], b[0, 2], b[0, 3], b[0, 4]
                f10, f11, g10, g1h, g11 = b[1, 0], b[1, 1], b[1, 2], b[1, 3], b[1, 4]
            at = stride * k
            r0, rh, r1 = r[at - stride], r[at - 1], r[at]
            for i in range(p):
                a0 = d[i, 0, 0] * x0 + d[i, 0, 1] * x1 + d[i, 0, 2] * r0 + d[i, 0, 3] * rh + d[i, 0, 4] * r1
                u0 = s0[i]
                s0[i] = f00 * u0 + a0
                if p > 2:
                    a1 = d[i, 1, 0] * x0 + d[i, 1, 1] * x1 + d[i, 1, 2] * r0 + d[i, 1, 3] * rh + d[i, 1, 4] * r1
                    u1 = s1[i]
                    s0[i] += f01 * u1
                    s1[i] = f10 * u0 + f11 * u1 + a1
            for i in range(KAPPA, ROWS - 1):
                u0, u1 = s0[i], s1[i]
                s0[i] = f00 * u0 + f01 * u1
                if p > 2:
                    s1[i] = f10 * u0 + f11 * u1
            v0, vh, v1 = slope[at - stride], slope[at - 1], slope[at]
            s0[OFFSET] += g00 + g0h + g01
            s0[CLOCK] -= g00 * v0 + g0h * vh + g01 * v1
            u0, u1 = x0, x1
            x0 = f00 * u0 + f01 * u1 + g00 * r0 + g0h * rh + g01 * r1
            if p > 2:
                s1[OFFSET] += g10 + g1h + g11
                s1[CLOCK] -= g10 * v0 + g1h * vh + g11 * v1
                x1 = f10 * u0 + f11 * u1 + g10 * r0 + g1h * rh + g11 * r1
            if fresh:
                z00, z01 = f00 * z00 + f01 * z01, f10 * z00 + f11 * z01
                z10, z11 = f00 * z10 + f01 * z11, f10 * z10 + f11 * z11
        if k > 0 or fresh:
            error = y[k] - x0 - c1 * x1
            e[k] = error
            for i in range(p):
                psi[i] = s0[i] + c1 * s1[i]
            for i in range(KAPPA, ROWS - 1):
                psi[i] = s0[i] + c1 * s1[i]
            psi[ROWS - 1] = error
            for i in range(p):
                for j in range(i, p):
                    gram[i, j] += psi[i] * psi[j]
                for j in range(KAPPA, ROWS):
                    gram[i, j] += psi[i] * psi[j]
            for j in range(KAPPA, ROWS):
                gram[KAPPA, j] += psi[KAPPA] * psi[j]
            gram[ROWS - 1, ROWS - 1] += error * error
            if fresh:
                o0, o1 = z00 + c1 * z01, z10 + c1 * z11
                initial[0, 0] += o0 * o0
                initial[0, 1] += o0 * o1
                initial[1, 1] += o1 * o1
                for j in range(ROWS):
                    initial[0, 2 + j] += o0 * psi[j]
                    initial[1, 2 + j] += o1 * psi[j]
                z00, z01 = z00 - k0 * o0, z01 - k1 * o0
                z10, z11 = z10 - k0 * o1, z11 - k1 * o1
                if abs(z00) + abs(z01) + abs(z10) + abs(z11) < _NOTHING:  # or numbers become denormal, and slow
                    z00 = z01 = z10 = z11 = 0.0
            for i in range(p):
                s0[i] -= k0 * psi[i]
            for i in range(KAPPA, ROWS - 1):
                s0[i] -= k0 * psi[i]
            s0[KAPPA] += l0 * error
            x0 += k0 * error
            if p > 2:
                for i in range(p):
                    s1[i] -= k1 * psi[i]
                for i in range(KAPPA, ROWS - 1):
                    s1[i] -= k1 * psi[i]
                s1[KAPPA] += l1 * error
                x1 += k1 * error
    x[0], x[1] = x0, x1
    z[0, 0], z[0, 1], z[1, 0], z[1, 1] = z00, z01, z10, z11
    for i in range(ROWS):
        for j in range(i):
            gram[i, j] = gram[j, i]


@kernel()
def _eliminate(n: int, initial: FloatArray, z: FloatArray, gram: FloatArray, x: FloatArray, s: FloatArray) -> None:
    """Solve the initial state out of the normal equations: it is linear, and different in every segment."""
    g00, g01, g11 = initial[0, 0], initial[0, 1], initial[1, 1]
    if n == 1:
        g01, g11 = 0.0, 0.0
    ridge = 1e-12 * max(g00 + g11, 1e-300)
    g00, g11 = g00 + ridge, g11 + ridge
    det = g00 * g11 - g01 * g01
    solved = np.empty((2, ROWS))
    for j in range(ROWS):
        b0, b1 = initial[0, 2 + j], (initial[1, 2 + j] if n == 2 else 0.0)
        solved[0, j], solved[1, j] = (g11 * b0 - g01 * b1) / det, (g00 * b1 - g01 * b0) / det
    for a in range(n):
        for i in range(ROWS):
            for j in range(ROWS):
                gram[i, j] -= initial[a, 2 + i] * solved[a, j]
        # the optimal initial state moves with every other coordinate: x0 = G⁻¹(g_e - G_h δh)
        for k in range(2):
            x[k] += z[a, k] * solved[a, ROWS - 1]
            for i in range(ROWS - 1):
                s[k, i] -= z[a, k] * solved[a, i]


@kernel()
def _found_state(n: int, initial: FloatArray, x: FloatArray) -> None:
    """Move the initial state, of which n components are free, to where Σe² is least, all else being equal."""
    g00, g01, g11 = initial[0, 0], initial[0, 1], initial[1, 1]
    if n == 1:
        g01, g11 = 0.0, 0.0
    ridge = 1e-12 * max(g00 + g11, 1e-300)
    g00, g11 = g00 + ridge, g11 + ridge
    det = g00 * g11 - g01 * g01
    b0, b1 = initial[0, 1 + ROWS], (initial[1, 1 + ROWS] if n == 2 else 0.0)
    x[0] += (g11 * b0 - g01 * b1) / det
    if n == 2:
        x[1] += (g00 * b1 - g01 * b0) / det


@kernel()
def _stable(base: FloatArray, n_steps: int, gain: FloatArray, c1: float) -> bool:
    """Check the poles of the predictor, Φ(I - Kc), for the intervals of a block (Jury's conditions)."""
    for q in range(n_steps):
        b = base[q]
        a00 = b[0, 0] * (1 - gain[0]) - b[0, 1] * gain[1]
        a01 = -b[0, 0] * gain[0] * c1 + b[0, 1] * (1 - gain[1] * c1)
        a10 = b[1, 0] * (1 - gain[0]) - b[1, 1] * gain[1]
        a11 = -b[1, 0] * gain[0] * c1 + b[1, 1] * (1 - gain[1] * c1)
        det = a00 * a11 - a01 * a10
        if not (abs(det) < 1 and abs(a00 + a11) < 1 + det):
            return False
    return True


@kernel(
    "b1(i8, f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], i8, f8, b1,"
    " f8[::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1])"
)
def evaluate(  # noqa: C901 - each kind has a call of its own
    kind: int, h: FloatArray, origin: FloatArray,
    y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array, steps_s: FloatArray, stride: int,
    middle_s: float, fresh: bool, x: FloatArray, s: FloatArray, gram: FloatArray, e: FloatArray, gain: FloatArray,
) -> bool:  # fmt: skip
    """Run one pass over a block at `h`, the initial state of a fresh one eliminated; False where there is no such pass.

    Parameters
    ----------
    kind : int
        `CODES`.
    h, origin : float64, shape (p + 1,)
        Coordinates (η, κ), and those that `x` and `s` belong to; the η of `origin` also shapes K(κ).
    y : float64, shape (n + 1,)
        Indications; sample 0 is the last one of the block before, or the first of all if `fresh`.
    r, slope : float64, shape (n·stride + 1,)
        Reference and its time derivative, at the samples and at stride - 1 instants between them.
    index : int64, shape (n,)
        Which of the intervals `steps_s` lies between samples k and k + 1.
    middle_s : float
        Mean interval [s], which K is made for.
    fresh : bool
        Sample 0 is an observation of this block, and the state is found; otherwise `x`, `s` hold at sample 0.
    x : float64, shape (2,)
        Filtered state, in and out.
    s : float64, shape (2, ROWS)
        Its sensitivities, in and out.
    gram : float64, shape (ROWS, ROWS)
        On return the Gram matrix of (∂ŷ/∂ each row, e).
    e : float64, shape (n + 1,)
        On return the innovations; e[0] = 0 unless `fresh`.
    gain : float64, shape (2,)
        On return K.

    The pass is refused where a logarithm is out of all reason, the predictor is unstable, or numbers overflow.
    """
    p = h.size - 1
    for i in range(1, p + 1):
        if not abs(h[i]) <= _FARTHEST:
            return False
    base, slopes = np.empty((steps_s.size, 2, 5)), np.empty((steps_s.size, 4, 2, 5))
    discretise(kind, h[:p], steps_s, stride, base, slopes)
    gain_slope = np.empty(2)
    innovation_gain(kind, origin[:p], middle_s, h[p], gain, gain_slope)
    c1 = 1.0 if kind == 2 else 0.0
    if not _stable(base, steps_s.size, gain, c1):
        return False
    z = np.zeros((2, 2))
    if fresh:
        s[:] = 0.0
        x[0] = h[0] * r[0] * (1 - h[3] if kind == 2 else 1.0)
        x[1] = h[0] * h[3] * r[0] if kind == 2 else 0.0
    else:
        for k in range(2):
            for i in range(p):
                x[k] += s[k, i] * (h[i] - origin[i])
            x[k] += s[k, KAPPA] * (h[p] - origin[p])
    initial, begun = np.empty((2, 2 + ROWS)), x.copy()
    # where the initial state is found, the sensitivities hold at the one that the first round finds
    for rounds in range(2 if fresh else 1):
        if rounds > 0:
            _found_state(1 if kind == 0 else 2, initial, begun)
            x[:], s[:], z[:] = begun, 0.0, 0.0
        if fresh:
            z[0, 0], z[1, 1] = 1.0, (0.0 if kind == 0 else 1.0)
        if kind == 0:
            _run(
                (0, 0), y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
                x, s, z, gram, initial, e,
            )  # fmt: skip
        elif kind == 1:
            _run(
                (0, 0, 0), y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
                x, s, z, gram, initial, e,
            )  # fmt: skip
        else:
            _run(
                (0, 0, 0, 0), y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
                x, s, z, gram, initial, e,
            )  # fmt: skip
    total = x[0] + x[1]
    for i in range(ROWS):
        for j in range(ROWS):
            total += gram[i, j]
    if not np.isfinite(total):
        return False
    if fresh:
        _eliminate(1 if kind == 0 else 2, initial, z, gram, x, s)
    return True


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
    mean = y.mean()
    spread = 0.0
    for k in range(y.size):
        if k > 0:
            b = base[index[k - 1]]
            at = stride * k
            r0, rh, r1 = r[at - stride], r[at - 1], r[at]
            u0, u1 = x0, x1
            x0 = b[0, 0] * u0 + b[0, 1] * u1 + b[0, 2] * r0 + b[0, 3] * rh + b[0, 4] * r1
            x1 = b[1, 0] * u0 + b[1, 1] * u1 + b[1, 2] * r0 + b[1, 3] * rh + b[1, 4] * r1
            z00, z01 = b[0, 0] * z00 + b[0, 1] * z01, b[1, 0] * z00 + b[1, 1] * z01
            z10, z11 = b[0, 0] * z10 + b[0, 1] * z11, b[1, 0] * z10 + b[1, 1] * z11
            if abs(z00) + abs(z01) + abs(z10) + abs(z11) < _NOTHING:
                z00 = z01 = z10 = z11 = 0.0
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


@kernel("UniTuple(i8, 2)(i8[::1], f8[::1], f8[:, :, ::1], i8, f8[::1], f8[::1], i8[::1], f8[::1])")
def prepare(
    t_ns: Int64Array, r: FloatArray, taps: FloatArray, interpolation: int,
    fine: FloatArray, slope: FloatArray, index: Int64Array, steps_s: FloatArray,
) -> tuple[int, int]:  # fmt: skip
    """Interpolate the reference of a block and find its intervals; return stride and number of distinct intervals.

    Parameters
    ----------
    t_ns : int64, shape (n + 2c,)
        Instants, with c = (taps.shape[2] - 1)/2 more of them at either end, as in `interpolation`.
    r : float64, shape (n + 2c,)
        Reference.
    taps : float64, shape (kinds, 2, 2c + 1)
        Filters for values at samples and (one tap less) half-way; those of kind 0, straight lines, are not used.
    interpolation : int
        Which kind; unevenly spaced samples are always joined by straight lines.
    fine, slope : float64, shape (2n - 1,) or more
        On return the interpolated reference and its derivative.
    index : int64, shape (n - 1,) or more; steps_s : float64, shape (n,) or more
        On return which interval lies between two samples, and the distinct intervals [s]; the element after the last is
        the mean.
    """
    context = taps.shape[2] // 2
    n = t_ns.size - 2 * context
    low = high = t_ns[1] - t_ns[0]
    total = 0.0
    for k in range(1, t_ns.size):
        step = t_ns[k] - t_ns[k - 1]
        low, high = min(low, step), max(high, step)
        total += step
    stride = 1
    if interpolation > 0 and high - low <= _UNEVEN * total / (t_ns.size - 1):
        stride = 2
        fine[: 2 * n - 1] = 0.0
        at, half = taps[interpolation, 0], taps[interpolation, 1]
        for j in range(2 * context + 1):
            for k in range(n):
                fine[2 * k] += at[j] * r[k + j]
        for j in range(2 * context):
            for k in range(n - 1):
                fine[2 * k + 1] += half[j] * r[k + j + 1]
    else:
        fine[:n] = r[context : context + n]
    n_steps = _distinct(t_ns[context : context + n], low, high, index, steps_s)
    _differentiate(fine, n, stride, index, steps_s, slope)
    return stride, n_steps


@kernel()
def _distinct(t_ns: Int64Array, low: int, high: int, index: Int64Array, steps_s: FloatArray) -> int:
    """Number the distinct intervals, in the order of their first appearance (open addressing)."""
    n = t_ns.size - 1
    if low == high or n < 1:
        index[:n] = 0
        steps_s[0] = steps_s[1] = low / 1e9
        return 1
    mask = 1
    while mask < 2 * n:
        mask *= 2
    table, steps = np.full(mask, -1, dtype=np.int64), np.empty(n, dtype=np.int64)
    count = 0
    for k in range(n):
        step = t_ns[k + 1] - t_ns[k]
        place = (step * 40503 >> 3) & (mask - 1)
        while table[place] >= 0 and steps[table[place]] != step:
            place = (place + 1) & (mask - 1)
        if table[place] < 0:
            table[place], steps[count] = count, step
            steps_s[count] = step / 1e9
            count += 1
        index[k] = table[place]
    steps_s[count] = (t_ns[n] - t_ns[0]) / 1e9 / n
    return count


@kernel()
def _differentiate(
    fine: FloatArray, n: int, stride: int, index: Int64Array, steps_s: FloatArray, slope: FloatArray
) -> None:
    """Write the derivative of `fine`: of the parabola through three values, at the ends of the line through two."""
    last = stride * (n - 1)
    slope[0] = slope[last] = 0.0
    for k in range(last + 1):
        before = steps_s[index[(k - 1) // stride]] / stride if k > 0 else 0.0
        after = steps_s[index[k // stride]] / stride if k < last else 0.0
        if k > 0 and k < last:
            slope[k] = (
                before * before * fine[k + 1]
                + (after * after - before * before) * fine[k]
                - after * after * fine[k - 1]
            ) / (before * after * (before + after))
        elif k < last:
            slope[k] = (fine[1] - fine[0]) / after
        elif k > 0:
            slope[k] = (fine[k] - fine[k - 1]) / before


@kernel()
def _clipped(values: FloatArray, out: FloatArray) -> None:
    """Write (side, level, share) for a record that sticks to one of its ends (screen.clipped).

    The side is 0 for none, -1 low, 1 high; half of that where it is clipped only if it is not quantised.
    """
    out[:] = 0.0
    low, high = values.min(), values.max()
    if not low < high:
        return
    for side in range(2):
        level = low if side == 0 else high
        at, stays = 0, 0
        for k in range(values.size):
            if values[k] == level:
                at += 1
                stays += k > 0 and values[k - 1] == level
        if stays > _CLIPPED_SHARE * values.size or stays >= _CLIPPED_RUN:
            sure = 1.0 if stays > _CLIPPED_SHARE * values.size else 0.5
            out[0], out[1], out[2] = (-sure if side == 0 else sure), level, at / values.size
            return


@kernel()
def _solve(a: FloatArray, b: FloatArray, ridge: float, m: int, x: FloatArray) -> None:
    """Solve (a + ridge·diag a) x = b for a positive definite a (m, m), scaled to a unit diagonal (Cholesky)."""
    root, scale = np.zeros((m, m)), np.empty(m)
    for i in range(m):
        scale[i] = np.sqrt(max(a[i, i], 1e-300))
    for i in range(m):
        for j in range(i + 1):
            value = a[i, j] / (scale[i] * scale[j]) + (ridge if i == j else 0.0)
            for k in range(j):
                value -= root[i, k] * root[j, k]
            root[i, j] = np.sqrt(max(value, 1e-15)) if i == j else value / root[j, j]
    for i in range(m):
        x[i] = b[i] / scale[i]
        for k in range(i):
            x[i] -= root[i, k] * x[k]
        x[i] /= root[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            x[i] -= root[k, i] * x[k]
        x[i] /= root[i, i]
    for i in range(m):
        x[i] /= scale[i]


@kernel()
def _compact(gram: FloatArray, m: int, a: FloatArray, b: FloatArray) -> None:
    """Write a (m, m) and b (m,) of the coordinates (η, κ) from a Gram matrix."""
    for i in range(m):
        k = i if i < m - 1 else KAPPA
        b[i] = gram[k, ROWS - 1]
        for j in range(m):
            a[i, j] = gram[k, j if j < m - 1 else KAPPA]


@kernel()
def _quadratic(matrix: FloatArray, v: FloatArray) -> float:
    total = 0.0
    for i in range(v.size):
        for j in range(v.size):
            total += v[i] * matrix[i, j] * v[j]
    return total


@kernel(
    "void(i8, i8[::1], f8[:, ::1], i8[::1], i8[::1], b1[::1], i8[::1], f8[:, :, ::1], f8[:, ::1], f8[::1], f8[::1],"
    " f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])"
)
def first_passes(
    kind: int, t_ns: Int64Array, values: FloatArray, begin: Int64Array, size: Int64Array, fresh: BoolArray,
    interpolation: Int64Array, taps: FloatArray, h: FloatArray, variance: FloatArray, dispersion: FloatArray,
    x: FloatArray, s: FloatArray, gram: FloatArray, summary: FloatArray,
) -> None:  # fmt: skip
    """Look at blocks of many sensors at once, each at what is known of it.

    Parameters
    ----------
    t_ns : int64, shape (n,); values : float64, shape (2, n)
        Samples of all blocks, indication and reference.
    begin, size : int64, shape (k,)
        Where each block lies in them: sample 0 and number of samples, with the interpolation's context at either end.
    fresh : bool, shape (k,); interpolation : int64, shape (k,); taps
        As for `evaluate` and `prepare`.
    h : float64, shape (k, p + 1); variance, dispersion : float64, shape (k,)
        What is known.
    x : float64, shape (k, 2); s : float64, shape (k, 2, ROWS); gram : float64, shape (k, ROWS, ROWS)
        State, in and out, and the Gram matrices.
    summary : float64, shape (k, 3)
        On return: 1 where the pass went well; the noise variance to weigh the block with (its own where it is clearly
        noisier than those before), without dispersion; u of the lag's logarithm with only the gain unknown, by the
        usual noise: a block that fits nothing must be looked at, not waited for.
    """
    m = h.shape[1]
    lag = 2 if kind == 1 else 1
    a, b, step = np.empty((m, m)), np.empty(m), np.empty(m)
    longest = size.max()
    y, fine, slope = np.empty(0), np.empty(2 * longest), np.empty(2 * longest)
    index, steps_s = np.empty(longest, dtype=np.int64), np.empty(longest + 1)
    e, gain = np.empty(longest), np.empty(2)
    for k in range(begin.size):
        first, n = begin[k], size[k] - 2 * (taps.shape[2] // 2)
        inner = first + taps.shape[2] // 2
        stride, n_steps = prepare(
            t_ns[first : first + size[k]], values[1, first : first + size[k]], taps, interpolation[k],
            fine, slope, index, steps_s,
        )  # fmt: skip
        y = values[0, inner : inner + n]
        points = stride * (n - 1) + 1
        ok = evaluate(
            kind, h[k], h[k], y, fine[:points], slope[:points], index[: n - 1], steps_s[:n_steps], stride,
            steps_s[n_steps], fresh[k], x[k], s[k], gram[k], e[:n], gain,
        )  # fmt: skip
        summary[k, 0] = 1.0 if ok else 0.0
        if not ok:
            continue
        _compact(gram[k], m, a, b)
        _solve(a, b, 1e-12, m, step)
        free = gram[k, ROWS - 1, ROWS - 1]
        for i in range(m):
            free -= b[i] * step[i]
        own = max(free, 0.0) / max(n - (0 if fresh[k] else 1) - m, 1)
        summary[k, 1] = own if own > 2 * variance[k] else variance[k]
        usual = variance[k] * dispersion[k]
        efficient = (a[lag, lag] - (a[0, lag] ** 2 / a[0, 0] if a[0, 0] > 0 else 0.0)) / usual if a[0, 0] > 0 else 0.0
        summary[k, 2] = 1 / np.sqrt(efficient) if efficient > 0 else np.inf


@kernel(
    "void(i8, i8[::1], f8[:, ::1], i8[::1], i8[::1], b1[::1], i8[::1], f8[:, :, ::1], f8[:, ::1], f8[:, ::1],"
    " f8[:, :, ::1], f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])"
)
def fit_blocks(  # noqa: C901 - a descent that must not leave compiled code
    kind: int, t_ns: Int64Array, values: FloatArray, begin: Int64Array, size: Int64Array, fresh: BoolArray,
    interpolation: Int64Array, taps: FloatArray, origin: FloatArray, prior: FloatArray, information: FloatArray,
    variance: FloatArray, x0: FloatArray, s0: FloatArray, x: FloatArray, s: FloatArray, gram: FloatArray,
    result: FloatArray,
) -> None:  # fmt: skip
    """Fit blocks of many sensors around what is known: minimise Σe²/σ² + (h - h̄)ᵀL(h - h̄) by Levenberg-Marquardt.

    The last step, when it is small against the posterior, is made by the linear model without another pass; so the Gram
    matrix on return is that of the last pass, moved in its column of e to the fitted h.

    Parameters
    ----------
    t_ns to taps
        As for `first_passes`.
    origin, prior : float64, shape (k, p + 1)
        Coordinates that `x0`, `s0` belong to, and h̄; the fit begins at `origin`, whose η shapes K(κ).
    information : float64, shape (k, p + 1, p + 1); variance : float64, shape (k,)
        L and σ².
    x0, s0
        Filtered states at sample 0 and their sensitivities.
    x, s, gram
        In: those of `first_passes`, at `origin`. On return: those of the fit.
    result : float64, shape (k, p + 1 + N_RESULT)
        On return h, then `CONVERGED`, `SSE`, `POWER` (mean e² of the last pass), `LJUNG_BOX` and `LAGS`, `NOISE_SHARE`
        (1 - cK), `UNEXPLAINED`, and for indication and reference `CLIPPED` side, level and share.
    """
    m = prior.shape[1]
    longest = size.max()
    fine, slope = np.empty(2 * longest), np.empty(2 * longest)
    index, steps_s = np.empty(longest, dtype=np.int64), np.empty(longest + 1)
    e, gain = np.empty(longest), np.empty(2)
    a, b, hessian = np.empty((m, m)), np.empty(m), np.empty((m, m))
    gradient, step, away, there = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    new_x, new_s, new_gram = np.empty(2), np.empty((2, ROWS)), np.empty((ROWS, ROWS))
    for k in range(begin.size):
        first, n = begin[k], size[k] - 2 * (taps.shape[2] // 2)
        inner = first + taps.shape[2] // 2
        stride, n_steps = prepare(
            t_ns[first : first + size[k]], values[1, first : first + size[k]], taps, interpolation[k],
            fine, slope, index, steps_s,
        )  # fmt: skip
        y = values[0, inner : inner + n]
        points = stride * (n - 1) + 1
        h = origin[k].copy()
        damping = 0.0
        for i in range(m):
            away[i] = h[i] - prior[k, i]
        cost = gram[k, ROWS - 1, ROWS - 1] / variance[k] + _quadratic(information[k], away)
        converged, known = False, False
        for n_passes in range(_MAX_PASSES + 1):
            _compact(gram[k], m, a, b)
            for i in range(m):
                gradient[i] = b[i] / variance[k]
                for j in range(m):
                    hessian[i, j] = a[i, j] / variance[k] + information[k, i, j]
                    gradient[i] -= information[k, i, j] * (h[j] - prior[k, j])
            _solve(hessian, gradient, damping + 1e-13, m, step)
            reach = 0.0
            for i in range(1, m):
                reach = max(reach, abs(step[i]))
            if reach > _LONGEST_STEP:  # a direction without information must not be run along
                for i in range(m):
                    step[i] *= _LONGEST_STEP / reach
                reach = _LONGEST_STEP
            small = _quadratic(hessian, step) < _GOOD_STEP and reach < _SHORT_STEP
            if small or n_passes == _MAX_PASSES:
                converged = small
                if not small:
                    step[:] = 0.0
                if known:
                    break
                there[:] = h  # the innovations of the first pass were not kept
            else:
                for i in range(m):
                    there[i] = h[i] + step[i]
            new_x[:], new_s[:] = x0[k], s0[k]
            ok = evaluate(
                kind, there, origin[k], y, fine[:points], slope[:points], index[: n - 1], steps_s[:n_steps], stride,
                steps_s[n_steps], fresh[k], new_x, new_s, new_gram, e[:n], gain,
            )  # fmt: skip
            if small or n_passes == _MAX_PASSES:
                break
            for i in range(m):
                away[i] = there[i] - prior[k, i]
            new = new_gram[ROWS - 1, ROWS - 1] / variance[k] + _quadratic(information[k], away)
            known = ok and new < cost
            if known:
                h[:], cost = there, new
                x[k], s[k], gram[k] = new_x, new_s, new_gram
                damping = damping / 10 if damping > 1e-6 else 0.0
            else:
                damping = max(10 * damping, 1e-3)
        _conclude(gram[k], x[k], s[k], h, step, a, b)
        result[k, :m] = h
        out = result[k, m:]
        out[CONVERGED] = 1.0 if converged else 0.0
        out[SSE] = max(gram[k, ROWS - 1, ROWS - 1], 0.0)
        _whiteness(e[(0 if fresh[k] else 1) : n], out)
        out[NOISE_SHARE] = min(max(1 - gain[0] - (gain[1] if kind == 2 else 0.0), 0.01), 1.0)
        out[UNEXPLAINED] = unexplained(kind, h[: m - 1], y, fine[:points], index[: n - 1], steps_s[:n_steps], stride)
        _clipped(y, out[CLIPPED : CLIPPED + 3])
        _clipped(values[1, inner : inner + n], out[CLIPPED + 3 : CLIPPED + 6])


@kernel()
def _conclude(
    gram: FloatArray, x: FloatArray, s: FloatArray, h: FloatArray, step: FloatArray, a: FloatArray, b: FloatArray
) -> None:
    """Move a pass by a small step, by its linear model: h, state, b and Σe²."""
    m = h.size
    change = 0.0
    for i in range(m):
        row = i if i < m - 1 else KAPPA
        h[i] += step[i]
        x[0] += s[0, row] * step[i]
        x[1] += s[1, row] * step[i]
        change += 2 * b[i] * step[i]
        left = b[i]
        for j in range(m):
            change -= step[i] * a[i, j] * step[j]
            left -= a[i, j] * step[j]
        gram[row, ROWS - 1] = left
        gram[ROWS - 1, row] = left
    gram[ROWS - 1, ROWS - 1] -= change


@kernel()
def _whiteness(e: FloatArray, out: FloatArray) -> None:
    """Write the mean square, the Ljung-Box statistic and its number of lags (0: not known)."""
    n = e.size
    lags = min(_LAGS, n // 5)
    power = 0.0
    for k in range(n):
        power += e[k] * e[k]
    statistic = 0.0
    for lag in range(1, lags + 1):
        product = 0.0
        for k in range(lag, n):
            product += e[k] * e[k - lag]
        statistic += (product / power) ** 2 / (n - lag) if power > 0 else 0.0
    out[POWER] = power / n
    out[LJUNG_BOX] = n * (n + 2) * statistic
    out[LAGS] = lags if power > 0 else 0
