"""One quantity of a certificate: numbers with units and uncertainty, real or complex, single or a list."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.certificates.units import Unit, parse_dsi, scale
from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.models.base import ComplexArray

K: Final = 2.0
"""Coverage factor of what dyncal states: about 95 % for a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """Real numbers with their standard uncertainties.

    Attributes
    ----------
    name : str
    values : float64, shape (n,)
        NaN where a certificate says so; `checked` refuses them.
    units : tuple of str
        In the spelling of D-SI: one for all, or one for each.
    ref_types : tuple of str
        What it is, in the vocabularies of `dyncal.certificates.vocabulary`.
    labels : tuple of str
        None, or one for each value.
    u : float64, shape (n,), optional
        Standard uncertainties in the unit of the values (kelvin for °C).
    k : float
        Coverage factor with which `u` is stated; 1 states the standard uncertainty itself.
    cov : float64, shape (n, n), optional
        Covariance matrix, in products of the units.
    single : bool
        One number, not a list of one.
    where : str
        Place in the document that it was read from; for messages.
    """

    name: str
    values: FloatArray
    units: tuple[str, ...]
    ref_types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    u: FloatArray | None = None
    k: float = K
    cov: FloatArray | None = None
    single: bool = False
    where: str = ""

    def __post_init__(self) -> None:
        n = self.values.size
        _check_lengths(self.who, n, self.units, self.labels)
        if self.u is not None and self.u.shape != (n,):
            raise InvalidData(f"{self.who}: {self.u.size} uncertainties for {n} values")
        if self.cov is not None and self.cov.shape != (n, n):
            raise InvalidData(f"{self.who}: a covariance matrix of shape {self.cov.shape} for {n} values")

    def __len__(self) -> int:
        return int(self.values.size)

    @property
    def who(self) -> str:
        """Name and place, for messages."""
        return _who(self.name, self.where)

    def unit(self, index: int = 0) -> Unit:
        """Return the unit of one value. Raises `InvalidData` if it is no unit of D-SI."""
        return _parsed(self.who, self.units, index)

    def checked(self) -> Quantity:
        """Return itself if all numbers are finite and uncertainties possible.

        Raises
        ------
        InvalidData
            Naming the quantity and what cannot be: a number that is not finite, a negative uncertainty, a covariance
            that is not symmetric or not positive semidefinite.
        """
        _check_finite(self.who, "value", self.values)
        if self.u is not None:
            _check_finite(self.who, "uncertainty", self.u)
            if bool(np.any(self.u < 0)):
                raise InvalidData(f"{self.who}: uncertainty {int(np.argmax(self.u < 0))} is negative")
        if self.cov is not None:
            check_covariance(self.who, self.cov)
        return self

    @property
    def standard_uncertainty(self) -> FloatArray | None:
        """Standard uncertainties, from `u` or the covariance, float64 of shape (n,); None where there is neither."""
        if self.u is None and self.cov is not None:
            return np.sqrt(np.diag(self.cov))
        return self.u


@dataclass(frozen=True, slots=True, eq=False)
class ComplexQuantity:
    """Complex numbers with the covariance of each.

    Attributes
    ----------
    values : complex128, shape (n,)
    unit_text : str
        Unit of the magnitude, or of real and imaginary part.
    cov : float64, shape (n, 2, 2), optional
        Of (real, imaginary), or of (magnitude, phase [rad]) where `polar`.
    polar : bool
        Stated by magnitude and phase.
    """

    name: str
    values: ComplexArray
    unit_text: str
    ref_types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    cov: FloatArray | None = None
    polar: bool = False
    where: str = ""

    def __post_init__(self) -> None:
        n = self.values.size
        _check_lengths(self.who, n, (self.unit_text,), self.labels)
        if self.cov is not None and self.cov.shape != (n, 2, 2):
            raise InvalidData(f"{self.who}: covariances of shape {self.cov.shape} for {n} complex values")

    def __len__(self) -> int:
        return int(self.values.size)

    @property
    def who(self) -> str:
        """Name and place, for messages."""
        return _who(self.name, self.where)

    def unit(self) -> Unit:
        """Return the unit of the magnitudes. Raises `InvalidData` if it is no unit of D-SI."""
        return _parsed(self.who, (self.unit_text,), 0)

    def checked(self) -> ComplexQuantity:
        """Return itself if all numbers are finite and covariances possible; raises as `Quantity.checked`."""
        _check_finite(self.who, "value", np.abs(self.values))
        if self.cov is not None:
            for index, matrix in enumerate(self.cov):
                check_covariance(f"{self.who}, value {index}", matrix)
        return self


@dataclass(frozen=True, slots=True)
class TextQuantity:
    """What a certificate states in words."""

    name: str
    text: str
    ref_types: tuple[str, ...] = ()
    where: str = ""


AnyQuantity = Quantity | ComplexQuantity | TextQuantity


def real(
    name: str,
    value: float,
    unit: Unit | str,
    *ref_types: str,
    u: float | None = None,
    k: float = K,
) -> Quantity:
    """Return one real number with its standard uncertainty."""
    spread = None if u is None else np.array([u], dtype=np.float64)
    return Quantity(name, np.array([value], dtype=np.float64), (str(unit),), ref_types, u=spread, k=k, single=True)


def check_covariance(who: str, cov: FloatArray) -> None:
    """Raise `InvalidData` unless `cov`, shape (n, n), is finite, symmetric and positive semidefinite."""
    _check_finite(who, "covariance", cov.reshape(-1))
    correlations(cov, f"{who}: the covariance matrix")


def unit_factors(source: tuple[Unit, ...], target: tuple[Unit, ...]) -> FloatArray:
    """Return the factors that take differences from one unit to another, shape (n,). Raises `InvalidData`."""
    return np.array([scale(a, b) for a, b in zip(source, target, strict=True)])


def _who(name: str, where: str) -> str:
    return f"{name!r} at {where}" if where else repr(name)


def _parsed(who: str, units: tuple[str, ...], index: int) -> Unit:
    try:
        return parse_dsi(units[index if len(units) > 1 else 0])
    except InvalidData as error:
        raise InvalidData(f"{who}: {error}") from error


def _check_lengths(who: str, n: int, units: tuple[str, ...], labels: tuple[str, ...]) -> None:
    if n < 1:
        raise InvalidData(f"{who}: there is no value")
    if len(units) not in (1, n):
        raise InvalidData(f"{who}: {len(units)} units for {n} values")
    if labels and len(labels) != n:
        raise InvalidData(f"{who}: {len(labels)} labels for {n} values")


def _check_finite(who: str, what: str, numbers: FloatArray) -> None:
    for index, number in enumerate(numbers.tolist()):
        if not math.isfinite(number):
            raise InvalidData(f"{who}: {what} {index} is {number}, not a finite number")
