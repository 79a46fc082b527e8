"""How the uncertainty of a clock grows, and what is said of it."""

from __future__ import annotations

import math

import pytest

from dyncal.domain.time import NS_PER_S, InstantNs
from edge_agent.clock.reading import Reading
from edge_agent.clock.watch import MOST_U_NS, ClockRules, ClockState, ClockWatch

T0 = InstantNs(1_700_000_000 * NS_PER_S)
RULES = ClockRules(declared_ns=None, unknown_ns=1e9, limit_ns=1e6, holdover=10e-6)
GOOD = Reading("chrony", 100.0, 50_000.0, "192.0.2.1")
LOST = Reading("chrony", synchronised=False)


def at(seconds: float) -> InstantNs:
    return InstantNs(T0 + round(seconds * NS_PER_S))


def test_a_clock_of_which_nothing_is_known_says_so() -> None:
    found = ClockWatch(RULES, T0, 0.0).standing(at(5), 5.0)
    assert (found.state, found.u_ns, found.since_ns, found.age_s) == (ClockState.UNKNOWN, 10**9, T0, None)
    assert not found.state.good


def test_what_is_declared_counts_where_nothing_is_measured_and_beside_what_is() -> None:
    watch = ClockWatch(ClockRules(120_000.0, 1e9, 1e6, 10e-6), T0, 0.0)
    watch.told(LOST, 0.0)
    found = watch.standing(T0, 0.0)
    assert (found.state, found.u_ns) == (ClockState.DECLARED, 120_000)
    watch.told(GOOD, 1.0)
    found = watch.standing(at(1), 1.0)
    assert (found.state, found.u_ns) == (ClockState.SYNCHRONISED, 130_000)


@pytest.mark.parametrize("rate", [0.0, 40e-6])
def test_in_holdover_the_uncertainty_grows_with_the_frequency_s(rate: float) -> None:
    watch = ClockWatch(RULES, T0, 0.0)
    watch.told(Reading("chrony", 100.0, 50_000.0, "r", rate), 0.0)
    watch.told(None, 10.0)
    worst = max(rate, 10e-6)
    for seconds in (10.0, 100.0, 10_000.0):
        found = watch.standing(at(seconds), seconds)
        assert found.state is ClockState.HOLDOVER
        assert found.u_ns == math.ceil(math.hypot(50_000, worst * seconds * 1e9))
        assert (found.since_ns, found.age_s, found.source) == (at(10), seconds, "chrony")
    assert watch.standing(at(1e12), 1e12).u_ns == MOST_U_NS


def test_a_poor_clock_is_degraded_and_one_that_comes_back_is_not() -> None:
    watch = ClockWatch(RULES, T0, 0.0)
    watch.told(Reading("chrony", 0.0, 2e6), 0.0)
    assert watch.standing(T0, 0.0).state is ClockState.DEGRADED
    watch.told(GOOD, 60.0)
    found = watch.standing(at(60), 60.0)
    assert (found.state, found.since_ns, found.u_ns) == (ClockState.SYNCHRONISED, at(60), 50_000)


def test_only_a_step_is_a_step() -> None:
    watch = ClockWatch(RULES, T0, 100.0)
    assert watch.stepped(at(1), 101.0) is None
    assert watch.stepped(at(3602), 102.0) == 3600 * NS_PER_S
    assert watch.stepped(at(3603), 103.0) is None
    assert watch.stepped(at(3603.9), 104.0) == pytest.approx(-0.1 * NS_PER_S, rel=1e-6)
