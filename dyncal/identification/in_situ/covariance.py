"""Covariance of what two sensors say of each other, the noise being estimated from the same data or known."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.problem import CrossRelation, Residuals


def covariance(
    problem: CrossRelation, at: Residuals, noise: FloatArray, u_clock_s: float, *, noise_known: bool
) -> FloatArray | None:
    """Return the covariance of x, shape (q, q); None where the data do not determine x and the noise together.

    x and, where they are estimated, the noise variances solve Σψ_k = 0 over the frequencies, so that their covariance
    is A⁻¹ B A⁻ᵀ with A = Σ∂ψ_k and B = Σψ_kψ_kᵀ (M-estimation: Stefanski & Boos, Am. Stat. 56 (2002) 29): it knows that
    the noise is in the Jacobian too, and that the split of noise between two sensors is found, not given. An offset of
    the clocks is considered: it moves x by -A⁻¹Σ∂ψ_k/∂δ.
    """
    q = at.x.size
    size = q if noise_known else q + 2
    point = np.concatenate([at.x, noise])[:size]

    def scores(z: FloatArray) -> FloatArray | None:
        there_noise = noise if noise_known else z[q:]
        there = problem.evaluate(z[:q], there_noise)
        return None if there is None else _scores(there, there_noise)[:, :size]

    here = scores(point)
    if here is None:
        return None
    a = np.empty((point.size, point.size))
    scale = 1 / np.sqrt(np.maximum(np.sum(here**2, axis=0), 1e-300))
    for i in range(point.size):
        step = np.zeros(point.size)
        # a fraction of the standard deviation that the parameter would have alone
        step[i] = 0.1 * min(float(scale[i]), 1.0) if i < q else 0.1 * float(scale[i])
        above, below = scores(point + step), scores(point - step)
        if above is None or below is None:
            return None
        a[:, i] = (above.sum(axis=0) - below.sum(axis=0)) / (2 * step[i])
    b = here.T @ here
    # few frequencies hold most of what is known of the gain: their scatter would be taken too small from so few
    b[:q, :q] = at.jacobian.T @ at.jacobian
    shift = np.zeros(point.size)
    shift[:q] = at.jacobian.T @ at.lag * u_clock_s
    return _sandwich(a, b + np.outer(shift, shift), q)


def _scores(at: Residuals, noise: FloatArray) -> FloatArray:
    """Return ψ_k of x and of the noise, shape (n_f, q + 2)."""
    n = at.noise.shape[1]
    by_x = at.e[:n, None] * at.jacobian[:n] + at.e[n:, None] * at.jacobian[n:]
    by_noise = at.weight * (at.noise - noise[:, None])
    return np.concatenate([by_x, by_noise.T], axis=1)


def _sandwich(a: FloatArray, b: FloatArray, q: int) -> FloatArray | None:
    scale = np.sqrt(np.maximum(np.abs(np.diag(b)), 1e-300))
    unit = a / np.outer(scale, scale)
    if not bool(np.all(np.isfinite(unit))):
        return None
    try:
        inverse = np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        return None
    cov = inverse @ (b / np.outer(scale, scale)) @ inverse.T / np.outer(scale, scale)
    return np.asarray((cov + cov.T)[:q, :q] / 2)
