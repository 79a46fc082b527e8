"""Whether a matrix from outside can be a covariance."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_TOLERANCE: Final = 1e-9


def checked_covariance(cov: FloatArray, what: str, positive: tuple[str, ...] = ()) -> FloatArray:
    """Return `cov`, shape (n, n), made exactly symmetric.

    Parameters
    ----------
    what : str
        For the error's text.
    positive : tuple of str
        Names of the variables if none of them may be exactly known; the result is then positive definite, if need be by
        a share of 1e-12 on the diagonal.

    Raises
    ------
    InvalidData
        If it is not square, finite, symmetric and positive semidefinite, each to 1e-9 of the variances.
    """
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1] or not bool(np.all(np.isfinite(cov))):
        raise InvalidData(f"{what} must be a finite square matrix, not of shape {cov.shape}")
    variances = np.diag(cov)
    if bool(np.any(variances < 0)):
        raise InvalidData(f"{what} has a negative variance")
    for name, variance in zip(positive, variances.tolist(), strict=False):
        if variance == 0:
            raise InvalidData(f"{what}: {name} has no uncertainty")
    scale = np.where(variances > 0, np.sqrt(variances), 1.0)
    correlation = cov / scale[:, None] / scale
    if not bool(np.all(np.abs(correlation - correlation.T) <= _TOLERANCE)):
        raise InvalidData(f"{what} is not symmetric")
    correlation = (correlation + correlation.T) / 2
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if smallest < -_TOLERANCE:
        raise InvalidData(f"{what} is indefinite: an eigenvalue of the correlation is {smallest:g}")
    if positive and smallest < 1e-12:
        correlation = correlation + np.eye(len(cov)) * (1e-12 - min(smallest, 0.0))
    return scale[:, None] * correlation * scale
