"""What the kernels of drift detection do, in numpy's words."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.kernels import ENOUGH, LEAST
from dyncal.drift.limit import CLIP, ENOUGH_BEFORE, FEWEST, SCALE, WINDOW, strides


def inverse(matrix: FloatArray) -> FloatArray | None:
    diagonal = np.diag(matrix)
    if not np.all(np.isfinite(matrix)) or np.any(diagonal <= 0):
        return None
    scale = 1 / np.sqrt(diagonal)
    unit = matrix * np.outer(scale, scale)
    values, vectors = np.linalg.eigh((unit + unit.T) / 2)
    if values[0] < 1e-10:
        return None
    found: FloatArray = (vectors / values) @ vectors.T * np.outer(scale, scale)
    return found


def whitened(deviation: FloatArray, cov: FloatArray) -> FloatArray:
    scale = np.sqrt(np.diag(cov))
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    scores: FloatArray = (vectors / np.sqrt(np.maximum(values, 1e-10))) @ (vectors.T @ (deviation / scale))
    return scores


def scores(residuals: FloatArray, squares: FloatArray, n: FloatArray) -> FloatArray:
    t = residuals / np.maximum(np.sqrt(squares / np.maximum(n, 1)), LEAST)
    size = (8 * n + 1) / (8 * n + 3) * np.sqrt(n * np.log1p(np.minimum(t * t, 1e12) / np.maximum(n, 1)))
    gross = np.where(np.abs(residuals) >= 12, CLIP, 0.0)
    return np.copysign(np.where(n >= ENOUGH, np.minimum(size, CLIP), gross), residuals)


def kept(numbers: Int64Array, index: int) -> Int64Array:
    ages = index - numbers
    return np.flatnonzero((ages <= WINDOW) & (numbers % strides(ages) == 0))


def statistics(since: FloatArray, ages: Int64Array, learnt: Int64Array) -> FloatArray:
    """From Σ a u and Σ a² since each instant, (c, 2, p)."""
    possible = ((ages >= FEWEST) & (learnt >= ENOUGH_BEFORE))[:, None] & (since[:, 1] > 0)
    ratio = np.where(possible, since[:, 0] ** 2 / np.where(possible, since[:, 1], 1.0), 0.0)
    asked = np.log1p(SCALE / np.maximum(ages, 1))[:, None]
    return np.asarray(np.copysign(np.sqrt(np.maximum(ratio - asked, 0.0)), since[:, 0]), dtype=np.float64)
