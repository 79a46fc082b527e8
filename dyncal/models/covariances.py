"""Covariances from outside, made fit for inversion."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_POSITIVE: Final = 1e-12  # least eigenvalue of the correlations of what is uncertain in every direction


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
        As `dyncal.domain.covariances.correlations`, or if one of `positive` has no variance.
    """
    correlation, scale = correlations(cov, what)
    for name, deviation in zip(positive, scale.tolist(), strict=False):
        if deviation == 0:
            raise InvalidData(f"{what}: {name} has no uncertainty")
    if positive:
        smallest = float(np.linalg.eigvalsh(correlation)[0])
        if smallest < _POSITIVE:
            correlation = correlation + np.eye(len(cov)) * (_POSITIVE - min(smallest, 0.0))
    return scale[:, None] * correlation * scale
