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


def judge(parameters: Parameters, cov: FloatArray, baseline: Baseline, tolerance: Mapping[str, float]) -> Judged:
    """Compare parameters, with statistical covariance `cov`, with the baseline."""
    change, u, limits = _compared(parameters, cov, baseline, tolerance)
    beyond = (np.abs(change) - _GUARD * u) / limits
    worst = int(np.argmax(beyond))
    if beyond[worst] > 1:
        excess = Excess(parameters.names[worst], float(change[worst]), float(u[worst]), float(limits[worst]))
        return Judged(excess, within=False)
    return Judged(None, within=bool(np.all(np.abs(change) + _GUARD * u <= limits)))


def conformity(
    parameters: Parameters, cov: FloatArray, baseline: Baseline, tolerance: Mapping[str, float]
) -> tuple[ParameterConformity, ...]:
    """Return for each parameter its change, the probability that it lies within its tolerance, and the verdict."""
    change, u, limits = (values.tolist() for values in _compared(parameters, cov, baseline, tolerance))
    return tuple(
        ParameterConformity(name, x, u_x, limit, p_within(x, u_x, limit), verdict(x, u_x, limit))
        for name, x, u_x, limit in zip(parameters.names, change, u, limits, strict=True)
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


def _compared(
    parameters: Parameters, cov: FloatArray, baseline: Baseline, tolerance: Mapping[str, float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    change = parameters.values / baseline.values - 1
    u = np.sqrt(np.diag(cov) + np.diag(baseline.cov)) / np.abs(baseline.values)
    return change, u, np.array([tolerance.get(name, DEFAULT_TOLERANCE) for name in parameters.names])
