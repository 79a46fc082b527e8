"""What every answer has in common, and what hostile requests get."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dyncal.domain.errors import StoreUnavailable
from dyncal.testing.registry import S1
from tests.unit.services.api.conftest import Api


async def test_every_answer_carries_the_security_headers(api: Api) -> None:
    for path in ("/", "/v1/sensors", "/nowhere", "/v1/sensors/nobody", "/healthz"):
        headers = (await api.http.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "style-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_a_page_says_how_to_build_the_console_where_there_is_none(api: Api) -> None:
    answer = await api.http.get("/")
    assert answer.status_code == 200
    assert "hatch_build.py" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "0.0.0.0"])
async def test_a_name_that_points_here_by_an_attackers_will_is_refused(api: Api, host: str) -> None:
    answer = await api.http.get("/v1/sensors", headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8080"])
async def test_loopback_names_are_answered(api: Api, host: str) -> None:
    assert (await api.http.get("/healthz", headers={"host": host})).status_code == 200


async def test_bodies_are_bounded_with_and_without_their_length(api: Api) -> None:
    address = f"/v1/sensors/{S1}/pairing"
    declared = await api.http.put(address, content=b"x" * 3000)
    assert (declared.status_code, declared.json()["type"]) == (413, "urn:dyncal:problem:too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"[" * 1000

    undeclared = await api.http.put(address, content=chunks())
    assert undeclared.status_code >= 400
    for length in ("-1", "x", "1" * 30, "1e3"):
        answer = await api.http.put(address, headers={"content-length": length})
        assert answer.status_code in {400, 413}
    assert (await api.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
async def test_a_wrong_method_is_a_problem_document(api: Api, method: str) -> None:
    answer = await api.http.request(method, "/v1/sensors")
    assert answer.status_code == 405
    assert answer.json()["title"] == "Method Not Allowed"
    assert answer.headers["content-type"] == "application/problem+json"


HOSTILE = [
    "/v1/sensors/%00",
    "/v1/sensors/..%2f..%2fetc%2fpasswd",
    "/v1/sensors/" + "a" * 5000,
    "/v1/sensors/%ff%fe",
    "/v1/sensors/'; drop table sensors; --",
    "/v1/sensors/<script>alert(1)</script>",
    "/v1/sensors?cursor=%ff",
    "/v1/sensors?cursor=AAAA&limit=1001",
    "/v1/sensors?limit=0",
    "/v1/sensors?limit=99999999999999999999",
    "/v1/sensors?q=" + "x" * 300,
    "/v1/sensors/tc-1/samples?from=%00",
    "/v1/sensors/tc-1/samples?from=0&to=99999999999999999999999",
    "/v1/calibrations?cursor=LTE",
    "/v1/calibrations?sensor=%2e%2e",
    "/v1/calibrations/%F0%9F%92%A3",
    "/v1/coefficient-sets/../../x",
    "/v1/coefficient-sets/" + "x" * 3000 + "/envelope",
    "/v1/coefficient-sets?state=evil",
    "/v1/audit?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    "/v1/alarms?limit=-1",
    "/v1/alarms?active=perhaps",
    "/v1/alarms/history?sensor=%0a%0d",
    "/v1/edges/%2f/coefficients",
    "/v1/edges/" + "e" * 200 + "/coefficients",
    "/v1/stream?events=everything",
    "/v1/stream?trend=" + ",".join(f"s{k}" for k in range(2001)),
    "/assets/../../settings.py",
    "/assets/%2e%2e/%2e%2e/settings.py",
    "/.git/config",
    "/docs",
    "/v1/sensors/tc-1/pairing/../../..",
]


@pytest.mark.parametrize("path", HOSTILE)
async def test_a_hostile_request_gets_a_problem_and_the_next_one_is_served(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert 400 <= answer.status_code < 500, answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert len(answer.content) < 4000
    assert (await api.http.get(f"/v1/sensors/{S1}")).status_code == 200


async def test_a_store_that_is_away_is_said_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("nobody answers", retry_after_s=7)

    monkeypatch.setattr(type(api.store), "read", away)
    answer = await api.http.get(f"/v1/sensors/{S1}/samples")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_a_fault_of_ours_tells_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr(type(api.store), "read", broken)
    answer = await api.http.get(f"/v1/sensors/{S1}/samples")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_what_a_foreign_page_can_send_without_being_asked_first_is_no_command(api: Api, kind: str | None) -> None:
    body = b'{"command": "comment", "alarms": ["tc-1:drift"], "reason": "boo"}'
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await api.http.post("/v1/alarms/commands", content=body, headers=headers)
    assert answer.status_code == 422
    for kind_ in (kind, "application/json"):
        foreign = {"Origin": "https://evil.example"} | ({} if kind_ is None else {"Content-Type": kind_})
        answer = await api.http.post("/v1/alarms/commands", content=body, headers=foreign)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:dyncal:problem:foreign-page")
    assert api.registry.alarm_changes() == []
