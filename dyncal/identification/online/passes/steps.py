"""Exact solutions of the sensors' models over an interval of straight lines, with derivatives; two states for all."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

_SMALL: Final = 1e-4


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
def rotation(damping: float, angle: float, out: FloatArray) -> None:
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
    rotation(damping, angle, f)
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
