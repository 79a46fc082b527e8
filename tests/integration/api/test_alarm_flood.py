"""A thousand alarms in ten seconds: stream, broker, registry and HTTP agree with each other, and with the model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from dyncal.alarms.definitions import DEFAULTS
from dyncal.contracts import alarms as wire
from dyncal.contracts import conditions, topics
from dyncal.domain.alarms import AlarmEvent, AlarmKind, Annunciation, Condition
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.registry import Registry
from tests.integration.api.plant import EDGE, SITE, Plant, running
from tests.integration.api.test_service import events
from tests.property.alarms.model import Def, Model

KINDS = (AlarmKind.DRIFT, AlarmKind.OUT_OF_TOLERANCE, AlarmKind.REFERENCE_LOST, AlarmKind.CORRECTION_REVERTED)
N, SECONDS = 1000, 10.0


def say(plant: Plant, k: int, *, holds: bool) -> None:
    now = InstantNs(plant.clock.now())
    found = Condition(SITE, f"s-{k // 4:03d}", KINDS[k % 4], holds, now, EDGE, cause="storm")
    topic = topics.condition(SITE, found.source, found.kind)
    plant.broker.publish(topic, conditions.encode(found, "calibrate", now), retain=True)


async def storm(plant: Plant, client: httpx.AsyncClient) -> None:
    """Raise a thousand, clear every third soon after, and acknowledge some of those that there are meanwhile."""
    began = time.monotonic()
    for k in range(N):
        say(plant, k, holds=True)
        if k % 3 == 0 and k >= 30:
            say(plant, k - 30, holds=False)
        if k % 250 == 249:
            page = (await client.get("/v1/alarms?standing=true&limit=50")).json()
            body = {"command": "acknowledge", "alarms": [a["id"] for a in page["items"]], "upto": page["number"]}
            assert (await client.post("/v1/alarms/commands", json=body)).json()["n_done"] > 0
        await asyncio.sleep(max(began + SECONDS * k / N - time.monotonic(), 0))


async def test_a_flood_is_exact_and_loses_nothing() -> None:
    async with (
        running(1, history_s=2, feed=False) as plant,
        httpx.AsyncClient(base_url=plant.service.address, timeout=30) as client,
    ):
        heard: list[dict[str, Any]] = []
        floods: list[dict[str, Any]] = []
        listening = asyncio.create_task(listen(client, heard, floods))
        stalls: list[float] = []
        watching = asyncio.create_task(watch(stalls))
        await asyncio.sleep(0.3)
        await storm(plant, client)
        async with asyncio.timeout(20):
            while True:
                page = (await client.get("/v1/alarms?limit=1")).json()
                if page["n_total"] == N and heard and heard[-1]["number"] == page["number"]:
                    break
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        for task in (listening, watching):
            task.cancel()
        await asyncio.gather(listening, watching, return_exceptions=True)

        # The stream has every change, once, in order, and so has the registry.
        changes = plant.registry.alarm_changes(limit=100_000)
        assert [c["number"] for c in heard] == [c.alarm.number for c in changes] == list(range(1, len(changes) + 1))
        assert [(c["event"], c["annunciated"]) for c in heard] == [(c.event, c.annunciated) for c in changes]
        assert sum(c.event is AlarmEvent.RAISED for c in changes) == N

        # What stands is the same wherever one asks.
        listed = await every_page(client)
        streamed = {change["id"]: change for change in heard}
        written = {alarm.id: alarm for alarm in plant.registry.alarms()}
        assert len(listed) == len(streamed) == len(written) == N
        for id_, alarm in written.items():
            topic = topics.alarm(SITE, alarm.found.source, alarm.kind)
            assert wire.decode(plant.broker.retained[topic]) == wire.message_of(alarm)
            for name in ("number", "state", "active", "acknowledged", "annunciation", "priority", "raised_ns"):
                assert listed[id_][name] == streamed[id_][name], (id_, name)
            assert (listed[id_]["number"], listed[id_]["state"]) == (alarm.number, alarm.state)

        against_the_model(plant.registry, page, floods)
        assert plant.registry.verify_audit() is None
        assert max(stalls) < 0.5, "the loop stood still"


def against_the_model(registry: Registry, page: dict[str, Any], floods: list[dict[str, Any]]) -> None:
    """Let the model deal with the same events at the same instants."""
    model = Model(
        {k.value: Def(d.priority.rank, longest=1, by=()) for k, d in DEFAULTS.items()}, 10, 5, 600 * NS_PER_S, 2
    )
    told = []
    for change in registry.alarm_changes(limit=100_000):
        id_, at = change.alarm.id, change.at_ns
        model.go(at)
        if change.event is AlarmEvent.ACKNOWLEDGED:
            assert model.command("acknowledge", id_, "", 0, "") == ""
        else:
            model.report(id_, change.alarm.kind.value, EDGE, change.event is AlarmEvent.RAISED, at, None, None)
        if change.annunciated is not Annunciation.NONE:
            told.append((at, id_, change.annunciated is Annunciation.HELD_BACK))
    assert told == model.log
    assert {alarm.id: alarm.state.value for alarm in registry.alarms()} == {n: c.shown for n, c in model.cases.items()}
    assert model.flood is not None
    low, medium, high = model.flood["held"]
    expected = {"low": low, "medium": medium, "high": high}
    assert page["flood"]["n_alarms"] == model.flood["n"] == N - 10
    assert page["flood"]["n_held_back"] == expected
    assert (floods[0]["n_alarms"], floods[-1]["n_alarms"], floods[-1]["n_held_back"]) == (1, N - 10, expected) or (
        floods[-1]["n_held_back"] == expected
    )
    (kept,) = registry.alarm_floods(InstantNs(0), InstantNs(2**62))
    assert kept.began_ns == model.flood["from"]


async def listen(client: httpx.AsyncClient, heard: list[dict[str, Any]], floods: list[dict[str, Any]]) -> None:
    async with contextlib.aclosing(events(client, "/v1/stream?events=alarm,flood")) as stream:
        async for _, name, data in stream:
            if name == "alarm":
                heard.append(data)
            elif name == "flood":
                floods.append(data)


async def watch(stalls: list[float]) -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        stalls.append(time.monotonic() - before)


async def every_page(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    async for page in pages(client, "/v1/alarms?limit=300"):
        for alarm in page["items"]:
            assert alarm["id"] not in found
            found[alarm["id"]] = alarm
    return found


async def pages(client: httpx.AsyncClient, address: str) -> AsyncIterator[dict[str, Any]]:
    while address:
        answer = await client.get(address)
        yield json.loads(answer.text)
        address = answer.headers.get("link", "").removeprefix("<").split(">")[0]


async def test_what_stood_and_what_was_shelved_outlive_the_service() -> None:
    async with (
        running(1, history_s=2, feed=False) as plant,
        httpx.AsyncClient(base_url=plant.service.address) as client,
    ):
        say(plant, 0, holds=True)
        say(plant, 1, holds=True)
        async with asyncio.timeout(10):
            while (await client.get("/v1/alarms")).json()["n_total"] != 2:
                await asyncio.sleep(0.05)
        body = {"command": "shelve", "alarms": ["s-000:drift"], "duration_s": 3600, "reason": "cleaning"}
        await client.post("/v1/alarms/commands", json=body)
        before = (await client.get("/v1/alarms")).json()["items"]
        plant.stop.set()
        await plant.task
        say(plant, 1, holds=False)  # while nobody listens
        plant.stop.clear()
        again = asyncio.create_task(plant.service.run(plant.stop))
        plant.service.listening.clear()
        await asyncio.wait_for(plant.service.listening.wait(), 20)
        async with httpx.AsyncClient(base_url=plant.service.address) as anew, asyncio.timeout(10):
            while True:
                after = {a["id"]: a for a in (await anew.get("/v1/alarms")).json()["items"]}
                if after["s-000:out_of_tolerance"]["state"] == "returned_unacknowledged":
                    break
                await asyncio.sleep(0.05)
        assert after["s-000:drift"] == next(a for a in before if a["id"] == "s-000:drift")
        plant.stop.set()
        await again
