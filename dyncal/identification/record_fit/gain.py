"""The innovation gain of a batch fit: a Kalman filter at rest, and how it moves with every coordinate.

As in the online estimator, what the reference does not show of the measurand reaches the sensor like a white input of
variance v a sample, and the sensor adds noise of variance R; κ = ln(v/R) is the one coordinate of the noise. Here K
follows η too, so that the fit is a prediction-error estimate without approximations.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models import Hold, SensorModel

NO_NOISE: Final = 40.0
"""As -κ: output error; there K is 0 to the last digit, and is not computed."""
_PIECES: Final = 4
_DOUBLINGS: Final = 60
_STEP: Final = 1e-5


def gain_and_slope(
    model: SensorModel, eta: FloatArray, kappa: float, h_s: float, interval: Interval | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return K (n,) and its derivatives in (η, κ), (n, p + 1), n = max(1, n_states).

    `interval` is `interval_of` the same η, where that is known.
    """
    n, p = max(1, model.n_states), eta.size
    if kappa <= -NO_NOISE:
        return np.zeros(n), np.zeros((n, p + 1))
    phi, q, dphi, dq = interval or interval_of(model, eta, h_s)
    steps = _STEP * np.concatenate([np.maximum(np.abs(eta), 0.1), [1.0]])
    # along the exact derivatives of Φ and Q: one discretisation serves all differences
    along = np.concatenate([np.zeros((1, n, n)), dphi, np.zeros((1, n, n))])
    dq = np.concatenate([np.zeros((1, n, n)), dq, q[None]])
    sizes = np.concatenate([[0.0], steps])[:, None, None]
    phis = np.concatenate([phi + sizes * along, phi - sizes * along])
    qs = np.exp(kappa) * np.concatenate([q + sizes * dq, q - sizes * dq])
    gains = gain_at_rest(phis, qs, np.asarray(model.output)[:n])
    above, below = gains[1 : p + 2], gains[p + 3 :]
    return gains[0], ((above - below) / (2 * steps[:, None])).T


Interval: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def interval_of(model: SensorModel, eta: FloatArray, h_s: float) -> Interval:
    """Return Φ and Q of one interval, (n, n), and their derivatives in η, (p, n, n), for a white input.

    Its variance is 1 a sample.
    """
    n = max(1, model.n_states)
    parts = model.discretise(eta, h_s * np.arange(1, _PIECES + 1) / _PIECES, Hold.ZERO)
    # step responses after 1/4 … 4/4 of an interval: their differences are what noise in each quarter does
    reach = np.diff(parts.gamma[:, :n, 0], axis=0, prepend=0.0)
    dreach = np.diff(parts.dgamma[:, :, :n, 0], axis=0, prepend=0.0)
    half = np.einsum("kpi,kj->pij", dreach, reach)
    return (
        parts.phi[-1, :n, :n],
        _PIECES * reach.T @ reach,
        parts.dphi[-1, :, :n, :n],
        _PIECES * (half + half.swapaxes(1, 2)),
    )


def one_interval(model: SensorModel, eta: FloatArray, h_s: float) -> tuple[FloatArray, FloatArray]:
    """Return Φ and Q of one interval, (n, n), for a white input of variance 1 a sample."""
    return interval_of(model, eta, h_s)[:2]


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
