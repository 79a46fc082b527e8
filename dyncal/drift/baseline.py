"""What a block says by itself, and the baseline that training blocks make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from dyncal.domain.samples import FloatArray

_IMMENSE: Final = 1e60  # no parameter of a sensor; its fourth power is still a number


class BlockEvidence(Protocol):
    """What drift detection needs of a block (`dyncal.identification.records.BlockOutcome` has it)."""

    @property
    def to_ns(self) -> int:
        """Last instant of the block [ns]."""

    @property
    def excited(self) -> bool:
        """Whether the data say anything of the dynamics."""

    @property
    def rejected(self) -> bool:
        """Whether the block contradicts the model itself."""

    @property
    def theta(self) -> FloatArray:
        """Point of linearisation, shape (p,)."""

    @property
    def score(self) -> FloatArray:
        """Gradient of the block's log-likelihood there, shape (p,)."""

    @property
    def information(self) -> FloatArray:
        """Its curvature, shape (p, p)."""


def invert(matrix: FloatArray) -> FloatArray | None:
    """Return the inverse of a positive definite matrix of mixed units, None where it has none worth the name."""
    diagonal = np.diag(matrix)
    if not bool(np.all(np.isfinite(matrix))) or bool(np.any(diagonal <= 0)):
        return None
    scale = 1 / np.sqrt(diagonal)
    unit = matrix * np.outer(scale, scale)
    values, vectors = np.linalg.eigh((unit + unit.T) / 2)
    if values[0] < 1e-10:
        return None
    inverse: FloatArray = (vectors / values) @ vectors.T * np.outer(scale, scale)
    return inverse


def whitened(deviation: FloatArray, cov: FloatArray) -> FloatArray:
    """Return uncorrelated standard scores (p,) of a deviation with covariance (p, p), each near to its parameter.

    ``R^-1/2 D^-1 x`` with the correlations R and standard deviations D (ZCA-cor whitening: Kessy, Lewin & Strimmer, The
    American Statistician 72 (2018) 309).
    """
    scale = np.sqrt(np.diag(cov))
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    scores: FloatArray = (vectors / np.sqrt(np.maximum(values, 1e-10))) @ (vectors.T @ (deviation / scale))
    return scores


def block_estimate(block: BlockEvidence) -> tuple[FloatArray, FloatArray] | None:
    """Return θ̂_b = θ + I⁻¹s and its covariance I⁻¹, None where the block does not determine every parameter."""
    cov = invert(block.information)
    if cov is None or not bool(np.all(np.abs(block.score) < _IMMENSE)):
        return None
    theta = block.theta + cov @ block.score
    return (theta, cov) if bool(np.all(np.abs(theta) < _IMMENSE)) else None


@dataclass(frozen=True, eq=False)
class Baseline:
    """Information-weighted mean of n blocks: `information` ΣI (p, p) and `vector` ΣIθ̂ (p,)."""

    information: FloatArray
    vector: FloatArray
    n: int

    @classmethod
    def empty(cls, p: int) -> Baseline:
        """Return the baseline of no block."""
        return cls(np.zeros((p, p)), np.zeros(p), 0)

    def with_block(self, theta: FloatArray, information: FloatArray) -> Baseline:
        """Return the baseline with one more block."""
        return Baseline(self.information + information, self.vector + information @ theta, self.n + 1)

    @cached_property
    def cov(self) -> FloatArray | None:
        """Covariance of the mean, (p, p); None where there is nothing yet."""
        return invert(self.information)

    @cached_property
    def mean(self) -> FloatArray:
        """θ̄, (p,); NaN where there is nothing yet."""
        return np.full(self.vector.shape, np.nan) if self.cov is None else self.cov @ self.vector
