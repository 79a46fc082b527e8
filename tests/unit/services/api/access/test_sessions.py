"""Signing in at a browser: the session, what foreign pages can do with it, and its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http.cookies import SimpleCookie
from types import SimpleNamespace

import httpx
import pytest
from argon2 import PasswordHasher

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.time import duration
from dyncal.testing.registry import S1, act, make_set
from services.api.access import entrance, secrets
from services.api.access.credentials import PLAIN_COOKIE, SECURE_COOKIE
from services.api.access.settings import AccessSection
from tests.unit.services.api.access.conftest import PASSWORD, House

COMMAND = {"command": "comment", "alarms": ["tc-1:drift"], "reason": "boo"}


async def test_a_user_signs_in_is_somebody_and_signs_out(house: House) -> None:
    browser = await house.signed_in("anna", Role.OPERATOR)
    who = (await browser.get("/v1/session")).json()
    assert (who["name"], who["role"], who["by"], who["may"]) == (
        "user:anna",
        "operator",
        "session",
        ["viewer", "operator"],
    )
    assert (await browser.get("/v1/sensors")).status_code == 200
    assert (await browser.get("/v1/keys")).status_code == 403
    assert (await browser.delete("/v1/session")).status_code == 204
    assert (await browser.get("/v1/sensors")).status_code == 401
    assert not (await browser.get("/v1/session")).json()["signed_in"]
    assert [e.action for e in house.registry.audit()][-3:] == ["user.add", "session.open", "session.close"]


async def test_the_cookie_is_kept_from_scripts_and_other_sites(house: House) -> None:
    house.user()
    browser = await house.client(**{"sec-fetch-site": "same-origin"})
    answer = await browser.post("/v1/session", json={"name": "anna", "password": PASSWORD})
    morsel = SimpleCookie(answer.headers["set-cookie"])[PLAIN_COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["domain"]) == (True, "strict", "/", "")
    assert morsel.value not in answer.text
    assert morsel.value not in str(house.registry.sessions())
    assert morsel.value not in str([(s.digest, s.holder) for s in house.registry.sessions()])


class TestSecure:
    @pytest.fixture
    def access(self) -> AccessSection:
        return AccessSection(mode="closed", secure_cookie=True)

    async def test_over_tls_it_is_bound_to_this_host(self, house: House) -> None:
        house.user()
        browser = await house.client(**{"sec-fetch-site": "same-origin"})
        answer = await browser.post("/v1/session", json={"name": "anna", "password": PASSWORD})
        morsel = SimpleCookie(answer.headers["set-cookie"])[SECURE_COOKIE]
        assert morsel["secure"]
        http = await house.client(cookie=f"{PLAIN_COOKIE}={morsel.value}")
        assert (await http.get("/v1/sensors")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": "anna", "password": "battery staple hors"},
        {"name": "nobody", "password": PASSWORD},
        {"name": "ANNA", "password": PASSWORD},
        {"name": "dora", "password": PASSWORD},
        {"key": "dyn_aaaaaaaa_" + "x" * 43},
    ],
)
async def test_what_does_not_count_is_refused_alike(house: House, body: dict[str, str]) -> None:
    house.user("anna")
    house.user("dora")
    (dora,) = [user for user in house.registry.users() if user.name == "dora"]
    house.registry.change_user(type(dora)(**{k: getattr(dora, k) for k in dora.__slots__} | {"disabled": True}), act())
    answer = await (await house.client()).post("/v1/session", json=body)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:dyncal:problem:credential"
    assert "set-cookie" not in answer.headers


async def test_an_unknown_name_takes_as_long_as_a_known_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.user()
    hashed: list[str] = []
    fits = secrets._fits

    def counted(hasher: PasswordHasher, stored: str, secret: str) -> bool:
        hashed.append(stored)
        return fits(hasher, stored, secret)

    monkeypatch.setattr(secrets, "_fits", counted)
    for name in ("anna", "nobody"):
        await (await house.client()).post("/v1/session", json={"name": name, "password": "wrong wrong wrong"})
    costs = {stored.rsplit("$", 2)[0] for stored in hashed}
    assert (len(hashed), len(costs)) == (2, 1)


async def test_the_log_has_no_name_that_nobody_has(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.user()
    said: list[str] = []
    monkeypatch.setattr(entrance, "log", SimpleNamespace(warning=lambda *_, name, **__: said.append(name)))
    for name in ("anna", "my secret password", "anna\nlisten"):
        await (await house.client()).post("/v1/session", json={"name": name, "password": "wrong wrong wrong"})
    assert said == ["anna", "", ""]


async def test_guessing_at_a_name_has_to_wait(house: House) -> None:
    house.user()
    statuses = []
    for k in range(60):
        house.address = f"198.51.100.{k}"
        answer = await (await house.client()).post("/v1/session", json={"name": "anna", "password": f"guess {k} guess"})
        statuses.append(answer.status_code)
    assert statuses == [401] * 50 + [429] * 10


async def test_a_key_of_people_signs_in_too_and_one_of_an_edge_does_not(house: House) -> None:
    browser = await house.client(**{"sec-fetch-site": "same-origin"})
    key = house.key(Role.ADMIN)
    assert (await browser.post("/v1/session", json={"key": key})).status_code == 200
    assert (await browser.get("/v1/keys")).status_code == 200
    assert (await browser.delete(f"/v1/keys/{key[4:12]}")).status_code == 204
    assert (await browser.get("/v1/keys")).status_code == 401
    answer = await (await house.client()).post("/v1/session", json={"key": house.key(Role.EDGE)})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_a_session_that_somebody_else_chose_is_not_taken_up(house: House) -> None:
    """Session fixation: what the browser had before signing in is worth nothing afterwards."""
    house.user("anna")
    chosen = "A" * 43
    browser = await house.client(cookie=f"{PLAIN_COOKIE}={chosen}", **{"sec-fetch-site": "same-origin"})
    answer = await browser.post("/v1/session", json={"name": "anna", "password": PASSWORD})
    assert SimpleCookie(answer.headers["set-cookie"])[PLAIN_COOKIE].value != chosen
    attacker = await house.client(cookie=f"{PLAIN_COOKIE}={chosen}")
    assert (await attacker.get("/v1/sensors")).status_code == 401


async def test_signing_in_anew_ends_the_session_before(house: House) -> None:
    browser = await house.signed_in()
    old = browser.cookies[PLAIN_COOKIE]
    assert (await browser.post("/v1/session", json={"name": "anna", "password": PASSWORD})).status_code == 200
    assert browser.cookies[PLAIN_COOKIE] != old
    stale = await house.client(cookie=f"{PLAIN_COOKIE}={old}")
    assert (await stale.get("/v1/sensors")).status_code == 401


FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1"},
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1.evil.example"},
    {"origin": "http://127.0.0.1:8081"},
    {"origin": ""},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_changes_nothing_with_the_session(house: House, headers: dict[str, str]) -> None:
    browser = await house.signed_in("anna", Role.ENGINEER)
    foreign = await house.client(cookie=f"{PLAIN_COOKIE}={browser.cookies[PLAIN_COOKIE]}", **headers)
    n = len(house.registry.audit())
    for method, path in (
        ("DELETE", f"/v1/sensors/{S1}/pairing"),
        ("POST", "/v1/alarms/commands"),
        ("DELETE", "/v1/session"),
    ):
        answer = await foreign.request(method, path, json=COMMAND if method == "POST" else None)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:foreign-page"), (method, path)
    assert len(house.registry.audit()) == n
    assert (await foreign.get("/v1/sensors")).status_code == 200  # reading changes nothing, and is not readable there


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1"}])
async def test_our_own_page_may(house: House, headers: dict[str, str]) -> None:
    browser = await house.signed_in("anna", Role.ENGINEER)
    ours = await house.client(cookie=f"{PLAIN_COOKIE}={browser.cookies[PLAIN_COOKIE]}", **headers)
    assert (await ours.delete(f"/v1/sensors/{S1}/pairing")).status_code == 204
    assert house.registry.audit()[-1].actor == "user:anna"


async def test_a_key_beside_a_session_counts_alone(house: House) -> None:
    browser = await house.signed_in("anna", Role.ENGINEER)
    cookie = f"{PLAIN_COOKIE}={browser.cookies[PLAIN_COOKIE]}"
    both = await house.client(house.key(Role.VIEWER), cookie=cookie)
    assert (await both.get("/v1/session")).json()["role"] == "viewer"
    wrong = await house.client("dyn_aaaaaaaa_" + "x" * 43, cookie=cookie)
    assert (await wrong.get("/v1/sensors")).status_code == 401
    for sent in ([("authorization", "Bearer x"), ("authorization", "Bearer y")], [("cookie", f"{cookie}; {cookie}")]):
        request = httpx.Request("GET", "http://127.0.0.1/v1/sensors", headers=sent)
        assert (await (await house.client()).send(request)).status_code == 401


async def test_a_session_ends_when_nobody_is_there_and_in_any_case(house: House) -> None:
    browser = await house.signed_in()
    for _ in range(3):
        house.later(7 * 3600)
        assert (await browser.get("/v1/sensors")).status_code == 200
    house.later(3 * 3600 + 1)
    assert (await browser.get("/v1/sensors")).status_code == 401
    idle = await house.signed_in()
    house.later(8 * 3600 + 1)
    assert (await idle.get("/v1/sensors")).status_code == 401


async def test_what_is_written_down_of_use_lets_a_session_outlive_a_restart(house: House) -> None:
    browser = await house.signed_in()
    house.later(5 * 3600)
    await browser.get("/v1/sensors")
    house.deps.entrance.book.tidy()
    (session,) = house.registry.sessions()
    assert session.seen_ns == house.clock.now()
    house.later(8 * 3600 + 1)
    house.deps.entrance.book.tidy()
    assert house.registry.sessions() == []


async def test_what_an_administrator_changes_holds_at_once(house: House) -> None:
    admin = await house.client(house.key(Role.ADMIN))
    browser = await house.signed_in("anna", Role.ENGINEER)
    seen = await admin.get("/v1/users/anna")
    tag = seen.headers["etag"]
    changed = await admin.put("/v1/users/anna", json={"role": "viewer"}, headers={"if-match": tag})
    assert changed.status_code == 200
    assert (await browser.get("/v1/session")).json()["role"] == "viewer"
    stale = await admin.put("/v1/users/anna", json={"role": "admin"}, headers={"if-match": tag})
    assert stale.status_code == 412
    assert (await admin.put("/v1/users/anna", json={"role": "viewer", "disabled": True})).status_code == 200
    assert (await browser.get("/v1/sensors")).status_code == 401
    assert (await admin.delete("/v1/users/anna")).status_code == 204
    assert (await admin.get("/v1/users/anna")).status_code == 404
    assert (await admin.put("/v1/users/anna", json={"role": "viewer"})).status_code == 404
    for entry in house.registry.audit()[-3:]:
        assert entry.actor.startswith("key:")


async def test_users_are_added_with_good_passwords_and_names(house: House) -> None:
    admin = await house.client(house.key(Role.ADMIN))
    body = {"name": "bob", "role": "engineer", "password": PASSWORD}
    assert (await admin.post("/v1/users", json=body)).status_code == 201
    assert (await admin.post("/v1/users", json=body)).status_code == 409
    for bad in ({"name": "Bob"}, {"name": "a b"}, {"name": "x", "password": "short"}, {"name": "y", "role": "edge"}):
        answer = await admin.post("/v1/users", json=body | bad)
        assert answer.status_code == 422
        assert str(bad.get("password", PASSWORD)) not in answer.text
    listed = (await admin.get("/v1/users")).text
    assert "argon2" not in listed
    assert PASSWORD not in str(house.registry.audit())


async def test_who_gives_oneself_another_password_signs_in_anew(house: House) -> None:
    browser = await house.signed_in("anna", Role.VIEWER)
    wrong = await browser.put("/v1/session/password", json={"old": "wrong wrong wrong", "new": "another good secret"})
    assert wrong.status_code == 401
    weak = await browser.put("/v1/session/password", json={"old": PASSWORD, "new": "anna anna anna"})
    assert weak.status_code == 422
    right = await browser.put("/v1/session/password", json={"old": PASSWORD, "new": "another good secret"})
    assert right.status_code == 204
    assert (await browser.get("/v1/sensors")).status_code == 401
    answer = await browser.post("/v1/session", json={"name": "anna", "password": "another good secret"})
    assert answer.status_code == 200
    key = await house.client(house.key(Role.VIEWER))
    assert (await key.put("/v1/session/password", json={"old": PASSWORD, "new": PASSWORD})).status_code == 409


async def test_a_live_stream_ends_with_the_session_that_opened_it(house: House) -> None:
    browser = await house.signed_in()
    (session,) = house.registry.sessions()
    principal = house.deps.entrance.book.of_session(browser.cookies[PLAIN_COOKIE])
    assert principal is not None
    assert house.deps.entrance.book.stands(principal)

    async def read() -> int:
        async with browser.stream("GET", "/v1/stream") as answer:
            return answer.status_code

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.3)
    assert not reading.done()
    house.registry.close_session(session.digest, act())
    house.deps.entrance.book.refresh()
    assert await asyncio.wait_for(reading, 5) == 200
    assert not house.deps.entrance.book.stands(principal)


async def test_a_long_poll_of_a_revoked_key_gets_nothing_new(house: House) -> None:
    text = house.key(Role.EDGE)
    http = await house.client(text)
    tag = (await http.get("/v1/edges/edge-1/coefficients")).headers["etag"]
    headers = {"if-none-match": tag, "prefer": "wait=30"}
    waiting = asyncio.create_task(http.get("/v1/edges/edge-1/coefficients", headers=headers))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    house.registry.revoke_key(text[4:12], act())
    house.deps.entrance.book.refresh()
    house.later(2)
    house.registry.add_set(make_set(), b'{"secret": 1}', SetState.PUBLISHED, act())
    house.deps.watcher.see(house.deps.watcher.look())
    answer = await asyncio.wait_for(waiting, 5)
    assert (answer.status_code, b"secret" in answer.content) == (401, False)


async def test_the_same_idempotency_key_of_another_is_another_command(house: House) -> None:
    first, second = [await house.client(house.key(Role.OPERATOR)) for _ in range(2)]
    given = {"idempotency-key": "once"}
    assert (await first.post("/v1/alarms/commands", json=COMMAND, headers=given)).status_code == 200
    assert (await first.post("/v1/alarms/commands", json=COMMAND, headers=given)).status_code == 200
    other = await second.post("/v1/alarms/commands", json=COMMAND, headers=given)
    assert (other.status_code, other.json()["type"]) == (422, "urn:dyncal:problem:key-reused")


async def test_a_live_stream_ends_with_its_key(house: House) -> None:
    text = house.key(Role.VIEWER)
    http = await house.client(text)

    async def read() -> int:
        async with http.stream("GET", "/v1/stream") as answer:
            return answer.status_code

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.5)
    assert not reading.done()
    house.registry.revoke_key(text[4:12], act())
    house.deps.entrance.book.refresh()
    assert await asyncio.wait_for(reading, 5) == 200


async def test_who_asks_sees_their_own_sessions_and_ends_one_of_them(house: House) -> None:
    first = await house.signed_in()
    house.later(3600)
    second = await house.signed_in()
    other = await house.signed_in("bob")
    seen = (await second.get("/v1/sessions")).json()["items"]
    assert [each["here"] for each in seen] == [True, False]
    assert seen[1]["opened_ns"] == seen[0]["opened_ns"] - duration(3600)
    assert all(session.digest not in str(seen) for session in house.registry.sessions())
    assert (await other.delete(f"/v1/sessions/{seen[1]['id']}")).status_code == 404
    assert (await first.get("/v1/sensors")).status_code == 200
    assert (await second.delete(f"/v1/sessions/{seen[1]['id']}")).status_code == 204
    assert (await first.get("/v1/sensors")).status_code == 401
    assert (await second.get("/v1/sensors")).status_code == 200
    assert len((await second.get("/v1/sessions")).json()["items"]) == 1
    assert [e.action for e in house.registry.audit()][-1] == "session.close"


async def test_sessions_that_are_over_are_not_listed_and_keys_have_their_own(house: House) -> None:
    await house.signed_in()
    house.later(8 * 3600 + 1)
    assert len((await (await house.signed_in()).get("/v1/sessions")).json()["items"]) == 1
    key = house.key(Role.VIEWER)
    assert (await (await house.client(key)).get("/v1/sessions")).json()["items"] == []
    edge = await house.client(house.key(Role.EDGE))
    assert (await edge.get("/v1/sessions")).json()["items"] == []


async def test_a_password_that_changes_while_it_is_looked_at_opens_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has stolen one, and signs in with it over and over, had a session left when it was changed."""
    house.user()
    fits = secrets.password_fits

    def slow(hashed: str | None, password: str) -> bool:
        right = fits(hashed, password)
        (user,) = house.registry.users()
        house.registry.change_user(replace(user, hash=secrets.hash_password("another staple horse")), act())
        return right

    monkeypatch.setattr(secrets, "password_fits", slow)
    thief = await house.client(**{"sec-fetch-site": "same-origin"})
    answer = await thief.post("/v1/session", json={"name": "anna", "password": PASSWORD})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:dyncal:problem:credential")
    assert "set-cookie" not in answer.headers
    assert house.registry.sessions() == []
