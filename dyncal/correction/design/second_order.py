"""How far first-order propagation of the parameters' uncertainty holds.

For a true θ + δ the corrected value is (ρ - 1) u off, ρ = H(θ + δ)/H(θ), while u_par² = cᵀ U c is computed from what
the filter gives, ρ u. The ratio of the two, on average over δ ~ N(0, U) and the signal's spectrum P,

    κ² = E Σ P |ρ - 1|² / E Σ P |ρ|² ℓᴴ U ℓ,     ℓ = ∂ln H/∂θ,

is 1 + O(U): 1.01 at 5 %, 1.15 at 20 % of a time constant. The expectation is taken by the rule of degree 5 for Gaussian
weight (McNamee & Stenger, Numer. Math. 10 (1967) 327), which is exact to the second order. A sensor is linear in its
gain, for which the first order is enough: it is left out.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction.design.sensor import Sensor
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_MOST_POINTS: Final = 1 << 10


def ratio(sensor: Sensor, cov: FloatArray, omega: FloatArray, power: FloatArray) -> float:
    """Return κ; 1 without uncertainty, NaN where the parameters are so uncertain that some are impossible.

    Parameters
    ----------
    sensor : Sensor
    cov : float64, shape (p, p)
    omega : float64, shape (n,)
        Frequencies [rad/s].
    power : float64, shape (n,)
        Power of the corrected signal there.
    """
    cov = cov.copy()
    for i in [i for i, name in enumerate(sensor.model.names) if name == "gain"]:
        cov[i], cov[:, i] = 0.0, 0.0
    stride = -(-omega.size // _MOST_POINTS)
    # the lowest and the strongest frequencies both count: bins are summed, not skipped
    edges = np.arange(0, omega.size, stride)
    weight = np.add.reduceat(power, edges)
    omega = omega[np.minimum(edges + stride // 2, omega.size - 1)]
    log_slopes = sensor.log_sensitivities(omega)
    first = np.einsum("ni,ij,nj->n", log_slopes, cov, np.conj(log_slopes)).real
    if not float(first @ weight) > 0:
        return 1.0
    at = sensor.response(omega)
    true = claimed = 0.0
    for offset, share in zip(*_rule(cov), strict=True):
        try:
            theta = sensor.model.check_physical(sensor.theta + offset)
        except InvalidData:
            return math.nan
        rho = sensor.model.frequency_response(theta, omega / (2 * np.pi)) / at
        true += share * float(np.abs(rho - 1) ** 2 @ weight)
        claimed += share * float((np.abs(rho) ** 2 * first) @ weight)
    return math.sqrt(true / claimed) if true > 0 and claimed > 0 else math.nan


def _rule(cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return offsets, shape (m, p), and weights of the rule of degree 5 in the r directions that have variance."""
    scale = np.sqrt(np.diag(cov))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(cov / np.outer(safe, safe))
    kept = values > 1e-12 * values[-1]
    root = (vectors[:, kept] * np.sqrt(values[kept])).T * scale
    r = root.shape[0]
    axis, pair = math.sqrt(r + 2), math.sqrt((r + 2) / 2)
    points, weights = [np.zeros(root.shape[1])], [2 / (r + 2)]
    for i in range(r):
        points += [axis * root[i], -axis * root[i]]
        weights += [(4 - r) / (2 * (r + 2) ** 2)] * 2
        for j in range(i):
            points += [pair * (p * root[i] + q * root[j]) for p in (1, -1) for q in (1, -1)]
            weights += [1 / (r + 2) ** 2] * 4
    return np.array(points), np.array(weights)
