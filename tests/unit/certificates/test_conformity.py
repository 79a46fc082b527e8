"""Statements of conformity: acceptance interval, guard band, probability, and what cannot be decided."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dyncal.certificates.conformity import Requirement, conformance_probability, decide, statement
from dyncal.certificates.document import Decision
from dyncal.certificates.quantity import Quantity
from dyncal.certificates.units import SECOND
from dyncal.domain.errors import InvalidData

REQUIREMENT = Requirement("tau_s", 0.9, 1.1, guard=2.0)


@pytest.mark.parametrize(
    ("value", "u", "decision"),
    [
        (1.0, 0.04, Decision.PASS),
        (1.02, 0.04, Decision.PASS),
        (1.03, 0.04, Decision.CONDITIONAL_PASS),
        (0.95, 0.04, Decision.CONDITIONAL_PASS),
        (1.11, 0.04, Decision.CONDITIONAL_FAIL),
        (0.85, 0.04, Decision.CONDITIONAL_FAIL),
        (1.19, 0.04, Decision.FAIL),
        (1.0, 0.06, Decision.CONDITIONAL_PASS),  # the acceptance interval is empty
        (1.1, 0.0, Decision.PASS),
        (1.1000001, 0.0, Decision.FAIL),
    ],
)
def test_decisions(value: float, u: float, decision: Decision) -> None:
    assert decide(REQUIREMENT, value, u) is decision


def test_one_limit_alone() -> None:
    at_most = Requirement("tau_s", -math.inf, 1.0)
    assert decide(at_most, -1e9, 1.0) is Decision.PASS
    assert decide(at_most, 1.0, 0.1) is Decision.CONDITIONAL_PASS
    said = statement(at_most, 0.5, 0.1, SECOND)
    limits = said.quantities[0]
    assert isinstance(limits, Quantity)
    assert limits.labels == ("upper",)


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.9, 0.97, 1.0, 1.1, 1.3, 5.0])
@pytest.mark.parametrize("u", [0.01, 0.1, 2.0])
def test_probability_is_that_of_the_normal_distribution(value: float, u: float) -> None:
    z = (np.array([REQUIREMENT.lower, REQUIREMENT.upper]) - value) / u
    expected = stats.norm.sf(z[0]) - stats.norm.sf(z[1]) if z[0] > 0 else stats.norm.cdf(z[1]) - stats.norm.cdf(z[0])
    assert conformance_probability(REQUIREMENT, value, u) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_probability_without_uncertainty() -> None:
    assert conformance_probability(REQUIREMENT, 1.0, 0.0) == 1.0
    assert conformance_probability(REQUIREMENT, 2.0, 0.0) == 0.0


def test_guard_of_1_645_u_accepts_at_most_5_percent_that_do_not_conform() -> None:
    guarded = Requirement("tau_s", -math.inf, 1.0)
    assert conformance_probability(guarded, 1.0 - guarded.guard * 0.1, 0.1) == pytest.approx(0.95, abs=1e-4)


def test_simple_acceptance_says_so() -> None:
    simple = Requirement("tau_s", 0.9, 1.1, guard=0.0)
    assert decide(simple, 1.1, 0.5) is Decision.PASS
    assert "Simple acceptance" in statement(simple, 1.0, 0.1, SECOND).declaration


@pytest.mark.parametrize(
    ("lower", "upper", "guard", "message"),
    [
        (1.0, 0.9, 2.0, "limits must ascend"),
        (math.nan, 1.0, 2.0, "limits must ascend"),
        (-math.inf, math.inf, 2.0, "there is no limit"),
        (0.0, 1.0, -1.0, "the guard band cannot be"),
        (0.0, 1.0, math.inf, "the guard band cannot be"),
        (0.0, 1.0, math.nan, "the guard band cannot be"),
    ],
)
def test_requirements_that_cannot_be(lower: float, upper: float, guard: float, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        Requirement("tau_s", lower, upper, guard)


@pytest.mark.parametrize(
    ("value", "u"), [(math.nan, 0.1), (math.inf, 0.1), (1.0, math.nan), (1.0, -0.1), (1.0, math.inf)]
)
def test_no_decision_without_numbers(value: float, u: float) -> None:
    with pytest.raises(InvalidData, match="no decision on"):
        decide(REQUIREMENT, value, u)
