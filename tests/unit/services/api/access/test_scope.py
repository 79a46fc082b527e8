"""What those see who are confined to some sensors: lists of their part, page by page, and nothing of the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dyncal.alarms.events import Reported
from dyncal.domain.access import Role
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import OrderKind
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.testing.jobs import make_job
from dyncal.testing.laboratory import make_laboratory
from dyncal.testing.lifecycle import make_order
from dyncal.testing.registry import S1, S2, act, make_calibration, make_sensor, make_set
from services.api.access.needs import matrix
from services.api.hub import EVENTS, Wanted
from tests.unit.services.api.access.conftest import House

ZZ = SensorId("zz-9")
SCOPE = "urn:dyncal:problem:scope"


async def filled(house: House) -> None:
    """Fill the registry with three of everything: of S1, S2 on edge-1, and of ZZ on edge-2."""
    for k, sensor in enumerate((S1, S2, ZZ)):
        for n in range(3):
            house.registry.add_calibration(make_calibration(f"cal-{sensor}-{n}", sensor, 3 * n + k), act())
            made = make_set(n + 1, sensor)
            house.registry.add_set(made, b"{}", SetState.PUBLISHED, act())
            house.registry.add_laboratory(make_laboratory(f"lab-{sensor}-{n}", sensor, 3 * n + k), b"<x/>", act())
            order = make_order(f"o-{sensor}-{n}", OrderKind.SET_ROLL_BACK, sensor)
            house.registry.put_order(order)
        house.registry.put_order(make_order(f"o-set-{sensor}", OrderKind.SET_APPROVE, make_set(1, sensor).id))
        job = replace(make_job(f"j-{sensor}", k), sensor=make_sensor(sensor))
        await house.deps.jobs.add(job, act())
        report(house, sensor)
    house.registry.put_order(make_order("o-rollout", OrderKind.ROLLOUT_PAUSE, "r-1"))
    report(house, "edge-1", AlarmKind.SPOOL_FILLING)
    report(house, "edge-2", AlarmKind.SPOOL_FILLING)
    report(house, "plant", AlarmKind.STORE_FAILING)


def report(house: House, source: str, kind: AlarmKind = AlarmKind.DRIFT) -> None:
    now = house.clock.now()
    condition = Condition(SiteId("plant"), source, kind, holds=True, at_ns=now, edge="edge-1")
    house.deps.desk.handle([Reported(condition, "calibrate", now)])


async def everything(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Return what a list has, page by page."""
    found: list[dict[str, Any]] = []
    address: str | None = f"{path}?limit=2"
    while address:
        page = await http.get(address)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        assert len(page.json()["items"]) <= 2
        address = page.links.get("next", {}).get("url")
    return found


@pytest.fixture
async def mine(house: House) -> httpx.AsyncClient:
    """Return somebody confined to S1 and what edge-2 reads."""
    await filled(house)
    return await house.client(house.key(Role.ENGINEER, sensors=frozenset({S1}), edges=frozenset({EdgeId("edge-2")})))


LISTS = {
    "/v1/calibrations": ("sensor", 6),
    "/v1/laboratory-calibrations": ("sensor", 6),
    "/v1/ledger": ("sensor", 2),
    "/v1/alarms": ("source", 3),
    "/v1/orders": ("subject", 8),
}


@pytest.mark.parametrize("path", LISTS)
async def test_lists_have_the_same_part_page_by_page_as_at_once(mine: httpx.AsyncClient, path: str) -> None:
    name, n = LISTS[path]
    found = await everything(mine, path)
    assert len(found) == n
    of = {str(item[name]) for item in found}
    assert of <= {S1, ZZ, "edge-2", make_set(1, S1).id, make_set(1, ZZ).id}
    assert not any(S2 in name or name == "edge-1" for name in of)
    whole = (await mine.get(path)).json()
    assert whole["items"] == found
    assert whole["next_cursor"] is None
    asked = {"/v1/alarms": f"{path}?source={S2}", "/v1/orders": f"{path}?subject={S2}"}.get(path, f"{path}?sensor={S2}")
    if path != "/v1/ledger":
        assert (await mine.get(asked)).json()["items"] == []


async def test_lists_that_come_whole_have_the_part_too(mine: httpx.AsyncClient) -> None:
    sets = (await mine.get("/v1/coefficient-sets")).json()["items"]
    assert [item["sensor"] for item in sets] == [S1] * 3 + [ZZ] * 3
    assert (await mine.get("/v1/fleet")).json()["id"] == [S1, ZZ]
    assert [row["id"] for row in (await mine.get("/v1/inventory")).json()["items"]] == [S1, ZZ]
    assert S2 not in {line.split(",")[0] for line in (await mine.get("/v1/inventory?format=csv")).text.splitlines()}
    assert [job["id"] for job in (await mine.get("/v1/jobs")).json()["items"]] == [f"j-{ZZ}", f"j-{S1}"]
    assert set((await mine.get("/v1/drift-trends")).json()["sensor"]) <= {S1, ZZ}
    history = (await mine.get("/v1/alarms/history")).json()["items"]
    assert {item["source"] for item in history} == {S1, ZZ, "edge-2"}


async def test_counts_of_alarms_are_those_of_the_part(mine: httpx.AsyncClient) -> None:
    page = (await mine.get("/v1/alarms")).json()
    assert (page["n_total"], sum(page["n_by_state"].values()), sum(page["n_to_acknowledge"].values())) == (3, 3, 3)
    assert page["flood"] is None


async def test_one_thing_of_another_is_refused_as_one_that_there_is_not(mine: httpx.AsyncClient) -> None:
    other, own, none = make_set(1, S2).id, make_set(1, S1).id, "nothing"
    for path, names in (
        ("/v1/calibrations/{}", (f"cal-{S1}-0", f"cal-{S2}-0")),
        ("/v1/calibrations/{}/report", (f"cal-{S1}-0", f"cal-{S2}-0")),
        ("/v1/coefficient-sets/{}", (own, other)),
        ("/v1/coefficient-sets/{}/envelope", (own, other)),
        ("/v1/coefficient-sets/{}/chain", (own, other)),
        ("/v1/laboratory-calibrations/{}", (f"lab-{S1}-0", f"lab-{S2}-0")),
        ("/v1/laboratory-calibrations/{}/source", (f"lab-{S1}-0", f"lab-{S2}-0")),
        ("/v1/orders/{}", (f"o-{S1}-0", f"o-{S2}-0")),
        ("/v1/orders/{}", (f"o-set-{S1}", "o-rollout")),
        ("/v1/jobs/{}", (f"j-{S1}", f"j-{S2}")),
        ("/v1/alarms/{}", (f"{S1}:drift", f"{S2}:drift")),
        ("/v1/alarms/{}", ("edge-2:spool_filling", "edge-1:spool_filling")),
        ("/v1/alarms/{}", (f"{S1}:drift", "plant:store_failing")),
    ):
        found = await mine.get(path.format(names[0]))
        assert found.status_code == 200, (path, found.text)
        refused, absent = await mine.get(path.format(names[1])), await mine.get(path.format(none))
        assert (refused.status_code, refused.json()["type"]) == (403, SCOPE), path
        assert (absent.status_code, absent.json()["detail"]) == (403, refused.json()["detail"]), path


async def test_changes_of_what_is_anothers_are_refused(house: House, mine: httpx.AsyncClient) -> None:
    before = house.registry.audit()[-1].number
    drift = {"command": "comment", "reason": "x"}
    for answer in (
        await mine.delete(f"/v1/jobs/j-{S2}"),
        await mine.post(f"/v1/alarms/{S2}:drift/commands", json=drift),
        await mine.post("/v1/alarms/commands", json={**drift, "alarms": [f"{S1}:drift", f"{S2}:drift"]}),
        await mine.post("/v1/alarms/commands", json={**drift, "alarms": ["plant:store_failing"]}),
        await mine.post("/v1/inventory", json={"items": []}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, SCOPE), answer.text
    assert house.registry.audit()[-1].number == before
    assert (await mine.post(f"/v1/alarms/{S1}:drift/commands", json=drift)).status_code == 200
    assert (await mine.delete(f"/v1/jobs/j-{S1}")).json()["state"] == "cancelled"


async def test_the_stream_is_about_the_part_and_says_nothing_else(house: House) -> None:
    http_reach = frozenset({str(S1), str(ZZ)})
    client, _ = house.deps.hub.subscribe(Wanted(EVENTS, reach=http_reach))
    for event, about in (
        ("alarm", S1), ("alarm", S2), ("alarm", ""), ("health", ZZ), ("health", S2), ("edge", ""), ("flood", ""),
        ("backfill", ""), ("registry", ""),
    ):  # fmt: skip
        house.deps.hub.announce(event, f'{{"about":"{event} {about}"}}'.encode(), about)
    said = client.take().decode()
    assert [line for line in said.splitlines() if line.startswith("data")] == [
        f'data: {{"about":"alarm {S1}"}}',
        f'data: {{"about":"health {ZZ}"}}',
        'data: {"about":"registry "}',
    ]
    house.deps.hub.unsubscribe(client)


async def test_who_is_confined_to_nothing_gets_nothing(house: House) -> None:
    await filled(house)
    nobody = await house.client(house.key(Role.VIEWER, sensors=frozenset()))
    for path in (*LISTS, "/v1/coefficient-sets", "/v1/inventory", "/v1/jobs", "/v1/alarms/history"):
        assert (await nobody.get(path)).json()["items"] == [], path
    assert (await nobody.get("/v1/fleet")).json()["id"] == []


async def test_what_filters_is_named_and_nothing_else_gives_lists_away(house: House, mine: httpx.AsyncClient) -> None:
    """Every route that is not public, asked by somebody confined: it filters, is about what is theirs, or refuses."""
    for rule in matrix(house.app):
        if rule.method != "GET" or rule.role is None or rule.path == "/v1/stream":
            continue
        if rule.filters or "{sensor}" in rule.path or "{edge}" in rule.path:
            continue
        answer = await mine.get(rule.path.replace("{", "").replace("}", ""))
        assert answer.status_code == 403, rule


async def test_a_sensor_that_changes_its_edge_changes_hands(house: House) -> None:
    await filled(house)
    http = await house.client(house.key(Role.VIEWER, edges=frozenset({EdgeId("edge-2")})))
    assert {item["sensor"] for item in (await http.get("/v1/calibrations")).json()["items"]} == {ZZ}
    moved = replace(make_sensor(ZZ), edge=EdgeId("edge-1"))
    await asyncio.to_thread(house.registry.put_sensors, [moved], [], act())
    assert (await http.get("/v1/calibrations")).json()["items"] == []
    assert (await http.get(f"/v1/calibrations/cal-{ZZ}-0")).status_code == 403
    assert InstantNs(house.clock.now()) > 0


async def test_an_edge_is_told_to_read_no_sensor_of_anothers_and_to_hold_none_against_one(house: House) -> None:
    """By its sources somebody confined to edge-2 could take over a sensor of edge-1, with all that it has measured."""
    http = await house.client(house.key(Role.ENGINEER, edges=frozenset({EdgeId("edge-2")})))

    def sources(*nodes: dict[str, str]) -> dict[str, Any]:
        return {"opcua": [{"url": "opc.tcp://127.0.0.1:4840", "nodes": list(nodes)}], "mqtt": []}

    url = "/v1/edges/edge-2/sources?reason=try"
    for nodes in (
        [{"sensor": S1, "node": "i=1"}],
        [{"sensor": ZZ, "node": "i=1", "reference": S2}],
        [{"sensor": ZZ, "node": "i=1", "reference": "nobody"}],
        [{"sensor": ZZ, "node": "i=1", "reference": S2}, {"sensor": S2, "node": "i=2"}],
    ):
        answer = await http.put(url, json=sources(*nodes))
        assert (answer.status_code, answer.json()["type"]) == (403, SCOPE), answer.text
    assert (await http.put("/v1/edges/edge-1/sources?reason=try", json=sources())).status_code == 403
    own = sources({"sensor": "new-1", "node": "i=1", "reference": "new-2"}, {"sensor": "new-2", "node": "i=2"})
    assert (await http.put(url, json=own)).json().get("type") != SCOPE
    free = await house.client(house.key(Role.ENGINEER))
    assert (await free.put(url, json=sources({"sensor": S1, "node": "i=1"}))).json().get("type") != SCOPE
