"""The pure rules: decision, policy, tolerance, alarms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from services.calibrate import decision, policy, response, tolerance
from services.calibrate.board import ConditionBoard
from services.calibrate.decision import Values
from services.calibrate.settings import CalibrateSection

RULES = CalibrateSection()
SENSOR = SensorId("s1")


def noise(seed: int, n: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def judge(r: np.ndarray, found: np.ndarray, left: np.ndarray) -> decision.Judgement:
    return decision.judge(Values(found, 0.1), Values(found, 0.1), Values(left, np.full(left.size, 0.1)), r)


def test_a_candidate_that_is_clearly_better_passes() -> None:
    r = noise(1)
    judged = judge(r, r + 0.5 * noise(2), r + 0.05 * noise(3))
    assert judged.conformity.passed
    assert judged.conformity.as_left.rms < 0.2 * judged.conformity.as_found.rms
    assert "guard band" in judged.conformity.rule


def test_candidates_that_are_no_better_pass_no_more_often_than_stated() -> None:
    n_trials = 400
    passed = 0
    for k in range(n_trials):
        r = noise(3 * k)
        passed += judge(r, r + noise(3 * k + 1), r + noise(3 * k + 2)).conformity.passed
    # Student's t with 7 degrees of freedom beyond 2.4 or 3: 2.4 % + 1.0 %; binomial, 4 standard deviations
    assert passed <= n_trials * 0.034 + 4 * np.sqrt(n_trials * 0.034)


def shocks(seed: int, n: int = 3200) -> np.ndarray:
    """Return what is sharp in three of eight batches, and at rest in the others."""
    course = noise(seed, n)
    course[np.isin(np.arange(n) // (n // 8), (1, 3, 6), invert=True)] *= 0.02
    return course


def test_a_candidate_that_is_better_in_each_shock_passes_though_most_batches_hold_none() -> None:
    r = shocks(1)
    at_rest = 0.02 * noise(2, r.size)  # noise alone is a little larger with the new one
    assert judge(r, 0.2 * r + at_rest, 0.95 * r + 1.3 * at_rest).conformity.passed
    assert not judge(r, 0.95 * r + 1.3 * at_rest, 0.2 * r + at_rest).conformity.passed


def test_candidates_that_are_no_better_in_shocks_pass_no_more_often_than_stated() -> None:
    n_trials, passed = 400, 0
    for k in range(n_trials):
        r = shocks(3 * k)
        passed += judge(r, r + shocks(3 * k + 1), r + shocks(3 * k + 2)).conformity.passed
    assert passed <= n_trials * 0.034 + 4 * np.sqrt(n_trials * 0.034)


def refined(left: np.ndarray, u_left: float, r: np.ndarray, found: np.ndarray) -> bool:
    n = r.size
    u = Values(found, np.full(n, 0.1)), Values(left, np.full(n, u_left))
    return decision.judge(Values(found, 0.1), *u, r).conformity.passed


def test_a_candidate_that_is_as_good_and_known_better_passes() -> None:
    r = noise(1, 4000)
    found = r + 0.1 * noise(2, 4000)
    assert refined(found, 0.05, r, found)
    assert not refined(found, 0.09, r, found)


def test_a_smaller_uncertainty_does_not_help_a_candidate_that_is_worse() -> None:
    r = noise(1, 4000)
    found = r + 0.1 * noise(2, 4000)
    passed = [refined(found + 0.05 * noise(seed, 4000), 0.05, r, found) for seed in range(20, 60)]
    assert sum(passed) <= 3  # worse by 25 % of the mean square, the margin being 10 %


def test_a_worse_candidate_and_too_few_samples_do_not_pass() -> None:
    r = noise(1)
    assert not judge(r, r + 0.1 * noise(2), r + 0.5 * noise(3)).conformity.passed
    assert not judge(r[:8], r[:8] + 1, r[:8]).conformity.passed
    with pytest.raises(InvalidData):
        judge(r, r + 1, np.full(r.size, np.nan))


def situation(u: float = 0.01, **in_force: float) -> policy.Situation:
    normal = policy.InForce(change=0.0, distance2=0.0, n_parameters=2, u_response=0.011, corner_ratio=1.0)
    return policy.Situation(u, dataclasses.replace(normal, **in_force) if in_force else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (situation(0.2), None),
        (situation(0.04), "first set"),
        (situation(0.01, change=0.0), None),
        (situation(0.01, change=0.05, distance2=100.0), "parameters moved"),
        (situation(0.01, change=0.05, distance2=1.0), None),
        (situation(0.01, change=0.001, distance2=100.0), None),
        (situation(0.004, u_response=0.011), "refined"),
        (situation(0.01, corner_ratio=2.0), "measurand changed"),
        (situation(0.01, corner_ratio=0.4), "measurand changed"),
        (situation(0.2, change=0.5, distance2=1e6), None),
    ],
)
def test_the_wish_for_a_new_set(given_: policy.Situation, expected: str | None) -> None:
    why = policy.wish(given_, RULES)
    assert (why is None) == (expected is None)
    assert why is None or why.startswith(expected or "")


def test_each_rejection_doubles_the_wait_up_to_a_bound() -> None:
    waits = [policy.wait_ns(RULES, first=False, moving=False, n_rejected=n) / 1e9 for n in range(10)]
    assert waits[:4] == [20, 20, 40, 80]
    assert waits[7] == waits[9] == 1280
    assert policy.wait_ns(RULES, first=True, moving=False, n_rejected=0) == 2_500_000_000
    assert policy.wait_ns(RULES, first=False, moving=True, n_rejected=0) == RULES.moving_interval_s * 1e9


def first_order(gain: float, tau_s: float, u: float) -> Parameters:
    return Parameters(
        ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([gain, tau_s]), np.diag([(u * gain) ** 2, (u * tau_s) ** 2])
    )


def test_the_response_knows_what_a_change_of_tau_means() -> None:
    a, b = first_order(1, 1, 0.01), first_order(1, 1.2, 0.01)
    band_hz = 100.0
    change = response.relative_change(b, a, band_hz)
    assert 0.1 < change < 0.2  # far above the corner H goes with 1/tau: -1/6
    assert response.relative_change(a, a, band_hz) < 1e-15
    assert response.relative_u(a, 1e-6) == pytest.approx(0.01, rel=1e-3)  # the gain alone
    assert response.relative_u(a, 1e9) == pytest.approx(0.01 * np.sqrt(2), rel=0.1)
    assert response.distance(b.values, b.cov, a.values, a.cov) == pytest.approx(0.2**2 / (0.01**2 + 0.012**2))


def test_tolerance_has_a_guard_band_on_both_sides() -> None:
    base = first_order(1, 1, 0.001)
    baseline = tolerance.Baseline("b", base.values, base.cov)

    def at(tau_s: float, u: float = 0.005) -> tolerance.Judged:
        now = first_order(1, tau_s, u)
        return tolerance.judge(tolerance.changes(now, now.cov, baseline, {"tau_s": 0.1}))

    assert at(1.0).within
    assert at(1.08).within
    for between in (1.095, 1.105):
        assert not at(between).within
        assert at(between).excess is None
    excess = at(1.12).excess
    assert excess is not None
    assert (excess.parameter, excess.tolerance) == ("tau_s", 0.1)
    assert excess.change == pytest.approx(0.12)
    assert at(1.12, u=0.05).excess is None
    assert tolerance.capable(base, base.cov, {})
    assert not tolerance.capable(base, 1e4 * base.cov, {})


@pytest.mark.parametrize(
    ("change", "verdict", "p"),
    [(0.0, "conforms", 1.0), (0.095, "undecided", 0.841), (0.105, "undecided", 0.159), (-0.12, "fails", 0.00003)],
)
def test_each_parameter_has_its_probability_to_conform(change: float, verdict: str, p: float) -> None:
    base = first_order(1, 1, 0)
    now = first_order(1, 1 + change, 0.005 / (1 + change))
    gain, tau = tolerance.conformity(
        tolerance.changes(now, now.cov, tolerance.Baseline("b", base.values, base.cov), {"tau_s": 0.1})
    )
    assert (tau.parameter, tau.tolerance, tau.verdict) == ("tau_s", 0.1, verdict)
    assert tau.change == pytest.approx(change)
    assert tau.u == pytest.approx(0.005)
    assert tau.p_within == pytest.approx(p, abs=1e-3)
    assert (gain.parameter, gain.verdict) == ("gain", "conforms")


def test_a_change_without_uncertainty_is_within_or_not() -> None:
    assert [tolerance.p_within(change, 0.0, 0.1) for change in (0.1, 0.11)] == [1.0, 0.0]


@given(st.lists(st.sampled_from(["on", "off"]), max_size=40))
@settings(max_examples=300)
def test_a_condition_is_told_when_it_begins_and_when_it_ends(steps: list[str]) -> None:
    board, holds, told = ConditionBoard(), False, []
    for k, step in enumerate(steps):
        now = InstantNs(k)
        if step == "on":
            found = Condition(SiteId("p"), SENSOR, AlarmKind.DRIFT, holds=True, at_ns=now, parameter="tau_s", value=0.1)
            told = list(board.begin(found))
        else:
            told = list(board.end(AlarmKind.DRIFT, now))
        assert [put.condition.holds for put in told] == ([] if (step == "on") == holds else [step == "on"])
        assert all(put.condition.at_ns == now and put.condition.parameter == "tau_s" for put in told)
        holds = step == "on"
        assert [c.kind for c in board.holding()] == ([AlarmKind.DRIFT] if holds else [])
        again = ConditionBoard(board.known())
        assert list(again.repeat()) == list(board.repeat())
