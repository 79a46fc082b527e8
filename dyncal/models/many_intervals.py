"""A discretisation over very many different intervals, by Chebyshev interpolation in their length.

Φ(h) and Γ(h) are entire functions of h: on the range of an irregular record's intervals a polynomial of moderate degree
is as good as the solution itself, and one matrix product instead of thousands of matrix exponentials (Trefethen,
Approximation Theory and Approximation Practice, chapter 8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models.base import Discretisation

MANY: Final = 256
_NODES: Final = 65
_NEGLIGIBLE: Final = 1e-14


def interpolated(solve: Callable[[FloatArray], Discretisation], h_s: FloatArray) -> Discretisation | None:
    """Return `solve(h_s)`, shape (m,), m > 0, from 65 intervals, or None where that many are not enough.

    Enough they are where the last eighth of the Chebyshev coefficients is below 1e-14 of the largest.
    """
    low, high = float(h_s.min()), float(h_s.max())
    if not high > low:
        return None
    nodes = np.cos(np.pi * np.arange(_NODES) / (_NODES - 1))
    at = solve((low + high) / 2 + (high - low) / 2 * nodes)
    parts = at.phi, at.gamma, at.dphi, at.dgamma
    flat = np.concatenate([part.reshape(_NODES, -1) for part in parts], axis=1)
    if not bool(np.all(np.isfinite(flat))):
        return None
    coefficients = np.linalg.solve(np.polynomial.chebyshev.chebvander(nodes, _NODES - 1), flat)
    # what vanishes in every entry counts against its largest
    largest = np.abs(coefficients).max(axis=0)
    if bool(np.any(np.abs(coefficients[-_NODES // 8 :]).max(axis=0) > _NEGLIGIBLE * np.maximum(largest, 1e-3))):
        return None
    t = np.clip((2 * h_s - low - high) / (high - low), -1.0, 1.0)
    needed = int(np.flatnonzero((np.abs(coefficients) > 1e-17 * largest).any(axis=1))[-1]) + 1
    values: FloatArray = np.asarray(
        np.polynomial.chebyshev.chebvander(t, needed - 1) @ coefficients[:needed], dtype=np.float64
    )
    cuts = np.cumsum([part[0].size for part in parts])[:-1]
    phi, gamma, dphi, dgamma = np.split(values, cuts, axis=1)
    shapes = [(h_s.size, *part.shape[1:]) for part in parts]
    return Discretisation(
        phi.reshape(shapes[0]), gamma.reshape(shapes[1]), dphi.reshape(shapes[2]), dgamma.reshape(shapes[3])
    )
