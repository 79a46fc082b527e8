"""Operating conditions (temperature, flow, …) as axes of a schedule."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass

import numpy as np

from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


class Transform(enum.StrEnum):
    """What a parameter is a polynomial in: the condition, its logarithm, or its reciprocal (1/T: Arrhenius)."""

    LINEAR = "linear"
    LOG = "log"
    RECIPROCAL = "reciprocal"


@dataclass(frozen=True, slots=True)
class Axis:
    """One condition, with its unit in its name: ``temperature_degc``, ``flow_m_per_s``."""

    name: str
    transform: Transform = Transform.LINEAR

    def __post_init__(self) -> None:
        object.__setattr__(self, "transform", choice(Transform, self.transform, "transform"))

    def transformed(self, values: FloatArray) -> FloatArray:
        """Return the transformed condition; raise `InvalidData` where it is not defined."""
        if not bool(np.all(np.isfinite(values))):
            raise InvalidData(f"{self.name} must be finite, not {values}")
        if self.transform is Transform.LINEAR:
            return values
        if bool(np.any(values <= 0)):
            raise InvalidData(f"{self.name} must be positive for its {self.transform}, not {float(np.min(values))}")
        return np.log(values) if self.transform is Transform.LOG else 1 / values

    def slope(self, values: FloatArray) -> FloatArray:
        """Return the derivative of `transformed`."""
        if self.transform is Transform.LINEAR:
            return np.ones_like(values)
        return 1 / values if self.transform is Transform.LOG else -1 / values**2


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """The range of conditions that was calibrated, which maps to -1 … 1 on each axis.

    Attributes
    ----------
    axes : tuple of Axis, k of them
    low, high : float64, shape (k,)
        In the units of the conditions, low < high.
    """

    axes: tuple[Axis, ...]
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, axes: tuple[Axis, ...], conditions: FloatArray) -> Box:
        """Return the box around conditions of shape (N, k); raise `InvalidData` where one of them never changed."""
        low, high = conditions.min(axis=0), conditions.max(axis=0)
        for axis, first, last in zip(axes, low.tolist(), high.tolist(), strict=True):
            if not last > first:
                raise InvalidData(f"{axis.name} was {first} in every calibration: nothing can be said of its influence")
        return cls(axes, low, high)

    def holds(self, condition: FloatArray) -> bool:
        """Tell whether a condition, shape (k,), lies within (to rounding)."""
        room = 1e-9 * (self.high - self.low)
        return bool(np.all((condition >= self.low - room) & (condition <= self.high + room)))

    def unit(self, conditions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates of conditions (N, k) and their derivatives, each (N, k); -1 … 1 inside."""
        x, slope = np.empty(conditions.shape), np.empty(conditions.shape)
        for k, axis in enumerate(self.axes):
            ends = axis.transformed(np.array([self.low[k], self.high[k]]))
            half = (ends[1] - ends[0]) / 2
            x[:, k] = (axis.transformed(conditions[:, k]) - ends[0]) / half - 1
            slope[:, k] = axis.slope(conditions[:, k]) / half
        return x, slope


def powers(n_axes: int, degree: int) -> list[tuple[int, ...]]:
    """Return the exponents of the monomials of total degree up to `degree`, the constant first."""
    found = [each for each in itertools.product(range(degree + 1), repeat=n_axes) if sum(each) <= degree]
    return sorted(found, key=lambda each: (sum(each), tuple(-power for power in each)))


def monomials(x: FloatArray, exponents: list[tuple[int, ...]]) -> tuple[FloatArray, FloatArray]:
    """Return the monomials at x (N, k), shape (N, q), and their gradients, shape (N, q, k)."""
    table = np.array(exponents, dtype=np.int64).reshape(-1, x.shape[1])
    each = x[:, None, :] ** table
    values = each.prod(axis=2)
    gradients = np.empty(each.shape)
    for k in range(x.shape[1]):
        others = np.delete(each, k, axis=2).prod(axis=2)
        gradients[:, :, k] = others * table[:, k] * x[:, None, k] ** np.maximum(table[:, k] - 1, 0)
    return values, gradients
