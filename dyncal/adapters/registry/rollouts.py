"""Rollouts in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, documents, orders
from dyncal.adapters.registry.rollout_tables import rollout_members as _m
from dyncal.adapters.registry.rollout_tables import rollout_moves as _h
from dyncal.adapters.registry.rollout_tables import rollouts as _t
from dyncal.domain.errors import NotFound
from dyncal.domain.rollouts import Failure, Member, MemberState, Rollout, RolloutMove, RolloutState
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.ports.rollouts import MemberCount, NumberedMove, RolloutRecord, RolloutWrite

COUNTER: Final = "rollouts"
_OVER: Final = (RolloutState.COMPLETED, RolloutState.ABORTED)


def write(connection: sa.Connection, what: RolloutWrite) -> None:
    """Write what became of a rollout. Raises `NotFound`, or `Conflict` if the order is answered already."""
    counters.increase(connection, COUNTER)  # first: the row that all who write rollouts wait for
    revision = counters.value(connection, COUNTER)
    if what.answer is not None:
        orders.settle(connection, what.answer)
    if what.rollout is not None:
        _put(connection, what.rollout, revision)
    elif connection.execute(sa.update(_t).where(_t.c.id == what.id).values(revision=revision)).rowcount != 1:
        raise NotFound(f"no rollout {what.id}")
    _put_members(connection, what.id, what.members)
    _put_moves(connection, what.moves)


def _put(connection: sa.Connection, rollout: Rollout, revision: int) -> None:
    row = {"state": rollout.state, "revision": revision, "document": documents.dump(rollout)}
    if connection.execute(sa.update(_t).where(_t.c.id == rollout.id).values(**row)).rowcount == 0:
        connection.execute(sa.insert(_t).values(id=rollout.id, begun_ns=rollout.begun_ns, **row))


def _put_members(connection: sa.Connection, rollout_id: str, members: Sequence[Member]) -> None:
    if not members:
        return
    position = sa.bindparam("at", type_=sa.Integer)
    connection.execute(
        sa.delete(_m).where(_m.c.rollout == rollout_id, _m.c.position == position),
        [{"at": m.position} for m in members],
    )
    connection.execute(
        sa.insert(_m),
        [
            {
                "rollout": rollout_id,
                "position": m.position,
                "sensor": m.sensor,
                "state": m.state,
                "stage": m.stage,
                "failure": m.failure,
                "document": documents.dump(m),
            }
            for m in members
        ],
    )


def _put_moves(connection: sa.Connection, moves: Sequence[RolloutMove]) -> None:
    if not moves:
        return
    columns = ("rollout", "subject", "action", "actor", "at_ns", "reason")
    connection.execute(sa.insert(_h), [{name: getattr(move, name) for name in columns} for move in moves])
    audit.append_all(
        connection,
        [
            (Act(m.actor, m.at_ns, m.reason), m.action, f"{m.rollout}/{m.subject}" if m.subject else m.rollout)
            for m in moves
        ],
    )


def one(connection: sa.Connection, rollout_id: str) -> RolloutRecord:
    """Return one. Raises `NotFound`."""
    row = connection.execute(sa.select(_t).where(_t.c.id == rollout_id)).one_or_none()
    if row is None:
        raise NotFound(f"no rollout {rollout_id}")
    return _records(connection, [row])[0]


def several(
    connection: sa.Connection, state: RolloutState | None, before: tuple[InstantNs, str] | None, limit: int
) -> list[RolloutRecord]:
    """Return rollouts with (begun_ns, id) < before, newest first."""
    query = sa.select(_t).order_by(_t.c.begun_ns.desc(), _t.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_t.c.state == state)
    if before is not None:
        at_ns, name = before
        query = query.where((_t.c.begun_ns < at_ns) | ((_t.c.begun_ns == at_ns) & (_t.c.id < name)))
    return _records(connection, list(connection.execute(query)))


def _records(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[RolloutRecord]:
    counts: dict[str, list[MemberCount]] = {row.id: [] for row in rows}
    columns = (_m.c.rollout, _m.c.stage, _m.c.state, _m.c.failure)
    query = sa.select(*columns, sa.func.count().label("n")).where(_m.c.rollout.in_(counts)).group_by(*columns)
    for found in connection.execute(query.order_by(_m.c.rollout, _m.c.stage, _m.c.state, _m.c.failure)):
        failure = None if found.failure is None else Failure(found.failure)
        counts[found.rollout].append(MemberCount(found.stage, MemberState(found.state), failure, found.n))
    return [RolloutRecord(_rollout(row), tuple(counts[row.id]), row.revision) for row in rows]


def members(
    connection: sa.Connection, rollout_id: str, state: MemberState | None, stage: int | None, after: int, limit: int
) -> list[Member]:
    """Return members with position > after, in that order."""
    query = sa.select(_m.c.document).where(_m.c.rollout == rollout_id, _m.c.position > after)
    if state is not None:
        query = query.where(_m.c.state == state)
    if stage is not None:
        query = query.where(_m.c.stage == stage)
    rows = connection.execute(query.order_by(_m.c.position).limit(limit)).scalars()
    return [documents.load(document, Member) for document in rows]


def moves(connection: sa.Connection, rollout_id: str, before: int | None, limit: int) -> list[NumberedMove]:
    """Return the history with number < before, newest first."""
    query = sa.select(_h).where(_h.c.rollout == rollout_id).order_by(_h.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(_h.c.number < before)
    return [
        NumberedMove(
            row.number,
            RolloutMove(row.rollout, row.action, row.subject, row.actor, InstantNs(row.at_ns), row.reason),
        )
        for row in connection.execute(query)
    ]


def unfinished(connection: sa.Connection) -> list[tuple[Rollout, tuple[Member, ...]]]:
    """Return rollouts that are not over, or have members that are still reverting."""
    reverting = sa.select(_m.c.rollout).where(_m.c.state == MemberState.REVERTING)
    query = sa.select(_t).where(_t.c.state.not_in(_OVER) | _t.c.id.in_(reverting)).order_by(_t.c.begun_ns, _t.c.id)
    found = [_rollout(row) for row in connection.execute(query)]
    return [(rollout, tuple(members(connection, rollout.id, None, None, -1, rollout.n_members))) for rollout in found]


def revision(connection: sa.Connection) -> int:
    """Return a number that grows with every change of any rollout."""
    return counters.value(connection, COUNTER)


def _rollout(row: sa.Row[Any]) -> Rollout:
    return documents.load(row.document, Rollout)
