"""Who gets in, how far, and until when."""

from __future__ import annotations

import asyncio

import pytest

from dyncal.domain.access import PEOPLE, Role
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.sensors import EdgeId
from dyncal.domain.time import InstantNs
from dyncal.testing.registry import S1, S2
from services.api.access.first import make_first_key
from services.api.access.needs import matrix
from services.api.access.settings import AccessSection
from services.api.hub import Wanted
from tests.unit.services.api.access.conftest import PASSWORD, House
from tests.unit.services.api.conftest import Api


def fill(path: str) -> str:
    names = {"sensor": S1, "edge": "edge-1", "kind": "drift", "alarm": "tc-1:drift"}
    for name in ("sensor", "edge", "kind", "alarm"):
        path = path.replace(f"{{{name}}}", names[name])
    return path.replace("{", "").replace("}", "")


async def test_nobody_gets_in_anywhere_but_where_everybody_may(house: House) -> None:
    nobody = await house.client()
    for rule in matrix(house.app):
        answer = await nobody.request(rule.method, fill(rule.path))
        if rule.role is None:
            assert answer.status_code != 401, rule
        else:
            assert answer.status_code == 401, rule
            assert answer.json()["type"] == "urn:dyncal:problem:sign-in"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in (
        "/openapi.json",
        "/metrics",
        "/nowhere",
        "/v1",
        "/v1/sensors/",
        "//v1/sensors",
        "/v1/session/x",
        "/.git",
    ):
        assert (await nobody.get(path)).status_code == 401, path


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_gets_as_far_as_the_matrix_says(house: House, role: Role) -> None:
    """A request without a body: what is let through is refused by what it asks for, and never for who asks."""
    http = await house.client(house.key(role))
    for rule in matrix(house.app):
        if rule.path == "/v1/stream":
            continue
        answer = await http.request(rule.method, fill(rule.path))
        kind = answer.json().get("type", "") if answer.headers.get("content-type") == "application/problem+json" else ""
        refused = answer.status_code == 403 and kind == "urn:dyncal:problem:role"
        assert refused is not rule.admits(role), (rule, answer.status_code, answer.text[:300])
        assert answer.status_code < 500, (rule, answer.text[:300])


async def test_an_edge_reaches_itself_and_nothing_of_another(house: House) -> None:
    own = await house.client(house.key(Role.EDGE, edge=EdgeId("edge-1")))
    assert (await own.get("/v1/edges/edge-1/coefficients")).status_code == 200
    for path in ("/v1/edges/edge-2/coefficients", "/v1/edges/nobody/coefficients", "/v1/edges/EDGE-1/coefficients"):
        answer = await own.get(path)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:scope"), path
    for path in ("/v1/sensors", f"/v1/sensors/{S1}", "/v1/audit", "/v1/edges", "/v1/stream", "/v1/keys"):
        assert (await own.get(path)).status_code == 403, path
    for path in ("/v1/edges/edge-1%2f..%2fedge-2/coefficients", "/v1/edges/edge-1/../edge-2/coefficients"):
        assert (await own.get(path)).status_code in (401, 403, 404), path


async def test_a_confined_key_reaches_its_sensors_and_what_they_hang_on_and_nothing_of_the_whole_plant(
    house: House,
) -> None:
    http = await house.client(house.key(Role.ENGINEER, sensors=frozenset({S1}), edges=frozenset({EdgeId("edge-2")})))
    for path, status in (
        (f"/v1/sensors/{S1}", 200),
        (f"/v1/sensors/{S2}", 403),
        ("/v1/sensors/zz-9", 200),
        ("/v1/sensors/nobody", 403),
        ("/v1/edges/edge-1/sources", 403),
        ("/v1/audit", 403),
        ("/v1/system", 403),
        ("/v1/alarms/kpis", 403),
        ("/v1/rollouts", 403),
        ("/v1/coefficient-sets/x", 403),
    ):
        assert (await http.get(path)).status_code == status, path
    listed = (await http.get("/v1/sensors")).json()
    assert [item["id"] for item in listed["items"]] == [S1, "zz-9"]
    assert listed["n_total"] == 2
    nothing = await house.client(house.key(Role.VIEWER, sensors=frozenset()))
    assert (await nothing.get("/v1/sensors")).json()["items"] == []
    assert (await nothing.get(f"/v1/sensors/{S1}")).status_code == 403


async def test_a_confined_engineer_holds_its_sensors_against_none_but_its_own(house: House) -> None:
    http = await house.client(house.key(Role.ENGINEER, sensors=frozenset({S1})))
    pairing = {"reference": "zz-9", "model": "first_order"}
    asked = {"from_ns": 0, "to_ns": 1, "reason": "try", "pairing": pairing}
    for answer in (
        await http.put(f"/v1/sensors/{S1}/pairing?reason=try", json=pairing),
        await http.post(f"/v1/sensors/{S1}/calibrations", json=asked),
        await http.put(f"/v1/sensors/{S1}/pairing?reason=try", json=pairing | {"reference": "nobody"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:scope"), answer.text
    free = await house.client(house.key(Role.ENGINEER))
    assert (await free.put(f"/v1/sensors/{S1}/pairing?reason=try", json=pairing)).status_code == 200
    again = await http.put(f"/v1/sensors/{S1}/pairing?reason=band", json=pairing | {"band_hz": 2.0})
    assert again.status_code == 200, again.text


async def test_keys_that_are_mutated_expired_or_revoked_open_nothing(house: House) -> None:
    text = house.key(Role.ADMIN)
    expiring = house.key(Role.ADMIN, expires_ns=InstantNs(house.clock.now() + 10**9))
    assert (await (await house.client(text)).get("/v1/keys")).status_code == 200
    assert (await (await house.client(expiring)).get("/v1/keys")).status_code == 200
    house.later(1.0)
    assert (await (await house.client(expiring)).get("/v1/keys")).status_code == 401
    other = house.key(Role.VIEWER)
    swapped = text[:13] + other[13:]
    for bad in (
        text[:-1],
        text + "A",
        text.upper(),
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        swapped,
        "dyn_",
        "x",
    ):
        answer = await (await house.client(bad)).get("/v1/keys")
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:dyncal:problem:credential"), bad
        house.later(10.0)
    admin = await house.client(text)
    assert (await admin.delete(f"/v1/keys/{text[4:12]}?reason=lost")).status_code == 204
    assert (await admin.get("/v1/keys")).status_code == 401
    assert house.registry.audit()[-1].actor == f"key:{text[4:12]}"


async def test_a_key_is_shown_once_and_is_nowhere_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    admin = await house.client(house.key(Role.ADMIN))
    made = await admin.post("/v1/keys?reason=hist", json={"label": "historian", "role": "viewer", "expires_s": 3600})
    assert made.status_code == 201
    text, shown = made.json()["text"], made.json()["key"]
    assert (shown["role"], shown["opens"]) == ("viewer", True)
    secret = text.split("_", 2)[2]
    for path in ("/v1/keys", f"/v1/keys/{shown['id']}", "/v1/audit", "/metrics"):
        assert secret not in (await admin.get(path)).text
    assert all(secret not in str(entry) for entry in house.registry.audit())
    assert secret not in caplog.text
    assert (await (await house.client(text)).get("/v1/sensors")).status_code == 200
    assert [e.action for e in house.registry.audit()][-1] == "key.add"


@pytest.mark.parametrize(
    "body",
    [
        {"label": "x", "role": "edge"},
        {"label": "x", "role": "viewer", "edge": "edge-1"},
        {"label": "x", "role": "admin", "sensors": []},
        {"label": "", "role": "viewer"},
        {"label": "x", "role": "god"},
        {"label": "x", "role": "viewer", "expires_s": -1},
        {"label": "x", "role": "edge", "edge": "a/b"},
    ],
)
async def test_keys_that_make_no_sense_are_not_made(house: House, body: dict[str, object]) -> None:
    admin = await house.client(house.key(Role.ADMIN))
    assert (await admin.post("/v1/keys", json=body)).status_code == 422
    assert len(house.registry.access_keys()) == 1


async def test_the_first_key_is_told_once_and_opens_everything(house: House, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    assert make_first_key(house.registry, house.clock, told.append)
    assert not make_first_key(house.registry, house.clock, told.append)
    (text,) = [word for word in told[0].split() if word.startswith("dyn_")]
    assert (await (await house.client(text)).get("/v1/keys")).status_code == 200
    assert text not in caplog.text
    assert text.split("_", 2)[2] not in str(house.registry.access_keys())


async def test_too_many_wrong_attempts_have_to_wait_and_known_keys_have_not(house: House) -> None:
    good = await house.client(house.key())
    assert (await good.get("/v1/sensors")).status_code == 200
    bad = await house.client("dyn_aaaaaaaa_" + "x" * 43)
    statuses = [(await bad.get("/v1/sensors")).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    answer = await bad.get("/v1/sensors")
    assert 1 <= int(answer.headers["retry-after"]) <= 8
    assert (await good.get("/v1/sensors")).status_code == 200
    house.address = "192.0.2.2"
    assert (await (await house.client(house.key())).get("/v1/sensors")).status_code == 200
    house.later(6.5)
    assert (await bad.get("/v1/sensors")).status_code == 401


class TestSlow:
    @pytest.fixture
    def access(self) -> AccessSection:
        return AccessSection(mode="closed", requests_hz=1, requests_burst=10)

    async def test_who_asks_too_often_has_to_wait_and_others_have_not(self, house: House) -> None:
        one, other = await house.client(house.key()), await house.client(house.key())
        assert [(await one.get("/v1/session")).status_code for _ in range(12)] == [200] * 10 + [429] * 2
        assert (await other.get("/v1/session")).status_code == 200
        house.later(2.0)
        assert (await one.get("/v1/session")).status_code == 200


class TestOpen:
    @pytest.fixture
    def access(self) -> AccessSection:
        return AccessSection(mode="open", requests_hz=1, requests_burst=10)

    async def test_in_the_open_nobody_has_to_wait_for_another_on_the_same_machine(self, house: House) -> None:
        http = await house.client()
        assert [(await http.get("/v1/session")).status_code for _ in range(15)] == [200] * 15


async def test_a_registry_that_is_away_keeps_nobody_out_at_once_and_everybody_in_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = await house.client(house.key())
    assert (await http.get("/v1/session")).json()["name"].startswith("key:")

    def away(*_: object) -> int:
        raise StoreUnavailable("nobody answers")

    monkeypatch.setattr(type(house.registry), "access_revision", away)
    house.later(200.0)
    assert (await http.get("/v1/edges")).status_code == 200
    house.later(200.0)
    assert (await http.get("/v1/edges")).status_code == 503
    assert (await http.get("/healthz")).status_code == 200


async def test_audit_entries_name_who_did_it(house: House) -> None:
    text = house.key(Role.ENGINEER)
    body = {"reference": S2, "model": "first_order", "u_reference": 0.1}
    answer = await (await house.client(text)).put(f"/v1/sensors/{S1}/pairing?reason=why", json=body)
    assert answer.status_code == 200, answer.text
    entry = house.registry.audit()[-1]
    assert (entry.actor, entry.reason) == (f"key:{text[4:12]}", "why")


async def test_in_the_open_everybody_is_an_engineer_and_nobody_an_administrator(api: Api) -> None:
    who = (await api.http.get("/v1/session")).json()
    assert (who["mode"], who["role"], who["signed_in"]) == ("open", "engineer", False)
    assert (await api.http.get("/v1/keys")).status_code == 403
    answer = await api.http.post("/v1/session", json={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 409


def test_roles_of_people_are_in_order() -> None:
    assert PEOPLE == (Role.VIEWER, Role.OPERATOR, Role.ENGINEER, Role.ADMIN)


async def test_hashing_waits_its_turn(house: House) -> None:
    """Many keys at once are verified two at a time, and the event loop goes on meanwhile."""
    clients = [await house.client(house.key()) for _ in range(6)]
    answers = await asyncio.gather(*(http.get("/v1/session") for http in clients))
    assert all(answer.json()["role"] == "viewer" for answer in answers)


async def test_guesses_that_come_all_at_once_have_to_wait_like_others(house: House) -> None:
    """What is told apart slowly must not let in, meanwhile, as many as like to try."""
    house.user()
    known = house.key()
    wrong = known[:-1] + ("A" if known[-1] != "A" else "B")
    browser = await house.client(**{"sec-fetch-site": "same-origin"})
    bodies = [{"name": "anna", "password": f"horse staple {k}"} for k in range(8)] + [{"key": wrong}] * 8
    answers = await asyncio.gather(*(browser.post("/v1/session", json=body) for body in bodies))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) <= 11  # ten, and the one beside the tenth
    assert statuses.count(429) == len(statuses) - statuses.count(401)


async def test_a_host_with_many_addresses_of_its_own_gains_no_attempts_by_them(house: House) -> None:
    bad = "dyn_aaaaaaaa_" + "x" * 43
    statuses = []
    for k in range(12):
        house.address = f"2001:db8:0:1::{k + 1:x}"  # a network of 64 bits is one host's, or one plant's
        statuses.append((await (await house.client(bad)).get("/v1/sensors")).status_code)
    assert statuses == [401] * 10 + [429] * 2
    house.address = "2001:db8:0:2::1"
    assert (await (await house.client(bad)).get("/v1/sensors")).status_code == 401


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "http://127.0.0.1.evil.example", "//", "\xff"])
async def test_an_origin_that_is_none_is_a_foreign_page(house: House, origin: str) -> None:
    browser = await house.signed_in()
    browser.headers.pop("sec-fetch-site")
    answer = await browser.post("/v1/alarms/commands", json={}, headers=[(b"origin", origin.encode("latin-1"))])
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:foreign-page")


async def test_attempts_that_failed_are_in_the_audit_trail_a_minute_later(house: House) -> None:
    house.user()
    browser = await house.client(**{"sec-fetch-site": "same-origin"})
    for name in ("anna", "my-secret-by-mistake"):
        await browser.post("/v1/session", json={"name": name, "password": "horse staple battery"})
    bad = await house.client("dyn_aaaaaaaa_" + "x" * 43)
    for _ in range(10):
        await bad.get("/v1/sensors")
    await house.deps.entrance.note_refusals()
    assert house.registry.audit()[-1].action == "user.add"
    house.later(60.0)
    await house.deps.entrance.note_refusals()
    entry = house.registry.audit()[-1]
    assert (entry.actor, entry.action) == ("http:192.0.2.1", "access.refused")
    assert entry.subject == "12 attempts to get in, 2 of them held off, as anna"
    await house.deps.entrance.note_refusals()
    assert house.registry.audit()[-1].number == entry.number


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{", b"null", b"[" * 5000])
async def test_a_role_is_refused_before_a_body_is_read(house: House, content: bytes) -> None:
    json = {"content-type": "application/json"}
    viewer = await house.client(house.key(Role.VIEWER))
    for rule in matrix(house.app):
        if rule.method in ("POST", "PUT", "PATCH") and rule.role not in (None, Role.VIEWER):
            answer = await viewer.request(rule.method, fill(rule.path), content=content, headers=json)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:role"), rule
    admin = await house.client(house.key(Role.ADMIN))
    for rule in matrix(house.app):
        if rule.method in ("POST", "PUT", "PATCH"):
            answer = await admin.request(rule.method, fill(rule.path), content=content, headers=json)
            assert 400 <= answer.status_code < 500, (rule, answer.text)


class TestAtOnce:
    @pytest.fixture
    def access(self) -> AccessSection:
        return AccessSection(mode="closed", requests_at_once=3, streams_each=2)

    async def test_nobody_has_all_connections_to_themselves(self, house: House) -> None:
        """Long-polls and streams are cheap to open and stay: one key could have all that a service serves at once."""
        text = house.key(Role.EDGE)
        one, other = await house.client(text), await house.client(house.key())
        path = "/v1/edges/edge-1/coefficients"
        tag = (await one.get(path)).headers["etag"]
        waiting = {"if-none-match": tag, "prefer": "wait=60"}
        polls = [asyncio.create_task(one.get(path, headers=waiting)) for _ in range(3)]
        async with asyncio.timeout(10):
            while house.deps.entrance._open.get("edge:edge-1", 0) < 3:
                await asyncio.sleep(0.01)
        answer = await one.get("/v1/session")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert (await other.get("/v1/sensors")).status_code == 200
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        assert (await one.get("/v1/session")).status_code == 200

    async def test_nobody_has_all_streams_to_themselves(self, house: House) -> None:
        text = house.key()
        for _ in range(2):
            house.deps.hub.subscribe(Wanted(holder=f"key:{text[4:12]}"))
        refused = await (await house.client(text)).get("/v1/stream")
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:dyncal:problem:too-many-streams")


async def test_what_is_wrong_with_a_part_is_for_those_who_may_read(house: House) -> None:
    """It names hosts and users of databases."""
    house.deps.parts.faults.update(registry="registry postgresql+psycopg://dyncal@db.plant.example/x: refused", bus="")
    answer = await (await house.client()).get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"registry": "not ready", "bus": ""})
    edge = await house.client(house.key(Role.EDGE))
    assert (await edge.get("/readyz")).json()["parts"]["registry"] == "not ready"
    viewer = await house.client(house.key())
    assert "db.plant.example" in (await viewer.get("/readyz")).json()["parts"]["registry"]
