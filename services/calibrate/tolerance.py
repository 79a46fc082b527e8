"""Conformity of a sensor's parameters with their tolerance against the baseline calibration, with a guard band.

With Δ the relative change and u its standard uncertainty (JCGM 106:2012, 8.3): out of tolerance is said where
|Δ| - 1.64 u exceeds the tolerance (at most 5 % risk that it is within), back within it where |Δ| + 1.64 u does not;
between the two nothing changes. Soon after the baseline, an estimate shares its data: u is then too large, and less is
said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.health import Conformance, ParameterConformity
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import DEFAULT_TOLERANCE

_GUARD: Final = 1.645
_CAPABLE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The first calibration that is good enough to judge by: values (p,) and statistical covariance (p, p)."""

    calibration_id: str
    values: FloatArray
    cov: FloatArray


@dataclass(frozen=True, slots=True)
class Excess:
    """The parameter furthest out of its tolerance."""

    parameter: str
    change: float
    u: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Judged:
    """`excess` where a parameter is out; `within` where all are surely within; neither in between."""

    excess: Excess | None
    within: bool


def capable(parameters: Parameters, cov: FloatArray, tolerance: Mapping[str, float]) -> bool:
    """Tell whether every parameter is known to half of its tolerance: good enough for a baseline."""
    u = np.sqrt(np.diag(cov)) / np.abs(parameters.values)
    limits = np.array([tolerance.get(name, DEFAULT_TOLERANCE) for name in parameters.names])
    return bool(np.all(u <= _CAPABLE * limits))


@dataclass(frozen=True, slots=True)
class Changes:
    """Of each parameter its relative change against the baseline, the standard uncertainty of that, and its limit."""

    names: tuple[str, ...]
    change: tuple[float, ...]
    u: tuple[float, ...]
    limits: tuple[float, ...]


def changes(parameters: Parameters, cov: FloatArray, baseline: Baseline, tolerance: Mapping[str, float]) -> Changes:
    """Compare parameters, with statistical covariance `cov`, with the baseline."""
    change = parameters.values / baseline.values - 1
    u = np.sqrt(cov.diagonal() + baseline.cov.diagonal()) / np.abs(baseline.values)
    limits = tuple(tolerance.get(name, DEFAULT_TOLERANCE) for name in parameters.names)
    return Changes(parameters.names, tuple(change.tolist()), tuple(u.tolist()), limits)


def judge(found: Changes) -> Judged:
    """Say what the guard bands say of all changes."""
    each = list(zip(found.change, found.u, found.limits, strict=True))
    beyond = [(abs(x) - _GUARD * u) / limit for x, u, limit in each]
    worst = max(range(len(beyond)), key=beyond.__getitem__)
    if beyond[worst] > 1:
        return Judged(Excess(found.names[worst], *each[worst]), within=False)
    return Judged(None, within=all(abs(x) + _GUARD * u <= limit for x, u, limit in each))


def conformity(found: Changes) -> tuple[ParameterConformity, ...]:
    """Return for each parameter its change, the probability that it lies within its tolerance, and the verdict."""
    return tuple(
        ParameterConformity(name, x, u, limit, p_within(x, u, limit), verdict(x, u, limit))
        for name, x, u, limit in zip(found.names, found.change, found.u, found.limits, strict=True)
    )


def p_within(change: float, u: float, limit: float) -> float:
    """Return the probability that a change lies within ±`limit`, for a normal one (JCGM 106:2012, eq. 8)."""
    if u <= 0:
        return float(abs(change) <= limit)
    below, above = (change - limit) / (math.sqrt(2) * u), (change + limit) / (math.sqrt(2) * u)
    return (math.erf(above) - math.erf(below)) / 2


def verdict(change: float, u: float, limit: float) -> Conformance:
    """Return what the guard bands say of a change."""
    if abs(change) - _GUARD * u > limit:
        return Conformance.FAILS
    return Conformance.CONFORMS if abs(change) + _GUARD * u <= limit else Conformance.UNDECIDED
