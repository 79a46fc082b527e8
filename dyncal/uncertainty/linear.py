"""The law of propagation of uncertainty (GUM 5.1 and 5.2; JCGM 102, 6.2) for any model, by central differences."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain import covariances
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.procedure import Model
from dyncal.uncertainty.validation import GumResult

_STEP: Final = 0.01


def propagate(model: Model, values: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the outputs for the estimates, shape (n,), and their covariance, shape (n, n).

    Parameters
    ----------
    model : callable
        (m, p) → (m, n) or (m,), as `dyncal.uncertainty.monte_carlo` takes it.
    values : float64, shape (p,)
    cov : float64, shape (p, p)
        Differences are taken along its principal directions, a hundredth of a standard uncertainty long.

    Raises
    ------
    InvalidData
        If cov is no covariance, or the model gives something that is not finite.
    """
    mean = np.asarray(values, dtype=np.float64)
    if mean.ndim != 1 or np.shape(cov) != (mean.size, mean.size):
        raise InvalidData(f"values {mean.shape} and covariance {np.shape(cov)} do not go together")
    steps = _STEP * covariances.root(np.asarray(cov, dtype=np.float64), "a covariance")
    points = np.concatenate([mean[None, :], mean + steps, mean - steps])
    outputs = np.asarray(model(points), dtype=np.float64)
    if outputs.shape[:1] != (points.shape[0],) or not bool(np.all(np.isfinite(outputs))):
        raise InvalidData(f"the model gives no finite numbers near the estimates, or not {points.shape[0]} rows")
    rows = outputs.reshape(points.shape[0], -1)
    effects = (rows[1 : 1 + mean.size] - rows[1 + mean.size :]) / (2 * _STEP)
    return rows[0], effects.T @ effects


def gum(model: Model, values: FloatArray, cov: FloatArray) -> GumResult:
    """Return what `propagate` gives as estimates with standard uncertainties, for `validate`."""
    y, cov_y = propagate(model, values, cov)
    return GumResult(y, np.sqrt(np.diag(cov_y)))
