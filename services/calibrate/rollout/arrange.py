"""The order in which members of a rollout are taken, so that the first ones stand for all.

Spread: in every round each edge gives one member, in an order that depends on the rollout's id alone (no edge is always
the canary), so that the first n members are of min(n, number of edges) edges. An edge gives the member whose kind of
model is furthest behind its share of the fleet; among those, one whose reference has been taken least.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from dyncal.domain.rollouts import Arrangement, Member

T = TypeVar("T")


def arranged(members: Iterable[Member], arrangement: Arrangement, seed: str) -> list[Member]:
    """Return the members with their positions, in the order in which they are to be taken."""
    if arrangement is Arrangement.SPREAD:
        order = _spread(list(members), seed)
    else:
        groups = _by(members, lambda member: group_of(member, arrangement))
        names = sorted(groups, key=lambda name: _lot(seed, name))
        order = [member for name in names for member in sorted(groups[name], key=lambda m: m.sensor)]
    return [replace(member, position=k) for k, member in enumerate(order)]


def group_of(member: Member, arrangement: Arrangement) -> str:
    """Return what keeps a member together with others; its own name where nothing does."""
    match arrangement:
        case Arrangement.EDGES:
            return member.edge
        case Arrangement.REFERENCES:
            return member.reference
        case _:
            return member.sensor


def take(
    waiting: Sequence[Member],
    room: int,
    window: int,
    arrangement: Arrangement,
    offline: Callable[[Member], bool],
    *,
    first: bool,
) -> list[Member]:
    """Return which of the members that wait, in order, are taken now: at most `room`, none whose edge is offline.

    What is kept together is taken as a whole or not at all, and not while a part of it is offline. No further group is
    begun once `window` members were taken. Where nothing else could be taken (`first`), the smallest group is, even if
    it has more members than there is room for.
    """
    if room <= 0 or window <= 0:
        return []
    groups = _by(waiting, lambda member: group_of(member, arrangement))
    there = [group for group in groups.values() if not any(offline(member) for member in group)]
    chosen: list[Member] = []
    for group in there:
        if len(chosen) >= window:
            break
        if len(chosen) + len(group) <= room:
            chosen += group
    if not chosen and there and first:
        chosen = min(there, key=len)
    return chosen


def _spread(members: Collection[Member], seed: str) -> list[Member]:
    edges = _by(sorted(members, key=lambda m: _lot(seed, m.sensor)), lambda m: m.edge)
    wanted = Counter(m.model for m in members)
    kinds: Counter[str] = Counter()
    references: Counter[str] = Counter()
    order: list[Member] = []
    while edges:
        for edge in sorted(edges, key=lambda name: _lot(seed, name)):
            left = edges[edge]
            best = min(left, key=lambda m: (kinds[m.model] / wanted[m.model], references[m.reference]))
            left.remove(best)
            order.append(best)
            kinds[best.model] += 1
            references[best.reference] += 1
            if not left:
                del edges[edge]
    return order


def _by(things: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return found


def _lot(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
