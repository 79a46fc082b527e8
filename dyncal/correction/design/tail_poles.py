"""Poles for a recursive correction, from the tail of the best long FIR filter.

The best causal filter's response after its latency is a sum of decaying exponentials: the zeros of the spectral factor
of S|H|² + R. They are found from the Hankel matrix of that tail (Kung, Proc. 12th Asilomar Conf. (1978) 705; shift
invariance), and mirrored into the unit circle, so that what comes out is stable whatever the tail.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.correction.design import rational_fit
from dyncal.domain.samples import FloatArray

ORDERS: Final = (2, 4, 6)
"""Orders that are tried."""

_WIDEST_POLE: Final = 0.9995  # a start takes ln(1e-3)/ln ρ samples: 14 000
_MOST_LAGS: Final = 512
_LEAST_SHARE: Final = 1e-4  # of the largest singular value: less is no exponential but rounding


def poles_of(tail: FloatArray, order: int) -> FloatArray:
    """Return denominators a1 a2, shape (order / 2, 2), of the exponentials that `tail` is made of; none if it is 0."""
    n = min(tail.size, _MOST_LAGS)
    if n < 3 * order or not float(np.max(np.abs(tail[:n]))) > 0:
        return np.empty((0, 2))
    rows = n // 2
    hankel = np.lib.stride_tricks.sliding_window_view(tail[:n], n - rows + 1)
    vectors, values, _ = np.linalg.svd(hankel, full_matrices=False)
    if values[order - 1] < _LEAST_SHARE * values[0]:
        return np.empty((0, 2))
    left = vectors[:, :order]
    shift = np.linalg.lstsq(left[:-1], left[1:], rcond=None)[0]
    poles = rational_fit.inside(np.asarray(np.linalg.eigvals(shift), np.complex128))
    radius = np.abs(poles)
    poles = np.where(radius > _WIDEST_POLE, poles * (_WIDEST_POLE / np.maximum(radius, 1e-300)), poles)
    return rational_fit.of_poles(np.where(np.abs(poles.imag) < 1e-9, poles.real + 0j, poles))


def sections(poles: FloatArray) -> FloatArray:
    """Return second-order sections 1 0 0 1 a1 a2, shape (k, 6)."""
    rows = np.zeros((poles.shape[0], 6))
    rows[:, 0] = rows[:, 3] = 1.0
    rows[:, 4:] = poles
    return rows
