"""A stable denominator as first- and second-order sections, in coordinates that cannot leave stability.

A(s) = [(1 + τs)] Π (1 + 2δᵢ s/ωᵢ + s²/ωᵢ²): one lag where the order is odd, then pairs, each of two complex poles
(δ < 1) or two real ones (δ ≥ 1), which pass into one another smoothly. Coordinates: ln τ, then ln δ and ln f0 of each
pair. Sections of one kind may change places: `coordinates` gives them by rising frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One factor of the denominator.

    Attributes
    ----------
    first : int
        Position of its first coordinate.
    factor : float64, shape (3,)
        Coefficients of 1, s, s².
    dfactor : float64, shape (order, 3)
        Derivatives in its own coordinates.
    damping, rate : float
        δ and ω [rad/s]; a lag has rate 1/τ and no damping.
    """

    first: int
    factor: FloatArray
    dfactor: FloatArray
    damping: float
    rate: float

    @property
    def order(self) -> int:
        """Number of states, 1 or 2."""
        return int(self.dfactor.shape[0])


def sections(coordinates: FloatArray) -> list[Section]:
    """Return the sections for coordinates of shape (n,), slowest first (the lag before a pair of its frequency)."""
    found, begin = [], coordinates.size % 2
    if begin:
        tau = float(np.exp(coordinates[0]))
        found.append(Section(0, np.array([1.0, tau, 0.0]), np.array([[0.0, tau, 0.0]]), 1.0, 1 / tau))
    for first in range(begin, coordinates.size, 2):
        damping, rate = float(np.exp(coordinates[first])), 2 * np.pi * float(np.exp(coordinates[first + 1]))
        middle, last = 2 * damping / rate, rate**-2.0
        slopes = np.array([[0.0, middle, 0.0], [0.0, -middle, -2 * last]])
        found.append(Section(first, np.array([1.0, middle, last]), slopes, damping, rate))
    return sorted(found, key=lambda section: section.rate)


def denominator(coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients of A, lowest first, shape (n + 1,), and their derivatives, shape (n, n + 1)."""
    n = coordinates.size
    parts = sections(coordinates)
    slopes = np.zeros((n, n + 1))
    for own in parts:
        others = _product([part.factor[: part.order + 1] for part in parts if part is not own])
        for k in range(own.order):
            slopes[own.first + k] = np.convolve(others, own.dfactor[k, : own.order + 1])
    return _product([part.factor[: part.order + 1] for part in parts]), slopes


def coordinates_of(a: FloatArray, poles: np.ndarray[tuple[int], np.dtype[np.complex128]]) -> FloatArray:
    """Return coordinates of the denominator with coefficients a, shape (n + 1,), and these poles [rad/s].

    Raises
    ------
    InvalidData
        If a pole is not left of the imaginary axis.
    """
    n = a.size - 1
    if not bool(np.all(poles.real < 0)):
        raise InvalidData("a pole lies on or right of the imaginary axis")
    if n == 1:
        return np.array([np.log(a[1])])
    if n == 2:
        return np.array([np.log(a[1] / 2) - np.log(a[2]) / 2, -np.log(2 * np.pi) - np.log(a[2]) / 2])
    real = np.sort(-poles.real[poles.imag == 0])
    lag, real = np.split(real, [real.size % 2])
    upper = poles[poles.imag > 0]
    pairs = [((x + y) / (2 * np.sqrt(x * y)), np.sqrt(x * y)) for x, y in real.reshape(-1, 2).tolist()]
    pairs += [(-pole.real / abs(pole), abs(pole)) for pole in upper.tolist()]
    ordered = sorted(pairs, key=lambda pair: float(pair[1]))
    found = [-np.log(value) for value in lag.tolist()]
    for damping, rate in ordered:
        found += [np.log(damping), np.log(rate / (2 * np.pi))]
    return _polished(np.array(found), a)


def _polished(coordinates: FloatArray, a: FloatArray) -> FloatArray:
    """Take Newton's steps on the relative coefficients while they help: roots of a polynomial are not all good."""
    best, error = coordinates, np.inf
    for _ in range(_ROUNDS):
        reached, slopes = denominator(coordinates)
        wrong = (reached / a - 1)[1:]
        size = float(np.abs(wrong).max())
        if not size < error:
            break
        best, error = coordinates, size
        coordinates = coordinates - np.linalg.lstsq((slopes / a)[:, 1:].T, wrong)[0]
    return best


def _product(factors: list[FloatArray]) -> FloatArray:
    product = np.ones(1)
    for factor in factors:
        product = np.convolve(product, factor)
    return product
