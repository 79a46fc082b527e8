"""The process as sensor and reference both see it: level, size and pace of what they measure, block by block."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift import kernels
from dyncal.drift.kernels import moments

N_FEATURES: Final = 3
"""Level, logarithm of the rms about it, logarithm of the rms of differences over that."""

_FEWEST: Final = 8  # samples of which anything is said
_LEAST: Final = np.array([0.5, 0.25, 0.25])  # what counts as a change at all: half an rms, 25 % of size, of pace
_SPANS: Final = (1, 2, 4)
_QUARTILE: Final = 0.1015  # lower quartile of a squared standard normal variable
_SHORTEST: Final = 3  # blocks of a regime
_CLEAR: Final = 6.0  # squared standard deviations of a feature's change that count for noise
_BESIDES: Final = 0.3  # what the process does at a boundary besides going with its features, over all that it does


def features(values: FloatArray) -> FloatArray:
    """Return level, ln rms and ln pace of one signal over a block, (3,); NaN where there is too little, or no change.

    Parameters
    ----------
    values : float64, shape (n,)
        Samples, in any unit.
    """
    if values.size < _FEWEST:
        return np.full(N_FEATURES, np.nan)
    found = np.empty(N_FEATURES)
    moments(np.ascontiguousarray(values, dtype=np.float64), found)
    level, size, pace = found.tolist()
    if not (0 < size < math.inf and 0 < pace < math.inf):
        return np.full(N_FEATURES, np.nan)
    return np.array([level, math.log(size), math.log(pace / size)])


def block_features(
    t_ns: Int64Array, reference: FloatArray, indication: FloatArray, from_ns: Int64Array, to_ns: Int64Array
) -> FloatArray:
    """Return the features of reference and indication, (n,) each, over k blocks: (k, 2, 3).

    `t_ns` (n,) increases; `from_ns`, `to_ns` (k,) are the blocks' first and last instants.
    """
    found = np.empty((to_ns.size, 2, N_FEATURES))
    kernels.features(t_ns, reference, indication, from_ns, to_ns, _FEWEST, found)
    return found


def effects(found: FloatArray, information: FloatArray, vectors: FloatArray) -> tuple[FloatArray, Int64Array]:
    """Return what the process did, as far as reference and indications say so: regressors for what it does.

    They are (n, 3 + J), and beside them stand the numbers of the blocks at boundaries, which belong to neither side.

    The blocks are divided into regimes in which neither features nor parameters change (least squares with a penalty on
    each of the J boundaries, over all divisions: Jackson et al., IEEE Signal Process. Lett. 12 (2005) 105). At a
    boundary a feature has changed by what the *less* changed of the reference and the most changed indication says,
    less its noise, and not at all where they disagree in sign: a change of one sensor alone or of the reference alone
    is none of the process. The first three columns are the features regime by regime, of size 1 at most; the others a
    step at each boundary, as large as the features change there: what the process does besides going with them. All
    are 0 where it did nothing.

    Parameters
    ----------
    found : float64, shape (n, 1 + m, 3)
        `features` of the reference and of m indications in each block; NaN rows take the values around them.
    information : float64, shape (n, p, p)
    vectors : float64, shape (n, p)
        Information times estimate of each block.
    """
    n, m = found.shape[:2]
    filled = _fill(np.array(found, dtype=np.float64).reshape(n, m * N_FEATURES))
    for column in range(0, m * N_FEATURES, N_FEATURES):  # levels in units of the signal's own typical size
        filled[:, column] /= math.exp(float(np.median(filled[:, column + 1])))
    noise = _scatter(filled)
    begins = _divide(filled * np.sqrt(2 / (m * noise)), information, vectors)  # signals that say the same count as two
    sizes = np.diff(begins, append=n)
    means = np.add.reduceat(filled, begins, axis=0) / sizes[:, None]
    steps = np.diff(means, axis=0).reshape(-1, m, N_FEATURES)
    variances = (noise * (1 / sizes[1:] + 1 / sizes[:-1])[:, None]).reshape(-1, m, N_FEATURES)
    clear = np.sqrt(np.maximum(steps**2 - _CLEAR * variances, 0.0))
    alike = np.where(steps[:, :1] * steps[:, 1:] > 0, clear[:, 1:], 0.0).max(axis=1)
    agreed = np.sign(steps[:, 0]) * np.minimum(clear[:, 0], alike)  # (J, 3)
    after = np.zeros((n, len(agreed)))
    for j, begin in enumerate(begins[1:].tolist()):
        after[begin:, j] = 1.0
    course = after @ agreed
    course -= course.mean(axis=0)
    course /= np.maximum(course.std(axis=0), _LEAST) * math.sqrt(N_FEATURES)
    large = np.minimum(np.sqrt(((agreed / _LEAST) ** 2).sum(axis=1)), 1.0)
    within = np.unique(np.concatenate((begins[1:] - 1, begins[1:])))
    return np.concatenate((course, _BESIDES * after * large), axis=1), within


def _fill(values: FloatArray) -> FloatArray:
    """Put the nearest known row in the place of one that is not known; 0 where none is."""
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if known.size == 0:
        return np.zeros_like(values)
    nearest = np.abs(np.arange(len(values))[:, None] - known[None, :]).argmin(axis=1)
    return np.asarray(values[known[nearest]], dtype=np.float64)


def _scatter(values: FloatArray) -> FloatArray:
    """Return the variance of each column that a mean over m blocks has m times less of; positive."""
    found = np.full(values.shape[1], 1e-12)
    for span in _SPANS:
        m = len(values) // span
        if m >= 6:
            means = values[: m * span].reshape(m, span, -1).mean(axis=1)
            squares = np.diff(means, axis=0) ** 2
            found = np.maximum(found, span * np.quantile(squares, 0.25, axis=0) / (2 * _QUARTILE))
    return found


def _divide(values: FloatArray, information: FloatArray, vectors: FloatArray) -> Int64Array:
    """Return where the regimes begin, the first at 0."""
    n, q = values.shape
    p = vectors.shape[1]
    penalty = (N_FEATURES + p + 1) * math.log(max(n, 2))
    sums = np.concatenate((np.zeros((1, q)), np.cumsum(values, axis=0)))
    squares = np.concatenate(([0.0], np.cumsum((values**2).sum(axis=1))))
    told = np.concatenate((np.zeros((1, p, p)), np.cumsum(information, axis=0)))
    pointed = np.concatenate((np.zeros((1, p)), np.cumsum(vectors, axis=0)))
    shortest = min(_SHORTEST, n)
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = -penalty
    for end in range(shortest, n + 1):
        begins = np.arange(0, end - shortest + 1)
        seen = ((sums[end] - sums[begins]) ** 2).sum(axis=1) / (end - begins)
        v = pointed[end] - pointed[begins]
        level = np.linalg.solve(told[end] - told[begins], v[..., None])[..., 0]
        total = best[begins] + squares[end] - squares[begins] - seen - (v * level).sum(axis=1) + penalty
        k = int(np.argmin(total))
        best[end], last[end] = total[k], begins[k]
    found, end = [], n
    while end > 0:
        end = int(last[end])
        found.append(end)
    return np.array(found[::-1], dtype=np.int64)
