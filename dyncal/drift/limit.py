"""The decision limit of a generalised likelihood ratio: which one gives the interval between false alarms asked for.

The statistic is ``G = (Σ a u)²/Σ a²`` of standard normal scores u over the last m of them, m = 2 … 1024, and an alarm
is where it exceeds ``h_m² = h² + ln(1 + 16/m)`` for any m. One limit for all m would spend most false alarms on changes
of a few blocks, which are large and found at once anyway; a term that falls with the logarithm of m gives small ones
their share (Dümbgen & Spokoiny, The Annals of Statistics 29 (2001) 124). The mean run length while nothing changes is::

    E T = (1 + c) √(2π) / ∫ h_m³ e^{-h_m²/2} ν(h_m v) ν(h_m v √s) v dv,      v = 1/√m

(Siegmund & Venkatraman, The Annals of Statistics 23 (1995) 255, for one h and every m; Lai, IEEE Trans. Inf. Theory 44
(1998) 2917, for a window), with ν for the discreteness of either end: the newer moves by single blocks, the older by s
of them where not every instant is looked at. The formula is the first term of a series for high limits; of simulated
scores it was 5 to 11 % short for limits h of 2.9 to 4.1, 1 ± 3 % at 4.4 and 8 ± 7 % at 4.9, for one to four parameters:
hence c.

Where blocks say differently much, few of them make up the sums, and sums of few are seldom extreme. Simulated with
information of lognormal distribution, of variance s² = 0.25, 1 and 2.25 of its logarithm, the intervals for limits of
2.8, 3.4, 3.7 and 4.2 are 1.03, 1.03, 1.06, 1.04; 1.09, 1.13, 1.19, 1.20; and 1.17, 1.27, 1.36, 1.45 times as long, to
0.03: ``1 + 0.08 s² (h - 1.8)``. (Blocks of the online estimator on a random measurand have s² = 0.7 to 1.)
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
SCALE: Final = 16.0
"""Blocks beyond which the limit no longer falls much with the age of a change."""
ENOUGH_BEFORE: Final = 2
"""Blocks before a change: one alone is no baseline."""
CLIP: Final = 4.0
"""Scores are clipped here: what chance exceeds once in sixteen thousand blocks is no more than that."""

# blocks that a beginning costs: none can alarm before the eighth, and until some forty fewer instants are compared
_FIRST: Final = 14
_SHORT: Final = 0.07  # c above
_UNEVEN: Final = (0.08, 1.8)  # what uneven information adds, above
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


def run_length(limit: float, spread: float = 0.0) -> float:
    """Return the mean number of blocks between false alarms of one parameter, up or down.

    Parameters
    ----------
    limit : float
        h.
    spread : float
        s², variance of the logarithm of the information of single blocks.
    """
    total, young = 0.0, FEWEST
    while young < WINDOW:
        old = 32 if young < 32 else 2 * young
        stride = math.sqrt(float(strides(np.array([young]))[0]))
        low, high = 1 / math.sqrt(old), 1 / math.sqrt(young)
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            v = (low + high) / 2 + (high - low) / 2 * node
            square = limit**2 + math.log1p(SCALE * v * v)
            x = math.sqrt(square) * v
            density = square**1.5 * math.exp(-square / 2)
            total += (high - low) / 2 * weight * v * density * _nu(x) * _nu(x * stride)
        young = old
    uneven = 1 + _UNEVEN[0] * spread * max(limit - _UNEVEN[1], 0.0)
    return uneven * (1 + _SHORT) * math.sqrt(2 * math.pi) / total


@functools.lru_cache(maxsize=256)
def decision_limit(arl0: float, n_parameters: int, spread: float = 0.0) -> float:
    """Return the limit for a mean of `arl0` blocks between false alarms, over all parameters together.

    `spread` as for `run_length`.

    Raises
    ------
    InvalidData
        If `arl0` is below 10 or beyond 1e12, or there are no parameters.
    """
    if not 10 <= arl0 <= 1e12 or n_parameters < 1:
        raise InvalidData(f"there is no limit for {arl0} blocks between false alarms of {n_parameters} parameters")
    wanted = n_parameters * max(arl0 - _FIRST, arl0 / 4)
    low, high = 1.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle, spread) < wanted else (low, middle)
    return (low + high) / 2
