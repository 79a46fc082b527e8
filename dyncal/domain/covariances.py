"""Whether a matrix can be a covariance, and its root.

Judged on the correlations, since parameters differ by many powers of ten; what decimal text and a designer's arithmetic
round is no reason to refuse.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

ROUNDING: Final = 1e-9
"""What correlations may lack in symmetry, and, times their number, in definiteness."""


def correlations(cov: FloatArray, what: str) -> tuple[FloatArray, FloatArray]:
    """Return the correlations, shape (n, n), exactly symmetric, and the standard deviations, shape (n,), of `cov`.

    Of a variable that is known exactly (variance 0) all correlations are 0, with itself too.

    Parameters
    ----------
    cov : float64, shape (n, n)
    what : str
        For the error's text.

    Raises
    ------
    InvalidData
        If it is not square, finite, symmetric and positive semidefinite, or a variable without variance has a
        covariance.
    """
    cov = np.asarray(cov, np.float64)
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1]:
        raise InvalidData(f"{what} must be a finite square matrix, not of shape {cov.shape}")
    if not bool(np.all(np.isfinite(cov))):
        raise InvalidData(f"{what} must be a finite square matrix, and holds NaN or infinity")
    variances = np.diag(cov)
    if bool(np.any(variances < 0)):
        worst = int(np.argmin(variances))
        raise InvalidData(f"{what} has a negative variance: {variances[worst]:g} of value {worst}")
    scale = np.sqrt(variances)
    outer = np.outer(scale, scale)
    if bool(np.any(cov[outer == 0] != 0)):
        raise InvalidData(f"{what} has a covariance beside a variance of zero")
    found = np.divide(cov, outer, out=np.zeros_like(cov), where=outer > 0)
    if not bool(np.all(np.abs(found - found.T) <= ROUNDING)):
        raise InvalidData(f"{what} is not symmetric")
    found = (found + found.T) / 2
    smallest = float(np.linalg.eigvalsh(found)[0]) if found.size else 0.0
    if not smallest >= -ROUNDING * max(len(found), 1):
        raise InvalidData(
            f"{what} is not positive semidefinite (indefinite: an eigenvalue of the correlations is {smallest:.3g})"
        )
    return found, scale


def root(cov: FloatArray, what: str) -> FloatArray:
    """Return F with Fᵀ F = cov, shape (n, n), from the eigenvalues of the correlations. Raises as `correlations`."""
    correlation, scale = correlations(cov, what)
    values, vectors = np.linalg.eigh(correlation) if scale.size else (scale, correlation)
    return np.asarray((np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) * scale)
