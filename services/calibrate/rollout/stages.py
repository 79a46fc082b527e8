"""Whether a stage of a rollout has passed, is to be waited for, or is for people to decide on; and when to abort."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from dyncal.domain.rollouts import Member, MemberState, Rollout, RolloutPlan
from dyncal.domain.time import InstantNs, duration
from services.calibrate.rollout.edges import Edges


class Advice(enum.Enum):
    """What is to become of a stage."""

    WAIT = enum.auto()
    PASSED = enum.auto()
    HELD = enum.auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a stage, and why."""

    advice: Advice
    why: str = ""


_WAIT = Verdict(Advice.WAIT)


@dataclass(slots=True)
class _Tally:
    pending: int = 0
    normal: int = 0
    failed: int = 0
    silent: int = 0
    unjudged: int = 0
    offline: int = 0

    @property
    def judged(self) -> int:
        return self.normal + self.failed + self.silent + self.unjudged

    def __str__(self) -> str:
        told = [f"{self.normal} of {self.judged} are normal"]
        rest = {
            "failed": self.failed,
            "did not answer": self.silent,
            "told no residual": self.unjudged,
            "are offline": self.offline,
        }
        return ", ".join(told + [f"{n} {what}" for what, n in rest.items() if n])


def soaked(member: Member, plan: RolloutPlan, now_ns: InstantNs) -> bool:
    """Tell whether a member has run its new set for as long as its stage asks for."""
    if member.stage is None or member.applied_ns is None:
        return False
    return now_ns - member.applied_ns >= duration(plan.stages[member.stage].soak_s)


def said(member: Member) -> str:
    """Return in words what a member's residual is."""
    if member.after is None:
        return "no residual is reported of it"
    before = "" if member.before is None else f", {member.before.rms:.4g} before"
    return f"residual of {member.after.rms:.4g} rms{before}"


def too_many(rollout: Rollout, members: Iterable[Member]) -> str:
    """Return why failures are more than the plan bears, or ''."""
    ours = [m for m in members if m.stage is not None and m.state is not MemberState.OVERTAKEN]
    stage = [m for m in ours if m.stage == rollout.stage]
    for what, group in (("of this stage", stage), ("that were touched", ours)):
        failed = sum(m.failure is not None for m in group)
        if group and failed > rollout.plan.abort_share * len(group):
            return f"{failed} of {len(group)} sensors {what} failed"
    return ""


def judged(rollout: Rollout, members: Iterable[Member], edges: Edges, now_ns: InstantNs) -> Verdict:
    """Return what is to become of the present stage, of which nobody is left to be taken now."""
    plan, everyone = rollout.plan, list(members)
    last = rollout.stage == len(plan.stages) - 1
    mine = [m for m in everyone if m.stage == rollout.stage and m.state is not MemberState.OVERTAKEN]
    waiting = any(m.state is MemberState.WAITING for m in everyone)
    patient = now_ns - rollout.stage_ns <= duration(plan.offline_s)
    room = plan.target(rollout.stage, rollout.n_members) - sum(m.stage is not None for m in everyone)
    if not mine:
        if room <= 0 or not waiting:
            return Verdict(Advice.PASSED, "nobody is left to be touched")
        if any(m.stage is not None for m in everyone) and not last and _kept_together(rollout):
            return Verdict(Advice.PASSED, "there is room for no further group")
        if patient:
            return _WAIT
        gone = "none of those that wait has an edge that is online"
        return Verdict(Advice.PASSED if last and any(m.stage is not None for m in everyone) else Advice.HELD, gone)
    tally = _counted(rollout, mine, edges, now_ns)
    if tally.pending or (last and patient and (waiting or tally.offline)):
        return _WAIT
    if not tally.judged:
        return Verdict(Advice.HELD, "all edges of this stage have gone offline")
    passed = tally.normal >= plan.success_share * tally.judged
    return Verdict(Advice.PASSED if passed else Advice.HELD, str(tally))


def _kept_together(rollout: Rollout) -> bool:
    return rollout.plan.arrangement != "spread"


def _counted(rollout: Rollout, mine: Iterable[Member], edges: Edges, now_ns: InstantNs) -> _Tally:
    tally = _Tally()
    for member in mine:
        if member.failure is not None or member.state is MemberState.REVERTING:
            tally.failed += 1
        elif member.state is MemberState.NORMAL:
            tally.normal += 1
        else:
            _count_open(tally, rollout, member, edges, now_ns)
    return tally


def _count_open(tally: _Tally, rollout: Rollout, member: Member, edges: Edges, now_ns: InstantNs) -> None:
    plan = rollout.plan
    answer_ns, seen_ns = duration(plan.answer_s), edges.since_ns(member.edge, now_ns)
    if not edges.online(member.edge):
        if now_ns - seen_ns > answer_ns:
            tally.offline += 1
        else:
            tally.pending += 1
        return
    applied = member.state is MemberState.APPLIED
    since_ns = max(seen_ns, rollout.stage_ns, (member.applied_ns if applied else member.published_ns) or 0)
    wait_ns = answer_ns + (duration(plan.stages[rollout.stage].soak_s) if applied else 0)
    if now_ns - since_ns <= wait_ns:
        tally.pending += 1
    elif applied:
        tally.unjudged += 1
    else:
        tally.silent += 1
