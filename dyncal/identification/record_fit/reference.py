"""What is not known of the reference: the clock, the offset, the gain; and what that does to θ."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

MOST_INFLATION: Final = 2.0
"""Beyond it an unknown of the reference is not estimated: the data would hardly tell it from the sensor's lag."""


def inverse(information: FloatArray) -> FloatArray:
    """Invert an information matrix, scaled to a unit diagonal so that units do not matter; tiny ridge for the rank."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-200))
    unit = information * np.outer(scale, scale)
    result: FloatArray = np.linalg.inv(unit + 1e-14 * np.eye(scale.size)) * np.outer(scale, scale)
    return (result + result.T) / 2


def inflation(a: FloatArray, core: Int64Array, judged: Int64Array, unknown: int) -> float:
    """Return by how much freeing the coordinate `unknown`, without a prior, multiplies a standard uncertainty at most.

    Parameters
    ----------
    a : float64, shape (m, m)
        Information, up to a factor.
    core, judged : int64 arrays
        Coordinates that are estimated anyway; those of them whose uncertainty is looked at.
    """
    own = a[unknown, unknown]
    if not own > 0:
        return float("inf")
    cov = inverse(a[np.ix_(core, core)])
    pull = cov @ a[core, unknown]
    left = own - a[unknown, core] @ pull
    # what the other coordinates cannot imitate is all that tells the unknown
    if left <= 1e-9 * own:
        return float("inf")
    ratio = 1 + pull**2 / (left * np.diag(cov))
    return float(np.sqrt(np.max(ratio[np.isin(core, judged)], initial=1.0)))


def considered(a: FloatArray, core: Int64Array, unknown: int) -> FloatArray:
    """Return ∂ĥ/∂(unknown) of the estimate in `core` while the unknown stays at its mean, shape (n_core,).

    The normal equations A δh = Σψe with e short of ψ_u δu (Schmidt; Jazwinski, Stochastic Processes and Filtering
    Theory, 8.4).
    """
    result: FloatArray = -inverse(a[np.ix_(core, core)]) @ a[core, unknown]
    return result
