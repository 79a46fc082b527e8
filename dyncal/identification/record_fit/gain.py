"""The innovation gain of a batch fit: a Kalman filter at rest, and how it moves with every coordinate.

As in the online estimator, what the reference does not show of the measurand reaches the sensor like a white input of
variance v a sample, and the sensor adds noise of variance R; κ = ln(v/R) is the one coordinate of the noise. Here K
follows η too, so that the fit is a prediction-error estimate without approximations.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models import Hold, SensorModel

NO_NOISE: Final = 40.0
"""As -κ: output error; there K is 0 to the last digit, and is not computed."""
_PIECES: Final = 4
_DOUBLINGS: Final = 60
_STEP: Final = 1e-5


def gain_and_slope(model: SensorModel, eta: FloatArray, kappa: float, h_s: float) -> tuple[FloatArray, FloatArray]:
    """Return K (n,) and its derivatives in (η, κ), (n, p + 1), n = max(1, n_states); central differences."""
    n, p = max(1, model.n_states), eta.size
    if kappa <= -NO_NOISE:
        return np.zeros(n), np.zeros((n, p + 1))
    steps = _STEP * np.concatenate([np.maximum(np.abs(eta), 0.1), [1.0]])
    shifts = np.vstack([np.zeros(p + 1), np.diag(steps), -np.diag(steps)])
    points = np.append(eta, kappa) + shifts
    phi, q = zip(*(one_interval(model, point[:p], h_s, n) for point in points), strict=True)
    c = np.asarray(model.output)[:n]
    gains = gain_at_rest(np.array(phi), np.array(q) * np.exp(points[:, p])[:, None, None], c)
    return gains[0], ((gains[1 : p + 2] - gains[p + 2 :]) / (2 * steps[:, None])).T


def one_interval(model: SensorModel, eta: FloatArray, h_s: float, n: int) -> tuple[FloatArray, FloatArray]:
    """Return Φ and Q of one interval for a white input of variance 1 a sample."""
    parts = model.discretise(eta, h_s * np.arange(1, _PIECES + 1) / _PIECES, Hold.ZERO)
    # step responses after 1/4 … 4/4 of an interval: their differences are what noise in each quarter does
    reach = np.diff(parts.gamma[:, :n, 0], axis=0, prepend=0.0)
    return parts.phi[-1, :n, :n], _PIECES * reach.T @ reach


def gain_at_rest(phi: FloatArray, q: FloatArray, c: FloatArray) -> FloatArray:
    """Return K = P cᵀ/(c P cᵀ + 1) of the stabilising P = Φ(P - K c P)Φᵀ + Q, shape (m, n).

    Structure-preserving doubling (Chu, Fan & Lin, Linear Algebra Appl. 396 (2005) 55): quadratic convergence, and no
    step that could leave the positive definite matrices.

    Parameters
    ----------
    phi, q : float64, shape (m, n, n)
    c : float64, shape (n,)
    """
    eye = np.eye(c.size)
    a, g, p = phi.swapaxes(-1, -2), np.broadcast_to(np.outer(c, c), phi.shape), q
    for _ in range(_DOUBLINGS):
        w = np.linalg.inv(eye + g @ p)
        aw = a @ w
        grown = a.swapaxes(-1, -2) @ p @ w @ a
        g = g + aw @ g @ a.swapaxes(-1, -2)
        a = aw @ a
        p = p + (grown + grown.swapaxes(-1, -2)) / 2
        if bool(np.all(np.abs(grown).max(axis=(-1, -2)) <= 1e-15 * np.abs(p).max(axis=(-1, -2)))):
            break
    pc = p @ c
    gains: FloatArray = pc / (pc @ c + 1)[:, None]
    return gains
