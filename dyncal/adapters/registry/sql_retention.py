"""The registry's part about forgetting the history of alarms."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry import audit
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.retention_tables import alarm_horizon
from dyncal.adapters.registry.schema import alarm_changes, alarm_floods
from dyncal.domain.time import InstantNs, iso
from dyncal.ports.records import Act


class SqlRetention:
    """`AlarmRetention` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def forget_alarms(self, before_ns: InstantNs, now_ns: InstantNs, *, limit: int, actor: str) -> int:
        """Forget changes of alarms before an instant, at most `limit`; return how many."""
        with self._db.write() as connection:
            return _forget(connection, before_ns, now_ns, limit, actor)

    def alarms_forgotten_ns(self) -> InstantNs | None:
        """Return the instant from which on the history is whole; None where nothing was ever forgotten."""
        with self._db.read() as connection:
            return _whole_from(connection)


def _whole_from(connection: sa.Connection) -> InstantNs | None:
    found = connection.execute(sa.select(alarm_horizon.c.whole_from_ns)).scalar_one_or_none()
    return None if found is None else InstantNs(found)


def _forget(connection: sa.Connection, before_ns: InstantNs, now_ns: InstantNs, limit: int, actor: str) -> int:
    number, at_ns = alarm_changes.c.number, alarm_changes.c.at_ns
    end = connection.execute(sa.select(sa.func.min(number)).where(at_ns >= before_ns, at_ns <= now_ns)).scalar()
    if end is None:
        end = 1 + (connection.execute(sa.select(sa.func.max(number)).where(at_ns < before_ns)).scalar() or 0)
    old = sa.select(number, at_ns).where(number < end).order_by(number).limit(limit)
    rows = connection.execute(old).all()
    if not rows:
        return 0
    first, last = rows[0].number, rows[-1].number
    # All before the limit where all went, otherwise what the newest of those that went says.
    until = before_ns if len(rows) < limit else min(max(row.at_ns for row in rows) + 1, before_ns)
    act = Act(actor, now_ns, f"older than {iso(before_ns)}")
    audit.append(connection, act, "alarm_history.forgotten", f"{first} to {last}")  # first: it holds off other writers
    connection.execute(sa.delete(alarm_changes).where(number.between(first, last)))
    connection.execute(sa.delete(alarm_floods).where(alarm_floods.c.ended_ns < until))
    whole_from = max(until, _whole_from(connection) or until)
    connection.execute(sa.delete(alarm_horizon))
    connection.execute(sa.insert(alarm_horizon).values(only=1, whole_from_ns=whole_from))
    return len(rows)
