"""How much of what a record seems to say of a sensor is made by the reference's noise."""

from __future__ import annotations

from math import comb
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.method import reference_noise
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.stages import Setup, Stage
from dyncal.models import SensorModel

_MOST: Final = 0.1  # of the information; sound records of all kinds have below 0.02, those that mislead above 0.5
_ORDERS: Final = (1, 2, 3, 4)
_FREQUENCIES: Final = 256
_LOWEST: Final = 1e-4  # of the sampling rate
_ACROSS: Final = np.tan(np.linspace(-1.5, 1.5, 31))  # half widths of a resonance


def made_by_noise(setup: Setup, stage: Stage) -> tuple[tuple[str, ...], float]:
    """Return the parameters that a record seems to determine by the reference's noise alone, and its largest share.

    A measurand far below a resonance moves the indication by next to nothing of damping and frequency. White noise σ of
    the reference then makes most of ψ, and of the information Σψψᵀ: per sample σ² times the mean of Re(∂H ∂Hᴴ) over
    frequency. The fit takes what it does not find of it in the indications for a sensor that does not show it. σ is no
    more than the reference's differences show, and no more than the residuals allow.
    """
    model, taken = setup.model, setup.taken
    p, dt_s = model.n_parameters, taken.dt_s
    eta = stage.h[:p]
    theta = model.from_internal(eta)
    f_hz = _frequencies(model, eta, dt_s)
    slope = model.jacobian(theta, f_hz) @ model.internal_jacobian(eta)
    slope = slope * (np.sinc(f_hz * dt_s) ** 2)[:, None]  # of straight lines between samples
    passed = reference_noise(model, eta, dt_s)
    hidden = float(np.sqrt(np.mean(stage.e**2))) / max(passed, 1e-300)
    sigma = min(_most_noise(taken.r), hidden)
    each_hz = np.gradient(f_hz)[:, None]
    made = stage.problem.n_y * sigma**2 * 2 * dt_s * np.real(slope.T.conj() @ (slope * each_hz))
    cov = inverse(stage.done.last.a[np.ix_(stage.core, stage.core)])[:p, :p]
    if not bool(np.all(np.isfinite(made)) and np.all(np.isfinite(cov))):
        return (), 0.0
    share = float(np.max(np.real(np.linalg.eigvals(cov @ made))))
    if share <= _MOST:
        return (), share
    own_u = (np.diag(cov @ made @ cov) / np.maximum(np.diag(cov), 1e-300)).tolist()
    return tuple(name for name, own in zip(model.names, own_u, strict=True) if own > max(own_u) / 2), share


def _frequencies(model: SensorModel, eta: FloatArray, dt_s: float) -> FloatArray:
    """Return frequencies up to half the sampling rate [Hz], dense where the response is narrow."""
    poles = np.linalg.eigvals(model.state_space(eta).a) / (2 * np.pi)
    across = (np.abs(poles.imag)[:, None] + np.abs(poles.real)[:, None] * _ACROSS).ravel()
    every = np.concatenate([np.geomspace(_LOWEST, 0.5, _FREQUENCIES) / dt_s, across])
    return np.unique(every[(every >= _LOWEST / dt_s) & (every <= 0.5 / dt_s)])


def _most_noise(reference: FloatArray) -> float:
    """Return the most that white noise can be: differences of order k have (2k over k) times its variance at least."""
    return min(float(np.sqrt(np.mean(np.diff(reference, k) ** 2) / comb(2 * k, k))) for k in _ORDERS)
