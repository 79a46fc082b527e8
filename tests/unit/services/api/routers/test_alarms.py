"""Alarms over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from dyncal.alarms.events import Event, Reported
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.testing.registry import S1, S2, make_sensor
from services.api.alarms import shapes
from services.api.hub import EVENTS, Wanted
from services.api.schemas.alarms import AlarmChangeOut, AlarmOut, Verb
from tests.unit.services.api.conftest import Api

DRIFT, OUT = AlarmKind.DRIFT, AlarmKind.OUT_OF_TOLERANCE


def report(api: Api, source: str = S1, kind: AlarmKind = DRIFT, *, holds: bool = True, **found: Any) -> None:
    now = api.clock.now()
    condition = Condition(SiteId("plant"), source, kind, holds, now, "edge-1", **found)
    api.deps.desk.handle([Reported(condition, "calibrate", now)])


def wait(api: Api, seconds: float) -> None:
    api.clock.advance(DurationNs(int(seconds * NS_PER_S)))


async def command(api: Api, verb: str, *alarms: str, key: str = "", **more: Any) -> dict[str, Any]:
    body = {"command": verb, "alarms": list(alarms), **more}
    headers = {"Idempotency-Key": key} if key else {}
    answer = await api.http.post("/v1/alarms/commands", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_list_has_what_the_schema_says_and_can_be_narrowed(api: Api) -> None:
    report(api, cause="fouling", parameter="tau_s", value=float("inf"))
    report(api, S2, OUT)
    report(api, "edge-1", AlarmKind.SPOOL_FILLING)
    report(api, S2, OUT, holds=False)
    page = (await api.http.get("/v1/alarms")).json()
    assert [a["id"] for a in page["items"]] == [f"{S2}:out_of_tolerance", "edge-1:spool_filling", f"{S1}:drift"]
    for alarm in page["items"]:
        AlarmOut(**alarm)
    assert page["items"][2]["value"] is None
    assert (page["number"], page["n_total"], page["flood"]) == (4, 3, None)
    assert page["n_by_state"] == {"unacknowledged": 2, "returned_unacknowledged": 1}
    assert page["n_to_acknowledge"] == {"low": 0, "medium": 1, "high": 2}
    for query, expected in (
        ("state=unacknowledged&state=shelved", 2), ("priority=medium", 1), ("kind=drift&kind=out_of_tolerance", 2),
        ("scope=edge", 1), (f"sensor={S1}", 1), ("source=edge-1", 1), ("active=true", 2), ("active=false", 1),
        ("standing=true", 3), ("q=FOULING drift", 1), ("q=boredom", 0),
    ):  # fmt: skip
        assert (await api.http.get(f"/v1/alarms?{query}")).json()["n_total"] == expected, query
    for wrong in ("state=panic", "cursor=x", "limit=0"):
        assert (await api.http.get(f"/v1/alarms?{wrong}")).status_code == 422


async def test_pages_lose_nothing_and_a_change_shows_on_the_stream_with_the_same_fields(api: Api) -> None:
    client, _ = api.deps.hub.subscribe(Wanted(EVENTS))
    for k in range(25):
        report(api, f"s-{k:02d}")
    seen, address = [], "/v1/alarms?limit=10"
    while address:
        answer = await api.http.get(address)
        seen += [alarm["id"] for alarm in answer.json()["items"]]
        address = answer.headers.get("link", "").removeprefix("<").split(">")[0]
    assert sorted(seen) == [f"s-{k:02d}:drift" for k in range(25)]
    assert client.take().decode().count("event: alarm\n") == 25
    (change,) = api.registry.alarm_history(limit=1)
    AlarmChangeOut(**shapes.of_change(change))


async def test_the_life_of_an_alarm(api: Api) -> None:
    report(api, value=0.1)
    detail = (await api.http.get(f"/v1/alarms/{S1}:drift")).json()
    assert (detail["alarm"]["state"], detail["definition"]["kind"]) == ("unacknowledged", "drift")
    done = await command(api, "acknowledge", f"{S1}:drift", "nobody:drift")
    assert (done["n_done"], done["n_refused"], done["actor"]) == (1, 1, "http:127.0.0.1")
    assert done["outcomes"][0]["alarm"]["acknowledged_by"] == "http:127.0.0.1"
    assert done["outcomes"][1] == {
        "id": "nobody:drift", "done": False, "refusal": "unknown_alarm", "detail": "there is no such alarm",
        "alarm": None,
    }  # fmt: skip
    single = f"/v1/alarms/{S1}:drift/commands"
    refused = await api.http.post(single, json={"command": "acknowledge"})
    assert (refused.status_code, refused.json()["refusal"]) == (409, "nothing_to_acknowledge")
    assert (await api.http.post("/v1/alarms/x:drift/commands", json={"command": "reset"})).status_code == 404
    assert (await api.http.post(single, json={"command": "explode"})).status_code == 422
    shelf = {"command": "shelve", "reason": "cleaning", "duration_s": 60}
    assert (await api.http.post(single, json=shelf)).json()["outcomes"][0]["alarm"]["state"] == "shelved"
    said = {"command": "comment", "reason": "smells of burnt coffee"}
    assert (await api.http.post(single, json=said)).status_code == 200
    report(api, holds=False)
    wait(api, 61)
    api.deps.desk.handle([])
    report(api, S2)  # brings the time
    detail = (await api.http.get(f"/v1/alarms/{S1}:drift")).json()
    assert [c["event"] for c in detail["history"]] == [
        "shelving_ended", "cleared", "commented", "shelved", "acknowledged", "raised",
    ]  # fmt: skip
    assert [c["reason"] for c in detail["comments"]] == ["smells of burnt coffee"]
    assert detail["alarm"]["state"] == "normal"
    trail = [(e.actor, e.action, e.reason) for e in api.registry.audit() if e.subject == f"{S1}:drift"]
    assert ("http:127.0.0.1", "alarm.shelved", "cleaning") in trail
    assert api.registry.verify_audit() is None
    history = (await api.http.get("/v1/alarms/history", params={"sensor": S1, "event": "commented"})).json()
    assert [c["reason"] for c in history["items"]] == ["smells of burnt coffee"]
    assert (await api.http.get("/v1/alarms/nobody:drift")).status_code == 404


@pytest.mark.parametrize("verb", Verb.__args__)  # type: ignore[attr-defined]  # of a Literal
async def test_every_command_is_answered_for_every_alarm(api: Api, verb: str) -> None:
    report(api)
    done = await command(api, verb, f"{S1}:drift", f"{S2}:drift", reason="r", duration_s=1)
    assert [o["id"] for o in done["outcomes"]] == [f"{S1}:drift", f"{S2}:drift"]
    assert all(o["alarm"] is not None for o in done["outcomes"])  # that of a known sensor is made known


async def test_a_key_makes_a_command_once(api: Api) -> None:
    report(api)
    first = await command(api, "acknowledge", f"{S1}:drift", key="k-1")
    number = api.deps.desk.picture().number
    assert await command(api, "acknowledge", f"{S1}:drift", key="k-1") == first
    assert api.deps.desk.picture().number == number
    other = {"command": "acknowledge", "alarms": ["x:drift"]}
    reused = await api.http.post("/v1/alarms/commands", json=other, headers={"Idempotency-Key": "k-1"})
    assert (reused.status_code, reused.json()["type"]) == (422, "urn:dyncal:problem:key-reused")


async def test_a_key_makes_a_command_once_though_it_comes_several_times_at_once(api: Api) -> None:
    report(api)
    send = [command(api, "comment", f"{S1}:drift", key="k-2", reason="seen") for _ in range(8)]
    answers = await asyncio.gather(*send)
    assert all(answer == answers[0] for answer in answers)
    assert (await api.http.get(f"/v1/alarms/{S1}:drift")).json()["alarm"]["n_comments"] == 1


async def test_what_nobody_can_have_seen_is_not_acknowledged(api: Api) -> None:
    report(api)
    seen = (await api.http.get("/v1/alarms")).json()["number"]
    report(api, S2)
    done = await command(api, "acknowledge", f"{S1}:drift", f"{S2}:drift", upto=seen)
    assert [o["refusal"] for o in done["outcomes"]] == ["", "raised_since"]


async def test_an_alarm_is_taken_out_of_service_before_it_ever_was_raised(api: Api) -> None:
    done = await command(api, "take_out_of_service", f"{S1}:drift", "edge-1:edge_offline", "no:drift", reason="works")
    assert [o["refusal"] for o in done["outcomes"]] == ["", "", "unknown_alarm"]
    report(api)
    assert (await api.http.get(f"/v1/alarms/{S1}:drift")).json()["alarm"]["state"] == "out_of_service"
    assert (await api.http.get(f"/v1/sensors/{S1}")).json()["alarms"] == [f"{S1}:drift"]


async def test_definitions_are_read_and_changed_with_a_reason(api: Api) -> None:
    assert {d["kind"] for d in (await api.http.get("/v1/alarms/definitions")).json()["items"]} == set(AlarmKind)
    answer = await api.http.get("/v1/alarms/definitions/drift")
    body = answer.json()
    for name in ("kind", "scope", "changed_ns"):
        del body[name]
    report(api)
    body |= {"latching": True, "priority": "high", "on_delay_s": 5.0}
    path = "/v1/alarms/definitions/drift"
    assert (await api.http.put(path, json=body)).status_code == 422
    stale = {"If-Match": '"other"'}
    assert (await api.http.put(path, json=body, params={"reason": "r"}, headers=stale)).status_code == 412
    seen = {"If-Match": answer.headers["etag"]}
    changed = await api.http.put(path, json=body, params={"reason": "philosophy 7"}, headers=seen)
    assert (changed.status_code, changed.json()["latching"]) == (200, True)
    assert (await api.http.get(path)).headers["etag"] == changed.headers["etag"] != answer.headers["etag"]
    assert (await api.http.get(f"/v1/alarms/{S1}:drift")).json()["alarm"]["priority"] == "high"
    report(api, S2)
    assert (await api.http.get(f"/v1/alarms/{S2}:drift")).status_code == 404  # its delay runs
    entries = [e for e in api.registry.audit() if e.action == "alarm_definition.put"]
    assert [(e.subject, e.reason, e.actor) for e in entries] == [("drift", "philosophy 7", "http:127.0.0.1")]
    body |= {"suppressed_by": ["drift"]}
    assert (await api.http.put(path, json=body, params={"reason": "r"})).status_code == 422


async def test_figures_of_performance(api: Api) -> None:
    for k in range(12):
        report(api, f"s-{k:02d}")
    for _ in range(3):
        report(api, "s-00", holds=False)
        wait(api, 5)
        report(api, "s-00")
        wait(api, 5)
    await command(api, "acknowledge", "s-01:drift")
    wait(api, 1)
    found = (await api.http.get("/v1/alarms/kpis")).json()
    assert (found["n_annunciated"], found["n_held_back"]) == (10, 5)
    assert found["per_operator_hour"] == pytest.approx(15 / 24)
    assert found["peak_per_10_min"] == 15
    assert (found["n_floods"], found["n_by_priority"]) == (1, {"low": 0, "medium": 15, "high": 0})
    assert found["top"][0] == {"id": "s-00:drift", "n": 4, "share": 4 / 15, "n_per_minute": 4}
    assert [one["id"] for one in found["chattering"]] == ["s-00:drift"]
    assert [(one["id"], one["n"]) for one in found["fleeting"]] == [("s-00:drift", 3)]
    assert (found["n_acknowledged"], found["mean_acknowledge_s"]) == (1, 30.0)
    flood = (await api.http.get("/v1/alarms")).json()["flood"]
    assert (flood["active"], flood["n_alarms"]) == (True, 5)
    assert flood["n_held_back"] == {"low": 0, "medium": 5, "high": 0}
    assert (await api.http.get("/v1/alarms/kpis?from=5&to=5")).status_code == 422


async def test_ten_thousand_sensors_with_alarms_are_listed_in_milliseconds(api: Api) -> None:
    sensors = [make_sensor(SensorId(f"x-{k:05d}")) for k in range(10_000)]
    now = api.clock.now()
    events: list[Event] = [
        Reported(Condition(SiteId("plant"), s.id, DRIFT, True, now, "edge-1"), "c", now) for s in sensors
    ]
    started = time.process_time()
    for k in range(0, len(events), 500):
        api.deps.desk.handle(events[k : k + 500])
    written = time.process_time() - started
    api.deps.desk.running = True  # as in the service
    await api.http.get("/v1/alarms?limit=1")
    started = time.process_time()
    page = (await api.http.get("/v1/alarms?limit=100&standing=true")).json()
    taken = time.process_time() - started
    assert (page["n_total"], len(page["items"])) == (10_000, 100)
    assert taken < 0.25
    assert written < 20


def test_instants_that_go_back_are_no_trouble(api: Api) -> None:
    report(api)
    api.clock.instant = InstantNs(api.clock.now() - 3600 * NS_PER_S)
    report(api, holds=False)
    alarm = api.deps.desk.alarm(f"{S1}:drift")
    assert alarm is not None
    assert not alarm.active
