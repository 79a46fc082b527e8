"""What is carried from block to block: coordinates, information, noise; and how it is renewed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.block import Fit, Pass, Prior

_WEAK: Final = 1e-6  # share of the information that survives a reset
_SHORTER: Final = 0.2  # share that survives when the blocks keep disagreeing in one direction
_MEAN_WEIGHT: Final = 0.25
_DISPERSION_WEIGHT: Final = 0.04
_MOST_EXCESS: Final = 8.0
_P_JUMP: Final = 3.7e-6  # D > 25 for two coordinates (docs/metrology.md)
_P_TREND: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Knowledge after some blocks; m coordinates, of which p are the model's.

    Attributes
    ----------
    h : float64, shape (m,)
    information : float64, shape (m, m)
    considered : float64, shape (m, 2)
        ∂h/∂(reference offset, clock offset), to first order: what these, unknown, have done to `h`.
    variance : float
        Of the innovations.
    dof : float
        Degrees of freedom that `variance` rests on.
    trend : float64, shape (p,)
        Running mean of the whitened disagreement of new blocks.
    dispersion : float
        Running ratio, not below 1, of the blocks' disagreement to what their information claims (Birge); more than 1
        where the innovations are not white, as when the reference aliases. Information is divided by it.
    """

    h: FloatArray
    information: FloatArray
    considered: FloatArray
    variance: float
    dof: float
    trend: FloatArray
    dispersion: float = 1.0

    @property
    def effective(self) -> float:
        """Variance that turns Gram matrices into information."""
        return self.variance * self.dispersion

    @property
    def prior(self) -> Prior:
        """What the next block is fitted around."""
        return Prior(self.h, self.information, self.effective)

    @property
    def cov(self) -> FloatArray:
        """Covariance of `h`, (m, m), without the systematic contributions."""
        return inverse(self.information)


def inverse(information: FloatArray) -> FloatArray:
    """Invert an information matrix, scaled to a unit diagonal so that units do not matter."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    unit = information * np.outer(scale, scale)
    result: FloatArray = np.linalg.inv(unit + 1e-13 * np.eye(scale.size)) * np.outer(scale, scale)
    return (result + result.T) / 2


def block_variance(first: Pass, variance: float, n: int) -> float:
    """Return the noise variance to weigh a block with: its own where it is clearly noisier than those before."""
    unit, scale = _scaled(first.a)
    free = first.sse - float(first.b / scale @ np.linalg.solve(unit, first.b / scale))
    own = max(free, 0.0) / max(n - first.h.size, 1)
    return own if own > 2 * variance else variance


def disagreement(first: Pass, prior: Prior, p: int) -> FloatArray:
    """Return the whitened gradient of a block at the prior, (p,), standard normal while nothing has changed.

    It is that of the model's coordinates alone: the noise coordinate is nearly orthogonal to them, and its own score is
    skewed where there is no input noise to be found. Its squared norm is D = bᵀ(A + A P A)⁻¹b
    with A = ΣψψT/σ², b = Σψe/σ² (docs/metrology.md).
    """
    a, b = first.a[:p, :p] / prior.variance, first.b[:p] / prior.variance
    scale = np.sqrt(np.maximum(np.diag(a), 1e-300))
    unit, cov = a / np.outer(scale, scale), inverse(prior.information)[:p, :p] * np.outer(scale, scale)
    spread = unit + unit @ cov @ unit + 1e-12 * np.eye(scale.size)
    return np.asarray(np.linalg.solve(np.linalg.cholesky(spread), b / scale), dtype=np.float64)


def jumped(white: FloatArray, limit: float) -> bool:
    """Tell whether one block alone contradicts the past."""
    return float(white @ white) > limit


def weakened(posterior: Posterior, p: int, floor: FloatArray, share: float = _WEAK) -> Posterior:
    """Return the posterior with only a share of its information, and `floor` on the noise coordinate.

    Of that one nothing is given up: a sensor that changes does not change the reference's noise, and a free K would
    take the change for noise of the input.
    """
    keep = np.full(posterior.h.size, np.sqrt(share))
    keep[p:] = 1.0
    information = posterior.information * np.outer(keep, keep)
    information[p:, p:] += floor
    return replace(
        posterior,
        information=information,
        trend=np.zeros_like(posterior.trend),
    )


def followed(posterior: Posterior, white: FloatArray, p: int, floor: FloatArray, limit: float) -> Posterior:
    """Return the posterior with `white` in its running means, and a shorter memory where their mean shows a trend."""
    excess = min(float(white @ white) / white.size, _MOST_EXCESS) - 1
    dispersion = max(posterior.dispersion * (1 + _DISPERSION_WEIGHT * excess), 1.0)
    posterior = replace(posterior, dispersion=dispersion)
    trend = (1 - _MEAN_WEIGHT) * posterior.trend + _MEAN_WEIGHT * white
    if float(trend @ trend) * (2 - _MEAN_WEIGHT) / _MEAN_WEIGHT > limit:
        return weakened(posterior, p, floor, _SHORTER)
    return replace(posterior, trend=trend)


def renewed(before: Posterior, fit: Fit, variance: float, n: int, memory_blocks: float) -> Posterior:
    """Take a fitted block in: L ← F(L) + A, and what the considered disturbances do to the new estimate."""
    a = fit.last.a / variance
    kept = forgotten(before.information, a, 1 / memory_blocks)
    information = kept + a
    p = inverse(information)
    considered = p @ (kept @ before.considered - fit.last.cross / variance)
    dof = min(before.dof, 40.0 * n) + n
    own = fit.sse / max(n - 1, 1)
    pooled = before.variance + (own - before.variance) * n / dof
    return Posterior(fit.h, information, considered, pooled, dof, before.trend, before.dispersion)


def forgotten(information: FloatArray, new: FloatArray, rate: float) -> FloatArray:
    """Return L without the share that the new information replaces, direction by direction.

    With A v = a L v, the direction v loses min(a, rate): never more than comes in, so that nothing is forgotten while
    nothing is learnt, and the covariance cannot blow up.
    """
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    root = np.linalg.cholesky(information / np.outer(scale, scale) + 1e-13 * np.eye(scale.size))
    half = np.linalg.solve(root, new / np.outer(scale, scale))
    shares, directions = np.linalg.eigh(np.linalg.solve(root, half.T))
    lose = np.clip(shares, 0.0, rate)
    turned = root @ directions
    kept: FloatArray = (turned * (1 - lose)) @ turned.T * np.outer(scale, scale)
    return (kept + kept.T) / 2


def _scaled(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    scale = np.sqrt(np.maximum(np.diag(a), 1e-300))
    return a / np.outer(scale, scale) + 1e-12 * np.eye(scale.size), scale


def limits(m: int) -> tuple[float, float]:
    """Return the limits of D for a jump and for a trend, for m coordinates."""
    from scipy.special import chdtri  # noqa: PLC0415 - not needed where estimates are only read

    return float(chdtri(m, _P_JUMP)), float(chdtri(m, _P_TREND))
