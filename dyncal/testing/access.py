"""What every registry must do about keys, users and sessions: a pytest suite for authors of adapters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dyncal.domain.access import Role
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import KeyRecord, SessionRecord, UserRecord
from dyncal.ports.registry import Registry
from dyncal.testing.registry import T0, OpenRegistry, act


def make_key(key_id: str = "aaaaaaaa", role: Role = Role.VIEWER, **more: Any) -> KeyRecord:
    """Return a key record whose hash is none."""
    return KeyRecord(key_id, "for tests", role, "hash", InstantNs(T0), "tester", **more)


def make_user(name: str = "anna", role: Role = Role.OPERATOR, **more: Any) -> UserRecord:
    """Return a user whose hash is none."""
    return UserRecord(name, role, "hash", InstantNs(T0), InstantNs(T0), **more)


def make_session(digest: str = "d" * 64, holder: str = "user:anna", *, at_ns: int = T0) -> SessionRecord:
    """Return a session of an hour."""
    return SessionRecord(digest, holder, InstantNs(at_ns), InstantNs(at_ns), InstantNs(at_ns + 3600 * 10**9))


class AccessRegistryContract:
    """Keys, users and sessions."""

    def test_keys_come_back_as_they_were(self, registry: Registry) -> None:
        plain = make_key()
        confined = make_key(
            "bbbbbbbb", Role.ENGINEER, edges=frozenset({EdgeId("e1"), EdgeId("e2")}), sensors=frozenset({SensorId("s")})
        )
        empty = make_key("cccccccc", edges=frozenset(), expires_ns=InstantNs(T0 + 5))
        edge = make_key("dddddddd", Role.EDGE, edge=EdgeId("e1"))
        before = registry.access_revision()
        for key in (plain, confined, empty, edge):
            registry.add_key(key, act())
        assert registry.access_keys() == [plain, confined, empty, edge]
        assert registry.access_revision() >= before + 4
        with pytest.raises(Conflict):
            registry.add_key(plain, act())
        assert [entry.action for entry in registry.audit()] == ["key.add"] * 4
        assert all("hash" not in entry.subject for entry in registry.audit())

    def test_the_first_key_is_made_once(self, registry: Registry, open_it: OpenRegistry) -> None:
        others = [registry, open_it(), open_it()]
        with ThreadPoolExecutor(3) as pool:
            made = list(pool.map(lambda k: others[k].add_first_key(make_key(f"{k}" * 8), act()), range(3)))
        assert sorted(made) == [False, False, True]
        assert len(registry.access_keys()) == 1

    def test_there_is_no_first_key_where_there_are_users_or_revoked_keys(self, registry: Registry) -> None:
        registry.add_user(make_user(), act())
        assert not registry.add_first_key(make_key(), act())
        registry.remove_user("anna", act())
        registry.add_key(make_key(), act())
        registry.revoke_key("aaaaaaaa", act(1))
        assert not registry.add_first_key(make_key("bbbbbbbb"), act())

    def test_a_revoked_key_stays_revoked_and_its_sessions_end(self, registry: Registry) -> None:
        registry.add_key(make_key(), act())
        registry.open_session(make_session(holder="key:aaaaaaaa"), act(), most=5)
        registry.open_session(make_session("e" * 64), act(), most=5)
        before = registry.access_revision()
        registry.revoke_key("aaaaaaaa", act(3))
        assert registry.access_revision() > before
        registry.revoke_key("aaaaaaaa", act(4))
        assert [key.revoked_ns for key in registry.access_keys()] == [act(3).at_ns]
        assert [session.holder for session in registry.sessions()] == ["user:anna"]
        assert [entry.action for entry in registry.audit()].count("key.revoke") == 1
        with pytest.raises(NotFound):
            registry.revoke_key("zzzzzzzz", act())

    def test_users_change_only_as_seen(self, registry: Registry) -> None:
        registry.add_user(make_user(), act())
        with pytest.raises(Conflict):
            registry.add_user(make_user(role=Role.ADMIN), act())
        (user,) = registry.users()
        changed = registry.change_user(replace(user, role=Role.ENGINEER), act(1))
        assert (changed.role, changed.revision) == (Role.ENGINEER, user.revision + 1)
        assert registry.users() == [changed]
        with pytest.raises(Conflict):
            registry.change_user(replace(user, role=Role.ADMIN), act(2))
        assert registry.change_user(changed, act(3)) == changed
        with pytest.raises(NotFound):
            registry.change_user(make_user("nobody"), act())
        assert [(e.action, e.subject) for e in registry.audit()] == [
            ("user.add", "anna operator"),
            ("user.change", "anna: operator to engineer"),
        ]

    def test_another_password_and_disabling_end_sessions_another_role_does_not(self, registry: Registry) -> None:
        registry.add_user(make_user(), act())
        (user,) = registry.users()
        for k, (change, left) in enumerate(
            [({"role": Role.VIEWER}, 1), ({"hash": "other"}, 0), ({"disabled": True}, 0), ({"disabled": False}, 1)]
        ):
            registry.open_session(make_session(str(k) * 64), act(), most=5)
            user = registry.change_user(replace(user, **change), act(k))  # type: ignore[arg-type]  # by name
            assert len(registry.sessions()) == left, change
            for session in registry.sessions():
                registry.close_session(session.digest, act())
        registry.open_session(make_session("f" * 64), act(), most=5)
        registry.remove_user("anna", act())
        assert registry.sessions() == []
        with pytest.raises(NotFound):
            registry.remove_user("anna", act())

    def test_a_session_is_not_opened_by_a_password_that_was(self, registry: Registry) -> None:
        registry.add_user(make_user(), act())
        (user,) = registry.users()
        changed = registry.change_user(replace(user, hash="other"), act(1))
        for revision, holder in ((user.revision, "user:anna"), (0, "user:nobody")):
            with pytest.raises(Conflict):
                registry.open_session(make_session(holder=holder), act(2), most=5, revision=revision)
        assert registry.sessions() == []
        registry.open_session(make_session(), act(3), most=5, revision=changed.revision)
        assert len(registry.sessions()) == 1

    def test_sessions_beyond_the_most_end_oldest_first(self, registry: Registry) -> None:
        for k in range(4):
            registry.open_session(make_session(str(k) * 64, at_ns=T0 + k), act(), most=2)
        registry.open_session(make_session("x" * 64, "user:bob"), act(), most=2)
        assert [s.digest[0] for s in registry.sessions()] == ["x", "2", "3"]
        registry.close_session("2" * 64, act())
        registry.close_session("2" * 64, act())
        assert [s.digest[0] for s in registry.sessions()] == ["x", "3"]
        actions = [entry.action for entry in registry.audit()]
        assert (actions.count("session.open"), actions.count("session.close")) == (5, 1)

    def test_attempts_that_failed_are_in_the_trail_and_change_nothing_else(self, registry: Registry) -> None:
        before = registry.access_revision()
        registry.note_refusals([(act(1), "3 attempts to get in"), (act(2), "1 attempt to get in")])
        registry.note_refusals([])
        assert [(e.action, e.subject) for e in registry.audit()] == [
            ("access.refused", "3 attempts to get in"),
            ("access.refused", "1 attempt to get in"),
        ]
        assert registry.access_revision() == before
        assert registry.verify_audit() is None

    def test_sessions_that_are_over_are_forgotten(self, registry: Registry) -> None:
        for k in range(3):
            registry.open_session(make_session(str(k) * 64, at_ns=T0 + k * 10**9), act(), most=5)
        registry.add_key(make_key(), act())
        registry.touch({"aaaaaaaa": InstantNs(T0 + 7), "none": InstantNs(1)}, {"0" * 64: InstantNs(T0 + 9 * 10**9)})
        assert registry.access_keys()[0].used_ns == T0 + 7
        before = registry.access_revision()
        assert registry.forget_sessions(InstantNs(T0 + 2 * 10**9), InstantNs(T0)) == 1
        assert registry.access_revision() > before
        assert [s.digest[0] for s in registry.sessions()] == ["0", "2"]
        assert registry.forget_sessions(InstantNs(0), InstantNs(T0 + 3601 * 10**9)) == 1
        assert [s.digest[0] for s in registry.sessions()] == ["2"]
        assert registry.forget_sessions(InstantNs(0), InstantNs(T0)) == 0
