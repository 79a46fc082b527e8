"""From the modes of internal heating to the response to a plunge."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import jn_zeros

from dyncal.domain.samples import FloatArray

REACHED: Final = 1 - np.exp(-1.0)
_MODES: Final = 60
_EQUAL: Final = 1e-6


def step_response(tau_s: FloatArray, t_s: FloatArray) -> FloatArray:
    """Return the response of Π 1/(1 + τ_i s) to a unit step at times t [s], shape (n,); τ (m,) distinct."""
    others = tau_s[:, None] - tau_s[None, :]
    np.fill_diagonal(others, tau_s)
    residue = np.prod(tau_s[:, None] / others, axis=1)
    return np.asarray(1 - np.exp(-np.asarray(t_s)[:, None] / tau_s) @ residue)


def time_constant(tau_s: FloatArray) -> float:
    """Return the time [s] in which Π 1/(1 + τ_i s) comes to 63.2 % of a step."""
    apart = _apart(np.sort(np.asarray(tau_s, dtype=np.float64))[::-1])
    high = float(np.sum(apart))  # the mean delay: a step is beyond 63.2 % there, or just before
    return float(
        brentq(lambda t: float(step_response(apart, np.array([t]))[0]) - REACHED, 0.0, 3 * high, xtol=1e-12 * high)
    )


def body_time_constant(tau_s: FloatArray) -> float:
    """Return `time_constant` for the first m of a body's modes, τ_i ∝ 1/i² from there on: these only delay."""
    return time_constant(tau_s) + float(tau_s[-1]) * (tau_s.size - 0.75)


def _apart(tau_s: FloatArray) -> FloatArray:
    """Return time constants none of which equal each other, where residues would be infinite."""
    apart = tau_s.copy()
    for i in range(1, apart.size):
        apart[i] = min(apart[i], apart[i - 1] * (1 - _EQUAL))
    return apart


def unseen(tau_s: FloatArray) -> float:
    """Return the largest share of τ1 that modes faster than the m resolved ones can add to the plunge time constant.

    The time to 63.2 % is, but for what has died out, τ1 [1 - Σ ln(1 - τ_i/τ1)] (Kerlin, Miller & Hashemian, ISA
    Transactions 17 (1978) 71). Modes of heat conduction follow each other at least as fast as in a solid cylinder whose
    surface follows the fluid, τ_i ∝ 1/j_{0,i}²; so those beyond the m-th add at most
    -Σ_k ln(1 - (τ_m/τ1)(j_{0,m}/j_{0,m+k})²).
    """
    zeros = jn_zeros(0, _MODES)
    m = tau_s.size
    ordered = np.sort(tau_s)[::-1]
    ratio = ordered[-1] / ordered[0] * (zeros[m - 1] / zeros[m:]) ** 2
    rest = ordered[-1] / ordered[0] * zeros[m - 1] ** 2 / (np.pi**2 * _MODES)  # of the sum of 1/(iπ)² from there on
    return float(-np.sum(np.log1p(-ratio)) + rest)
