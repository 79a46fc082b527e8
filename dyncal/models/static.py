# ruff: noqa: D102 (ResponseModel says what each method does)
"""Static: the measurand is a polynomial in the indication, x = c0 + c1 y + … + cn yⁿ."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.models.base import ComplexArray, Hold, ResponseModel

MAX_DEGREE: Final = 12
_HALVINGS: Final = 60


class Static(ResponseModel):
    """A characteristic without dynamics; θ = (c0, …, cn), n ≥ 1, monotone over the range of indications.

    Parameters
    ----------
    degree : int
        n, 1 to 12.
    indications : (float, float)
        Range over which the polynomial holds; indications outside it are not found.
    at : float, optional
        Indication about which the frequency response is linearised: the middle of the range unless given.
    """

    kind = ModelKind.STATIC

    def __init__(self, degree: int, indications: tuple[float, float], at: float | None = None) -> None:
        low, high = indications
        if not 1 <= degree <= MAX_DEGREE:
            raise InvalidData(f"a static model has degree 1 to {MAX_DEGREE}, not {degree}")
        if not -np.inf < low < high < np.inf:
            raise InvalidData(f"a range of indications is finite and ascending, not {low} to {high}")
        self.names = tuple(f"c{k}" for k in range(degree + 1))
        self.low, self.high = float(low), float(high)
        self.at = (self.low + self.high) / 2 if at is None else float(at)
        if not low <= self.at <= high:
            raise InvalidData(f"the indication {at} lies outside {low} to {high}")

    def measurand(self, theta: FloatArray, y: FloatArray) -> FloatArray:
        """Return x for indications y, shape (m,); NaN where y is outside the range or NaN."""
        values, indication = self.check(theta), np.asarray(y, dtype=np.float64)
        x = np.polynomial.polynomial.polyval(indication, values)
        return np.where((indication >= self.low) & (indication <= self.high), x, np.nan)

    def measurand_jacobian(self, y: FloatArray) -> FloatArray:
        """Return ∂x/∂θ for indications y, shape (m, p): the powers of y."""
        return np.asarray(np.polynomial.polynomial.polyvander(np.asarray(y, dtype=np.float64), self.n_parameters - 1))

    def indication(self, theta: FloatArray, x: FloatArray) -> FloatArray:
        """Return y for measurands x, shape (m,), by bisection; NaN where no indication in the range belongs to x.

        Raises
        ------
        InvalidData
            If the polynomial is not monotone over the range, so that y would not be one.
        """
        values, wanted = self.check_physical(theta), np.asarray(x, dtype=np.float64)
        rising = float(np.polynomial.polynomial.polyval(self.high, values)) > float(
            np.polynomial.polynomial.polyval(self.low, values)
        )
        sign = 1.0 if rising else -1.0
        low, high = np.full(wanted.shape, self.low), np.full(wanted.shape, self.high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = sign * (np.polynomial.polynomial.polyval(middle, values) - wanted) < 0
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        ends = sorted(np.polynomial.polynomial.polyval(np.array([self.low, self.high]), values).tolist())
        return np.where((wanted >= ends[0]) & (wanted <= ends[1]), (low + high) / 2, np.nan)

    def check_physical(self, theta: FloatArray) -> FloatArray:
        values = self.check(theta)
        slope = np.polynomial.polynomial.polyder(values)
        turns = np.polynomial.polynomial.polyroots(np.trim_zeros(slope, "b")) if np.any(slope) else np.array([])
        real = turns.real[np.abs(turns.imag) <= 1e-9 * (1 + np.abs(turns.real))]
        if not np.any(slope) or bool(np.any((real >= self.low) & (real <= self.high))):
            raise InvalidData(f"the polynomial is not monotone over indications {self.low} to {self.high}")
        return values

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        """Return 1/x'(y) at the indication `at`, the same at every frequency."""
        return np.full(np.shape(f_hz), 1 / self._slope(theta), dtype=np.complex128)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        powers = np.arange(self.n_parameters)
        dslope = np.zeros(self.n_parameters)
        dslope[1:] = powers[1:] * self.at ** (powers[1:] - 1)
        return np.broadcast_to(-dslope / self._slope(theta) ** 2, (np.size(f_hz), dslope.size)).astype(np.complex128)

    def simulate_steps(self, theta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold) -> FloatArray:
        """Return the indications of `u`; instants and hold do not matter."""
        return self.indication(theta, u)

    def _slope(self, theta: FloatArray) -> float:
        slope = float(np.polynomial.polynomial.polyval(self.at, np.polynomial.polynomial.polyder(self.check(theta))))
        if slope == 0:
            raise InvalidData(f"the polynomial is flat at the indication {self.at}")
        return slope
