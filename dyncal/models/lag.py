"""One first-order mode of gain 1: what first-order and two-mode sensors are made of."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models.base import Hold


def lag_interval(tau_s: float, h_s: FloatArray, hold: Hold) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Solve τẋ + x = u exactly over intervals h [s], shape (m,).

    ``x₊ = a x + γ0 u + γ1 u₊`` with a = e^{-h/τ} and, for a straight line between the instants, ψ = (1 - a)τ/h,
    γ0 = ψ - a, γ1 = 1 - ψ; for a held value γ0 = 1 - a, γ1 = 0.

    Returns
    -------
    a, gamma, da, dgamma
        Shapes (m,), (m, 2), (m,), (m, 2); da and dgamma are derivatives with respect to ln τ.
    """
    q = h_s / tau_s
    a = np.exp(-q)
    da = a * q
    if hold is Hold.ZERO:
        zero = np.zeros_like(a)
        return a, np.stack([-np.expm1(-q), zero], axis=-1), da, np.stack([-da, zero], axis=-1)
    psi = -np.expm1(-q) / q
    # 1 - ψ cancels for small q; nine terms of its series are exact to 1e-16 below 0.1
    series = np.ones_like(q)
    for k in range(10, 2, -1):
        series = 1 - q / k * series
    rest = np.where(q < 0.1, q / 2 * series, 1 - psi)
    first = -np.expm1(-q) - rest
    # d ψ/d ln τ = ψ - a = γ0
    return a, np.stack([first, rest], axis=-1), da, np.stack([first - da, -first], axis=-1)


def lag_sensitivity(tau_s: float, dt_s: float, sign: float = 1.0) -> list[float]:
    """Return the biquad of ±s/(1 + τs), by the bilinear transform.

    A τ below half a sample is taken as half a sample: the transform would ring there, and no data can tell.
    """
    k = 2 / dt_s
    tau = max(abs(tau_s), dt_s / 2)
    b = sign * k / (1 + k * tau)
    return [b, -b, 0.0, (1 - k * tau) / (1 + k * tau), 0.0]
