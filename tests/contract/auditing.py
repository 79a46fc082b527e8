"""A watch on all transactions: whoever changes something writes who did it into the audit trail, in the same one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

NOT_ACTS: Final = {
    "snapshots": "what a service writes for itself; what people act on goes by put_snapshot, which is audited",
    "counters": "go with a change that is audited",
    "audit_head": "the trail itself",
    "audit_checkpoints": "signatures on the trail",
    "alarm_states": "all but mere updates of a figure is audited",
    "alarm_changes": "likewise",
    "alarm_desk": "what the engine measures",
    "alarm_floods": "likewise",
    "alarm_answers": "copies of answers, for callers that ask again",
    "rollouts": "what is measured of one; each decision on it is a move, which is audited",
    "rollout_members": "likewise",
}
"""Tables whose change alone is nobody's act."""

NOT_ACTS_EITHER: Final = (
    "UPDATE orders SET",  # the answer to one that was audited when it was given
    "UPDATE jobs SET",  # how far it is; who asked for it, or cancelled it, is audited
    "UPDATE access_keys SET used_ns=",
    "UPDATE access_sessions SET seen_ns=",
    "DELETE FROM access_sessions WHERE access_sessions.expires_ns",  # by themselves
)

_CHANGE: Final = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.IGNORECASE)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Give the tables of each transaction that was committed meanwhile without a line in the trail."""
    silent: list[str] = []
    open_: dict[int, set[str]] = {}

    def execute(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        del cursor, parameters, context, many
        found = _CHANGE.match(statement)
        if found and not statement.startswith(NOT_ACTS_EITHER):
            open_.setdefault(id(connection), set()).add(found.group(2))

    def commit(connection: Any) -> None:
        tables = open_.pop(id(connection), set())
        if tables - set(NOT_ACTS) and "audit" not in tables and "alembic_version" not in tables:
            silent.append(", ".join(sorted(tables)))

    def rollback(connection: Any) -> None:
        open_.pop(id(connection), None)

    listeners: list[tuple[str, Callable[..., Any]]] = [
        ("before_cursor_execute", execute),
        ("commit", commit),
        ("rollback", rollback),
    ]
    for name, listener in listeners:
        event.listen(sa.Engine, name, listener)
    try:
        yield silent
    finally:
        for name, listener in listeners:
            event.remove(sa.Engine, name, listener)
