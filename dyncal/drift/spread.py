"""How differently much blocks say: the mean interval between false alarms goes with it."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

LONGEST: Final = 1024
"""Blocks that it is the mean of, at most."""

_ENOUGH: Final = 8
_STEP: Final = 0.125  # limits are worked out for multiples of this only
_MOST: Final = 3.0  # what the rule was simulated up to, and a third more


@kernel()
def rounded(variance: float, n: int) -> float:
    """Return a variance that rests on n differences in steps of 1/8, at most 3; 0 until it is known a little."""
    steps: float = np.rint(variance / _STEP)  # of halves the even one
    return 0.0 if n < _ENOUGH else min(steps * _STEP, _MOST)


class Spread:
    """Variance of the logarithm of the information of single blocks, mean over p parameters.

    From successive differences (von Neumann, Ann. Math. Stat. 12 (1941) 367), as only blocks near to each other matter:
    information that changes slowly makes no sum of a few of them uneven.

    Parameters
    ----------
    last : float64, shape (p,)
        Logarithms of the last block; NaN before the first.
    variance : float
    n : int
        Differences that `variance` rests on.
    """

    def __init__(self, last: FloatArray, variance: float = 0.0, n: int = 0) -> None:
        self.last, self.variance, self.n = last, variance, n

    @classmethod
    def unknown(cls, p: int) -> Spread:
        """Return that of no block."""
        return cls(np.full(p, np.nan))

    def add(self, logarithms: FloatArray) -> None:
        """Take in the logarithms (p,) of a block's information on each parameter."""
        difference = logarithms - self.last
        self.last = logarithms
        square = float(difference @ difference) / (2 * difference.size)
        if square < np.inf:  # not after the first
            self.n += 1
            self.variance += (square - self.variance) / min(self.n, LONGEST)

    @property
    def rounded(self) -> float:
        """The variance in steps of 1/8, at most 3; 0 until it is known a little."""
        return float(rounded(self.variance, self.n))
