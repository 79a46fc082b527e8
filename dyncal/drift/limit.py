"""The decision limit of a generalised likelihood ratio: which one gives the interval between false alarms asked for.

The statistic is the largest ``|Σ a u| / √Σ a²`` of standard normal scores u over the last m of them, m = 2 … 1024. Its
mean run length while nothing changes is, for a limit h and ``x = h/√m``::

    E T = √(2π) e^{h²/2} / (h ∫ x ν(x) ν(x √s) dx)

(Siegmund & Venkatraman, The Annals of Statistics 23 (1995) 255, for every m; Lai, IEEE Trans. Inf. Theory 44 (1998)
2917, for a window), with ν for the discreteness of either end: the newer moves by single blocks, the older by s of them
where not every instant is looked at.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import Int64Array

FEWEST: Final = 2
"""Blocks that a change must have lasted: no single one raises an alarm."""
WINDOW: Final = 1024
"""Blocks that one is looked for back."""
CLIP: Final = 4.0
"""Scores are clipped here: what chance exceeds once in sixteen thousand blocks is no more than that."""

_FIRST: Final = 8  # blocks before the first alarm can come: the scatter must be known a little
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def strides(ages: Int64Array) -> Int64Array:
    """Return how far apart the instants are at which a change is looked for, `ages` blocks back: at most age/16."""
    return np.left_shift(np.int64(1), np.maximum(np.frexp(ages)[1].astype(np.int64) - 5, 0))


def _nu(x: float) -> float:
    """Return Siegmund's ν, the correction of an overshoot (Siegmund & Yakir, The Statistics of Gene Mapping, 2007)."""
    half = x / 2
    below = 0.5 * math.erfc(-half / math.sqrt(2))
    density = math.exp(-(half**2) / 2) / math.sqrt(2 * math.pi)
    return (2 / x) * (below - 0.5) / (half * below + density)


def run_length(limit: float) -> float:
    """Return the mean number of blocks between false alarms of one parameter, up or down."""
    total, young = 0.0, FEWEST
    while young < WINDOW:
        old = 32 if young < 32 else 2 * young
        stride = math.sqrt(float(strides(np.array([young]))[0]))
        low, high = limit / math.sqrt(old), limit / math.sqrt(young)
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            x = (low + high) / 2 + (high - low) / 2 * node
            total += (high - low) / 2 * weight * x * _nu(x) * _nu(x * stride)
        young = old
    return math.sqrt(2 * math.pi) * math.exp(limit**2 / 2) / (limit * total)


@functools.lru_cache(maxsize=64)
def decision_limit(arl0: float, n_parameters: int) -> float:
    """Return the limit for a mean of `arl0` blocks between false alarms, over all parameters together.

    Raises
    ------
    InvalidData
        If `arl0` is below 10 or beyond 1e12, or there are no parameters.
    """
    if not 10 <= arl0 <= 1e12 or n_parameters < 1:
        raise InvalidData(f"there is no limit for {arl0} blocks between false alarms of {n_parameters} parameters")
    wanted = n_parameters * max(arl0 - _FIRST, arl0 / 4)
    low, high = 1.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle) < wanted else (low, middle)
    return (low + high) / 2
