"""Keys, users and sessions. Every change begins with the counter, whose row then holds off other writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters
from dyncal.adapters.registry.access_tables import access_keys as _keys
from dyncal.adapters.registry.access_tables import access_sessions as _sessions
from dyncal.adapters.registry.access_tables import access_users as _users
from dyncal.domain.access import Role
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import KeyRecord, SessionRecord, UserRecord
from dyncal.ports.records import Act

COUNTER: Final = "access"


def add_key(connection: sa.Connection, key: KeyRecord, act: Act) -> None:
    """Add a key. Raises `Conflict` if its id is taken."""
    counters.increase(connection, COUNTER)
    _insert_key(connection, key, act)


def add_first_key(connection: sa.Connection, key: KeyRecord, act: Act) -> bool:
    """Add a key if there is neither a key nor a user; tell whether."""
    counters.increase(connection, COUNTER)
    if any(connection.execute(sa.select(table).limit(1)).first() is not None for table in (_keys, _users)):
        return False
    _insert_key(connection, key, act)
    return True


def _insert_key(connection: sa.Connection, key: KeyRecord, act: Act) -> None:
    row = {name: getattr(key, name) for name in _names(_keys)}
    for name in ("edges", "sensors"):
        row[name] = None if row[name] is None else sorted(row[name])
    connection.execute(sa.insert(_keys).values(row))
    bound = f" of edge {key.edge}" if key.edge is not None else ""
    audit.append(connection, act, "key.add", f"{key.id} {key.role}{bound}")


def revoke_key(connection: sa.Connection, key_id: str, act: Act) -> None:
    """Revoke a key and close the sessions opened with it. Raises `NotFound`."""
    counters.increase(connection, COUNTER)
    found = connection.execute(sa.select(_keys.c.revoked_ns).where(_keys.c.id == key_id)).one_or_none()
    if found is None:
        raise NotFound(f"there is no key {key_id[:40]!r}")
    if found.revoked_ns is not None:
        return
    connection.execute(sa.update(_keys).where(_keys.c.id == key_id).values(revoked_ns=act.at_ns))
    audit.append(connection, act, "key.revoke", key_id)
    _close(connection, f"key:{key_id}")


def every_key(connection: sa.Connection) -> list[KeyRecord]:
    """Return all keys, oldest first."""
    rows = connection.execute(sa.select(_keys).order_by(_keys.c.created_ns, _keys.c.id))
    return [_key(row) for row in rows.mappings()]


def _key(row: Mapping[Any, Any]) -> KeyRecord:
    found = dict(row)
    found["role"] = Role(found["role"])
    found["edge"] = None if found["edge"] is None else EdgeId(found["edge"])
    found["edges"] = None if found["edges"] is None else frozenset(map(EdgeId, found["edges"]))
    found["sensors"] = None if found["sensors"] is None else frozenset(map(SensorId, found["sensors"]))
    return KeyRecord(**found)


def add_user(connection: sa.Connection, user: UserRecord, act: Act) -> None:
    """Add a user. Raises `Conflict` if the name is taken."""
    counters.increase(connection, COUNTER)
    if _user_row(connection, user.name) is not None:
        raise Conflict(f"there is a user {user.name!r} already")
    connection.execute(sa.insert(_users).values({name: getattr(user, name) for name in _names(_users)}))
    audit.append(connection, act, "user.add", f"{user.name} {user.role}")


def change_user(connection: sa.Connection, user: UserRecord, act: Act) -> UserRecord:
    """Replace a user who is as the caller has seen them. Raises `NotFound`, `Conflict`."""
    counters.increase(connection, COUNTER)
    row = _user_row(connection, user.name)
    if row is None:
        raise NotFound(f"there is no user {user.name!r}")
    before = _user(row)
    if before.revision != user.revision:
        raise Conflict(f"user {user.name!r} has changed since it was read")
    what = _difference(before, user)
    if not what:
        return before
    connection.execute(
        sa.update(_users)
        .where(_users.c.name == user.name)
        .values(
            role=user.role,
            hash=user.hash,
            disabled=user.disabled,
            changed_ns=act.at_ns,
            revision=before.revision + 1,
        )
    )
    audit.append(connection, act, "user.change", f"{user.name}: {', '.join(what)}")
    if before.hash != user.hash or (user.disabled and not before.disabled):
        _close(connection, f"user:{user.name}")
    return replace(user, created_ns=before.created_ns, changed_ns=act.at_ns, revision=before.revision + 1)


def _difference(before: UserRecord, after: UserRecord) -> list[str]:
    what = []
    if before.role is not after.role:
        what.append(f"{before.role} to {after.role}")
    if before.hash != after.hash:
        what.append("password")
    if before.disabled != after.disabled:
        what.append("disabled" if after.disabled else "enabled")
    return what


def remove_user(connection: sa.Connection, name: str, act: Act) -> None:
    """Remove a user and close the sessions. Raises `NotFound`."""
    counters.increase(connection, COUNTER)
    if connection.execute(sa.delete(_users).where(_users.c.name == name)).rowcount == 0:
        raise NotFound(f"there is no user {name[:80]!r}")
    audit.append(connection, act, "user.remove", name)
    _close(connection, f"user:{name}")


def every_user(connection: sa.Connection) -> list[UserRecord]:
    """Return all users in order of name."""
    return [_user(row) for row in connection.execute(sa.select(_users).order_by(_users.c.name)).mappings()]


def _user_row(connection: sa.Connection, name: str) -> Mapping[Any, Any] | None:
    return connection.execute(sa.select(_users).where(_users.c.name == name)).mappings().one_or_none()


def _user(row: Mapping[Any, Any]) -> UserRecord:
    return UserRecord(**{**row, "role": Role(row["role"])})


def open_session(
    connection: sa.Connection, session: SessionRecord, act: Act, most: int, revision: int | None = None
) -> None:
    """Open a session; the oldest of its holder beyond `most` are closed. Raises `Conflict` if the user has changed."""
    counters.increase(connection, COUNTER)
    if revision is not None:
        row = _user_row(connection, session.holder.removeprefix("user:"))
        if row is None or row["revision"] != revision:
            raise Conflict(f"{session.holder} has changed meanwhile")
    connection.execute(sa.insert(_sessions).values({name: getattr(session, name) for name in _names(_sessions)}))
    mine = sa.select(_sessions.c.digest).where(_sessions.c.holder == session.holder)
    newest_first = mine.order_by(_sessions.c.opened_ns.desc(), (_sessions.c.digest == session.digest).desc())
    surplus: Sequence[str] = connection.execute(newest_first).scalars().all()[most:]
    if surplus:
        connection.execute(sa.delete(_sessions).where(_sessions.c.digest.in_(surplus)))
    audit.append(connection, act, "session.open", session.holder)


def close_session(connection: sa.Connection, digest: str, act: Act) -> None:
    """Close a session; nothing happens where there is none."""
    counters.increase(connection, COUNTER)
    holder = connection.execute(sa.select(_sessions.c.holder).where(_sessions.c.digest == digest)).scalar_one_or_none()
    if holder is not None:
        connection.execute(sa.delete(_sessions).where(_sessions.c.digest == digest))
        audit.append(connection, act, "session.close", holder)


def _close(connection: sa.Connection, holder: str) -> None:
    connection.execute(sa.delete(_sessions).where(_sessions.c.holder == holder))


def every_session(connection: sa.Connection) -> list[SessionRecord]:
    """Return all sessions, oldest first."""
    rows = connection.execute(sa.select(_sessions).order_by(_sessions.c.opened_ns, _sessions.c.digest))
    return [SessionRecord(**row) for row in rows.mappings()]


def touch(connection: sa.Connection, keys: Mapping[str, InstantNs], sessions: Mapping[str, InstantNs]) -> None:
    """Keep when keys and sessions were last used."""
    for key_id, at_ns in keys.items():
        connection.execute(sa.update(_keys).where(_keys.c.id == key_id).values(used_ns=at_ns))
    for digest, at_ns in sessions.items():
        connection.execute(sa.update(_sessions).where(_sessions.c.digest == digest).values(seen_ns=at_ns))


def forget_sessions(connection: sa.Connection, seen_before_ns: InstantNs, now_ns: InstantNs) -> int:
    """Delete sessions that have expired by now, or that nobody used since; return how many."""
    over = sa.or_(_sessions.c.expires_ns <= now_ns, _sessions.c.seen_ns < seen_before_ns)
    n: int = connection.execute(sa.delete(_sessions).where(over)).rowcount
    if n:
        counters.increase(connection, COUNTER)
    return n


def note_refusals(connection: sa.Connection, refusals: Sequence[tuple[Act, str]]) -> None:
    """Enter attempts to get in that failed into the audit trail."""
    audit.append_all(connection, [(act, "access.refused", subject) for act, subject in refusals])


def _names(table: sa.Table) -> list[str]:
    return [column.name for column in table.c]
