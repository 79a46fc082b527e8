"""Pages on the system and on the audit trail."""

from __future__ import annotations

import asyncio

import pytest

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.testing.registry import act, make_calibration, make_sensor
from services.api.outlets.standing import OutletStanding, OutletState, host_of
from services.api.routers.console import last_number
from tests.unit.services.api.conftest import Api


async def test_the_system_says_what_is_wrong_and_what_was_counted(api: Api) -> None:
    api.deps.parts.faults.update(store="the disk is full")
    api.deps.metrics.messages.labels("samples").inc(3)
    api.deps.metrics.rejected.labels("alarms").inc()
    await api.http.get("/v1/sensors/none-such")
    found = (await api.http.get("/v1/system")).json()
    assert (found["ready"], found["parts"]) == (False, {"store": "the disk is full"})
    assert found["sensors"] == 3
    assert found["messages"] == [
        {"kind": "alarms", "taken": 0, "rejected": 1},
        {"kind": "samples", "taken": 3, "rejected": 0},
    ]
    assert found["requests"] == {"answered": 1, "refused": 1, "failed": 0}
    assert found["streams"]["clients"] == 0
    assert found["memory_bytes"] > 1_000_000
    assert found["api_version"] == api.app.version


async def test_the_system_says_how_the_outlets_stand(api: Api) -> None:
    assert (await api.http.get("/v1/system")).json()["outlets"] == []
    where = host_of("https://anna:pa55@cmms.plant.example:8443/hooks/T0KEN?key=s3cret#x")
    standing = OutletStanding("cmms", "webhook", where, OutletState.DISABLED, "410", 3, 2, InstantNs(5), 7, 1)
    api.deps.outlets.look = lambda: [standing]
    assert (await api.http.get("/v1/system")).json()["outlets"] == [
        {
            "name": "cmms", "way": "webhook", "where": "https://cmms.plant.example:8443", "state": "disabled",
            "fault": "410", "n_waiting": 3, "n_unread": 2, "oldest_ns": 5, "n_delivered": 7, "n_given_up": 1,
        }
    ]  # fmt: skip
    assert [host_of(url) for url in ("opc.tcp://[::1]:4841/x", "http://h:999999/secret")] == [
        "opc.tcp://[::1]:4841",
        "http",
    ]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6])
async def test_the_trail_backwards_is_the_trail(api: Api, n: int) -> None:
    for k in range(n):
        api.registry.put_sensors([make_sensor(SensorId(f"new-{k}"))], [], act(k))
    forwards = [entry.number for entry in api.registry.audit()]
    assert last_number(api.registry) == forwards[-1]
    backwards, cursor, pages = [], None, 0
    while cursor is not None or not pages:
        query = {"limit": 2, **({} if cursor is None else {"cursor": cursor})}
        answer = await api.http.get("/v1/audit/newest", params=query)
        assert len(answer.json()["items"]) <= 2
        backwards += [entry["number"] for entry in answer.json()["items"]]
        cursor, pages = answer.json()["next_cursor"], pages + 1
        assert ("link" in answer.headers) == (cursor is not None)
    assert backwards == forwards[::-1]


async def test_the_chain_of_the_trail_is_checked(api: Api) -> None:
    api.registry.add_calibration(make_calibration(), act())
    assert (await api.http.get("/v1/audit/verification")).json()["first_misfit"] is None
    assert (await api.http.get("/v1/audit/newest", params={"cursor": "nonsense!"})).status_code == 422


async def test_many_who_ask_for_a_check_of_the_trail_at_once_have_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a core for as long as the trail is: any viewer could keep the service from everything else."""
    checks = 0
    verify = api.registry.verify_audit

    def counted() -> int | None:
        nonlocal checks
        checks += 1
        return verify()

    monkeypatch.setattr(api.registry, "verify_audit", counted)
    answers = await asyncio.gather(*(api.http.get("/v1/audit/verification") for _ in range(20)))
    assert {answer.json()["checked_ns"] for answer in answers} == {api.clock.now()}
    assert checks == 1
    api.clock.advance(DurationNs(6 * NS_PER_S))
    later = (await api.http.get("/v1/audit/verification")).json()
    assert (later["checked_ns"], later["first_misfit"], checks) == (api.clock.now(), None, 2)
