"""Distributions of input quantities (JCGM 101, 6.4), drawn from seeded generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from dyncal.domain import covariances
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


class Distribution(Protocol):
    """A distribution of one or more input quantities."""

    @property
    def size(self) -> int:
        """Number of quantities."""

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return n draws, float64 of shape (n, size)."""


@dataclass(frozen=True, slots=True)
class Normal:
    """Gaussian: a value with its standard uncertainty (6.4.7)."""

    value: float
    u: float

    def __post_init__(self) -> None:
        _finite("a normal distribution", self.value, self.u)
        _not_negative("a standard uncertainty", self.u)

    @property
    def size(self) -> int:
        """One."""
        return 1

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, 1)."""
        return self.value + self.u * rng.standard_normal((n, 1))


@dataclass(frozen=True, slots=True)
class StudentT:
    """Scaled and shifted t: a mean of few observations, or an expanded uncertainty with its dof (6.4.9)."""

    value: float
    scale: float
    dof: float

    def __post_init__(self) -> None:
        _finite("a t distribution", self.value, self.scale, self.dof)
        _not_negative("the scale of a t distribution", self.scale)
        if self.dof <= 0:
            raise InvalidData(f"a t distribution needs positive degrees of freedom, not {self.dof}")

    @property
    def size(self) -> int:
        """One."""
        return 1

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, 1)."""
        return self.value + self.scale * rng.standard_t(self.dof, (n, 1))


@dataclass(frozen=True, slots=True)
class Trapezoidal:
    """Between two limits, the top `flat` times as wide as the base: 1 rectangular, 0 triangular (6.4.2 to 6.4.5)."""

    low: float
    high: float
    flat: float = 1.0

    def __post_init__(self) -> None:
        _finite("a distribution between limits", self.low, self.high, self.flat)
        if not self.low <= self.high:
            raise InvalidData(f"limits ascend; {self.low} to {self.high} do not")
        if not 0 <= self.flat <= 1:
            raise InvalidData(f"the top of a trapezium is 0 to 1 of its base, not {self.flat}")

    @property
    def size(self) -> int:
        """One."""
        return 1

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, 1)."""
        width = self.high - self.low
        first = rng.random((n, 1)) * (1 + self.flat)
        second = rng.random((n, 1)) * (1 - self.flat)
        return self.low + width / 2 * (first + second)


@dataclass(frozen=True, slots=True)
class Arcsine:
    """U-shaped between two limits: a sinusoid at an unknown phase (6.4.6)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _finite("a U-shaped distribution", self.low, self.high)
        if not self.low <= self.high:
            raise InvalidData(f"limits ascend; {self.low} to {self.high} do not")

    @property
    def size(self) -> int:
        """One."""
        return 1

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, 1)."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return middle + half * np.sin(2 * np.pi * rng.random((n, 1)))


class MultivariateNormal:
    """Gaussian vector (6.4.8).

    Parameters
    ----------
    values : float64, shape (p,)
    cov : float64, shape (p, p)
        Symmetric and positive semidefinite.

    Raises
    ------
    InvalidData
        If shapes differ, something is not finite, or `cov` is no covariance; the text says in what it fails.
    """

    def __init__(self, values: FloatArray, cov: FloatArray) -> None:
        self.values = np.array(values, dtype=np.float64)
        self.cov = np.array(cov, dtype=np.float64)
        if self.values.ndim != 1 or self.cov.shape != (self.values.size, self.values.size):
            raise InvalidData(f"values {self.values.shape} and covariance {self.cov.shape} do not go together")
        if not bool(np.all(np.isfinite(self.values))):
            raise InvalidData("the values of a normal vector must be finite")
        self._factor = covariances.root(self.cov, "a covariance")

    @property
    def size(self) -> int:
        """Number of quantities p."""
        return int(self.values.size)

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, p)."""
        drawn: FloatArray = self.values + rng.standard_normal((n, self.size)) @ self._factor
        return drawn


class Independent:
    """Distributions independent of each other, side by side."""

    def __init__(self, *parts: Distribution) -> None:
        if not parts:
            raise InvalidData("there is no input quantity")
        self.parts = parts

    @property
    def size(self) -> int:
        """Number of quantities of all parts."""
        return sum(part.size for part in self.parts)

    def draw(self, rng: Generator, n: int) -> FloatArray:
        """Return draws of shape (n, size), columns in the order of the parts."""
        return np.concatenate([part.draw(rng, n) for part in self.parts], axis=1)


def _finite(what: str, *numbers: float) -> None:
    if not all(np.isfinite(number) for number in numbers):
        raise InvalidData(f"{what} needs finite numbers, not {', '.join(map(str, numbers))}")


def _not_negative(what: str, number: float) -> None:
    if number < 0:
        raise InvalidData(f"{what} is not negative, and is {number}")
