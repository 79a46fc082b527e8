"""Who is let in: keys, users and sessions as the registry has them, and who a credential belongs to."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dyncal.domain.access import Role
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.access import AccessRegistry, KeyRecord, SessionRecord, UserRecord
from dyncal.ports.clock import Clock
from services.api.access import secrets
from services.api.access.principal import Principal
from services.api.access.settings import AccessSection

MAX_VERIFIED: Final = 10_000
MAX_AGE_S: Final = 300.0
"""Longest time for which who may get in is believed while the registry does not answer [s]."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everybody who may get in, at one revision of the registry."""

    revision: int = -1
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    users: Mapping[str, UserRecord] = field(default_factory=dict)
    sessions: Mapping[str, SessionRecord] = field(default_factory=dict)


class AccessBook:
    """Answers from memory; `refresh` looks whether the registry has changed. Safe to call from several threads."""

    def __init__(self, registry: AccessRegistry, clock: Clock, settings: AccessSection) -> None:
        self._registry, self._clock, self._settings = registry, clock, settings
        self._picture = Picture()
        self._looked_s = -MAX_AGE_S
        self._lock = threading.Lock()
        self._verified: OrderedDict[str, str] = OrderedDict()
        self._used: dict[str, InstantNs] = {}
        self._seen: dict[str, InstantNs] = {}
        self._hashing = asyncio.Semaphore(2)

    @property
    def picture(self) -> Picture:
        """Everybody who may get in, as last read."""
        return self._picture

    def refresh(self) -> bool:
        """Read anew if the registry has changed, and tell whether; blocks.

        Raises
        ------
        StoreUnavailable
            If the registry does not answer, and has not for so long that what is known does not count any more.
        """
        with self._lock:
            try:
                changed = self._read()
            except StoreUnavailable:
                if self._clock.monotonic_s() - self._looked_s > MAX_AGE_S:
                    self._picture = Picture()
                    raise
                return False
            self._looked_s = self._clock.monotonic_s()
            return changed

    def _read(self) -> bool:
        # The revision first: a change in between shows in the next one, and is read then.
        revision = self._registry.access_revision()
        if revision == self._picture.revision:
            return False
        self._picture = Picture(
            revision,
            {key.id: key for key in self._registry.access_keys()},
            {user.name: user for user in self._registry.users()},
            {session.digest: session for session in self._registry.sessions()},
        )
        return True

    def of_session(self, token: str) -> Principal | None:
        """Return who signed in for this token, and that they are here; None if the session is none or over."""
        digest = secrets.digest(token)
        found = self._in_session(digest)
        if found is not None:
            self._seen[digest] = InstantNs(self._clock.now())
        return found

    def of_known_key(self, text: str) -> Principal | None:
        """Return whose key this is if it was sent before; None says nothing."""
        key = secrets.read_key(text)
        record = None if key is None else self._picture.keys.get(key.id)
        if record is None or self._verified.get(secrets.digest(text)) != record.hash:
            return None
        return self._by_key(record)

    async def of_key(self, text: str, begin: Callable[[], None] = lambda: None) -> Principal | None:
        """Return whose key this is, or None; takes a while the first time.

        `begin` is called when its turn has come, and may raise: while it waited, others may have failed.
        """
        known = self.of_known_key(text)
        key = secrets.read_key(text)
        record = None if key is None else self._picture.keys.get(key.id)
        if known is not None or key is None or record is None:
            return known
        async with self._hashing:
            begin()
            fits = await asyncio.to_thread(secrets.key_fits, record.hash, key.secret)
        if not fits:
            return None
        self._verified[secrets.digest(text)] = record.hash
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return self._by_key(record)

    async def of_password(self, name: str, password: str, begin: Callable[[], None] = lambda: None) -> Principal | None:
        """Return the user with this name and password, or None after the same time; `begin` as in `of_key`."""
        async with self._hashing:
            begin()
            user = self._picture.users.get(name)
            hashed = None if user is None or user.disabled else user.hash
            fits = await asyncio.to_thread(secrets.password_fits, hashed, password)
        return replace(_by_user(user), revision=user.revision) if fits and user is not None else None

    def stands(self, principal: Principal) -> bool:
        """Tell whether who was let in would be let in still, with the same rights; for answers that take long."""
        now_ns = self._clock.now()
        if principal.ends_ns is not None and now_ns >= principal.ends_ns:
            return False
        if principal.session:
            self._seen[principal.session] = InstantNs(now_ns)  # who watches is here
            return self._in_session(principal.session) == principal
        if principal.key_id:
            record = self._picture.keys.get(principal.key_id)
            return record is not None and self._by_key(record) == principal
        return True

    def seen_ns(self, session: SessionRecord) -> InstantNs:
        """Return when a session was last used."""
        return max(session.seen_ns, self._seen.get(session.digest, session.seen_ns))

    def idle_ends_ns(self, session: SessionRecord) -> InstantNs:
        """Return when a session ends unless it is used before."""
        return InstantNs(self.seen_ns(session) + int(self._settings.session_idle_s * NS_PER_S))

    def used_ns(self, key: KeyRecord) -> InstantNs | None:
        """Return when a key was last used."""
        return self._used.get(key.id, key.used_ns)

    def tidy(self) -> None:
        """Keep in the registry who was here, and forget sessions that are over; blocks. Raises `StoreUnavailable`."""
        with self._lock:
            used, seen = dict(self._used), dict(self._seen)
        known = self._picture
        now_ns = self._clock.now()
        self._registry.touch(
            {key: at for key, at in used.items() if (k := known.keys.get(key)) and (k.used_ns or 0) < at},
            {digest: at for digest, at in seen.items() if digest in known.sessions},
        )
        idle_ns = int(self._settings.session_idle_s * NS_PER_S)
        self._registry.forget_sessions(InstantNs(now_ns - idle_ns), InstantNs(now_ns))
        for digest in set(seen) - set(known.sessions):
            self._seen.pop(digest, None)

    def _in_session(self, digest: str) -> Principal | None:
        session = self._picture.sessions.get(digest)
        now_ns = self._clock.now()
        if session is None or now_ns >= session.expires_ns:
            return None
        if now_ns > self.idle_ends_ns(session):
            return None
        kind, _, name = session.holder.partition(":")
        if kind == "user":
            user = self._picture.users.get(name)
            return None if user is None or user.disabled else _by_user(user, session)
        record = self._picture.keys.get(name)
        return None if record is None else self._by_key(record, session)

    def _by_key(self, key: KeyRecord, session: SessionRecord | None = None) -> Principal | None:
        now_ns = self._clock.now()
        if not key.opens(now_ns):
            return None
        self._used[key.id] = InstantNs(now_ns)
        name = f"edge:{key.edge}" if key.role is Role.EDGE else f"key:{key.id}"
        return Principal(
            name, key.role, key.edge, key.edges, key.sensors,
            key_id=key.id, session="" if session is None else session.digest, ends_ns=_first(key.expires_ns, session),
        )  # fmt: skip


def _by_user(user: UserRecord, session: SessionRecord | None = None) -> Principal:
    digest = "" if session is None else session.digest
    return Principal(f"user:{user.name}", user.role, user=user.name, session=digest, ends_ns=_first(None, session))


def _first(expires_ns: InstantNs | None, session: SessionRecord | None) -> InstantNs | None:
    ends = [end for end in (expires_ns, None if session is None else session.expires_ns) if end is not None]
    return min(ends, default=None)
