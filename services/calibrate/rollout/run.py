"""One rollout: what is done to its members, and what becomes of them. Pure: time comes with every call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.rollouts import Failure, Member, MemberState, Rollout, RolloutMove, RolloutState
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.records import Act
from services.calibrate.events import ACTOR
from services.calibrate.rollout import stages
from services.calibrate.rollout.arrange import take
from services.calibrate.rollout.edges import Edges
from services.calibrate.rollout.events import Changes, Publish, Revert
from services.calibrate.rollout.judge import Known, ResidualBook, judge
from services.calibrate.rollout.stages import Advice

AT_ONCE: Final = 100
"""Most sets that are reverted in one go: the engine shares its thread with the estimators."""

WINDOW: Final = 8
"""Most sets that are out and not answered (what is kept together apart): so none waits long behind others."""

_KEEP_NS: Final = duration(5.0)
_OURS: Final = (MemberState.PUBLISHED, MemberState.APPLIED, MemberState.NORMAL)
_RUNS: Final = (MemberState.APPLIED, MemberState.NORMAL)


class RolloutRun:
    """A rollout that goes on. Every method adds what it does to `changes`, which the engine empties."""

    def __init__(self, rollout: Rollout, members: Iterable[Member], edges: Edges, residuals: ResidualBook) -> None:
        self.rollout = rollout
        self.members = {m.sensor: m for m in sorted(members, key=lambda m: m.position)}
        self.changes = Changes(rollout.id)
        self._edges, self._residuals = edges, residuals
        self._in_hand: set[SensorId] = set()  # reverts that were asked for
        self._unkept: set[SensorId] = set()  # members of which only the residual has changed
        self._kept_ns = rollout.changed_ns
        self._out = {m.sensor for m in self.members.values() if m.state is MemberState.PUBLISHED}

    @property
    def finished(self) -> bool:
        """Whether nothing is to come any more."""
        return self.rollout.over and not any(m.state is MemberState.REVERTING for m in self.members.values())

    def wants(self, sensor: SensorId) -> bool:
        """Tell whether a sensor is in the hands of this rollout."""
        member = self.members.get(sensor)
        if member is None:
            return False
        return member.state is MemberState.REVERTING or (not self.rollout.over and member.state in _HELD)

    # What people want --------------------------------------------------------------------------------------------

    def begin(self, reason: str, now_ns: InstantNs) -> None:
        """Begin: from the first tick on sets go out."""
        self._move("rollout.begin", "", Act(self.rollout.actor, now_ns, reason))
        self.changes.rollout = self.rollout
        self.changes.members = dict(self.members)

    def pause(self, act: Act) -> str:
        """Publish no further sets; those that are out are watched as before. Return why not, or ''."""
        if self.rollout.state is not RolloutState.RUNNING:
            return f"the rollout is {self.rollout.state}"
        self._enter(RolloutState.PAUSED, "rollout.pause", act)
        return ""

    def resume(self, act: Act, *, accept: bool) -> str:
        """Go on; with `accept` as if the present stage had passed. Return why not, or ''."""
        if self.rollout.state is not RolloutState.PAUSED:
            return f"the rollout is {self.rollout.state}"
        self._enter(RolloutState.RUNNING, "rollout.resume", act, stage_ns=act.at_ns)
        if accept:
            self._next_stage(Act(act.actor, act.at_ns, f"accepted as it is: {act.reason}"))
        return ""

    def abort(self, act: Act) -> str:
        """Revert all that were touched. Return why not, or ''."""
        if self.rollout.state not in (RolloutState.RUNNING, RolloutState.PAUSED):
            return f"the rollout is {self.rollout.state}"
        self._enter(RolloutState.ABORTING, "rollout.abort", act, stage_ns=act.at_ns)
        for member in self._of(*_OURS):
            self._put(member, act, "rollout.reverting", state=MemberState.REVERTING, reason=f"aborted: {act.reason}")
        self._revert(act.at_ns)
        return ""

    # What edges say ----------------------------------------------------------------------------------------------

    def reported(self, edge: EdgeId, report: Report, now_ns: InstantNs) -> None:
        """Take in what an edge did with a set of a member."""
        member = self.members.get(report.sensor)
        if member is None or member.edge != edge:
            return
        act = Act(f"edge:{edge}", now_ns, report.reason or report.outcome)
        if report.set_id == member.set_id:
            self._of_its_set(member, report, act)
            if self.rollout.state is RolloutState.RUNNING and self._room(now_ns) > WINDOW // 2:
                self._take(now_ns)
        elif member.back_id and report.set_id == member.back_id:
            self._of_its_return(member, report, act)
        elif report.outcome is Outcome.APPLIED and report.sequence > member.sequence:
            self._overtaken(member, report, act)

    def _of_its_set(self, member: Member, report: Report, act: Act) -> None:
        if report.outcome is Outcome.APPLIED:
            if member.state is MemberState.PUBLISHED:
                known = self._residuals.total(member.sensor, member.set_id)
                changed = {"state": MemberState.APPLIED, "applied_ns": act.at_ns, "after": known}
                self._put(member, act, "rollout.applied", **changed)
            elif member.state is MemberState.WAITING:
                self._leave_out(member, act, "put into force otherwise")
        elif member.state in _OURS:
            failure = Failure.REJECTED if report.outcome is Outcome.REJECTED else Failure.REVERTED
            self._fail(member, failure, act)

    def _of_its_return(self, member: Member, report: Report, act: Act) -> None:
        if member.state not in (MemberState.REVERTING, MemberState.STUCK):
            return
        if report.outcome is Outcome.APPLIED:
            self._put(member, act, "rollout.reverted", state=MemberState.REVERTED)
        else:
            self._stuck(member, Act(act.actor, act.at_ns, f"{report.outcome}: {act.reason}"))

    def _overtaken(self, member: Member, report: Report, act: Act) -> None:
        why = f"runs set {report.set_id}, which is not of this rollout"
        if member.state is MemberState.WAITING:
            self._leave_out(member, act, why)
        elif member.state in _OURS or (member.state is MemberState.REVERTING and member.back_id):
            self._put(member, act, "rollout.overtaken", state=MemberState.OVERTAKEN, reason=why)

    def residual(self, edge: EdgeId, sensor: SensorId, set_id: str, known: Known, now_ns: InstantNs) -> None:
        """Take in what is known of the residual of the set that a member has got."""
        member = self.members.get(sensor)
        if member is None or (member.edge, member.set_id) != (edge, set_id) or member.state not in _RUNS:
            return
        member = self.members[sensor] = replace(member, after=known.total)
        self._unkept.add(sensor)
        found = judge(known, member.before, self.rollout.plan.worse_ratio)
        if found is not None:
            self._fail(member, found[0], Act(ACTOR, now_ns, found[1]))

    # What was done -----------------------------------------------------------------------------------------------

    def not_published(self, sensor: SensorId, set_id: str, act: Act) -> None:
        """Take in that a set could not be put into force, and was not sent."""
        member = self.members.get(sensor)
        if member is not None and member.set_id == set_id and member.state in (*_OURS, MemberState.REVERTING):
            left = {"state": MemberState.LEFT_OUT, "stage": None, "published_ns": None, "reason": act.reason}
            self._put(member, act, "rollout.left_out", **left)

    def reverted(self, sensor: SensorId, set_id: str, back_id: str, act: Act) -> None:
        """Take in that a set that goes back was published, or ('' for `back_id`) could not be."""
        self._in_hand.discard(sensor)
        member = self.members.get(sensor)
        if member is None or member.set_id != set_id or member.state is not MemberState.REVERTING:
            return
        if back_id:
            self._put(member, act, "rollout.reverting", back_id=back_id)
        else:
            self._stuck(member, act)

    def renewed(self, sensor: SensorId, old_id: str, set_id: str, sequence: int, now_ns: InstantNs) -> None:
        """Take in that a set of which its edge had heard too late is out again under another id."""
        member = self.members.get(sensor)
        act = Act(ACTOR, now_ns, f"{old_id} came too late, {set_id} is the same")
        if member is not None and member.set_id == old_id:
            again = {"set_id": set_id, "sequence": sequence, "published_ns": now_ns}
            self._put(member, act, "rollout.published", **again)
        elif member is not None and member.back_id == old_id:
            self._put(member, act, "rollout.reverting", back_id=set_id)

    def moved(self, sensor: SensorId, edge: EdgeId, now_ns: InstantNs) -> None:
        """Take in that a sensor belongs to another edge: what that one says counts, and it is to answer anew."""
        member = self.members.get(sensor)
        if member is None or member.edge == edge or not self.wants(sensor):
            return
        changed: dict[str, Any] = {"edge": edge}
        if member.state is MemberState.APPLIED:
            changed |= {"state": MemberState.PUBLISHED, "applied_ns": None, "after": None}
        if member.state in (MemberState.PUBLISHED, MemberState.APPLIED):
            changed["published_ns"] = now_ns
        self._put(member, Act(ACTOR, now_ns, f"moved from {member.edge} to {edge}"), "rollout.moved", **changed)

    # What time brings --------------------------------------------------------------------------------------------

    def repeat(self, now_ns: InstantNs) -> None:
        """Ask again for what may not have been done when the program ended."""
        for member in self._of(MemberState.PUBLISHED):
            self.changes.acts.append(self._publish(member, now_ns, "put into force"))
        self._revert(now_ns)

    def tick(self, now_ns: InstantNs) -> None:
        """Do what is due."""
        if now_ns < self.rollout.stage_ns:  # the clock went back: what it said before must not be waited for
            self._change(stage_ns=now_ns)
        self._revert(now_ns)
        if self.rollout.state is RolloutState.ABORTING:
            self._settle(now_ns)
        elif not self.rollout.over:
            self._watch(now_ns)
            if self.rollout.state is RolloutState.RUNNING and not self._take(now_ns):
                self._go_on(now_ns)
        self._keep_residuals(now_ns)

    def _watch(self, now_ns: InstantNs) -> None:
        plan = self.rollout.plan
        for member in self._of(MemberState.APPLIED):
            soaked = stages.soaked(member, plan, now_ns)
            if soaked and (not plan.needs_residual or (member.after is not None and member.after.n > 0)):
                self._put(member, Act(ACTOR, now_ns, stages.said(member)), "rollout.normal", state=MemberState.NORMAL)

    def _take(self, now_ns: InstantNs) -> bool:
        """Publish the sets of those whose turn it is; tell whether there were any."""
        r, plan = self.rollout, self.rollout.plan
        touched = [m for m in self.members.values() if m.stage is not None]
        newest_ns = max((m.published_ns or 0 for m in touched if m.stage == r.stage), default=None)
        late_ns = duration(plan.offline_s if r.stage == len(plan.stages) - 1 else plan.answer_s)
        if newest_ns is not None and now_ns - r.stage_ns > late_ns and now_ns - newest_ns > duration(plan.answer_s):
            return False  # whose edges come only now is taken in a later stage, or left out
        room, window = plan.target(r.stage, r.n_members) - len(touched), self._room(now_ns)
        waiting = list(self._of(MemberState.WAITING))
        chosen = take(waiting, room, window, plan.arrangement, self._gone, first=not touched)
        for member in chosen:
            before = self._residuals.total(member.sensor, member.before_id)
            act = Act(ACTOR, now_ns, f"stage {r.stage + 1} of {len(plan.stages)}")
            changed = {"state": MemberState.PUBLISHED, "stage": r.stage, "published_ns": now_ns, "before": before}
            self._put(member, act, "rollout.published", **changed)
            self.changes.acts.append(self._publish(member, now_ns, act.reason))
        return bool(chosen)

    def _gone(self, member: Member) -> bool:
        return not self._edges.online(member.edge)

    def _room(self, now_ns: InstantNs) -> int:
        """Return how many more sets may be out: those whose edges are gone, or silent for long, are not waited for."""
        answer_ns = duration(self.rollout.plan.answer_s)
        out = [self.members[sensor] for sensor in self._out]
        return WINDOW - sum(self._edges.online(m.edge) and now_ns - (m.published_ns or 0) < answer_ns for m in out)

    def _go_on(self, now_ns: InstantNs) -> None:
        verdict = stages.judged(self.rollout, self.members.values(), self._edges, now_ns)
        act = Act(ACTOR, now_ns, verdict.why)
        match verdict.advice:
            case Advice.WAIT:
                return
            case Advice.PASSED:
                self._next_stage(act)
            case Advice.HELD:
                self._enter(RolloutState.PAUSED, "rollout.pause", act)

    def _next_stage(self, act: Act) -> None:
        stage = self.rollout.stage + 1
        if stage < len(self.rollout.plan.stages):
            self._change(stage=stage, stage_ns=act.at_ns, reason=act.reason, changed_ns=act.at_ns)
            self._move("rollout.stage", "", act)
            return
        for member in self._of(MemberState.WAITING):
            left = Act(ACTOR, act.at_ns, "its edge was not there")
            self._leave_out(member, left, left.reason)
        self._enter(RolloutState.COMPLETED, "rollout.completed", act, ended_ns=act.at_ns)

    def _settle(self, now_ns: InstantNs) -> None:
        """End an abort once all are back that can be told."""
        waiting = duration(self.rollout.plan.answer_s) > now_ns - self.rollout.stage_ns
        left = list(self._of(MemberState.REVERTING))
        if any(not m.back_id or (waiting and self._edges.online(m.edge)) for m in left):
            return
        n_stuck = sum(1 for _ in self._of(MemberState.STUCK))
        why = self.rollout.reason + (f"; {len(left)} go back once their edges answer" if left else "")
        why += f"; {n_stuck} could not be reverted" if n_stuck else ""
        self._enter(RolloutState.ABORTED, "rollout.aborted", Act(ACTOR, now_ns, why), ended_ns=now_ns)

    def _fail(self, member: Member, failure: Failure, act: Act) -> None:
        changed = {"state": MemberState.REVERTING, "failure": failure, "reason": act.reason}
        self._put(member, act, "rollout.failed", **changed)
        if not self.rollout.over and self.rollout.state is not RolloutState.ABORTING:
            why = stages.too_many(self.rollout, self.members.values())
            if why:
                self.abort(Act(ACTOR, act.at_ns, f"{why}: {member.sensor}: {act.reason}"))
        self._revert(act.at_ns)

    def _leave_out(self, member: Member, act: Act, why: str) -> None:
        self._put(member, act, "rollout.left_out", state=MemberState.LEFT_OUT, reason=why)

    def _stuck(self, member: Member, act: Act) -> None:
        self._put(member, act, "rollout.stuck", state=MemberState.STUCK, reason=f"not reverted: {act.reason}")

    def _revert(self, now_ns: InstantNs) -> None:
        """Ask for sets that go back, as many as may be at once."""
        for member in self._of(MemberState.REVERTING):
            if len(self._in_hand) >= AT_ONCE:
                return
            if not member.back_id and member.sensor not in self._in_hand:
                self._in_hand.add(member.sensor)
                act = self._act(now_ns, member.reason)
                self.changes.acts.append(Revert(member.sensor, member.set_id, member.before_id, act))

    # What is kept ------------------------------------------------------------------------------------------------

    def _of(self, *states: MemberState) -> Iterator[Member]:
        return iter([m for m in self.members.values() if m.state in states])

    def _act(self, now_ns: InstantNs, reason: str) -> Act:
        return Act(ACTOR, now_ns, f"rollout {self.rollout.id}: {reason}")

    def _publish(self, member: Member, now_ns: InstantNs, why: str) -> Publish:
        """Return what puts a set into force in the name of who began the rollout: that is who has released it."""
        act = Act(self.rollout.actor, now_ns, f"rollout {self.rollout.id}: {why}")
        return Publish(member.sensor, member.set_id, act)

    def _put(self, member: Member, act: Act, action: str, **changed: Any) -> None:
        member = replace(member, changed_ns=act.at_ns, **changed)
        self.members[member.sensor] = self.changes.members[member.sensor] = member
        self._unkept.discard(member.sensor)
        (self._out.add if member.state is MemberState.PUBLISHED else self._out.discard)(member.sensor)
        self._move(action, member.sensor, act)

    def _enter(self, state: RolloutState, action: str, act: Act, **changed: Any) -> None:
        self._change(state=state, reason=act.reason, changed_ns=act.at_ns, **changed)
        self._move(action, "", act)

    def _change(self, **changed: Any) -> None:
        self.rollout = self.changes.rollout = replace(self.rollout, **changed)

    def _move(self, action: str, sensor: str, act: Act) -> None:
        self.changes.moves.append(RolloutMove(self.rollout.id, action, sensor, act.actor, act.at_ns, act.reason))

    def _keep_residuals(self, now_ns: InstantNs) -> None:
        if self._unkept and not 0 <= now_ns - self._kept_ns < _KEEP_NS:
            self.changes.members.update({s: self.members[s] for s in self._unkept if s not in self.changes.members})
            self._unkept.clear()
            self._kept_ns = now_ns


_HELD: Final = (MemberState.WAITING, *_OURS)
