"""The edge against a real OPC UA server over TCP, with the bus in-process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asyncua import ua

from dyncal.domain.samples import GapCause, GapRecord
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.readers.items import MonitoredItems
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content

STATUS = "dyncal/v1/plant/edge1/status"
EVENTS = "dyncal/v1/plant/edge1/events"


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant(free_port())
    await plant.start(A=0.0, B=0.0, C=[0.0])
    try:
        yield plant
    finally:
        await plant.stop()


def edge(plant: Plant, *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"opcua": [{"url": plant.url, "publishing_s": 0.02, "timeout_s": 2, "nodes": list(nodes)}]}


def node(name: str, **more: Any) -> dict[str, Any]:
    return {"sensor": name, "node": f"ns=2;s={name}", "unit": "Cel", "dt_s": 0.01, **more}


def events(broker: FakeBroker) -> list[tuple[str, str, str]]:
    found = [msgspec.json.decode(payload) for payload in broker.published(EVENTS)]
    return [(event["kind"], event.get("sensor", ""), event.get("detail", "")) for event in found]


def up(broker: FakeBroker) -> bool:
    return any(kind == "source_connected" for kind, _, _ in events(broker))


async def test_every_value_comes_with_its_time_and_status(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    nodes = [node("A", reference="B", model="first_order"), {**node("B"), "node": "/Objects/2:B"}]
    async with running(settings_of(tmp_path, edge(plant, *nodes)), broker):
        await until(lambda: up(broker))
        start = now_ns() // 1000 * 1000
        expected = {}
        for k in range(200):
            t, status = start + k * 10_000_000, 0x4090_0000 if k % 7 == 0 else 0
            await plant.write("A", 20.0, t, status)  # a value that stays the same is a sample too
            await plant.write("B", k / 3, t)
            expected[t] = (k / 3, 0)
            if k % 5 == 4:
                await asyncio.sleep(0.02)
        await until(lambda: len(Content.of(sent(broker, "B")).raw) >= 200)
        await until(lambda: len(Content.of(sent(broker, "A")).raw) >= 200)
        status_message = msgspec.json.decode(broker.retained[STATUS])
    a, b = Content.of(sent(broker, "A")), Content.of(sent(broker, "B"))
    assert {t: b.raw[t] for t in expected} == expected
    assert [a.raw[t][1] for t in expected][:8] == [0x4090_0000, *[0] * 6, 0x4090_0000]
    assert a.sequences == list(range(len(a.sequences)))
    assert status_message["state"] == "online"
    assert status_message["sensors"][0]["pairing"]["model"] == "first_order"
    assert msgspec.json.decode(broker.retained[STATUS])["state"] == "offline"


async def test_an_array_is_a_block_that_ends_at_its_time_stamp(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    nodes = [node("C", dt_s=0.001, array=True)]
    async with running(settings_of(tmp_path, edge(plant, *nodes)), broker):
        await until(lambda: up(broker))
        start = now_ns() // 1000 * 1000
        for k in range(1, 6):
            await plant.write("C", [float(100 * k + i) for i in range(100)], start + k * 100_000_000)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 500)
    raw = Content.of(sent(broker)).raw
    assert raw[start + 100_000_000] == (199.0, 0)
    assert raw[start + 100_000_000 - 99_000_000] == (100.0, 0)
    assert raw[start + 500_000_000] == (599.0, 0)


async def test_a_node_that_is_not_there_harms_no_other(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    nodes = [node("X"), {**node("Y"), "node": "/Objects/2:Nowhere/2:Y"}, node("A")]
    async with running(settings_of(tmp_path, edge(plant, *nodes)), broker) as service:
        await until(lambda: up(broker))
        start = now_ns()
        for k in range(20):
            await plant.write("A", float(k), start + k * 10_000_000)
        await until(lambda: len(Content.of(sent(broker, "A")).raw) >= 20)
        health = service.health()
    failed = {sensor: detail for kind, sensor, detail in events(broker) if kind == "node_failed"}
    assert "BadNodeIdUnknown" in failed["X"]
    assert "Y" in failed
    assert health.ready
    assert "2 nodes refused" in health.parts[plant.url]


async def test_what_is_no_number_is_reported_and_kept_as_a_hole(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    hostile: list[tuple[Any, ua.VariantType]] = [
        ("text", ua.VariantType.String),
        (b"\xff\xfe", ua.VariantType.ByteString),
        (ua.LocalizedText("x"), ua.VariantType.LocalizedText),
        ([1.0, 2.0], ua.VariantType.Double),
        ([[1.0], [2.0]], ua.VariantType.Double),
        (["a", "b"], ua.VariantType.String),
        (math.nan, ua.VariantType.Double),
        (math.inf, ua.VariantType.Double),
        (1.7e308, ua.VariantType.Double),
    ]
    for k, (value, variant) in enumerate(hostile):
        await plant.add(f"H{k}", ua.Variant(value, variant))
    await plant.add("N", ua.Variant(2**63, ua.VariantType.UInt64))
    names = [f"H{k}" for k in range(len(hostile))]
    nodes = [node("A"), node("N"), *(node(name, array=name == "H5") for name in names)]
    async with running(settings_of(tmp_path, edge(plant, *nodes)), broker):
        await until(lambda: up(broker))
        await plant.write("A", 7.0, -11_000_000_000_000_000_000)
        last = now_ns() // 1000 * 1000
        await plant.write("A", 42.0, last)
        await until(lambda: last in Content.of(sent(broker, "A")).raw)
        await until(lambda: sent(broker, "H8") and sent(broker, "N"))
    assert Content.of(sent(broker, "A")).raw[last] == (42.0, 0)
    assert [value for value, _ in Content.of(sent(broker, "N")).raw.values()] == [float(2**63)]
    for name in names:
        for value, code in Content.of(sent(broker, name)).raw.values():
            assert math.isnan(value)
            assert code & 0x8000_0000
    quarantined = {sensor for kind, sensor, _ in events(broker) if kind == "input_quarantined"}
    assert quarantined == set(names[:6])
    assert "samples_refused" in [kind for kind, sensor, _ in events(broker) if sensor == "A"]


async def test_a_server_that_is_absent_and_comes_and_goes(tmp_path: Path) -> None:
    broker = FakeBroker()
    port = free_port()
    first = Plant(port)
    async with running(settings_of(tmp_path, edge(first, node("A"))), broker) as service:
        await until(lambda: service.health().ready)
        assert service.health().parts[first.url]
        await first.start(A=0.0)
        await until(lambda: up(broker))
        await first.write("A", 1.0, now_ns())
        await until(lambda: len(Content.of(sent(broker)).raw) >= 2)
        await first.stop()
        await until(lambda: "source_lost" in [kind for kind, _, _ in events(broker)][2:], 20)
        second = Plant(port)
        await second.start(A=0.0)
        try:
            n = len(Content.of(sent(broker)).raw)
            await until(lambda: not service.health().parts[first.url], 30)
            await second.write("A", 2.0, now_ns())
            await until(lambda: len(Content.of(sent(broker)).raw) > n)
        finally:
            await second.stop()
    gaps = [record.gap for record in sent(broker) if isinstance(record, GapRecord)]
    assert GapCause.CONNECTION_LOST in [gap.cause for gap in gaps]


async def test_an_agent_that_stops_and_comes_back_goes_on_with_its_subscription(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    settings = settings_of(tmp_path, edge(plant, node("A")))
    async with running(settings, broker):
        await until(lambda: up(broker))
        assert plant.n_subscriptions == 1
    start = now_ns() // 1000 * 1000
    for k in range(20):
        await plant.write("A", float(k), start + k * 10_000_000)
    async with running(settings, broker):
        await until(lambda: start + 190_000_000 in Content.of(sent(broker)).raw)
        assert plant.n_subscriptions == 1
    raw = Content.of(sent(broker)).raw
    assert {k: raw[start + k * 10_000_000][0] for k in range(20)} == {k: float(k) for k in range(20)}


async def test_an_agent_that_stops_before_it_has_read_leaves_nothing_on_the_server(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stands_still(self: MonitoredItems) -> Any:
        del self
        await asyncio.Event().wait()

    monkeypatch.setattr(MonitoredItems, "create_missing", stands_still)
    async with running(settings_of(tmp_path, edge(plant, node("A"))), FakeBroker()):
        await until(lambda: plant.n_subscriptions == 1)
    assert plant.n_subscriptions == 0


async def test_sensors_are_found_by_pattern(tmp_path: Path, plant: Plant) -> None:
    broker = FakeBroker()
    for name in ("TT1", "TT2", "PT1"):
        await plant.add(name, 1.0)
    sensors = [{"sensor": f"line.{name}", "unit": "Cel", "dt_s": 0.01} for name in ("TT1", "TT2")]
    server = {"url": plant.url, "publishing_s": 0.02, "timeout_s": 2, "nodes": [node("A")]}
    edge = {"sensors": sensors, "opcua": [{**server, "browse": [{"path": "/Objects/2:?T*", "sensor": "line.{name}"}]}]}
    async with running(settings_of(tmp_path, edge), broker):
        await until(lambda: up(broker))
        for k, name in enumerate(("TT1", "TT2", "PT1", "A")):
            await plant.write(name, 10.0 + k, now_ns())
        for k, sensor in enumerate(("line.TT1", "line.TT2")):
            await until(lambda s=sensor, v=10.0 + k: (v, 0) in Content.of(sent(broker, s)).raw.values())  # type: ignore[misc]  # bound for now
        await until(lambda: (13.0, 0) in Content.of(sent(broker, "A")).raw.values())
    (detail,) = (detail for kind, _, detail in events(broker) if kind == "node_failed")
    assert detail.startswith("1 of 3 variables of /Objects/2:?T* are no sensors")
    assert detail.endswith("such as line.PT1 (ns=2;s=PT1)")


async def test_a_restart_that_reorders_namespaces_reads_the_same_nodes(tmp_path: Path) -> None:
    broker = FakeBroker()
    port = free_port()
    names = {"B": "nsu=urn:b;s=B", "P": "/Objects/line:P"}
    nodes = [{**node(name), "node": text} for name, text in names.items()]
    url = f"opc.tcp://127.0.0.1:{port}"
    server = {"url": url, "publishing_s": 0.02, "timeout_s": 2, "nodes": nodes}
    async with running(settings_of(tmp_path, {"opcua": [{**server, "namespaces": {"line": "urn:b"}}]}), broker) as edge:
        for k, order in enumerate((("urn:a", "urn:b"), ("urn:b", "urn:a"))):
            plant = Plant(port)
            await plant.start()
            await plant.name_spaces(*order)
            for name in names:
                await plant.add(name, 99.0, 2 + order.index("urn:a"))
                await plant.add(name, float(k), 2 + order.index("urn:b"))
            await until(lambda: not edge.health().parts.get(url, "no"), 40)
            for name in names:
                await plant.write(name, float(10 + k), now_ns())
                await until(lambda n=name, k=k: (10.0 + k, 0) in Content.of(sent(broker, n)).raw.values())  # type: ignore[misc]  # bound for now
            await plant.stop()
    values = {value for name in names for value, _ in Content.of(sent(broker, name)).raw.values()}
    assert values == {0.0, 1.0, 10.0, 11.0}
