"""Who may get in: keys of programs and edges, users, and their sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act


@dataclass(frozen=True, slots=True)
class Reach:
    """What those may see who are confined: the sensors that `edges` read, and `sensors`, as far as there are such."""

    edges: frozenset[EdgeId] = frozenset()
    sensors: frozenset[SensorId] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key of a program or an edge, as it is kept: what it opens, and no more than a hash of it.

    Attributes
    ----------
    id : str
        Its public part, by which it is found.
    hash : str
        Of its secret, in the encoded form of Argon2.
    edge : EdgeId or None
        The edge that it is bound to; not None exactly for the role `edge`.
    edges, sensors : frozenset or None
        Where not None, it is confined to these edges with their sensors, and to these sensors.
    expires_ns : InstantNs or None
        The first instant at which it opens nothing any more; None for never.
    """

    id: str
    label: str
    role: Role
    hash: str = field(repr=False)
    created_ns: InstantNs
    created_by: str
    edge: EdgeId | None = None
    edges: frozenset[EdgeId] | None = None
    sensors: frozenset[SensorId] | None = None
    expires_ns: InstantNs | None = None
    revoked_ns: InstantNs | None = None
    used_ns: InstantNs | None = None

    def opens(self, now_ns: int) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person who signs in with a password; `revision` grows with every change."""

    name: str
    role: Role
    hash: str = field(repr=False)
    created_ns: InstantNs
    changed_ns: InstantNs
    disabled: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A sign-in at the console: `digest` is the SHA-256 (hexadecimal) of what the browser holds."""

    digest: str = field(repr=False)
    holder: str
    """``user:NAME`` or ``key:ID``: what it was opened with, and ends with."""

    opened_ns: InstantNs
    seen_ns: InstantNs
    expires_ns: InstantNs


class AccessRegistry(Protocol):
    """Keys, users and sessions. Every change but `touch` and `forget_sessions` is audited and raises the revision."""

    def add_key(self, key: KeyRecord, act: Act) -> None:
        """Add one. Raises `Conflict` if its id is taken."""
        ...

    def add_first_key(self, key: KeyRecord, act: Act) -> bool:
        """Add one if there is neither a key nor a user; tell whether. Of several processes at once one succeeds."""
        ...

    def revoke_key(self, key_id: str, act: Act) -> None:
        """Revoke a key and close the sessions opened with it; for good, and idempotent. Raises `NotFound`."""
        ...

    def access_keys(self) -> list[KeyRecord]:
        """Return all keys, revoked ones too, oldest first."""
        ...

    def add_user(self, user: UserRecord, act: Act) -> None:
        """Add one. Raises `Conflict` if the name is taken."""
        ...

    def change_user(self, user: UserRecord, act: Act) -> UserRecord:
        """Replace a user who is as the caller has seen them, by `revision`; return them as they are now.

        Another password, and disabling, close the sessions. Raises `NotFound`, `Conflict`.
        """
        ...

    def remove_user(self, name: str, act: Act) -> None:
        """Remove a user and close the sessions. Raises `NotFound`."""
        ...

    def users(self) -> list[UserRecord]:
        """Return all users in order of name."""
        ...

    def open_session(self, session: SessionRecord, act: Act, *, most: int, revision: int | None = None) -> None:
        """Open a session; the oldest of its holder beyond `most` are closed.

        With `revision` only if its holder is a user who is still as at that revision: raises `Conflict` otherwise.
        """
        ...

    def close_session(self, digest: str, act: Act) -> None:
        """Close a session; nothing happens where there is none."""
        ...

    def sessions(self) -> list[SessionRecord]:
        """Return all sessions, oldest first."""
        ...

    def touch(self, keys: Mapping[str, InstantNs], sessions: Mapping[str, InstantNs]) -> None:
        """Keep when keys and sessions (by digest) were last used."""
        ...

    def forget_sessions(self, seen_before_ns: InstantNs, now_ns: InstantNs) -> int:
        """Delete sessions that have expired by now, or that nobody used since; return how many."""
        ...

    def note_refusals(self, refusals: Sequence[tuple[Act, str]]) -> None:
        """Enter attempts to get in that failed into the audit trail, each as (act, subject); nothing else changes."""
        ...

    def access_revision(self) -> int:
        """Return a number that grows with every change of keys, users and sessions."""
        ...
