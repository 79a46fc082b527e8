from __future__ import annotations

from collections import Counter

from dyncal.domain.rollouts import Arrangement, Member
from dyncal.domain.sensors import ModelKind
from services.calibrate.rollout.arrange import arranged, take
from tests.unit.services.calibrate.rollout.plant import member

FLEET = [
    member(
        k,
        edge=f"e{k // 25}",
        reference=f"r{k % 7}",
        model=ModelKind.SECOND_ORDER if k % 5 == 0 else ModelKind.FIRST_ORDER,
    )
    for k in range(500)
]


def online(_: Member) -> bool:
    return False


def test_the_canary_group_is_of_as_many_edges_and_kinds_as_can_be() -> None:
    order = arranged(FLEET, Arrangement.SPREAD, "r1")
    first = order[:10]
    assert len({m.edge for m in first}) == 10
    assert Counter(m.model for m in first) == {ModelKind.FIRST_ORDER: 8, ModelKind.SECOND_ORDER: 2}
    assert len({m.reference for m in first}) == 7
    assert {m.edge for m in order[:20]} == {m.edge for m in FLEET}
    assert [m.position for m in order] == list(range(500))
    assert {m.sensor for m in order} == {m.sensor for m in FLEET}


def test_the_order_depends_on_the_rollout_and_not_on_how_it_was_listed() -> None:
    order = [m.sensor for m in arranged(FLEET, Arrangement.SPREAD, "r1")]
    assert order == [m.sensor for m in arranged(reversed(FLEET), Arrangement.SPREAD, "r1")]
    assert order != [m.sensor for m in arranged(FLEET, Arrangement.SPREAD, "r2")]


def test_what_is_kept_together_is_taken_as_a_whole_and_not_while_a_part_is_offline() -> None:
    order = arranged(FLEET, Arrangement.EDGES, "r1")
    chosen = take(order, 60, 500, Arrangement.EDGES, online, first=True)
    assert Counter(m.edge for m in chosen) == dict.fromkeys({m.edge for m in order[:50]}, 25)
    assert take(order, 10, 500, Arrangement.EDGES, online, first=False) == []
    assert len(take(order, 10, 500, Arrangement.EDGES, online, first=True)) == 25
    away = order[0].edge
    chosen = take(order, 60, 500, Arrangement.REFERENCES, lambda m: m.edge == away, first=True)
    assert chosen == []  # every reference is used on every edge
    assert {m.edge for m in take(order, 500, 500, Arrangement.EDGES, lambda m: m.edge == away, first=True)} == {
        m.edge for m in FLEET
    } - {away}
