"""A static calibration in use: values with uncertainty for single indications and for streams."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.polynomial import chebyshev

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.static import Static

_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class StaticCalibration:
    """x = Σ aₖ Tₖ(t), t = (2y - low - high)/(high - low), monotone for indications y from low to high.

    Attributes
    ----------
    low, high : float
        Range of indications.
    a : float64, shape (n + 1,)
        Coefficients of Chebyshev's polynomials.
    cov : float64, shape (n + 1, n + 1)
    chi2, dof, p_value
        Of the pairs about the polynomial.
    consistent : bool
        Whether χ² lets the pairs' uncertainties and the polynomial stand together; if not, `cov` is too small.
    residuals : float64, shape (n_pairs,)
        x - p(y) over its standard uncertainty, that of y through the slope included.
    detail : str
        For people: what is wrong where something is.
    """

    low: float
    high: float
    a: FloatArray
    cov: FloatArray
    chi2: float
    dof: int
    p_value: float
    consistent: bool
    residuals: FloatArray
    detail: str = ""

    @property
    def degree(self) -> int:
        """Degree n of the polynomial."""
        return int(self.a.size) - 1

    @property
    def model(self) -> Static:
        """The model in powers of y whose θ `parameters` gives."""
        return Static(self.degree, (self.low, self.high))

    def measurand(self, y: FloatArray, u_y: FloatArray | float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Return x and its standard uncertainty for indications y of shape (m,).

        u² = φᵀ cov φ + (p'(y) u_y)². NaN where y is NaN or outside the range, or u_y is NaN.

        Raises
        ------
        InvalidData
            If a u_y is negative.
        """
        u = _uncertainty(u_y)
        indication = np.asarray(y, dtype=np.float64)
        inside = (indication >= self.low) & (indication <= self.high)
        t = np.where(inside, self._unit(indication), 0.0)
        basis = chebyshev.chebvander(t, self.degree)
        variance = np.einsum("...i,ij,...j->...", basis, self.cov, basis) + (self._slope(t) * u) ** 2
        x = np.where(inside, basis @ self.a, np.nan)
        return x, np.where(inside, np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def indication(self, x: FloatArray, u_x: FloatArray | float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Return y and its standard uncertainty for measurands x of shape (m,): the inverse, by bisection.

        u² = (φᵀ cov φ + u_x²)/p'(y)². NaN where x is NaN or belongs to no indication in the range.

        Raises
        ------
        InvalidData
            If a u_x is negative.
        """
        u, wanted = _uncertainty(u_x), np.asarray(x, dtype=np.float64)
        ends = chebyshev.chebval(np.array([-1.0, 1.0]), self.a)
        room = 1e-12 * float(np.ptp(ends))
        inside = (wanted >= ends.min() - room) & (wanted <= ends.max() + room)
        sign = 1.0 if ends[1] > ends[0] else -1.0
        low, high = np.full(wanted.shape, -1.0), np.full(wanted.shape, 1.0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = sign * (chebyshev.chebval(middle, self.a) - wanted) < 0
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        t = (low + high) / 2
        basis = chebyshev.chebvander(t, self.degree)
        variance = np.einsum("...i,ij,...j->...", basis, self.cov, basis) + u**2
        y = (self.low + self.high) / 2 + (self.high - self.low) / 2 * t
        spread = np.sqrt(np.maximum(variance, 0.0)) / np.abs(self._slope(t))
        return np.where(inside, y, np.nan), np.where(inside, spread, np.nan)

    def parameters(self) -> Parameters:
        """Return c0 … cn of x = c0 + c1 y + … + cn yⁿ with their covariance.

        Where the range is narrow and far from 0 the powers of y cancel: `measurand` does not go through them.
        """
        matrix = _powers_of(self.low, self.high, self.degree)
        names = tuple(f"c{k}" for k in range(self.a.size))
        return Parameters(ModelKind.STATIC, names, matrix @ self.a, matrix @ self.cov @ matrix.T)

    def _unit(self, y: FloatArray) -> FloatArray:
        return (2 * y - self.low - self.high) / (self.high - self.low)

    def _slope(self, t: FloatArray) -> FloatArray:
        return np.asarray(chebyshev.chebval(t, chebyshev.chebder(self.a)) * 2 / (self.high - self.low))


def is_monotone(a: FloatArray) -> bool:
    """Tell whether Σ aₖ Tₖ(t) rises or falls over all of -1 ≤ t ≤ 1."""
    slope = np.trim_zeros(chebyshev.chebder(a), "b")
    if not slope.size:
        return False
    turns = chebyshev.chebroots(slope)
    real = turns.real[np.abs(turns.imag) <= 1e-9 * (1 + np.abs(turns.real))]
    return not bool(np.any(np.abs(real) <= 1))


def _powers_of(low: float, high: float, degree: int) -> FloatArray:
    """Return the matrix from coefficients of Tₖ(t) to those of yᵏ, shape (n + 1, n + 1)."""
    half, middle = (high - low) / 2, (high + low) / 2
    in_t = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        unit = np.zeros(k + 1)
        unit[k] = 1.0
        in_t[: k + 1, k] = chebyshev.cheb2poly(unit)
    shift = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        for j in range(k + 1):
            shift[j, k] = comb(k, j) * (-middle) ** (k - j) / half**k
    return shift @ in_t


def _uncertainty(u: FloatArray | float) -> FloatArray:
    values = np.asarray(u, dtype=np.float64)
    if bool(np.any(values < 0)):
        raise InvalidData("a standard uncertainty cannot be negative")
    return values
