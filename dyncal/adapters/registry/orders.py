"""Orders in the registry: given by people, answered in the transaction of the act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, schema
from dyncal.adapters.registry.lifecycle_tables import orders as _t
from dyncal.adapters.registry.reach import within
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.orders import MAX_WAITING, Answer, Order, OrderKind, OrderState
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.records import Act

COUNTER: Final = "orders"


def put(connection: sa.Connection, order: Order) -> Order:
    """Add an order that waits. Raises `Conflict` if its id is taken, or too many wait."""
    revision = _next(connection)
    if connection.execute(sa.select(_t.c.id).where(_t.c.id == order.id)).first() is not None:
        raise Conflict(f"there is an order {order.id} already")
    waiting = sa.select(sa.func.count()).select_from(_t).where(_t.c.state == OrderState.WAITING)
    if int(connection.execute(waiting).scalar_one()) >= MAX_WAITING:
        raise Conflict(f"{MAX_WAITING} orders wait already: calibrate does not take them up")
    connection.execute(
        sa.insert(_t).values(
            id=order.id,
            kind=order.kind,
            subject=order.subject,
            body=msgspec.json.encode(order.body),
            actor=order.actor,
            role=order.role,
            reason=order.reason,
            at_ns=order.at_ns,
            given=revision,
            state=OrderState.WAITING,
            answer="",
            result="",
            revision=revision,
        )
    )
    audit.append(connection, Act(order.actor, order.at_ns, order.reason), f"order.{order.kind}", order.subject)
    return one(connection, order.id)


def settle(connection: sa.Connection, answer: Answer) -> None:
    """Answer an order, in the transaction of the act. Raises `Conflict` if it does not wait, `NotFound`."""
    revision = _next(connection)
    changed = connection.execute(
        sa.update(_t)
        .where(_t.c.id == answer.order, _t.c.state == OrderState.WAITING)
        .values(state=answer.state, answer=answer.text, result=answer.result, done_ns=answer.at_ns, revision=revision)
    )
    if changed.rowcount != 1:
        raise Conflict(f"order {answer.order} is {one(connection, answer.order).state} already")


def answer_alone(connection: sa.Connection, answer: Answer, act: Act) -> None:
    """Answer an order that leads to no act, and audit that."""
    settle(connection, answer)
    audit.append(connection, act, f"order.{answer.state}", answer.order)


def one(connection: sa.Connection, order_id: str) -> Order:
    """Return one. Raises `NotFound`."""
    row = connection.execute(sa.select(_t).where(_t.c.id == order_id)).one_or_none()
    if row is None:
        raise NotFound(f"no order {order_id}")
    return _order(row)


def several(
    connection: sa.Connection,
    state: OrderState | None,
    subjects: Sequence[str],
    before: int | None,
    limit: int,
    reach: Reach | None = None,
) -> list[Order]:
    """Return orders with revision < before, last changed first."""
    query = sa.select(_t).order_by(_t.c.revision.desc()).limit(limit)
    if state is not None:
        query = query.where(_t.c.state == state)
    if subjects:
        query = query.where(_t.c.subject.in_(subjects))
    if before is not None:
        query = query.where(_t.c.revision < before)
    if reach is not None:
        query = query.where(_within(reach))
    return [_order(row) for row in connection.execute(query)]


def _within(reach: Reach) -> sa.ColumnElement[bool]:
    """Return the condition that an order is about a sensor, or a set of one; rollouts are about many."""
    of_sensor = sa.and_(_t.c.kind == OrderKind.SET_ROLL_BACK, within(_t.c.subject, reach))
    sets = sa.select(schema.sets.c.id).where(within(schema.sets.c.sensor, reach))
    of_set = sa.and_(_t.c.kind.in_((OrderKind.SET_APPROVE, OrderKind.SET_REJECT)), _t.c.subject.in_(sets))
    return sa.or_(of_sensor, of_set)


def waiting(connection: sa.Connection, limit: int) -> list[Order]:
    """Return the orders that wait, in the order in which they were given."""
    query = sa.select(_t).where(_t.c.state == OrderState.WAITING).order_by(_t.c.given).limit(limit)
    return [_order(row) for row in connection.execute(query)]


def revision(connection: sa.Connection) -> int:
    """Return a number that grows with every change of orders."""
    return counters.value(connection, COUNTER)


def _next(connection: sa.Connection) -> int:
    counters.increase(connection, COUNTER)  # first: the row that all who write orders wait for
    return counters.value(connection, COUNTER)


def _order(row: sa.Row[Any]) -> Order:
    return Order(
        id=row.id,
        kind=OrderKind(row.kind),
        subject=row.subject,
        actor=row.actor,
        role=row.role,
        reason=row.reason,
        at_ns=InstantNs(row.at_ns),
        body=msgspec.json.decode(bytes(row.body)),
        state=OrderState(row.state),
        answer=row.answer,
        result=row.result,
        done_ns=None if row.done_ns is None else InstantNs(row.done_ns),
        revision=row.revision,
    )
