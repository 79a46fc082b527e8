"""What every registry must do with rollouts: a part of the pytest suite."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.orders import Answer, Order, OrderKind, OrderState
from dyncal.domain.rollouts import (
    Arrangement,
    Failure,
    Member,
    MemberState,
    Residual,
    Rollout,
    RolloutMove,
    RolloutPlan,
    RolloutState,
    Stage,
)
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId
from dyncal.ports.registry import Registry
from dyncal.ports.rollouts import MemberCount, RolloutWrite
from dyncal.testing.registry import S2, act

PLAN: Final = RolloutPlan(
    (Stage(1 / 3, 0.1 + 0.2), Stage(1.0, 60.0)), 0.9, 1 / 7, 1.5, 5.0, 60.0, Arrangement.EDGES, needs_residual=False
)


def make_rollout(name: str = "r-1", *, k: int = 0, state: RolloutState = RolloutState.RUNNING) -> Rollout:
    """Return a rollout of three sensors that began at second `k`."""
    at = act(k).at_ns
    return Rollout(name, "naïve", PLAN, "eve", state, "because", 3, at, at, at)


def make_member(position: int = 0, *, state: MemberState = MemberState.WAITING) -> Member:
    """Return a member with a value in every field."""
    name = SensorId(f"tc-{position}")
    return Member(
        name, EdgeId("edge-1"), S2, ModelKind.SECOND_ORDER, position, f"{name}.2", 2, f"{name}.1", act(1).at_ns,
        state=state, reason="…", before=Residual(1 / 3, 0.5, 8.0),
    )  # fmt: skip


def make_move(action: str, subject: str = "", rollout: str = "r-1") -> RolloutMove:
    """Return a move at second 1."""
    return RolloutMove(rollout, action, subject, "eve", act(1).at_ns, "why")


class RolloutRegistryContract:
    """The suite; derive from it together with `dyncal.testing.registry.RegistryContract`."""

    def test_a_rollout_comes_back_with_members_history_and_audit(self, registry: Registry) -> None:
        before = registry.rollouts_revision()
        members = [make_member(k) for k in range(3)]
        moves = [make_move("rollout.begin"), make_move("rollout.published", "tc-1")]
        registry.write_rollout(RolloutWrite("r-1", make_rollout(), members, moves))
        found = registry.rollout("r-1")
        assert found.rollout == make_rollout()
        assert found.counts == (MemberCount(None, MemberState.WAITING, None, 3),)
        assert found.revision == registry.rollouts_revision() > before
        assert registry.rollout_members("r-1") == members
        assert [entry.move for entry in registry.rollout_moves("r-1")] == moves[::-1]
        assert [(e.actor, e.action, e.subject, e.reason) for e in registry.audit()] == [
            ("eve", "rollout.begin", "r-1", "why"),
            ("eve", "rollout.published", "r-1/tc-1", "why"),
        ]
        assert registry.verify_audit() is None
        with pytest.raises(NotFound):
            registry.rollout("r-2")

    def test_members_are_replaced_counted_and_chosen(self, registry: Registry) -> None:
        registry.write_rollout(RolloutWrite("r-1", make_rollout(), [make_member(k) for k in range(3)]))
        first = registry.rollout("r-1").revision
        failed = replace(
            make_member(1, state=MemberState.REVERTING), stage=0, failure=Failure.WORSE, after=Residual(2.0, 1.0, 3.0)
        )
        normal = replace(make_member(2, state=MemberState.NORMAL), stage=1)
        registry.write_rollout(RolloutWrite("r-1", members=[normal, failed]))
        found = registry.rollout("r-1")
        assert found.revision > first
        assert set(found.counts) == {
            MemberCount(None, MemberState.WAITING, None, 1),
            MemberCount(0, MemberState.REVERTING, Failure.WORSE, 1),
            MemberCount(1, MemberState.NORMAL, None, 1),
        }
        assert registry.rollout_members("r-1") == [make_member(0), failed, normal]
        assert registry.rollout_members("r-1", state=MemberState.REVERTING) == [failed]
        assert registry.rollout_members("r-1", stage=1) == [normal]
        assert registry.rollout_members("r-1", after=0, limit=1) == [failed]
        with pytest.raises(NotFound):
            registry.write_rollout(RolloutWrite("r-9", members=[normal]))
        assert registry.rollout_members("r-9") == []

    def test_rollouts_and_their_history_are_paged_newest_first(self, registry: Registry) -> None:
        for k, name in enumerate(("r-1", "r-2", "r-3")):
            rollout = make_rollout(name, k=min(k, 1))
            registry.write_rollout(
                RolloutWrite(name, rollout, moves=[make_move(f"m{n}", rollout=name) for n in range(4)])
            )
        every = [record.rollout.id for record in registry.rollouts()]
        assert every == ["r-3", "r-2", "r-1"]
        (page,) = registry.rollouts(limit=1)
        rest = registry.rollouts(before=(page.rollout.begun_ns, page.rollout.id))
        assert [record.rollout.id for record in rest] == ["r-2", "r-1"]
        paused = make_rollout("r-2", k=1, state=RolloutState.PAUSED)
        registry.write_rollout(RolloutWrite("r-2", paused))
        assert [r.rollout for r in registry.rollouts(state=RolloutState.PAUSED)] == [paused]
        moves = registry.rollout_moves("r-2")
        assert [entry.move.action for entry in moves] == ["m3", "m2", "m1", "m0"]
        assert registry.rollout_moves("r-2", before=moves[1].number, limit=1) == [moves[2]]

    def test_what_is_over_and_does_not_revert_any_more_is_finished(self, registry: Registry) -> None:
        for k, state in enumerate(RolloutState):
            name = f"r-{state}"
            registry.write_rollout(RolloutWrite(name, make_rollout(name, k=k, state=state), [make_member(0)]))
        back = make_rollout("r-back", k=9, state=RolloutState.ABORTED)
        reverting = make_member(0, state=MemberState.REVERTING)
        registry.write_rollout(RolloutWrite("r-back", back, [reverting]))
        found = registry.unfinished_rollouts()
        assert [rollout.id for rollout, _ in found] == ["r-running", "r-paused", "r-aborting", "r-back"]
        assert found[-1] == (back, (reverting,))

    def test_an_order_is_answered_in_the_transaction_or_nothing_is_done(self, registry: Registry) -> None:
        registry.put_order(Order("o-1", OrderKind.ROLLOUT_START, "r-1", "eve", "engineer", "why", act(1).at_ns))
        answer = Answer("o-1", OrderState.DONE, "begun", act(2).at_ns, "r-1")
        registry.write_rollout(RolloutWrite("r-1", make_rollout(), answer=answer))
        assert registry.order("o-1").state is OrderState.DONE
        trail = registry.audit()
        with pytest.raises(Conflict):
            registry.write_rollout(
                RolloutWrite("r-2", make_rollout("r-2"), [make_member()], [make_move("x", rollout="r-2")], answer)
            )
        assert [r.rollout.id for r in registry.rollouts()] == ["r-1"]
        assert registry.audit() == trail
