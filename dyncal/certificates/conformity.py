"""Statements of conformity with a guard band (JCGM 106:2012; ISO/IEC 17025, 7.8.6).

With tolerance limits T_L ≤ T_U and the guard band g = k u, a value passes inside the acceptance interval
[T_L + g, T_U - g] (guarded acceptance, 8.3.2) and fails outside [T_L - g, T_U + g] (guarded rejection, 8.3.3). Between
them the value itself decides, and the statement is conditional (ILAC-G8:09/2019, 4.2.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.document import Decision, Statement
from dyncal.certificates.quantity import Quantity, real
from dyncal.certificates.units import ONE, Unit
from dyncal.domain.errors import InvalidData

ONE_SIDED_95: Final = 1.645
"""Guard band in u with which at most 5 % of the items accepted at the limit do not conform."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Tolerance limits of a parameter, in its unit; an infinite limit is none.

    Attributes
    ----------
    guard : float
        Width of the guard band in standard uncertainties; 0 is simple acceptance (8.2).
    source : str
        Who asks for it: a standard, a contract.
    """

    parameter: str
    lower: float
    upper: float
    guard: float = ONE_SIDED_95
    source: str = ""

    def __post_init__(self) -> None:
        who = f"requirement on {self.parameter!r}"
        if math.isnan(self.lower) or math.isnan(self.upper) or not self.lower < self.upper:
            raise InvalidData(f"{who}: limits must ascend, not {self.lower} to {self.upper}")
        if math.isinf(self.lower) and math.isinf(self.upper):
            raise InvalidData(f"{who}: there is no limit")
        if not 0 <= self.guard < math.inf:
            raise InvalidData(f"{who}: the guard band cannot be {self.guard} u")


def decide(requirement: Requirement, value: float, u: float) -> Decision:
    """Return the decision on a value with standard uncertainty u.

    Raises
    ------
    InvalidData
        If value or u is not finite, or u is negative.
    """
    _check(requirement, value, u)
    g = requirement.guard * u
    if requirement.lower + g <= value <= requirement.upper - g:
        return Decision.PASS
    if requirement.lower <= value <= requirement.upper:
        return Decision.CONDITIONAL_PASS
    if requirement.lower - g <= value <= requirement.upper + g:
        return Decision.CONDITIONAL_FAIL
    return Decision.FAIL


def conformance_probability(requirement: Requirement, value: float, u: float) -> float:
    """Return the probability that the true value lies within the limits, for a normal one (JCGM 106, eq. 8)."""
    _check(requirement, value, u)
    if u == 0:
        return 1.0 if requirement.lower <= value <= requirement.upper else 0.0
    root = u * math.sqrt(2)
    below, above = (requirement.lower - value) / root, (requirement.upper - value) / root
    if below > 0:  # in the tail that keeps its digits
        return (math.erfc(below) - math.erfc(above)) / 2
    return (math.erfc(-above) - math.erfc(-below)) / 2


def statement(requirement: Requirement, value: float, u: float, unit: Unit) -> Statement:
    """Return the statement of conformity on a parameter, with limits, rule and probability."""
    r = requirement
    decision = decide(r, value, u)
    rule = (
        f"Guarded acceptance and rejection with a guard band of {r.guard:g} u; between them the value itself decides "
        "and the statement is conditional."
        if r.guard
        else "Simple acceptance: the value itself decides."
    )
    limits = [(label, limit) for label, limit in (("lower", r.lower), ("upper", r.upper)) if math.isfinite(limit)]
    quantity = Quantity(
        f"tolerance limits of {r.parameter}",
        np.array([limit for _, limit in limits]),
        (str(unit),),
        (v.LIMIT,),
        tuple(label for label, _ in limits),
    )
    probability = real(
        f"conformance probability of {r.parameter}", conformance_probability(r, value, u), ONE, v.PROBABILITY
    )
    return Statement(
        name=f"Conformity of {r.parameter}",
        declaration=rule,
        norms=("JCGM 106:2012", "ISO/IEC 17025:2017, 7.8.6"),
        references=(r.source,) if r.source else (),
        decision=decision,
        quantities=(quantity, probability),
        ref_types=(v.CONFORMITY,),
    )


def _check(requirement: Requirement, value: float, u: float) -> None:
    if not (math.isfinite(value) and 0 <= u < math.inf):
        raise InvalidData(f"requirement on {requirement.parameter!r}: no decision on {value} with u {u}")
