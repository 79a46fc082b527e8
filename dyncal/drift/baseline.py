"""What a block says by itself, and the baseline that training blocks make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift import kernels


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
    out = np.empty(matrix.shape)
    return out if kernels.inverse(np.array(matrix, dtype=np.float64, order="C"), out) else None


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
