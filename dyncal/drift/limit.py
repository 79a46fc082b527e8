"""The decision limit of a generalised likelihood ratio: which one gives the interval between false alarms asked for.

The statistic is ``G = (Σ a u)²/Σ a²`` of standard normal scores u over the last m of them, m = 2 … 1024, and an alarm
is where it exceeds ``h_m² = h² + ln(1 + 16/m)`` for any m. One limit for all m would spend most false alarms on changes
of a few blocks, which are large and found at once anyway; a term that falls with the logarithm of m gives small ones
their share (Dümbgen & Spokoiny, The Annals of Statistics 29 (2001) 124). While nothing changes, alarms have the rate
per block and parameter, of a monitor that has seen n blocks::

    r(n) = 1/(1 + c) 1/√(2π) Σ_{m ≤ n - 2} h_m³ e^{-h_m²/2} ν(h_m v) ν(h_m v √s) v dv,      v = 1/√m

(Siegmund & Venkatraman, The Annals of Statistics 23 (1995) 255, for one h and every m; Lai, IEEE Trans. Inf. Theory 44
(1998) 2917, for a window), with ν for the discreteness of either end: the newer moves by single blocks, the older by s
of them where not every instant is looked at. The rate grows as long as older instants come in: 8 % of it is of changes
of more than 100 blocks, so that a monitor begins with fewer alarms than it ends with. The interval of p parameters::

    E T = Σ_n exp(-p Σ_{n' ≤ n} r(n'))

is 10 % longer than 1/(p r) at 370 blocks, and not by the same number of blocks at every limit. The formula is the first
term of a series for high limits; of simulated scores (2 600 to 14 000 runs a limit, one to three parameters) it is 6 %
short from h = 3.2 on, and long below: hence ``c = 0.06 - 0.25 max(3.2 - h, 0)``, with which E T is what simulation
gives to 3 % for 60 to 5 000 blocks.

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
from scipy.special import ndtr

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
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

_SHORT: Final = (0.06, 0.25, 3.2)  # c above
_UNEVEN: Final = (0.08, 1.8)  # what uneven information adds, above


def strides(ages: Int64Array) -> Int64Array:
    """Return how far apart the instants are at which a change is looked for, `ages` blocks back: at most age/16."""
    return np.left_shift(np.int64(1), np.maximum(np.frexp(ages)[1].astype(np.int64) - 5, 0))


_AGES: Final = np.arange(FEWEST, WINDOW + 1)
_INVERSE: Final = 1 / np.sqrt(_AGES)  # v
_STRIDES: Final = np.sqrt(strides(_AGES))
# ∫ v dv over an age: the youngest has no younger half
_CELLS: Final = (1 / np.maximum(_AGES - 0.5, FEWEST) - 1 / (_AGES + 0.5)) / 2


def _nu(x: FloatArray) -> FloatArray:
    """Return Siegmund's ν, the correction of an overshoot (Siegmund & Yakir, The Statistics of Gene Mapping, 2007)."""
    half = x / 2
    below = ndtr(half)
    density = np.exp(-(half**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray((2 / x) * (below - 0.5) / (half * below + density))


def rates(limit: float, spread: float = 0.0) -> FloatArray:
    """Return the rate of false alarms of one parameter, up or down, after 1 … 1026 blocks [1/block]; it stays there.

    Parameters
    ----------
    limit : float
        h.
    spread : float
        s², variance of the logarithm of the information of single blocks.
    """
    squares = limit**2 + np.log1p(SCALE / _AGES)
    x = np.sqrt(squares) * _INVERSE
    density = squares**1.5 * np.exp(-squares / 2) * _nu(x) * _nu(x * _STRIDES) * _CELLS
    at_most, slope, from_here = _SHORT
    series = max(1 + at_most - slope * max(from_here - limit, 0.0), slope)
    uneven = 1 + _UNEVEN[0] * spread * max(limit - _UNEVEN[1], 0.0)
    grown = np.cumsum(density) / (series * uneven * math.sqrt(2 * math.pi))
    return np.concatenate((np.zeros(ENOUGH_BEFORE + FEWEST - 1), grown))


def run_length(limit: float, spread: float = 0.0, n_parameters: int = 1) -> float:
    """Return the mean number of blocks between false alarms, each counted from a beginning, of all parameters together.

    `limit` and `spread` as for `rates`.
    """
    hazard = n_parameters * rates(limit, spread)
    quiet = np.exp(-np.cumsum(hazard))  # after that many blocks
    return float(1 + quiet[:-1].sum() + quiet[-1] / hazard[-1])


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
    low, high = 1.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle, spread, n_parameters) < arl0 else (low, middle)
    return (low + high) / 2
