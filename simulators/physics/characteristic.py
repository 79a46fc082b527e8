"""Static sensors: the measurand is a polynomial in the indication, x = c0 + c1 y + … + cn yⁿ, found backwards.

This is deliberately not `dyncal.models.static`: what judges an estimator must not share its mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import polynomial

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

MAX_DEGREE: Final = 12
_NEWTON: Final = 3
_HALVINGS: Final = 40
_NAME: Final = re.compile(r"c(0|[1-9]\d?)")


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A polynomial of a degree, monotone over the range of indications; beyond its ends the indication stays there."""

    degree: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 1 <= self.degree <= MAX_DEGREE:
            raise InvalidData(f"a static model has coefficients c0, c1 to c{MAX_DEGREE} at most, in order")
        if not -np.inf < self.low < self.high < np.inf:
            raise InvalidData(f"a range of indications is finite and ascending, not {self.low} to {self.high}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, in order."""
        return tuple(f"c{k}" for k in range(self.degree + 1))

    def is_monotone(self, theta: FloatArray) -> bool:
        """Tell whether one indication belongs to each measurand; `theta`, shape (p,)."""
        slope = polynomial.polyder(theta)
        ends = polynomial.polyval(np.array([self.low, self.high]), slope)
        turns = polynomial.polyroots(np.trim_zeros(slope, "b")) if np.any(slope) else np.array([self.low])
        inside = (np.abs(turns.imag) < 1e-12) & (turns.real > self.low) & (turns.real < self.high)
        return bool(ends[0] * ends[1] > 0 and not np.any(inside))

    def indication(self, theta: FloatArray, x: FloatArray) -> FloatArray:
        """Return y for measurands x, shape (n,), with coefficients `theta`, shape (n, p), each for its own.

        Halvings of the range bring it near, Newton's rule to the last digits.
        """
        rising = _value(theta, np.full(x.shape, self.high)) >= _value(theta, np.full(x.shape, self.low))
        sign = np.where(rising, 1.0, -1.0)
        low, high = np.full(x.shape, self.low), np.full(x.shape, self.high)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            below = sign * (_value(theta, middle) - x) < 0
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        y = 0.5 * (low + high)
        powers = np.arange(1, theta.shape[1])
        for _ in range(_NEWTON):
            slope = _value(theta[:, 1:] * powers, y)
            y = y - np.divide(_value(theta, y) - x, slope, out=np.zeros_like(y), where=slope != 0)
        return np.asarray(np.clip(y, self.low, self.high), np.float64)


def degree_of(names: Collection[str]) -> int:
    """Return the degree that coefficients of these names have, or 0 if they are not c0, c1, …."""
    found = sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
    return len(found) - 1 if found == list(range(len(found))) else 0


def _value(theta: FloatArray, y: FloatArray) -> FloatArray:
    """Return Σ θ_k y^k row by row, by Horner's rule."""
    out = np.array(theta[:, -1])
    for k in range(theta.shape[1] - 2, -1, -1):
        out = out * y + theta[:, k]
    return out
