"""Rollouts: their plans and stages, and how they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Self

from pydantic import Field, model_validator

from dyncal.domain.rollouts import (
    DEFAULT_PLAN,
    MAX_MEMBERS,
    MAX_STAGES,
    Arrangement,
    MemberState,
    RolloutPlan,
    RolloutState,
    Stage,
)
from dyncal.domain.sensors import ModelKind
from dyncal.ports.rollouts import MemberCount, RolloutRecord
from services.api.schemas.base import InstantNs, Shape, example

_NAME = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
Names = Annotated[list[Annotated[str, _NAME]], Field(max_length=MAX_MEMBERS)]
NO_NUL = r"^[^\x00]*$"  # which no database keeps
LONGEST_S = 30 * 86_400


class StageBody(Shape):
    """One step of a rollout."""

    model_config = example(share=0.02, soak_s=300.0)

    share: float = Field(gt=0, le=1)
    """Up to which share of all sensors sets go out."""
    soak_s: float = Field(ge=0, le=LONGEST_S)
    """For how long each is watched then [s]."""


def _stages() -> list[StageBody]:
    return [StageBody(share=stage.share, soak_s=stage.soak_s) for stage in DEFAULT_PLAN.stages]


class PlanBody(Shape):
    """How a rollout goes on, and when it does not."""

    model_config = example(
        stages=[{"share": 0.02, "soak_s": 300.0}, {"share": 1.0, "soak_s": 300.0}],
        success_share=0.95,
        abort_share=0.02,
        worse_ratio=2.0,
        answer_s=30.0,
        offline_s=3600.0,
        arrangement="spread",
        needs_residual=True,
    )

    stages: list[StageBody] = Field(default_factory=_stages, min_length=1, max_length=MAX_STAGES)
    """With growing shares, the last of them 1; the first is the canary group."""
    success_share: float = Field(DEFAULT_PLAN.success_share, gt=0, le=1)
    """Least share of a stage's sensors that must be normal for the next to begin; offline ones do not count."""
    abort_share: float = Field(DEFAULT_PLAN.abort_share, ge=0, le=1)
    """Share of failures, in the stage or of all touched, above which all goes back; 0: by the first."""
    worse_ratio: float = Field(DEFAULT_PLAN.worse_ratio, ge=1, le=1000)
    """By how much the residual must have grown, significantly, against the set before to count as a failure."""
    answer_s: float = Field(DEFAULT_PLAN.answer_s, gt=0, le=LONGEST_S)
    """Time within which an edge that is online must answer [s]; an absence longer than that counts as offline."""
    offline_s: float = Field(DEFAULT_PLAN.offline_s, ge=0, le=LONGEST_S)
    """For how long edges that are offline are waited for in the last stage, or where a stage finds none [s]."""
    arrangement: Arrangement = DEFAULT_PLAN.arrangement
    """Which sensors come together: of as many edges as can be, or all of an edge, or of a reference, at once."""
    needs_residual: bool = DEFAULT_PLAN.needs_residual
    """Whether a set of which the edge reports no residual keeps from counting as normal."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.plan()
        return self

    def plan(self) -> RolloutPlan:
        """Return the plan. Raises `InvalidData`."""
        fields = self.model_dump(exclude={"stages"})
        return RolloutPlan(tuple(Stage(stage.share, stage.soak_s) for stage in self.stages), **fields)

    @classmethod
    def of(cls, plan: RolloutPlan) -> Self:
        """Return the shape of a plan."""
        return cls.model_validate(asdict(plan) | {"stages": [asdict(stage) for stage in plan.stages]})


class RolloutBody(Shape):
    """A rollout to begin: of sensors by name, or of all whose verified sets wait and that fit each filter given."""

    model_config = example(
        title="new filters after the upgrade",
        reason="approved by the metrologist, record 17",
        edges=["edge-1", "edge-2"],
        plan={"stages": [{"share": 0.02, "soak_s": 300.0}, {"share": 1.0, "soak_s": 300.0}], "abort_share": 0.0},
    )

    title: str = Field("", max_length=200, pattern=NO_NUL)
    """For people."""
    reason: str = Field(min_length=1, max_length=500, pattern=NO_NUL)
    """Why, for the audit trail."""
    sensors: Names = Field(default_factory=list)
    edges: Names = Field(default_factory=list)
    references: Names = Field(default_factory=list)
    models: list[ModelKind] = Field(default_factory=list, max_length=len(ModelKind))
    plan: PlanBody = PlanBody()


class RolloutCommandBody(Shape):
    """Why a rollout is to pause, go on, or be aborted."""

    model_config = example(reason="the process is being restarted")

    reason: str = Field(min_length=1, max_length=500, pattern=NO_NUL)


class RolloutResumeBody(RolloutCommandBody):
    """Why a rollout is to go on."""

    model_config = example(reason="the two that did not answer are being replaced", accept=True)

    accept: bool = False
    """Whether the present stage counts as passed as it is."""


class StageOut(Shape):
    """How a stage stands: numbers of sensors that were touched in it."""

    share: float
    soak_s: float
    target: int
    """Up to how many sensors are touched by the end of this stage."""
    n_touched: int
    n_applied: int
    """That run the new set, normal ones among them."""
    n_normal: int
    n_failed: int
    n_reverting: int
    n_reverted: int


class RolloutOut(Shape):
    """A rollout and how it stands."""

    model_config = example(
        id="r-0198c1",
        title="new filters after the upgrade",
        state="running",
        reason="2 of 2 are normal",
        actor="ann",
        begun_ns=1_769_860_800_000_000_000,
        changed_ns=1_769_861_100_000_000_000,
        ended_ns=None,
        stage=1,
        stage_ns=1_769_861_100_000_000_000,
        plan=PlanBody.model_config["json_schema_extra"]["examples"][0],  # type: ignore[index]  # it has one
        stages=[
            {
                "share": 0.02,
                "soak_s": 300.0,
                "target": 2,
                "n_touched": 2,
                "n_applied": 2,
                "n_normal": 2,
                "n_failed": 0,
                "n_reverting": 0,
                "n_reverted": 0,
            }
        ],
        n_sensors=100,
        n_touched=2,
        n_failed=0,
        n_reverted=0,
        n_waiting=98,
        n_left_out=0,
        n_stuck=0,
        n_overtaken=0,
    )

    id: str
    title: str
    state: RolloutState
    reason: str
    """Of its present state."""
    actor: str
    """Who began it."""
    begun_ns: InstantNs
    changed_ns: InstantNs
    ended_ns: InstantNs | None
    stage: int
    """The present stage, from 0."""
    stage_ns: InstantNs
    """Since when that is."""
    plan: PlanBody
    stages: list[StageOut]
    n_sensors: int
    n_touched: int
    n_failed: int
    n_reverted: int
    n_waiting: int
    n_left_out: int
    """Not touched: their edge was not there, or their set did not wait any more."""
    n_stuck: int
    """That could not be reverted."""
    n_overtaken: int
    """To which somebody else has given another set since."""

    @classmethod
    def of(cls, record: RolloutRecord) -> Self:
        """Return the shape of a rollout."""
        r, counts = record.rollout, record.counts
        touched = [c for c in counts if c.stage is not None]
        return cls(
            id=r.id,
            title=r.title,
            state=r.state,
            reason=r.reason,
            actor=r.actor,
            begun_ns=r.begun_ns,
            changed_ns=r.changed_ns,
            ended_ns=r.ended_ns,
            stage=r.stage,
            stage_ns=r.stage_ns,
            plan=PlanBody.of(r.plan),
            stages=[_stage(r.plan, k, r.n_members, counts) for k in range(len(r.plan.stages))],
            n_sensors=r.n_members,
            n_touched=_sum(touched),
            n_failed=sum(c.n for c in touched if c.failure is not None),
            n_reverted=_sum(counts, MemberState.REVERTED),
            n_waiting=_sum(counts, MemberState.WAITING),
            n_left_out=_sum(counts, MemberState.LEFT_OUT),
            n_stuck=_sum(counts, MemberState.STUCK),
            n_overtaken=_sum(counts, MemberState.OVERTAKEN),
        )


def _stage(plan: RolloutPlan, k: int, n_members: int, counts: Iterable[MemberCount]) -> StageOut:
    mine = [c for c in counts if c.stage == k]
    return StageOut(
        share=plan.stages[k].share,
        soak_s=plan.stages[k].soak_s,
        target=plan.target(k, n_members),
        n_touched=_sum(mine),
        n_applied=_sum(mine, MemberState.APPLIED, MemberState.NORMAL),
        n_normal=_sum(mine, MemberState.NORMAL),
        n_failed=sum(c.n for c in mine if c.failure is not None),
        n_reverting=_sum(mine, MemberState.REVERTING),
        n_reverted=_sum(mine, MemberState.REVERTED),
    )


def _sum(counts: Iterable[MemberCount], *states: MemberState) -> int:
    return sum(c.n for c in counts if not states or c.state in states)


class RolloutPage(Shape):
    """Rollouts, newest first."""

    items: list[RolloutOut]
    next_cursor: str | None
