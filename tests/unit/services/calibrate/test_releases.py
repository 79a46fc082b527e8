"""Who releases verified sets: policies, approval, going back, and what newer data say of a set that waits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from dyncal.contracts.coefficients import canonical, encode_report
from dyncal.contracts.residuals import encode as encode_residuals
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.coefficients import CoefficientSet, Outcome, Report, SetState
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy, check_path
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.testing.registry import make_set
from services.calibrate import intake, snapshots
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import (
    AddSet,
    Decline,
    Effect,
    Governed,
    Known,
    MoveSet,
    Note,
    Refused,
    Release,
    ResidualsFound,
    Restore,
    SendShadow,
    SetReported,
    Tick,
)
from services.calibrate.release import person_needed
from services.calibrate.settings import CalibrateSection

from .conftest import Run
from .plant import EDGE, Plant

S1 = SensorId("s1")
EVE = partial(Act, "eve")
APPROVAL = ReleasePolicy(ReleaseMode.APPROVAL)


def plant(duration_s: float = 30.0, change: float = 0.4, **options: float) -> Plant:
    theta = [(0, (1.0, 0.4))] if change == 0.4 else [(0, (1.0, 0.4)), (15.0, (1.0, change))]
    return Plant(ModelKind.FIRST_ORDER, theta, 0.05, 1.5, duration_s, block=4, **options)  # type: ignore[arg-type]


def governed(of: Run, policy: ReleasePolicy, anchor: CoefficientSet | None = None, at_s: float = 0.0) -> Run:
    event = dataclasses.replace(of.plant.paired(at_s), policies={S1: Governed(policy, anchor)})
    of.tell(at_s, event)
    return of


def added(of: Run) -> list[AddSet]:
    return [e for _, e in of.effects if isinstance(e, AddSet)]


def act(of: Run, second: float, why: str = "looks right") -> Act:
    return EVE(of.plant.at(second), why)


def test_a_set_that_is_published_by_itself_has_every_step_behind_it(run: Callable[[Plant], Run]) -> None:
    done = run(plant(20)).pair().go()
    first = added(done)[0]
    states = [*(state for state, _ in first.earlier), first.state]
    assert states == [SetState.CANDIDATE, SetState.VERIFIED, SetState.PUBLISHED]
    assert all(why.reason and why.actor == "calibrate" for _, why in first.earlier)
    for each in added(done):
        check_path(each.coefficients.id, [*(state for state, _ in each.earlier), each.state])


def test_where_approval_is_asked_for_nothing_is_published_until_somebody_does(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(30)), APPROVAL).go(0, 20)
    assert [e.state for e in added(done)] == [SetState.VERIFIED]
    made = added(done)[0].coefficients
    assert done.engine.trackers[S1].releases.in_force is None
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    assert waiting.needs == "the policy asks for approval"
    (moved,) = done.tell(20, Release(S1, made.id, act(done, 20), "o-1"))
    assert isinstance(moved, MoveSet)
    assert (moved.set_id, moved.state, moved.act.actor, moved.order) == (made.id, SetState.PUBLISHED, "eve", "o-1")
    assert moved.address is not None
    enforced = done.engine.trackers[S1].releases.in_force
    assert enforced is not None
    assert enforced.coefficients.id == made.id
    again = done.tell(21, Release(S1, made.id, act(done, 21), "o-2"))
    assert again == [Refused("o-2", S1, made.id, f"{made.id} does not wait to be released any more")]


def test_what_somebody_declines_is_rejected_and_not_tried_again_at_once(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(40)), APPROVAL).go(0, 20)
    made = added(done)[0].coefficients
    (moved,) = done.tell(20, Decline(S1, made.id, act(done, 20, "not in this batch")))
    assert isinstance(moved, MoveSet)
    assert (moved.state, moved.act.reason) == (SetState.REJECTED, "not in this batch")
    done.go(20, 40)
    assert len(added(done)) == 1


def test_bounds_are_those_of_what_a_person_released_and_small_steps_add_up() -> None:
    policy = ReleasePolicy(ReleaseMode.WITHIN_BOUNDS, {"tau_s": 0.10}, 0.05)
    anchor = a_set(0.40)
    assert person_needed(policy, a_set(0.42), a_set(0.40), anchor) == ""
    assert "tau_s changed by 12.50%, 10.00% allowed" in person_needed(policy, a_set(0.45), a_set(0.44), anchor)
    assert "nothing was released before" in person_needed(policy, a_set(0.40), None, None)
    assert "the response changed by" in person_needed(policy, a_set(0.40, gain=1.2), a_set(0.40), anchor)
    assert "no_such" in person_needed(
        ReleasePolicy(ReleaseMode.WITHIN_BOUNDS, {"no_such": 0.1}), anchor, anchor, anchor
    )
    zero = a_set(0.0)
    assert "tau_s changed by inf" in person_needed(policy, a_set(0.1), zero, zero)


def test_within_bounds_a_set_is_published_and_beyond_it_waits(run: Callable[[Plant], Run]) -> None:
    drifting = plant(45, change=0.6)
    done = run(drifting).pair().go(0, 14)
    anchor = added(done)[-1].coefficients
    policy = ReleasePolicy(ReleaseMode.WITHIN_BOUNDS, {"tau_s": 0.2})
    governed(done, policy, anchor, 14.0).go(14, 45)
    later = [e for e in added(done) if e.coefficients.sequence > anchor.sequence]
    assert later
    for each in later:
        change = abs(each.coefficients.parameters.values[1] / anchor.parameters.values[1] - 1)
        if each.state is SetState.PUBLISHED:
            assert change <= 0.2
        elif each.state is SetState.VERIFIED:
            assert change > 0.2
    assert SetState.VERIFIED in {e.state for e in later}


def test_a_policy_that_asks_for_nobody_any_more_releases_what_waits(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(30)), APPROVAL).go(0, 20)
    before = len(done.effects)
    governed(done, ReleasePolicy(), None, 20.0)
    moved = [e for _, e in done.effects[before:] if isinstance(e, MoveSet)]
    assert [(m.state, m.act.actor) for m in moved] == [(SetState.PUBLISHED, "calibrate")]


def test_going_back_is_a_new_signed_set_that_says_so_and_what_follows_waits(run: Callable[[Plant], Run]) -> None:
    done = run(plant(60, change=0.6)).pair().go(0, 40)
    published = [s for _, s, _ in done.published()]
    assert len(published) >= 2
    first, last = published[0], published[-1]
    (back,) = done.tell(40, Restore(S1, first, act(done, 40, "the newer one rings"), "o-1"))
    assert isinstance(back, AddSet)
    made = back.coefficients
    assert (back.state, back.order, back.act.actor) == (SetState.PUBLISHED, "o-1", "eve")
    assert made.sequence == last.sequence + 1
    assert (made.parent, made.restores) == (last.id, first.id)
    assert made.note == f"goes back to {first.id}: the newer one rings"
    assert made.valid_from_ns == done.plant.at(40)
    assert made.id not in {s.id for s in published}
    assert made.apply_until_ns is not None
    same = dataclasses.replace(
        made,
        apply_until_ns=first.apply_until_ns, id=first.id, sequence=first.sequence, parent=first.parent, note=first.note,
        valid_from_ns=first.valid_from_ns, restores=None,
    )  # fmt: skip
    assert canonical(same) == canonical(first)
    done.go(40, 60)  # the sensor is still the newer one: a set that fits it is made, and waits
    assert done.published()[-1][1].id == made.id
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    assert "somebody went back" in waiting.needs
    done.tell(60, Release(S1, waiting.id, act(done, 60)))
    assert done.engine.trackers[S1].releases.in_force is waiting.made


@pytest.mark.parametrize("instead_of", ["", "s1.9-deadbeef"])
def test_going_back_is_refused_where_it_makes_no_sense(run: Callable[[Plant], Run], instead_of: str) -> None:
    done = run(plant(20)).pair().go()
    now = done.published()[-1][1]
    to = dataclasses.replace(now, id="s1.0-other", sensor=SensorId("s2")) if not instead_of else now
    (said,) = done.tell(20, Restore(S1, to, act(done, 20), "o-1", instead_of))
    assert isinstance(said, Refused)
    assert said.why in ("s1.0-other is of another sensor", f"{instead_of} is not in force any more")
    (said,) = done.tell(20, Restore(S1, now, act(done, 20), "o-1"))
    assert isinstance(said, Refused)
    (said,) = done.tell(20, Restore(SensorId("s7"), now, act(done, 20), "o-1"))
    assert isinstance(said, Refused)
    assert "no pairing" in said.why


def test_a_set_that_newer_data_contradict_is_rejected(run: Callable[[Plant], Run]) -> None:
    """It was made while the sensor was slow; the sensor is itself again: what is in force fits, what waits does not."""
    back = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4)), (15, (1.0, 0.7)), (40, (1.0, 0.4))], 0.05, 1.5, 100, block=4)
    done = run(back).pair().go(0, 14)
    governed(done, APPROVAL, None, 14.0).go(14, 100)
    moved = [e for _, e in done.effects if isinstance(e, MoveSet)]
    assert [m.state for m in moved] == [SetState.REJECTED] * len(moved)
    assert any(m.act.reason.startswith("newer data contradict it: ") for m in moved)
    assert not [e for e in added(done) if e.state is SetState.PUBLISHED and e.coefficients.sequence > 3]


def test_what_waits_is_replaced_by_what_was_verified_later_and_not_every_other_second(
    run: Callable[[Plant], Run],
) -> None:
    rules = CalibrateSection(waiting_interval_s=20.0)
    done = governed(Run(plant(60, change=0.8), CalibrateEngine(rules)), APPROVAL).go()
    verified = [(s, e) for s, e in done.effects if isinstance(e, AddSet) and e.state is SetState.VERIFIED]
    assert len(verified) >= 2
    assert all(b - a >= 20 for (a, _), (b, _) in itertools.pairwise(verified))
    replaced = [e.set_id for _, e in done.effects if isinstance(e, MoveSet) and "replaced" in e.act.reason]
    assert replaced == [e.coefficients.id for _, e in verified[:-1]]


def test_what_waits_still_waits_after_a_restart(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(40)), APPROVAL).go(0, 20)
    tracker = done.engine.trackers[S1]
    waiting = tracker.releases.waiting
    assert waiting is not None
    content = snapshots.take(tracker)
    known = Known(
        last_sequence=1, waiting=waiting.made.coefficients, waiting_since_ns=waiting.since_ns, waiting_why="why",
        policy=APPROVAL, snapshot=content,
    )  # fmt: skip
    fresh = Run(done.plant, CalibrateEngine(CalibrateSection()))
    event = dataclasses.replace(fresh.plant.paired(20), known={S1: known}, policies={S1: Governed(APPROVAL)})
    fresh.tell(20, event)
    again = fresh.engine.trackers[S1].releases.waiting
    assert again is not None
    assert (again.id, again.since_ns, again.needs) == (waiting.id, waiting.since_ns, waiting.needs)
    assert np.array_equal(again.made.cov_statistical, waiting.made.cov_statistical)
    assert again.made.corner_rad_s == waiting.made.corner_rad_s
    fresh.go(20, 30)
    assert added(fresh) == []  # nothing new to say
    assert [type(e) for e in fresh.tell(30, Release(S1, waiting.id, act(fresh, 30)))] == [MoveSet]


def a_set(tau_s: float, gain: float = 1.0) -> CoefficientSet:
    made = make_set()
    return dataclasses.replace(
        made, parameters=dataclasses.replace(made.parameters, values=np.array([gain, tau_s]))
    )  # fmt: skip


SHADOW = ReleasePolicy(shadow_s=10.0)


def residual(set_id: str, rms: float, n: int = 2, *, shadow: bool = True, fault: str = "") -> ResidualReport:
    return ResidualReport(S1, set_id, rms, 0.1, n, shadow=shadow, fault=fault)


def say(of: Run, second: float, *found: ResidualReport, edge: EdgeId = EDGE) -> list[Effect]:
    return of.tell(second, ResidualsFound(EdgeAddress(SiteId("plant"), edge), found, of.plant.at(second)))


def on_trial(run: Callable[[Plant], Run]) -> tuple[Run, str, str]:
    """A sensor with a set in force, and one that is on trial since second 30 at the latest."""
    done = run(plant(30, change=0.6)).pair().go(0, 14)
    first = added(done)[-1].coefficients.id
    governed(done, SHADOW, None, 14.0).go(14, 30)
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    sent = [e for _, e in done.effects if isinstance(e, SendShadow)]
    assert sent[-1] == SendShadow(EdgeAddress(SiteId("plant"), EDGE), S1, waiting.id)
    return done, first, waiting.id


def test_a_set_on_trial_is_published_when_its_residual_is_normal_for_long_enough(
    run: Callable[[Plant], Run],
) -> None:
    done, first, second = on_trial(run)
    for k in range(7):
        say(done, 31 + 2 * k, residual(second, 0.01), residual(first, 0.01, shadow=False))
        published = [e for _, e in done.effects if isinstance(e, MoveSet)]
        assert bool(published) == (31 + 2 * k >= 31 + 10)
    effects = [e for _, e in done.effects if isinstance(e, MoveSet)]
    assert [(e.set_id, e.state) for e in effects] == [(second, SetState.PUBLISHED)]
    assert "residual 0.01 rms over" in effects[0].act.reason
    assert [e.set_id for _, e in done.effects if isinstance(e, SendShadow)][-1] == ""


@pytest.mark.parametrize(
    ("shadow", "active", "why"),
    [
        ((0.2, ""), 0.2, "0.1 is its limit"),
        ((0.05, ""), 0.01, "worse than the set in force: residual 0.05 rms"),
        ((0.0, "the corrector failed: overflow"), 0.01, "its edge ended the trial: the corrector failed"),
    ],
)
def test_a_set_that_does_not_stand_its_trial_is_rejected(
    run: Callable[[Plant], Run], shadow: tuple[float, str], active: float, why: str
) -> None:
    done, first, second = on_trial(run)
    rms, fault = shadow
    done.engine.trackers[S1].releases.waiting.trial._limit = 0.1  # type: ignore[union-attr]
    for k in range(8):
        say(done, 31 + 2 * k, residual(second, rms, fault=fault), residual(first, active, shadow=False))
    moved = [e for _, e in done.effects if isinstance(e, MoveSet)]
    assert [(e.set_id, e.state) for e in moved] == [(second, SetState.REJECTED)]
    assert why in moved[0].act.reason


def test_a_trial_of_which_the_edge_tells_nothing_ends_with_a_question(run: Callable[[Plant], Run]) -> None:
    done, _, second = on_trial(run)
    (said,) = done.tell(31, Release(S1, second, act(done, 31), "o-1"))
    assert isinstance(said, Refused)
    assert "on trial beside the set in force" in said.why
    say(done, 32, residual(second, 0.01), edge=EdgeId("edge2"))  # it is not its sensor
    done.tell(200, Tick(done.plant.at(200)))
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    assert waiting.needs.startswith("its edge tells too little of its trial: residual 0 rms over 0 windows")
    assert [type(e) for e in done.tell(201, Release(S1, second, act(done, 201)))] == [MoveSet]


def test_what_edges_say_is_kept_as_any_database_takes_it(run: Callable[[Plant], Run]) -> None:
    found = ResidualReport(S1, "s1.2-x", 1.0, 1.0, 1, shadow=True, fault="a\0" * 400)
    (payload,) = encode_residuals([found], InstantNs(5))
    said = intake.read("dyncal/v1/plant/edge1/residuals", payload, InstantNs(6))
    assert isinstance(said, ResidualsFound)
    assert said.found[0].fault == "a" * 250
    report = Report(S1, "s1.2-x", 2, Outcome.REJECTED, InstantNs(5), "b\0b")
    said = intake.read("dyncal/v1/plant/edge1/coefficients/s1/reported", encode_report(report), InstantNs(6))
    assert isinstance(said, SetReported)
    assert said.report.reason == "bb"


def test_where_approval_is_asked_for_too_the_trial_comes_first(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(30)), ReleasePolicy(ReleaseMode.APPROVAL, shadow_s=5.0)).go(0, 20)
    made = added(done)[0].coefficients
    for k in range(5):
        say(done, 21 + 2 * k, residual(made.id, 0.0))
    assert not [e for _, e in done.effects if isinstance(e, MoveSet)]
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    assert waiting.trial is None
    assert [type(e) for e in done.tell(40, Release(S1, made.id, act(done, 40)))] == [MoveSet]


def rejected(set_id: str, reason: str, at: InstantNs) -> SetReported:
    report = Report(S1, set_id, 1, Outcome.REJECTED, at, reason)
    return SetReported(EdgeAddress(SiteId("plant"), EDGE), report, at)


def test_a_set_of_which_its_edge_heard_too_late_is_renewed_once_and_not_without_end(
    run: Callable[[Plant], Run],
) -> None:
    done = run(plant(20)).pair().go()
    first = done.published()[-1][1]
    later = done.plant.at(8 * 86_400)
    effects = done.tell(8 * 86_400, rejected(first.id, "expired: too late", later))
    (again,) = [e for e in effects if isinstance(e, AddSet)]
    made = again.coefficients
    assert again.state is SetState.PUBLISHED
    assert (made.sequence, made.parent, made.restores) == (first.sequence + 1, first.id, None)
    assert made.apply_until_ns == later + 7 * 86_400 * 10**9
    assert np.array_equal(made.parameters.values, first.parameters.values)
    effects = done.tell(8 * 86_400, rejected(made.id, "expired: its clock is wrong", later))
    assert not [e for e in effects if isinstance(e, AddSet)]
    assert done.conditions(AlarmKind.CORRECTION_REVERTED) == [(8 * 86_400, True)]


def test_what_an_edge_rejects_while_it_runs_is_another_under_its_name(run: Callable[[Plant], Run]) -> None:
    """Also edges that do not say what they rejected to the byte."""
    done = run(plant(20)).pair().go()
    made = done.published()[-1][1]
    at = done.plant.at(20)
    report = Report(S1, made.id, made.sequence, Outcome.REJECTED, at, "signature: none", running=made.id)
    effects = done.tell(20, SetReported(EdgeAddress(SiteId("plant"), EDGE), report, at))
    assert [type(e) for e in effects] == [Note]
    enforced = done.engine.trackers[S1].releases.in_force
    assert enforced is not None
    assert enforced.coefficients.id == made.id


def test_what_has_waited_too_long_cannot_be_approved(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(30)), APPROVAL).go(0, 20)
    made = added(done)[0].coefficients
    (said,) = done.tell(8 * 86_400, Release(S1, made.id, act(done, 8 * 86_400)))
    assert isinstance(said, Refused)
    assert "waited too long" in said.why


def test_what_nobody_released_in_time_is_rejected_and_makes_room(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(30)), APPROVAL).go(0, 20)
    made = added(done)[0].coefficients
    late = 7 * 86_400 + 21
    moved = [e for e in done.tell(late, Tick(done.plant.at(late))) if isinstance(e, MoveSet)]
    assert [(m.set_id, m.state) for m in moved] == [(made.id, SetState.REJECTED)]
    assert "nobody released it in time" in moved[0].act.reason
    assert done.engine.trackers[S1].releases.newest is None


def test_a_long_trial_does_not_use_up_the_time_in_which_an_edge_may_begin(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(20)), ReleasePolicy(shadow_s=20 * 86_400.0)).go(0, 20)
    made = added(done)[0].coefficients
    assert made.apply_until_ns is not None
    assert made.apply_until_ns > done.plant.at(27 * 86_400)


def test_a_policy_taken_away_while_calibrate_was_away_releases_what_waits(run: Callable[[Plant], Run]) -> None:
    done = governed(run(plant(20)), APPROVAL).go(0, 20)
    waiting = added(done)[0].coefficients
    fresh = Run(done.plant, CalibrateEngine(CalibrateSection()))
    known = Known(last_sequence=1, waiting=waiting, waiting_since_ns=done.plant.at(20), waiting_why="why")
    effects = fresh.engine.handle(dataclasses.replace(fresh.plant.paired(20), known={S1: known}))
    assert [(e.set_id, e.state) for e in effects if isinstance(e, MoveSet)] == [(waiting.id, SetState.PUBLISHED)]


def test_a_renewal_takes_the_place_of_a_set_that_waits_with_a_lower_number(run: Callable[[Plant], Run]) -> None:
    done = run(plant(40, change=0.6)).pair().go(0, 14)
    first = added(done)[-1].coefficients
    governed(done, APPROVAL, None, 14.0).go(14, 40)
    waiting = done.engine.trackers[S1].releases.waiting
    assert waiting is not None
    at = 6 * 86_400
    effects = done.tell(at, rejected(first.id, "expired: too late", done.plant.at(at)))
    (again,) = [e for e in effects if isinstance(e, AddSet)]
    assert again.coefficients.sequence > waiting.made.coefficients.sequence
    assert (waiting.id, SetState.REJECTED) in [(e.set_id, e.state) for e in effects if isinstance(e, MoveSet)]
    assert done.engine.trackers[S1].releases.waiting is None


@pytest.mark.parametrize("of_others", [False, True])
def test_what_an_edge_says_that_it_runs_is_in_force_whatever_was_before(
    run: Callable[[Plant], Run], of_others: bool
) -> None:
    done = run(plant(45, change=0.6)).pair().go()
    made = [s for _, s, _ in done.published()]
    assert len(made) >= 2
    bad, at = made[-1], done.plant.at(45)
    runs = make_set(sequence=77) if of_others else None
    report = Report(S1, bad.id, bad.sequence, Outcome.REVERTED, at, "astray", running=runs.id if runs else "")
    done.tell(45, SetReported(EdgeAddress(SiteId("plant"), EDGE), report, at, runs))
    now = done.engine.trackers[S1].releases.in_force
    assert (now is None) if runs is None else (now is not None and now.coefficients is runs)
    (back,) = done.tell(46, Restore(S1, made[0], act(done, 46), "o-1", bad.id))
    if runs is None:  # nothing runs: the numbers of before are better than none
        assert isinstance(back, AddSet)
        assert back.coefficients.restores == made[0].id
    else:
        assert isinstance(back, Refused)


@pytest.mark.parametrize("kind", ["malformed", "digest", "signature"])
def test_nonsense_under_the_name_of_a_set_on_trial_is_no_word_against_it(
    run: Callable[[Plant], Run], kind: str
) -> None:
    done, first, second = on_trial(run)
    say(done, 31, residual(second, 0.0, 0, fault=f"{kind}: not ours"))
    for k in range(8):
        say(done, 32 + 2 * k, residual(second, 0.01), residual(first, 0.01, shadow=False))
    moved = [e for _, e in done.effects if isinstance(e, MoveSet)]
    assert [(e.set_id, e.state) for e in moved] == [(second, SetState.PUBLISHED)]
