"""The sensors of a rollout, its history, and the sets that wait for one."""

from __future__ import annotations

from typing import Self

from dyncal.domain.rollouts import Failure, Member, MemberState, Residual
from dyncal.domain.sensors import ModelKind
from dyncal.ports.records import SetRecord
from dyncal.ports.rollouts import NumberedMove
from services.api.schemas.base import InstantNs, Shape, example


class RolloutResidualOut(Shape):
    """What an edge has found of a set."""

    rms: float
    """Of the residual, in the sensor's unit."""
    limit: float
    """The set's own; 0 where it has none."""
    n: float
    """Windows that the figure is of."""

    @classmethod
    def of(cls, found: Residual | None) -> Self | None:
        """Return the shape of a figure."""
        return None if found is None else cls(rms=found.rms, limit=found.limit, n=found.n)


class MemberOut(Shape):
    """One sensor of a rollout."""

    model_config = example(
        sensor="TT-101",
        edge="edge-1",
        reference="TT-101R",
        model="first_order",
        position=0,
        state="normal",
        stage=0,
        failure=None,
        reason="",
        set_id="TT-101.8-0f3a2b1c",
        before_id="TT-101.7-5d2e9a77",
        back_id=None,
        published_ns=1_769_860_800_000_000_000,
        applied_ns=1_769_860_800_400_000_000,
        changed_ns=1_769_861_100_000_000_000,
        before={"rms": 0.021, "limit": 0.2, "n": 64.0},
        after={"rms": 0.019, "limit": 0.18, "n": 64.0},
    )

    sensor: str
    edge: str
    reference: str
    model: ModelKind
    position: int
    """In the order in which sensors are taken, from 0."""
    state: MemberState
    stage: int | None
    """In which it was touched, from 0; null where it was not."""
    failure: Failure | None
    reason: str
    set_id: str
    """The set that it is to get."""
    before_id: str
    """The set that was in force before."""
    back_id: str | None
    """The set by which it went back."""
    published_ns: InstantNs | None
    applied_ns: InstantNs | None
    changed_ns: InstantNs
    before: RolloutResidualOut | None
    """Residual with the set before."""
    after: RolloutResidualOut | None
    """Residual with the new set."""

    @classmethod
    def of(cls, m: Member) -> Self:
        """Return the shape of a member."""
        return cls(
            sensor=m.sensor,
            edge=m.edge,
            reference=m.reference,
            model=m.model,
            position=m.position,
            state=m.state,
            stage=m.stage,
            failure=m.failure,
            reason=m.reason,
            set_id=m.set_id,
            before_id=m.before_id,
            back_id=m.back_id or None,
            published_ns=m.published_ns,
            applied_ns=m.applied_ns,
            changed_ns=m.changed_ns,
            before=RolloutResidualOut.of(m.before),
            after=RolloutResidualOut.of(m.after),
        )


class MemberPage(Shape):
    """Sensors of a rollout, in the order in which they are taken."""

    items: list[MemberOut]
    next_cursor: str | None


class RolloutMoveOut(Shape):
    """One line of a rollout's history."""

    model_config = example(
        number=17,
        action="rollout.published",
        sensor="TT-101",
        actor="calibrate",
        at_ns=1_769_860_800_000_000_000,
        reason="stage 1 of 4",
    )

    number: int
    action: str
    sensor: str | None
    """Null where it is about the whole rollout."""
    actor: str
    at_ns: InstantNs
    reason: str

    @classmethod
    def of(cls, entry: NumberedMove) -> Self:
        """Return the shape of a move."""
        move = entry.move
        return cls(
            number=entry.number,
            action=move.action,
            sensor=move.subject or None,
            actor=move.actor,
            at_ns=move.at_ns,
            reason=move.reason,
        )


class RolloutHistoryPage(Shape):
    """What happened in a rollout, newest first."""

    items: list[RolloutMoveOut]
    next_cursor: str | None


class CandidateOut(Shape):
    """A verified set that waits, and its sensor."""

    model_config = example(
        sensor="TT-101",
        edge="edge-1",
        reference="TT-101R",
        model="first_order",
        set_id="TT-101.8-0f3a2b1c",
        sequence=8,
        since_ns=1_769_860_800_000_000_000,
    )

    sensor: str
    edge: str | None
    reference: str
    model: ModelKind
    set_id: str
    sequence: int
    since_ns: InstantNs

    @classmethod
    def of(cls, record: SetRecord, edge: str | None) -> Self:
        """Return the shape of a set that waits."""
        c = record.coefficients
        return cls(
            sensor=c.sensor,
            edge=edge,
            reference=c.provenance.reference,
            model=c.parameters.model,
            set_id=c.id,
            sequence=c.sequence,
            since_ns=record.changed_ns,
        )


class CandidateList(Shape):
    """Verified sets that wait, by sensor."""

    items: list[CandidateOut]
