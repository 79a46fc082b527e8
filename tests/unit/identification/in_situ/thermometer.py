"""A resistance thermometer as a heated body, from its eigenvalues by root finding: not by the code under test."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import j0, j1, jn_zeros

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ import StepRecord

MODES = 150


def cylinder(biot: float, tau1_s: float) -> tuple[FloatArray, FloatArray]:
    """Return time constants [s] and eigenvalues β J1(β) = Bi J0(β) of the first 150 modes."""
    low, high = np.append(1e-9, jn_zeros(1, MODES - 1)), jn_zeros(0, MODES)
    beta = np.array([brentq(lambda b: b * j1(b) - biot * j0(b), a, b) for a, b in zip(low, high, strict=True)])
    return tau1_s * (beta[0] / beta) ** 2, beta


def transient(
    biot: float,
    *,
    seed: int,
    noise: float = 0.01,
    rise: float = 1.0,
    tau1_s: float = 5.0,
    radius: float = 0.2,
    n: int = 2000,
    dt_s: float = 0.02,
) -> StepRecord:
    """Return the response to a step of the current, heated and measured at one radius."""
    tau, beta = cylinder(biot, tau1_s)
    share = tau * j0(beta * radius) ** 2 / (j0(beta) ** 2 + j1(beta) ** 2)
    t = np.arange(n) * dt_s
    y = 20 + rise * (1 - np.exp(-t[:, None] / tau) @ (share / share.sum()))
    return StepRecord(np.round(t * 1e9).astype(np.int64), y + noise * np.random.default_rng(seed).normal(size=n), 0)


def plunge_time_constant(biot: float, tau1_s: float) -> float:
    """Return the time to 63.2 % at the centre after the fluid's temperature has stepped: the classical series."""
    tau, beta = cylinder(biot, tau1_s)
    weight = 2 * j1(beta) / (beta * (j0(beta) ** 2 + j1(beta) ** 2))
    return float(brentq(lambda t: float(weight @ np.exp(-t / tau)) - np.exp(-1.0), 1e-3 * tau1_s, 10 * tau1_s))
