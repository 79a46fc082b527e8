"""Validation of the law of propagation of uncertainty by Monte Carlo (JCGM 101, clause 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


class Outcome(Protocol):
    """What is used of a Monte Carlo result."""

    @property
    def low(self) -> FloatArray:
        """Lower ends of the coverage intervals."""

    @property
    def high(self) -> FloatArray:
        """Upper ends."""

    @property
    def u(self) -> FloatArray:
        """Standard uncertainties."""

    @property
    def spread(self) -> FloatArray:
        """Twice the standard deviations of the figures."""

    @property
    def coverage(self) -> float:
        """Coverage probability."""


@dataclass(frozen=True, slots=True, eq=False)
class GumResult:
    """Estimates with standard uncertainties, by the law of propagation; intervals value ± k u.

    Attributes
    ----------
    value, u : float64, shape (n,)
    dof : float
        Effective degrees of freedom (GUM, G.4): k is a quantile of Student's t, of the normal distribution at infinity.
    """

    value: FloatArray
    u: FloatArray
    dof: float = math.inf

    def __post_init__(self) -> None:
        if self.value.shape != self.u.shape or self.value.ndim != 1:
            raise InvalidData(f"values {self.value.shape} and uncertainties {self.u.shape} do not go together")
        if not bool(np.all(np.isfinite(self.value)) and np.all(self.u >= 0) and np.all(np.isfinite(self.u))):
            raise InvalidData("values and uncertainties must be finite, and no uncertainty negative")
        if not self.dof > 0:
            raise InvalidData(f"degrees of freedom are positive, not {self.dof}")

    def coverage_factor(self, coverage: float) -> float:
        """Return k for a coverage probability."""
        if math.isinf(self.dof):
            return NormalDist().inv_cdf((1 + coverage) / 2)
        from scipy.special import stdtrit  # noqa: PLC0415 - only where degrees of freedom are few

        return float(stdtrit(self.dof, (1 + coverage) / 2))


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Whether the law of propagation may be relied on here (8.1.2).

    Attributes
    ----------
    d_low, d_high : float64, shape (n,)
        |y - U - y_low| and |y + U - y_high|.
    delta : float64, shape (n,)
        Numerical tolerance of u.
    decided : bool, shape (n,)
        Whether the Monte Carlo's own ends are known to a fifth of delta, so that its word counts (8.2).
    """

    d_low: FloatArray
    d_high: FloatArray
    delta: FloatArray
    decided: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def passed_each(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether neither end is off by more than delta, shape (n,)."""
        return np.asarray((self.d_low <= self.delta) & (self.d_high <= self.delta))

    @property
    def passed(self) -> bool:
        """Whether all outputs pass."""
        return bool(np.all(self.passed_each))

    @property
    def conclusive(self) -> bool:
        """Whether the Monte Carlo was fine enough for all outputs."""
        return bool(np.all(self.decided))

    def __str__(self) -> str:
        """Say it for people."""
        worst = float(np.max(np.maximum(self.d_low, self.d_high) / np.where(self.delta > 0, self.delta, np.inf)))
        word = "validated" if self.passed else "not validated"
        doubt = "" if self.conclusive else "; the Monte Carlo has too few draws to be sure"
        n, good = self.delta.size, int(np.count_nonzero(self.passed_each))
        return f"{word}: {good} of {n} outputs within the tolerance, the worst end off by {worst:.2g} of it{doubt}"


def validate(gum: GumResult, monte_carlo: Outcome, digits: int = 1) -> Validation:
    """Compare the intervals of the law of propagation with those of a Monte Carlo.

    Parameters
    ----------
    digits : int
        Significant decimal digits of u that count.

    Raises
    ------
    InvalidData
        If the two do not have as many outputs.
    """
    if not 1 <= digits <= 6:
        raise InvalidData(f"1 to 6 digits of u are significant, not {digits}")
    if gum.value.shape != monte_carlo.low.shape:
        raise InvalidData(f"{gum.value.size} outputs cannot be compared with {monte_carlo.low.size}")
    expanded = gum.coverage_factor(monte_carlo.coverage) * gum.u
    delta = numerical_tolerance(gum.u, digits)
    rounding = 1e-13 * np.abs(gum.value)
    return Validation(
        d_low=np.abs(gum.value - expanded - monte_carlo.low),
        d_high=np.abs(gum.value + expanded - monte_carlo.high),
        delta=np.maximum(delta, rounding),
        decided=np.asarray(np.all(monte_carlo.spread[2:] <= np.maximum(delta / 5, rounding), axis=0)),
    )


def numerical_tolerance(u: FloatArray, digits: int) -> FloatArray:
    """Return δ = ½ 10^r where u rounded to `digits` significant digits is an integer times 10^r (JCGM 101, 7.9.2)."""
    positive = np.where(u > 0, u, 1.0)
    r = np.floor(np.log10(positive)) - (digits - 1)
    # 0.0996 to two digits is 0.10
    r = np.where(np.round(positive * 10.0**-r) >= 10.0**digits, r + 1, r)
    return np.where(u > 0, 0.5 * 10.0**r, 0.0)
