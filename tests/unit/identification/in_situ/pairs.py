"""Two sensors on one measurand that moves between the samples too: simulated eight times finer than it is sampled."""

from __future__ import annotations

import numpy as np
from scipy.signal import cont2discrete, lfilter, lfilter_zi

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ import PairRecord

FINE = 8
BEFORE = 1500


def pair(
    seed: int,
    kinds: tuple[ModelKind, ModelKind],
    theta: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    snr_db: float = 40.0,
    n: int = 6000,
    dt_s: float = 0.01,
    correlation_s: float = 0.2,
) -> PairRecord:
    """Return records of both sensors, each with white noise at `snr_db`."""
    rng = np.random.default_rng(seed)
    pole = np.exp(-dt_s / FINE / correlation_s)
    u = lfilter([1.0], [1.0, -pole], rng.normal(size=(n + BEFORE) * FINE))
    u = u / u.std() + 3
    seen = [_noisy(response(kind, t, dt_s / FINE, u), snr_db, n, rng) for kind, t in zip(kinds, theta, strict=True)]
    return PairRecord(np.arange(n) * round(dt_s * 1e9), seen[0], seen[1])


def response(kind: ModelKind, theta: tuple[float, ...], dt_s: float, u: FloatArray) -> FloatArray:
    """Return a sensor's indication by scipy, not by the code under test."""
    if kind is ModelKind.FIRST_ORDER:
        numerator, denominator = [theta[0]], [theta[1], 1.0]
    else:
        omega = 2 * np.pi * theta[2]
        numerator, denominator = [theta[0] * omega**2], [1.0, 2 * theta[1] * omega, omega**2]
    b, a, _ = cont2discrete((np.array(numerator), np.array(denominator)), dt_s, "foh")
    b = np.ravel(b)
    return np.asarray(lfilter(b, a, u, zi=lfilter_zi(b, a) * u[0])[0])


def _noisy(y: FloatArray, snr_db: float, n: int, rng: np.random.Generator) -> FloatArray:
    seen = y[BEFORE * FINE :: FINE][:n]
    return np.asarray(seen + seen.std() * 10 ** (-snr_db / 20) * rng.normal(size=seen.size))
