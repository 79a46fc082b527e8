"""How probable it is that courses lie outside a tolerance, compiled: many courses at many instants ahead."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import ndtr

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

_SURE = 9.0
"""Standard deviations beyond which nothing is left of a normal distribution: 1e-19."""
_CELLS = 128
"""Of the table, to a standard deviation: cubic pieces of that length are exact to 1e-11."""

_AT: Final = np.arange(-round(_SURE * _CELLS), round(_SURE * _CELLS) + 2) / _CELLS
TABLE: Final[FloatArray] = np.stack((ndtr(_AT), np.exp(-(_AT**2) / 2) / math.sqrt(2 * math.pi) / _CELLS), axis=1)
"""Φ and its slope to a cell, (n, 2), for `outside`."""


@kernel()
def _normal(z: float, table: FloatArray) -> float:
    """Return Φ(z) by Hermite's cubic between two entries of the table, to 1e-11."""
    if not abs(z) < _SURE:
        return 1.0 if z > 0 else (0.0 if z < 0 else z)  # the last is no number
    place = (z + _SURE) * _CELLS
    k = int(place)
    x = place - k
    low, high, slope, slope_high = table[k, 0], table[k + 1, 0], table[k, 1], table[k + 1, 1]
    rise = high - low
    found: float = low + x * (slope + x * (3 * rise - 2 * slope - slope_high + x * (slope + slope_high - 2 * rise)))
    return found


@kernel("void(f8[:, ::1], f8[::1], f8, f8, f8, f8[:, ::1], f8[::1])")
def outside(
    courses: FloatArray, ahead: FloatArray, low: float, high: float, enough: float, table: FloatArray, out: FloatArray
) -> None:
    """Write the probability to lie outside low … high after times ahead, never falling, (m,).

    Parameters
    ----------
    courses : float64, shape (n, 6)
        Of each weight, level, slope, the level's variance, the covariance of both, and the slope's variance.
    ahead : float64, shape (m,)
    low, high : float
    enough : float
        What lies ahead of an instant with that probability is not worked out: it has the same.
    table : float64
        `TABLE`.
    out : float64, shape (m,)
    """
    resting = 0.0  # what goes nowhere is as it is at any time
    for i in range(courses.shape[0]):
        if courses[i, 2] == 0.0 and courses[i, 4] == 0.0 and courses[i, 5] == 0.0:
            inverse = 1 / np.sqrt(max(courses[i, 3], 1e-300))
            beyond = _normal((courses[i, 1] - high) * inverse, table) + _normal((low - courses[i, 1]) * inverse, table)
            resting += courses[i, 0] * beyond
    most = 0.0
    for j in range(ahead.size):
        t, total = ahead[j], resting
        for i in range(courses.shape[0] if most < enough else 0):
            if courses[i, 2] == 0.0 and courses[i, 4] == 0.0 and courses[i, 5] == 0.0:
                continue
            mean = courses[i, 1] + courses[i, 2] * t
            inverse = 1 / np.sqrt(max(courses[i, 3] + t * (2 * courses[i, 4] + t * courses[i, 5]), 1e-300))
            beyond = _normal((mean - high) * inverse, table) + _normal((low - mean) * inverse, table)
            total += courses[i, 0] * beyond
        most = max(most, total)
        out[j] = most
