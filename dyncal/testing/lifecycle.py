"""What every registry must do with the life of coefficient sets and with orders: a part of the pytest suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import Conflict, IllegalMove, NotFound
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.orders import Answer, Order, OrderKind, OrderState
from dyncal.domain.sensors import SensorId
from dyncal.ports.records import Act
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S1, S2, OpenRegistry, act, make_set

S = SetState
POLICY: Final = ReleasePolicy(ReleaseMode.WITHIN_BOUNDS, {"tau_s": 0.1 + 0.2}, 1 / 3, 60.0)


def make_order(name: str = "o-1", kind: OrderKind = OrderKind.SET_APPROVE, subject: str = "tc-1-1") -> Order:
    """Return an order that waits."""
    return Order(name, kind, subject, "eve", "engineer", "naïve", act(1).at_ns, {"to": None, "n": [1, 2.5]})


def answer(order: str = "o-1", state: OrderState = OrderState.DONE, result: str = "tc-1-1") -> Answer:
    """Return an answer given at second 9."""
    return Answer(order, state, "published", act(9).at_ns, result)


class LifecycleRegistryContract:
    """The suite; derive from it together with `dyncal.testing.registry.RegistryContract`."""

    def test_the_history_of_a_set_has_every_move(self, registry: Registry) -> None:
        registry.add_set(make_set(1), b"", S.VERIFIED, act(2, "better"), earlier=[(S.CANDIDATE, act(1, "moved"))])
        registry.set_state("tc-1-1", S.PUBLISHED, act(3, "approved"), envelope=b"signed")
        registry.set_state("tc-1-1", S.ACTIVE, act(4))
        moves = registry.set_moves("tc-1-1")
        assert [(m.before, m.state, m.reason, m.at_ns, m.actor, m.sensor) for m in moves] == [
            (None, S.CANDIDATE, "moved", act(1).at_ns, "tester", S1),
            (S.CANDIDATE, S.VERIFIED, "better", act(2).at_ns, "tester", S1),
            (S.VERIFIED, S.PUBLISHED, "approved", act(3).at_ns, "tester", S1),
            (S.PUBLISHED, S.ACTIVE, "test", act(4).at_ns, "tester", S1),
        ]
        assert [m.number for m in moves] == sorted({m.number for m in moves})
        assert [(e.action, e.subject, e.reason) for e in registry.audit()] == [
            (f"set.{m.state}", "tc-1-1", m.reason) for m in moves
        ]
        assert registry.verify_audit() is None
        assert registry.coefficient_set("tc-1-1").envelope == b"signed"
        assert registry.set_moves("tc-1-2") == []

    def test_what_cannot_be_is_refused_and_leaves_nothing(self, registry: Registry) -> None:
        registry.add_set(make_set(1), b"", S.VERIFIED, act(1))
        trail, revision = registry.audit(), registry.sets_revision()
        for state in (S.VERIFIED, S.ACTIVE, S.CANDIDATE, S.REVERTED, S.SUPERSEDED):
            with pytest.raises(IllegalMove):
                registry.set_state("tc-1-1", state, act(2))
        with pytest.raises(IllegalMove, match="not signed"):
            registry.set_state("tc-1-1", S.PUBLISHED, act(2))
        with pytest.raises(IllegalMove):
            registry.add_set(make_set(2), b"e", S.PUBLISHED, act(2), earlier=[(S.CANDIDATE, act(1))])
        assert (registry.audit(), registry.sets_revision()) == (trail, revision)
        assert [r.coefficients.id for r in registry.sets()] == ["tc-1-1"]
        assert len(registry.sensor_moves(S1)) == 1

    def test_what_waits_is_rejected_by_what_is_published_after_it(self, registry: Registry) -> None:
        """No edge would take it any more: sequences only grow."""
        registry.add_set(make_set(1), b"", S.VERIFIED, act(1))
        registry.add_set(make_set(1, S2), b"", S.VERIFIED, act(1))
        registry.add_set(make_set(2), b"e", S.PUBLISHED, act(2))
        registry.add_set(make_set(3), b"", S.VERIFIED, act(3))
        registry.set_state("tc-1-2", S.ACTIVE, act(4))
        states = {r.coefficients.id: r.state for r in registry.sets()}
        assert states == {"tc-1-1": S.REJECTED, "tc-2-1": S.VERIFIED, "tc-1-2": S.ACTIVE, "tc-1-3": S.VERIFIED}
        assert registry.coefficient_set("tc-1-1").reason == "replaced by tc-1-2"

    def test_moves_of_a_sensor_are_paged_newest_first(self, registry: Registry) -> None:
        for k in (1, 2, 3):
            registry.add_set(make_set(k), b"e", S.PUBLISHED, act(k))
            registry.add_set(make_set(k, S2), b"e", S.PUBLISHED, act(k))
            registry.set_state(f"tc-1-{k}", S.ACTIVE, act(10 + k))
        every = registry.sensor_moves(S1)
        assert [(m.set_id, m.state) for m in every[:3]] == [
            ("tc-1-2", S.SUPERSEDED), ("tc-1-3", S.ACTIVE), ("tc-1-3", S.PUBLISHED),
        ]  # fmt: skip
        assert {m.sensor for m in every} == {S1}
        page = registry.sensor_moves(S1, limit=3)
        assert page + registry.sensor_moves(S1, before=page[-1].number) == every

    def test_who_released_last_can_be_asked(self, registry: Registry) -> None:
        assert registry.last_released(S1) is None
        for k, actor in enumerate(("calibrate", "eve", "calibrate"), 1):
            registry.add_set(make_set(k), b"e", S.PUBLISHED, Act(actor, act(k).at_ns))
        registry.add_set(make_set(4), b"", S.VERIFIED, act(4))

        def of(**which: object) -> int | None:
            found = registry.last_released(S1, **which)  # type: ignore[arg-type]  # shorter so
            return None if found is None else found.coefficients.sequence

        assert of() == 3
        assert of(not_by="calibrate") == 2
        assert of(until_ns=act(1).at_ns) == 1
        assert of(until_ns=act(0).at_ns) is None
        assert registry.last_released(S2) is None

    def test_what_bounds_are_relative_to_is_asked_for_many_at_once(self, registry: Registry) -> None:
        for sensor in (S1, S2, SensorId("tc-3")):
            for k, actor in enumerate(("calibrate", "eve", "calibrate", "calibrate"), 1):
                registry.add_set(make_set(k, sensor), b"e", S.PUBLISHED, Act(actor, act(k).at_ns))
        registry.put_policy(S1, POLICY, act(0))
        registry.put_policy(S2, POLICY, act(3))
        found = registry.anchors([S1, S2, SensorId("tc-3"), SensorId("nobody")], not_by="calibrate")
        records = registry.coefficient_sets([*found.values(), "nobody"])
        assert {s: records[set_id].coefficients.sequence for s, set_id in found.items()} == {S1: 2, S2: 3}
        assert records[found[S1]].envelope == b"e"
        assert registry.anchors([], not_by="calibrate") == {}

    def test_policies_come_back_to_the_last_bit(self, registry: Registry) -> None:
        assert registry.policies() == {}
        assert registry.policy(S1) is None
        before = registry.revision()
        registry.put_policy(S1, POLICY, act(1, "why"))
        found = registry.policy(S1)
        assert found is not None
        assert (found.policy, found.actor, found.changed_ns) == (POLICY, "tester", act(1).at_ns)
        assert registry.revision() > before
        registry.put_policy(S1, ReleasePolicy(), act(2))
        assert registry.policies()[S1].policy == ReleasePolicy()
        registry.put_policy(S1, None, act(3))
        assert registry.policies() == {}
        with pytest.raises(NotFound):
            registry.put_policy(S1, None, act(4))
        assert [(e.action, e.subject) for e in registry.audit()] == [
            ("policy.put", S1), ("policy.put", S1), ("policy.remove", S1),
        ]  # fmt: skip

    def test_orders_wait_in_the_order_in_which_they_were_given(self, registry: Registry) -> None:
        assert registry.waiting_orders() == []
        before = registry.orders_revision()
        given = registry.put_order(make_order("o-2"))
        assert given.revision > before
        registry.put_order(make_order("o-1", OrderKind.SET_ROLL_BACK, S1))
        assert [o.id for o in registry.waiting_orders()] == ["o-2", "o-1"]
        found = registry.order("o-2")
        assert found == given
        assert (found.body, found.state, found.role) == ({"to": None, "n": [1, 2.5]}, OrderState.WAITING, "engineer")
        assert [(e.action, e.subject, e.actor, e.reason) for e in registry.audit()] == [
            ("order.set.approve", "tc-1-1", "eve", "naïve"), ("order.set.roll_back", S1, "eve", "naïve"),
        ]  # fmt: skip
        with pytest.raises(Conflict, match="o-2"):
            registry.put_order(make_order("o-2"))
        with pytest.raises(NotFound):
            registry.order("o-3")

    def test_an_order_is_answered_in_the_transaction_of_the_act(self, registry: Registry) -> None:
        registry.add_set(make_set(1), b"", S.VERIFIED, act())
        registry.put_order(make_order())
        revision = registry.orders_revision()
        registry.set_state("tc-1-1", S.PUBLISHED, act(9), envelope=b"e", answer=answer())
        found = registry.order("o-1")
        assert (found.state, found.answer, found.result) == (OrderState.DONE, "published", "tc-1-1")
        assert found.done_ns == act(9).at_ns
        assert registry.orders_revision() == found.revision > revision
        assert registry.waiting_orders() == []

    def test_an_order_is_carried_out_once(self, registry: Registry) -> None:
        """Whoever comes second with the act of an order that is answered changes nothing."""
        registry.put_order(make_order())
        registry.answer_order(answer(state=OrderState.REFUSED), act(2, "no"))
        assert registry.audit()[-1].action == "order.refused"
        trail = registry.audit()
        with pytest.raises(Conflict, match="refused already"):
            registry.add_set(make_set(1), b"e", S.PUBLISHED, act(9), answer=answer())
        with pytest.raises(Conflict):
            registry.answer_order(answer(), act(9))
        with pytest.raises(NotFound):
            registry.answer_order(answer("o-9"), act(9))
        assert registry.sets() == []
        assert registry.audit() == trail

    def test_orders_are_listed_last_changed_first(self, registry: Registry) -> None:
        for k in range(4):
            registry.put_order(make_order(f"o-{k}", subject=f"x-{k % 2}"))
        registry.answer_order(answer("o-1"), act(5))
        assert [o.id for o in registry.orders()] == ["o-1", "o-3", "o-2", "o-0"]
        assert [o.id for o in registry.orders(state=OrderState.WAITING)] == ["o-3", "o-2", "o-0"]
        assert [o.id for o in registry.orders(subjects=["x-0", "none"])] == ["o-2", "o-0"]
        page = registry.orders(limit=2)
        assert [o.id for o in registry.orders(before=page[-1].revision)] == ["o-2", "o-0"]

    def test_many_who_give_and_answer_orders_lose_none(self, open_it: OpenRegistry) -> None:
        registries = [open_it(), open_it()]

        def give(k: int) -> None:
            registries[k % 2].put_order(make_order(f"o-{k}"))
            registries[(k + 1) % 2].answer_order(answer(f"o-{k}"), act(k))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(give, range(20)))
        found = registries[0].orders()
        assert len({o.revision for o in found}) == len(found) == 20
        assert {o.state for o in found} == {OrderState.DONE}
        assert registries[1].verify_audit() is None
        assert registries[0].last_released(SensorId("nobody")) is None
