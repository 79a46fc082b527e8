from __future__ import annotations

from dataclasses import replace

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.rollouts import Arrangement, Failure, MemberState, RolloutState, Stage
from services.calibrate.rollout.engine import RolloutEngine
from services.calibrate.rollout.events import (
    Begin,
    EdgeSeen,
    NotPublished,
    Publish,
    Renewed,
    Reported,
    Restored,
    Revert,
    RevertMade,
    Verb,
)
from tests.unit.services.calibrate.rollout.plant import PLAN, Story, member


def test_a_rollout_goes_stage_by_stage_and_each_is_watched_first() -> None:
    story = Story(20)
    story.wait(1)
    assert len(story.published) == 2
    story.well()
    story.wait(19)
    assert len(story.published) == 2
    story.wait(1)  # they have soaked: the stage has passed
    story.wait(1)
    story.well()
    assert len(story.published) == 20
    (changes,) = story.wait(20)
    assert changes.rollout is not None
    assert changes.rollout.state is RolloutState.COMPLETED
    assert changes.rollout.reason == "18 of 18 are normal"
    assert story.state == "over"


def test_by_the_first_refusal_of_the_canary_group_all_of_it_goes_back_and_nothing_else_is_touched() -> None:
    story = Story(20)
    story.wait(1)
    first, second = story.published
    story.report(first)
    (changes,) = story.report(second, Outcome.REJECTED, "signature")
    assert changes.rollout is not None
    assert changes.rollout.state is RolloutState.ABORTING
    assert "1 of 2 sensors of this stage failed" in changes.rollout.reason
    assert "signature" in changes.rollout.reason
    assert sorted((act.sensor, act.to_id) for act in story.reverts) == sorted((s, f"{s}.1") for s in (first, second))
    assert changes.members[second].failure is Failure.REJECTED
    for sensor in (first, second):
        story.tell(RevertMade(sensor, f"{sensor}.2", f"{sensor}.3", story.at))
    story.wait(1)
    assert story.state == "aborting"
    for sensor in (first, second):
        back = Report(sensor, f"{sensor}.3", 3, Outcome.APPLIED, story.at)
        story.tell(Reported(story.of(sensor).edge, back, story.at))
    (changes,) = story.wait(1)
    assert changes.rollout is not None
    assert changes.rollout.state is RolloutState.ABORTED
    assert len(story.published) == 2
    assert story.state == "over"


def test_a_residual_above_the_limit_or_significantly_worse_than_before_is_a_failure() -> None:
    for rms, before, failure in ((1.01, 0.1, Failure.ABOVE_LIMIT), (0.5, 0.1, Failure.WORSE), (0.5, None, None)):
        story = Story(20)
        for m in story.members if before else ():
            story.residual(m.sensor, before or 0.0, n=40, before=True)
        story.wait(1)
        sensor = story.published[0]
        story.report(sensor)
        story.residual(sensor, rms, n=20)
        assert story.of(sensor).failure is failure
        assert story.state == ("aborting" if failure else "running")


def test_few_windows_do_not_make_a_set_worse() -> None:
    story = Story(20)
    for m in story.members:
        story.residual(m.sensor, 0.1, n=40, before=True)
    story.wait(1)
    story.report(story.published[0])
    story.residual(story.published[0], 0.25, n=4)
    assert story.of(story.published[0]).failure is None


def test_edges_with_more_sensors_than_may_be_out_at_once_are_taken_as_a_whole() -> None:
    plan = replace(PLAN, arrangement=Arrangement.EDGES)
    story = Story(3 * 50, plan, per_edge=50)
    taken = []
    for _ in range(8):
        story.wait(1)
        taken.append(len(story.published))
        story.well()
        story.wait(20)
    assert sorted(set(taken)) == [50, 100, 150]
    assert story.state == "over"


def test_no_more_than_a_window_of_sets_waits_for_answers() -> None:
    story = Story(200, replace(PLAN, stages=(Stage(1.0, 20.0),)))
    story.wait(1)
    assert len(story.published) == 8
    story.report(story.published[0])
    assert len(story.published) == 8
    for sensor in story.published[1:5]:
        story.report(sensor)
    assert len(story.published) == 13  # as soon as half of it has answered, the next ones go out
    story.wait(11)  # the others are silent, and hold nobody up
    assert len(story.published) == 21


def test_a_stage_is_taken_whole_however_long_that_takes() -> None:
    story = Story(100, replace(PLAN, stages=(Stage(0.5, 60.0), Stage(1.0, 60.0)), answer_s=3.0, offline_s=0.0))
    for _ in range(20):
        story.wait(1)
        for sensor in story.published[-8:]:
            story.report(sensor)
            story.residual(sensor, 0.1)
    assert len(story.published) == 50
    for _ in range(100):
        story.wait(1)
        story.well()
    assert len(story.published) == 100


def test_edges_that_are_offline_are_passed_over_and_taken_once_they_are_back() -> None:
    story = Story(20)
    away = [m for m in story.members if m.sensor < "s010"]
    for m in away:
        story.tell(EdgeSeen(m.edge, online=False, now_ns=story.at))
    story.wait(1)
    assert len(story.published) == 2
    assert not {m.sensor for m in away} & set(story.published)
    for _ in range(4):
        story.well()
        story.wait(20)
    assert len(story.published) == 10
    story.tell(EdgeSeen(away[0].edge, online=True, now_ns=story.at))
    story.wait(1)
    assert story.published[10:] == [away[0].sensor]
    story.well()
    story.wait(20)
    assert story.state == "running"
    (changes,) = story.wait(61)
    assert changes.rollout is not None
    assert changes.rollout.state is RolloutState.COMPLETED
    left = [m for m in changes.members.values() if m.state is MemberState.LEFT_OUT]
    assert len(left) == 9


def test_a_stage_that_nobody_answers_is_for_people_to_decide_on() -> None:
    story = Story(20)
    story.wait(1)
    (changes,) = story.wait(11)
    assert changes.rollout is not None
    assert changes.rollout.state is RolloutState.PAUSED
    assert changes.rollout.reason == "0 of 2 are normal, 2 did not answer"
    assert story.command(Verb.PAUSE) == "the rollout is paused"
    assert story.command(Verb.RESUME) == ""
    story.wait(9)
    assert story.state == "running"
    story.wait(2)
    assert story.state == "paused"
    assert story.command(Verb.RESUME, accept=True) == ""
    story.wait(1)
    assert len(story.published) > 2


def test_without_residuals_a_set_is_not_normal_unless_the_plan_says_so() -> None:
    for needs in (True, False):
        story = Story(20, replace(PLAN, needs_residual=needs))
        story.wait(1)
        for sensor in story.published:
            story.report(sensor)
        story.wait(20)
        assert story.of(story.published[0]).state is (MemberState.APPLIED if needs else MemberState.NORMAL)
        story.wait(11)
        assert story.state == ("paused" if needs else "running")


def test_a_paused_rollout_publishes_nothing_and_still_aborts_by_itself() -> None:
    story = Story(20)
    story.wait(1)
    story.well()
    assert story.command(Verb.PAUSE) == ""
    story.wait(100)
    assert len(story.published) == 2
    story.report(story.published[0], Outcome.REVERTED, "innovation")
    assert story.state == "aborting"


def test_a_set_that_does_not_wait_any_more_leaves_its_sensor_out_untouched() -> None:
    story = Story(20)
    story.wait(1)
    gone = story.published[0]
    story.tell(NotPublished(gone, f"{gone}.2", "replaced by a newer one", story.at))
    found = story.of(gone)
    assert (found.state, found.stage, found.reason) == (MemberState.LEFT_OUT, None, "replaced by a newer one")
    story.command(Verb.ABORT)
    assert gone not in [act.sensor for act in story.reverts]


def test_a_set_that_was_offered_anew_because_its_edge_heard_too_late_is_followed() -> None:
    story = Story(20)
    story.wait(1)
    sensor = story.published[0]
    story.tell(Renewed(sensor, f"{sensor}.2", f"{sensor}.3", 3, story.at))
    story.report(sensor)
    story.residual(sensor, 0.1)
    assert (story.of(sensor).set_id, story.of(sensor).state) == (f"{sensor}.3", MemberState.APPLIED)
    story.command(Verb.ABORT)
    story.tell(RevertMade(sensor, f"{sensor}.3", f"{sensor}.4", story.at))
    story.tell(Renewed(sensor, f"{sensor}.4", f"{sensor}.5", 5, story.at))
    back = Report(sensor, f"{sensor}.5", 5, Outcome.APPLIED, story.at)
    story.tell(Reported(story.of(sensor).edge, back, story.at))
    assert story.of(sensor).state is MemberState.REVERTED


def test_a_sensor_is_in_one_rollout_at_a_time() -> None:
    story = Story(20)
    again = Begin("r2", "", PLAN, (story.members[3],), "ann", "", story.at)
    (changes,) = story.tell(again)
    assert changes.refusal == "in another rollout: s003"
    assert not changes.kept
    (changes,) = story.tell(Begin("r3", "", PLAN, (), "ann", "", story.at))
    assert "1 to" in changes.refusal
    assert story.tell(Begin("r4", "", PLAN, (member(99),), "ann", "", story.at))[0].refusal == ""


def test_what_may_not_have_been_done_before_a_kill_is_asked_for_again() -> None:
    story = Story(20)
    story.wait(1)
    run = story.engine.runs["r"]
    rollout, members = run.rollout, tuple(run.members.values())
    engine = RolloutEngine()
    (changes,) = engine.handle(Restored(((rollout, members),), story.at))
    assert sorted(act.sensor for act in changes.acts if isinstance(act, Publish)) == sorted(story.published)
    story.command(Verb.ABORT)
    rollout, members = run.rollout, tuple(run.members.values())
    (changes,) = RolloutEngine().handle(Restored(((rollout, members),), story.at))
    assert sorted(act.sensor for act in changes.acts if isinstance(act, Revert)) == sorted(story.published)


def test_every_move_says_who_and_why() -> None:
    story = Story(20)
    moves = [move for changes in story.wait(1) for move in changes.moves]
    assert {(m.action, m.actor, m.reason) for m in moves} == {("rollout.published", "calibrate", "stage 1 of 2")}
    (changes,) = story.report(story.published[0], Outcome.REJECTED, "latency")
    assert changes.moves[0].actor == f"edge:{story.of(story.published[0]).edge}"
    assert [m.action for m in changes.moves] == ["rollout.failed", "rollout.abort", "rollout.reverting"]
    assert all(m.reason for m in changes.moves)
