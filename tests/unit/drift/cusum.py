"""The yardstick: average run length of a one-sided CUSUM of standard normal scores, by a Markov chain."""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from dyncal.domain.errors import InvalidData

CLIP: Final = 4.0
"""Scores are clipped here, so that no single block can raise an alarm alone."""

_STATES: Final = 240


def _cdf(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distribution function of a normal score clipped at ±CLIP."""
    inside = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x.ravel()]).reshape(x.shape)
    return np.where(x < -CLIP, 0.0, np.where(x >= CLIP, 1.0, inside))


def run_length(h: float, k: float, shift: float = 0.0) -> float:
    """Return the mean number of scores until C = max(0, C + z + shift - k) exceeds h, from C = 0.

    Brook & Evans, Biometrika 59 (1972) 539: the interval [0, h] in states of equal width, the first one half as wide.

    Parameters
    ----------
    h, k : float
        Decision interval and reference value, in standard deviations of a score.
    shift : float
        Mean of the scores.
    """
    width = 2 * h / (2 * _STATES - 1)
    steps = np.arange(_STATES)
    # from the middle of state i to below the upper edge of state j; only j - i matters, and j = 0 takes all below
    offsets = np.arange(-_STATES + 1, _STATES + 1)
    edge = _cdf(np.asarray((offsets - 0.5) * width + k - shift, dtype=np.float64))
    upper = edge[(steps[None, :] - steps[:, None]) + _STATES]
    lower = edge[(steps[None, :] - steps[:, None]) + _STATES - 1]
    transition = np.where(steps[None, :] == 0, upper, upper - lower)
    return float(np.linalg.solve(np.eye(_STATES) - transition, np.ones(_STATES))[0])


@functools.lru_cache(maxsize=64)
def decision_interval(arl0: float, k: float) -> float:
    """Return h for which a one-sided CUSUM of standard scores has the mean run length `arl0`.

    Raises
    ------
    InvalidData
        If `arl0` is not above 2 or k is not positive.
    """
    if not 2 < arl0 < 1e13 or not 0 < k < CLIP:
        raise InvalidData(f"there is no decision interval for a mean run length of {arl0} and k = {k}")
    low, high = 0.01, 1.0
    while run_length(high, k) < arl0:
        low, high = high, 2 * high
    return float(brentq(lambda h: math.log(run_length(h, k) / arl0), low, high, xtol=1e-9))
