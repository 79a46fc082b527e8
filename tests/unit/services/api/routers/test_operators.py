"""Routes for people."""

from __future__ import annotations

from dyncal.domain.coefficients import SetState
from dyncal.domain.health import SensorHealth, Watch
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.testing.records import block, span, uniform
from dyncal.testing.registry import S1, S2, act, make_alarm, make_sensor, make_set, put_alarm
from tests.unit.services.api.conftest import Api


async def test_sensors_come_page_by_page(api: Api) -> None:
    api.registry.put_sensors([make_sensor(SensorId(f"x-{k:03d}")) for k in range(25)], [], act())
    seen: list[str] = []
    address = "/v1/sensors?limit=10&q=x-"
    for _ in range(3):
        answer = await api.http.get(address)
        page = answer.json()
        assert page["n_total"] == 25
        seen += [sensor["id"] for sensor in page["items"]]
        if page["next_cursor"] is None:
            break
        address = answer.headers["link"].removeprefix("<").split(">")[0]
    assert seen == [f"x-{k:03d}" for k in range(25)]
    assert "link" not in answer.headers


async def test_a_sensor_shows_how_it_stands(api: Api) -> None:
    axis = uniform(3)
    live = block([1.0, 2.0, 3.0], sensor=S1, corrected=span(uniform(2), [1.5, 2.5], "set-9", 0.25))
    api.clock.instant = InstantNs(int(axis.t_ns[-1]))
    api.clock.advance(DurationNs(2_000_000_000))
    api.deps.hub.record(live)
    api.registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    api.registry.set_state(make_set().id, SetState.ACTIVE, act(4))
    sensor = (await api.http.get(f"/v1/sensors/{S1}")).json()
    assert (sensor["state"], sensor["state_since_ns"], sensor["health"]) == ("cannot_tell", None, None)
    now = InstantNs(api.clock.instant)
    api.deps.health.put(SensorHealth(S1, now, InstantNs(now + 1), Watch.IN_CONTROL, InstantNs(now - 5), now))
    sensor = (await api.http.get(f"/v1/sensors/{S1}")).json()
    assert (sensor["state"], sensor["state_since_ns"]) == ("normal", now - 5)
    assert (sensor["health"]["watch"], sensor["health"]["informed_ns"]) == ("in_control", now)
    assert sensor["pairing"]["reference"] == S2
    assert sensor["latest"]["raw"] == 3.0
    assert sensor["latest"]["age_s"] == 2.0
    assert sensor["latest"]["corrected_t_ns"] == uniform(2).t_ns[-1]
    assert (sensor["latest"]["corrected"], sensor["latest"]["u"], sensor["latest"]["set_id"]) == (2.5, 0.25, "set-9")
    assert sensor["active_set"]["id"] == make_set().id
    assert sensor["active_set"]["since_ns"] == act(4).at_ns
    reference = (await api.http.get(f"/v1/sensors/{S2}")).json()
    assert reference["reference_of"] == [S1]
    assert reference["latest"]["t_ns"] is None
    assert reference["state"] == "failure"


async def test_values_of_the_store_stand_in_until_live_ones_come(api: Api) -> None:
    api.store.write([block([1.0, 2.0], sensor=S1)])
    assert (await api.http.get(f"/v1/sensors/{S1}")).json()["latest"]["raw"] == 2.0
    api.deps.hub.record(block([7.0], sensor=S1, axis=uniform(1, 5)))
    assert (await api.http.get(f"/v1/sensors/{S1}")).json()["latest"]["raw"] == 7.0


async def test_sensors_are_filtered_by_state_and_words(api: Api) -> None:
    api.deps.hub.record(block([1.0], sensor=S2))
    api.clock.instant = uniform(1).t0_ns
    found = (await api.http.get("/v1/sensors", params={"state": "reference"})).json()
    assert [sensor["id"] for sensor in found["items"]] == [S2]
    assert (await api.http.get("/v1/sensors", params={"q": "KILN edge-1 zz"})).json()["n_total"] == 1
    assert (await api.http.get("/v1/sensors", params={"edge": "nowhere"})).json()["n_total"] == 0
    assert (await api.http.get("/v1/sensors", params={"state": "fine"})).status_code == 422


async def test_the_audit_trail_comes_page_by_page(api: Api) -> None:
    for k in range(12):
        put_alarm(api.registry, make_alarm(k=k), act(k, "why"))
    entries = []
    address = "/v1/audit?limit=5"
    while address:
        answer = await api.http.get(address)
        entries += answer.json()["items"]
        link = answer.headers.get("link", "")
        address = link.removeprefix("<").split(">")[0]
    numbers = [entry["number"] for entry in entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(api.registry.audit()) == len(numbers)
    assert entries[-1]["reason"] == "why"


async def test_health_says_what_is_wrong(api: Api) -> None:
    assert (await api.http.get("/healthz")).status_code == 200
    api.deps.parts.faults.update(store="gone fishing", bus="")
    answer = await api.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "parts": {"store": "gone fishing", "bus": ""}}
    api.deps.parts.faults.update(store="")
    assert (await api.http.get("/readyz")).status_code == 200


async def test_metrics_count_requests_by_route(api: Api) -> None:
    await api.http.get(f"/v1/sensors/{S1}")
    await api.http.get("/nowhere/at/all")
    text = (await api.http.get("/metrics")).text
    assert 'dyncal_api_requests_total{method="GET",route="/v1/sensors/{sensor}",status="200"} 1.0' in text
    assert "nowhere" not in text
