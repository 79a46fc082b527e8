"""Monte Carlo of a digital filter whose coefficients are uncertain (Eichstädt et al., Metrologia 49 (2012) 401)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.random import Generator

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.inputs import MultivariateNormal
from dyncal.uncertainty.kernels import filter_lanes
from dyncal.uncertainty.procedure import simulate
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.settings import MonteCarloSettings

_ON_CIRCLE: Final = 1.0


def filter_monte_carlo(
    b: FloatArray,
    a: FloatArray,
    cov: FloatArray,
    x: FloatArray,
    u_x: FloatArray | float,
    *,
    seed: int,
    settings: MonteCarloSettings | None = None,
) -> MonteCarloResult:
    """Propagate uncertain coefficients and white noise of the input through a filter; outputs are the samples.

    Parameters
    ----------
    b : float64, shape (n_b,)
    a : float64, shape (n_a,)
        With a[0] = 1; ``[1.0]`` for an FIR filter.
    cov : float64, shape (n_a - 1 + n_b, n_a - 1 + n_b)
        Covariance of (a[1:], b), drawn from a normal distribution.
    x : float64, shape (n,)
        The filter starts at rest at zero.
    u_x : float64, shape (n,), or float
        Standard uncertainty of the input's noise, independent from sample to sample.

    Raises
    ------
    InvalidData
        If shapes do not fit, numbers are not finite, the covariance is none, or a filter that was drawn is unstable
        (`MonteCarloSettings.max_invalid_share` may allow some: those draws are counted and left out).
    """
    coefficients, n_a = _checked_coefficients(b, a, cov)
    signal, noise = _checked_signal(x, u_x)
    order = max(n_a, np.size(b)) - 1

    def simulation(rng: Generator, m: int) -> FloatArray:
        drawn = coefficients.draw(rng, m).T
        feedback, forward = np.zeros((order, m)), np.zeros((order + 1, m))
        feedback[: n_a - 1], forward[: np.size(b)] = drawn[: n_a - 1], drawn[n_a - 1 :]
        outputs = rng.standard_normal((signal.size, m))
        outputs *= noise
        filter_lanes(signal, outputs, forward, feedback, np.zeros((order, m)))
        outputs[:, ~stable(feedback)] = np.nan
        return outputs

    return simulate(simulation, seed=seed, settings=settings)


def stable(feedback: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return whether 1 + a1 z⁻¹ + … has all roots inside the unit circle, for a (order, m), shape (m,).

    By the step-down recursion (Jury; Åström, *Introduction to Stochastic Control Theory*, 5.3): all reflection
    coefficients below 1 in size.
    """
    rows = np.array(feedback, dtype=np.float64)
    inside = np.ones(rows.shape[1], np.bool_)
    with np.errstate(all="ignore"):  # what divides by zero is unstable already
        for order in range(rows.shape[0], 0, -1):
            k = rows[order - 1].copy()
            inside &= np.abs(k) < _ON_CIRCLE
            rows = (rows[: order - 1] - k * rows[: order - 1][::-1]) / (1 - k * k)
    return inside


def _checked_coefficients(b: FloatArray, a: FloatArray, cov: FloatArray) -> tuple[MultivariateNormal, int]:
    forward, feedback = np.asarray(b, np.float64), np.asarray(a, np.float64)
    if forward.ndim != 1 or feedback.ndim != 1 or forward.size < 1 or feedback.size < 1:
        raise InvalidData(f"coefficients have one dimension, not shapes {forward.shape} and {feedback.shape}")
    if feedback[0] != 1:
        raise InvalidData(f"a filter has a[0] = 1, not {feedback[0]}")
    coefficients = MultivariateNormal(np.concatenate([feedback[1:], forward]), cov)
    if not bool(stable(feedback[1:, None])[0]):
        raise InvalidData("the filter is not stable")
    return coefficients, int(feedback.size)


def _checked_signal(x: FloatArray, u_x: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    signal = np.ascontiguousarray(x, dtype=np.float64)
    noise = np.asarray(u_x, dtype=np.float64)
    if signal.ndim != 1 or signal.size == 0 or noise.shape not in {(), signal.shape}:
        raise InvalidData(f"an input of shape {signal.shape} with noise of shape {noise.shape}")
    if not bool(np.all(np.isfinite(signal)) and np.all(np.isfinite(noise)) and np.all(noise >= 0)):
        raise InvalidData("input and noise must be finite, and the noise not negative")
    return signal, noise if noise.ndim == 0 else noise[:, None]
