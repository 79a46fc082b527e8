"""Coverage regions of several outputs together (JCGM 102, 7.7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.procedure import Draws, Simulation
from dyncal.uncertainty.result import MonteCarloResult


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The hyper-ellipsoid and the hyper-rectangle about the estimates that hold a share of the draws.

    Attributes
    ----------
    value, u : float64, shape (n,)
    cov : float64, shape (n, n)
    k_ellipsoid : float
        (η - y)ᵀ cov⁻¹ (η - y) ≤ k² (7.7.2); √ of a χ² quantile for normal outputs.
    k_rectangle : float
        |η_j - y_j| ≤ k u_j for all j (7.7.3).
    coverage : float
    """

    value: FloatArray
    u: FloatArray
    cov: FloatArray
    k_ellipsoid: float
    k_rectangle: float
    coverage: float

    def in_ellipsoid(self, points: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which of the points (m, n) the ellipsoid holds, shape (m,)."""
        distance = _distance(np.asarray(np.linalg.cholesky(self.cov)), (np.asarray(points) - self.value).T)
        return np.asarray(distance <= self.k_ellipsoid)

    def in_rectangle(self, points: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which of the points (m, n) the rectangle holds, shape (m,)."""
        return np.asarray(np.all(np.abs(np.asarray(points) - self.value) <= self.k_rectangle * self.u, axis=1))


def coverage_regions(simulation: Simulation, result: MonteCarloResult) -> Regions:
    """Repeat the draws of `result` and return the regions for its coverage probability.

    Memory: two numbers a draw.

    Parameters
    ----------
    simulation : callable
        The one that `result` was made with (`simulation_of` for inputs and a model).
    result : MonteCarloResult
        With covariance.

    Raises
    ------
    InvalidData
        If the result has no covariance, or the outputs depend on each other linearly, so that there is no ellipsoid.
    """
    if result.cov is None:
        raise InvalidData("regions need a result with covariance: MonteCarloSettings(covariance=True)")
    if not bool(np.all(result.u > 0)):
        raise InvalidData(f"output {int(np.argmin(result.u))} does not vary: there is no region of all outputs")
    correlation = result.cov / np.outer(result.u, result.u)
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if smallest < 1e-10 * correlation.shape[0]:
        raise InvalidData(
            f"outputs depend on each other linearly: an eigenvalue of their correlations is {smallest:.2g}"
        )
    root: FloatArray = np.asarray(np.linalg.cholesky(result.cov))
    draws = Draws(simulation, result.seed, result.settings)
    ellipsoid, rectangle = [], []
    for number in range(1, result.n_blocks + 1):
        for values in draws.batches(number):
            deviation = values[:, np.isfinite(values).all(axis=0)] - result.value[:, None]
            ellipsoid.append(_distance(root, deviation))
            rectangle.append(np.max(np.abs(deviation) / result.u[:, None], axis=0))
    rank = math.ceil(result.coverage * result.n_draws) - 1
    return Regions(
        result.value,
        result.u,
        result.cov,
        _ranked(np.concatenate(ellipsoid), rank),
        _ranked(np.concatenate(rectangle), rank),
        result.coverage,
    )


def _distance(root: FloatArray, deviation: FloatArray) -> FloatArray:
    from scipy.linalg import solve_triangular  # noqa: PLC0415 - only where regions are asked for

    return np.asarray(np.linalg.norm(solve_triangular(root, deviation, lower=True), axis=0))


def _ranked(values: FloatArray, rank: int) -> float:
    return float(np.partition(values, rank)[rank])
