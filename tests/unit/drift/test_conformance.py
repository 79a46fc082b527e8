"""Risks of the decision rule, against drawing them."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.drift.conformance import global_risks


@pytest.mark.parametrize("guard", [0.0, 1.0, 1.645])
@pytest.mark.parametrize(("u", "expected"), [(0.25, 0.5), (0.5, 1.0), (0.05, 2.0), (1.0, 0.3)])
def test_they_are_the_shares_of_draws(u: float, expected: float, guard: float) -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    true = expected * rng.standard_normal(n)
    seen = np.abs(true + u * rng.standard_normal(n))
    conforms, fails = seen <= max(1 - guard * u, 0.0), seen > 1 + guard * u
    found = global_risks(1.0, u, expected, guard)
    outside = np.abs(true) > 1
    for value, drawn in (
        (found.false_conforms, conforms & outside),
        (found.false_fails, fails & ~outside),
        (found.undecided, ~conforms & ~fails),
    ):
        share = float(np.mean(drawn))
        assert value == pytest.approx(share, abs=4 * np.sqrt(max(share, 1e-5) / n) + 1e-6)


def test_the_rule_says_less_and_risks_less_than_simple_acceptance() -> None:
    simple, guarded = global_risks(1.0, 0.25, 0.5, 0.0), global_risks(1.0, 0.25, 0.5)
    assert simple.undecided == pytest.approx(0.0, abs=1e-12)
    assert guarded.false_conforms < simple.false_conforms / 10
    assert guarded.false_fails < simple.false_fails / 10


@pytest.mark.parametrize("given", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1, -1), (float("inf"), 1, 1)])
def test_what_cannot_be_is_refused(given: tuple[float, ...]) -> None:
    with pytest.raises(InvalidData):
        global_risks(*given)
