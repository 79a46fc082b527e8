"""A sensor from a server's address space to its values, over HTTP alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer
from dyncal.domain.errors import Unavailable
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from services.api import commissioning
from services.api.app import create_app
from services.api.consumer import BusConsumer
from services.api.deps import Deps
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_delivery import edge, message
from tests.unit.edge_agent.helpers import Content
from tests.unit.services.api.conftest import OPEN

EDGE = "/v1/edges/edge1"
MAPPING = {"topic": "o/7", "sensor": "TT-7", "unit": "Cel", "dt_s": 0.1, "time_at": "/t", "time_format": "ns"}


@dataclass(slots=True)
class Site:
    broker: FakeBroker
    deps: Deps
    http: httpx.AsyncClient


@contextlib.asynccontextmanager
async def serving(broker: FakeBroker, tmp_path: Path, *, keys: str = "var") -> AsyncIterator[Site]:
    registry = open_registry(RegistrySettings(), tmp_path)
    deps = Deps.make(registry, MemorySampleStore(), SystemClock(), OPEN, console=tmp_path / "none")
    signer = partial(open_signer, SigningSettings(), tmp_path / keys)
    transport = httpx.ASGITransport(create_app(deps), raise_app_exceptions=False)
    async with (
        broker.bus("api", clean=True) as bus,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        tasks = [
            asyncio.create_task(BusConsumer(deps).run(bus)),
            asyncio.create_task(deps.commissioning.run(bus, signer)),
        ]
        try:
            yield Site(broker, deps, http)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            registry.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(FakeBroker(), tmp_path) as site:
        yield site


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant(free_port())
    await plant.start(A=0.0, B=0.0)
    try:
        yield plant
    finally:
        await plant.stop()


def has(broker: FakeBroker, sensor: str, value: float) -> bool:
    return any(raw == value for raw, _ in Content.of(sent(broker, sensor)).raw.values())


async def there(site: Site) -> None:
    await until(lambda: bool(site.deps.edges.online("edge1")))  # type: ignore[arg-type]  # a plain name does


async def test_from_an_address_to_values(tmp_path: Path, site: Site, plant: Plant) -> None:
    server = {"url": plant.url, "timeout_s": 2}
    async with running(settings_of(tmp_path, edge()), site.broker) as service:
        await there(site)
        top = (await site.http.post(f"{EDGE}/browse", json={"server": server})).json()
        found = {node["name"]: node for node in top["nodes"]}
        assert found["A"]["numeric"]
        before = await site.http.get(f"{EDGE}/sources")
        assert before.json()["revision"] == 0
        assert before.json()["reported"] is None
        nodes = [
            {"sensor": "A", "node": found["A"]["node"], "unit": "Cel", "dt_s": 0.01, "reference": "B",
             "model": "first_order"},
            {"sensor": "B", "node": found["B"]["node"], "unit": "Cel", "dt_s": 0.01},
        ]  # fmt: skip
        put = await site.http.put(
            f"{EDGE}/sources",
            params={"reason": "commissioned"},
            headers={"If-Match": before.headers["etag"]},
            json={"opcua": [{**server, "publishing_s": 0.02, "nodes": nodes}]},
        )
        assert put.status_code == 200
        said = put.json()
        assert (said["revision"], said["reported"]["outcome"], said["reported"]["running"]) == (1, "applied", 1)
        await until(lambda: service.health().parts[plant.url] == "")
        for name in ("A", "B"):
            await plant.write(name, 20.5, now_ns() // 1000 * 1000)
            await until(partial(has, site.broker, name, 20.5))
        await until(lambda: "A" in site.deps.catalogue.get().pairings)
    assert site.deps.catalogue.get().pairings["A"].reference == "B"  # type: ignore[index]  # a plain name does
    (entry,) = [entry for entry in site.deps.registry.audit() if entry.action == "sources.set"]
    assert (entry.subject, entry.reason) == ("sources.edge1", "commissioned")


async def test_topics_of_a_broker(tmp_path: Path, site: Site) -> None:
    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        asked = asyncio.create_task(site.http.post(f"{EDGE}/topics", json={"filter": "other/#", "seconds": 0.5}))
        while not asked.done():
            site.broker.publish("other/TT-7", message(now_ns(), 20.5))
            await asyncio.sleep(0.05)
        (topic,) = (await asked).json()["topics"]
    assert topic["format"] == "json"
    assert [place["place"] for place in topic["numbers"]] == ["/t", "/v"]


async def test_what_the_edge_refuses_is_said_and_the_next_one_counts(tmp_path: Path, site: Site) -> None:
    good: dict[str, Any] = {"mappings": [MAPPING]}
    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        bad = await site.http.put(f"{EDGE}/sources", json={"mqtt": [{"mappings": []}]})
        assert bad.json()["reported"]["outcome"] == "rejected"
        assert "mappings" in bad.json()["reported"]["reason"]
        put = await site.http.put(f"{EDGE}/sources", json={"mqtt": [good]}, headers={"If-Match": '"1"'})
        assert put.json()["reported"]["outcome"] == "applied"
        late = await site.http.put(f"{EDGE}/sources", json={}, headers={"If-Match": '"1"'})
        assert late.status_code == 412
        read = await site.http.get(f"{EDGE}/sources")
        assert read.headers["etag"] == '"2"'
        assert read.json()["mqtt"] == [good]


async def test_errors_are_said_as_problems(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commissioning, "ANSWER_S", 0.3)
    assert (await site.http.get("/v1/edges/nobody/sources")).status_code == 404
    assert (await site.http.post("/v1/edges/nobody/browse", json={"server": {}})).status_code == 404
    assert (await site.http.post(f"{EDGE}/topics", json={"seconds": 1e9})).status_code == 422
    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        problem = await site.http.post(f"{EDGE}/browse", json={"server": {"url": "opc.tcp://127.0.0.1:1"}})
        assert problem.status_code == 422
        assert "127.0.0.1:1" in problem.json()["detail"]
    await until(lambda: site.deps.edges.online("edge1") is False)  # type: ignore[arg-type]  # a plain name does
    assert (await site.http.post(f"{EDGE}/browse", json={"server": {}})).status_code == 503
    assert (await site.http.get(f"{EDGE}/sources")).status_code == 200


async def test_an_edge_that_was_away_or_whose_broker_forgot_is_told_again(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commissioning, "REPEAT_S", 0.1)
    monkeypatch.setattr(commissioning, "REPORT_S", 0.2)
    settings = settings_of(tmp_path, edge())
    async with running(settings, site.broker):
        await there(site)
    put = await site.http.put(f"{EDGE}/sources", json={"mqtt": [{"mappings": [MAPPING]}]})
    assert put.json()["reported"] is None
    site.broker.retained.pop("dyncal/v1/plant/edge1/sources/desired")
    async with running(settings, site.broker):
        await until(lambda: "TT-7" in site.deps.catalogue.get().sensors)


async def test_an_edge_that_does_not_trust_the_key_says_so(tmp_path: Path) -> None:
    async with (
        serving(FakeBroker(), tmp_path, keys="other") as site,
        running(settings_of(tmp_path, edge()), site.broker),
    ):
        await there(site)
        put = await site.http.put(f"{EDGE}/sources", json={})
        assert put.json()["reported"]["outcome"] == "rejected"
        assert "not signed" in put.json()["reported"]["reason"]


SECRETS: list[dict[str, Any]] = [
    {"opcua": [{"url": "opc.tcp://user:hunter2@plc:4840", "nodes": []}]},
    {"opcua": [{"url": "opc.tcp://plc", "username": "u", "password": "hunter2"}]},
    {"mqtt": [{"broker": {"host": "h", "password": "hunter2"}, "mappings": [MAPPING]}]},
]


@pytest.mark.parametrize("body", SECRETS)
async def test_a_secret_is_neither_kept_nor_published(tmp_path: Path, site: Site, body: dict[str, Any]) -> None:
    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        put = await site.http.put(f"{EDGE}/sources", json=body)
        assert put.status_code == 422
        assert "hunter2" not in put.text
        asked = await site.http.post(f"{EDGE}/browse", json={"server": {**body, "url": "opc.tcp://x"}})
        assert asked.status_code == 422
    assert not any(b"hunter2" in message.payload for message in site.broker.log)
    assert site.deps.registry.load_snapshot("sources.edge1") is None


async def test_a_sensor_that_another_edge_reads_is_not_taken(tmp_path: Path, site: Site) -> None:
    """Two edges that read one sensor mix two sources in one record."""
    other = settings_of(tmp_path, edge(name="edge2"))
    own = settings_of(tmp_path, {"name": "edge1"})
    async with running(own, site.broker), running(other, site.broker):
        await there(site)
        await until(lambda: "TT-101" in site.deps.catalogue.get().sensors)
        body = {"mqtt": [{"mappings": [{**MAPPING, "sensor": "TT-101"}]}]}
        put = await site.http.put(f"{EDGE}/sources", json=body)
        assert put.status_code == 409
        assert "edge2" in put.json()["detail"]
        moved = {"mqtt": [{"mappings": [MAPPING]}]}
        assert (await site.http.put("/v1/edges/edge2/sources", json=moved)).json()["reported"]["outcome"] == "applied"
        await until(lambda: "TT-7" in site.deps.catalogue.get().sensors)
        assert (await site.http.put(f"{EDGE}/sources", json=moved)).status_code == 409
        assert (await site.http.put("/v1/edges/edge2/sources", json={})).status_code == 200

        async def taken() -> bool:
            put = await site.http.put(f"{EDGE}/sources", json=moved)
            return put.status_code == 200

        for _ in range(50):  # the other edge's birth without it is on its way
            if await taken():
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("a sensor that nobody reads any more can be read by another edge")


async def test_references_in_a_circle_are_refused(tmp_path: Path, site: Site) -> None:
    def mapping(sensor: str, reference: str) -> dict[str, Any]:
        return {**MAPPING, "sensor": sensor, "topic": f"o/{sensor}", "reference": reference, "model": "first_order"}

    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        circle = [mapping("A", "B"), mapping("B", "C"), mapping("C", "A")]
        put = await site.http.put(f"{EDGE}/sources", json={"mqtt": [{"mappings": circle}]})
        assert put.status_code == 422
        assert "A → B → C → A" in put.json()["detail"]
        assert (await site.http.get(f"{EDGE}/sources")).json()["revision"] == 0


async def test_a_registry_that_is_away_ends_nothing(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commissioning, "REPEAT_S", 0.05)
    tries = 0

    def away(key: str) -> bytes | None:
        nonlocal tries
        tries += key.startswith("sources.")
        raise Unavailable("the registry does not answer")

    async with running(settings_of(tmp_path, edge()), site.broker):
        await there(site)
        with monkeypatch.context() as during:
            during.setattr(site.deps.registry, "load_snapshot", away)
            site.deps.commissioning._said.clear()
            await until(lambda: tries >= 3)
        put = await site.http.put(f"{EDGE}/sources", json={"mqtt": [{"mappings": [MAPPING]}]})
        assert put.json()["reported"]["outcome"] == "applied"
