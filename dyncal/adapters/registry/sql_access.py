"""The registry's part about who may get in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dyncal.adapters.registry import access, counters
from dyncal.adapters.registry.database import Database
from dyncal.domain.time import InstantNs
from dyncal.ports.access import KeyRecord, SessionRecord, UserRecord
from dyncal.ports.records import Act


class SqlAccess:
    """`dyncal.ports.access` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def add_key(self, key: KeyRecord, act: Act) -> None:
        """Add one. Raises `Conflict` if its id is taken."""
        with self._db.write() as connection:
            access.add_key(connection, key, act)

    def add_first_key(self, key: KeyRecord, act: Act) -> bool:
        """Add one if there is neither a key nor a user; tell whether."""
        with self._db.write() as connection:
            return access.add_first_key(connection, key, act)

    def revoke_key(self, key_id: str, act: Act) -> None:
        """Revoke a key and close the sessions opened with it. Raises `NotFound`."""
        with self._db.write() as connection:
            access.revoke_key(connection, key_id, act)

    def access_keys(self) -> list[KeyRecord]:
        """Return all keys, revoked ones too, oldest first."""
        with self._db.read() as connection:
            return access.every_key(connection)

    def add_user(self, user: UserRecord, act: Act) -> None:
        """Add one. Raises `Conflict` if the name is taken."""
        with self._db.write() as connection:
            access.add_user(connection, user, act)

    def change_user(self, user: UserRecord, act: Act) -> UserRecord:
        """Replace a user who is as the caller has seen them. Raises `NotFound`, `Conflict`."""
        with self._db.write() as connection:
            return access.change_user(connection, user, act)

    def remove_user(self, name: str, act: Act) -> None:
        """Remove a user and close the sessions. Raises `NotFound`."""
        with self._db.write() as connection:
            access.remove_user(connection, name, act)

    def users(self) -> list[UserRecord]:
        """Return all users in order of name."""
        with self._db.read() as connection:
            return access.every_user(connection)

    def open_session(self, session: SessionRecord, act: Act, *, most: int, revision: int | None = None) -> None:
        """Open a session; the oldest of its holder beyond `most` are closed."""
        with self._db.write() as connection:
            access.open_session(connection, session, act, most, revision)

    def close_session(self, digest: str, act: Act) -> None:
        """Close a session; nothing happens where there is none."""
        with self._db.write() as connection:
            access.close_session(connection, digest, act)

    def sessions(self) -> list[SessionRecord]:
        """Return all sessions, oldest first."""
        with self._db.read() as connection:
            return access.every_session(connection)

    def touch(self, keys: Mapping[str, InstantNs], sessions: Mapping[str, InstantNs]) -> None:
        """Keep when keys and sessions were last used."""
        if keys or sessions:
            with self._db.write() as connection:
                access.touch(connection, keys, sessions)

    def forget_sessions(self, seen_before_ns: InstantNs, now_ns: InstantNs) -> int:
        """Delete sessions that have expired by now, or that nobody used since; return how many."""
        with self._db.write() as connection:
            return access.forget_sessions(connection, seen_before_ns, now_ns)

    def note_refusals(self, refusals: Sequence[tuple[Act, str]]) -> None:
        """Enter attempts to get in that failed into the audit trail, each as (act, subject)."""
        with self._db.write() as connection:
            access.note_refusals(connection, refusals)

    def access_revision(self) -> int:
        """Return a number that grows with every change of keys, users and sessions."""
        with self._db.read() as connection:
            return counters.value(connection, access.COUNTER)
