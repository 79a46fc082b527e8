"""What must not harm an edge that is told what to read: nonsense, absent files, other sensors of the same source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dyncal.contracts.commissioning import VERSION, BrowseRequest, TopicsRequest
from dyncal.domain.samples import GapRecord
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.commissioning import looking
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_commissioning import (
    ask,
    born,
    devices,
    opcua,
    rejected,
    reported,
    tell,
    values,
)
from tests.integration.edge_agent.test_delivery import edge, listening, message
from tests.unit.edge_agent.helpers import Content


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant(free_port())
    await plant.start(A=0.0, B=0.0)
    try:
        yield plant
    finally:
        await plant.stop()


async def still_reads(broker: FakeBroker, value: float = 77.0) -> None:
    """Have a sample of the edge's own sensor go all the way."""
    broker.publish("devices/TT-101", message(now_ns(), value))
    await until(lambda: value in values(broker, "TT-101"))


def with_password(tmp_path: Path, sensor: str = "TT-7") -> dict[str, Any]:
    file = tmp_path / "var" / "edge" / "edge1" / "secrets" / "broker.txt"
    return {**devices(sensor), "broker": {"username": "u", "password_file": str(file)}}


async def test_a_password_file_that_is_not_there_is_told_and_nothing_changes(
    tmp_path: Path, broker: FakeBroker
) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-8")])
        await reported(broker, 1)
        tell(broker, tmp_path, 2, mqtt=[devices("TT-8"), with_password(tmp_path)])
        said = await rejected(broker)
        assert "broker.txt" in said.reason
        assert said.running == 1
        assert born(broker) == {"TT-101", "TT-8"}
        await still_reads(broker)


async def test_a_password_file_that_has_gone_keeps_nothing_else_from_being_read(
    tmp_path: Path, broker: FakeBroker
) -> None:
    source = with_password(tmp_path)
    file = Path(source["broker"]["password_file"])
    file.parent.mkdir(parents=True)
    file.write_text("hunter2")
    settings = settings_of(tmp_path, edge())
    async with running(settings, broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-8"), source])
        await reported(broker, 1)
    file.unlink()

    async with running(settings, broker) as service:
        await still_reads(broker)
        broker.publish("other/TT-8", message(now_ns(), 3.0))
        await until(lambda: 3.0 in values(broker, "TT-8"))
        assert any("broker.txt" in trouble for trouble in service.health().parts.values())
        file.write_text("hunter2")
        tell(broker, tmp_path, 2, mqtt=[devices("TT-8"), source])
        await reported(broker, 2)
        broker.publish("other/TT-7", message(now_ns(), 4.0))
        await until(lambda: 4.0 in values(broker, "TT-7"))


async def test_a_mapping_by_level_does_not_know_sensors_that_have_gone(tmp_path: Path, broker: FakeBroker) -> None:
    by_level = {"mappings": [{"topic": "level/+", "sensor_level": 1, "format": "number", "value_at": ""}]}
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[by_level, devices("TT-7")])
        await reported(broker, 1)
        broker.publish("level/TT-7", b"1.5")
        await until(lambda: values(broker, "TT-7") == {1.5})
        tell(broker, tmp_path, 2, mqtt=[by_level])
        await reported(broker, 2)
        broker.publish("level/TT-7", b"2.5")
        await still_reads(broker)


HOSTILE = [
    b'{"v": 1' + b"0" * 400 + b"}",
    b'{"v": ' + b"9" * 5000 + b"}",
    b"1" * 100_000,
    b'{"v": [' + b"[" * 500 + b"]" * 500 + b"]}",
    b"\x81\x80\x01",
    b"\xff" * 100,
]


async def test_messages_of_any_shape_are_listened_to(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        for k, payload in enumerate(HOSTILE):
            broker.publish(f"odd/{k}", payload, retain=True)
        broker.publish("odd/good", b'{"v": 1.5}', retain=True)
        reply = await ask(broker, tmp_path, TopicsRequest(VERSION, "t", now_ns(), filter="odd/#", seconds=0.3))
        assert reply.error == ""
        assert len(reply.topics) == len(HOSTILE) + 1
        assert next(t for t in reply.topics if t.topic == "odd/good").numbers[0].place == "/v"
        await still_reads(broker)


async def test_a_server_that_answers_nonsense_is_told_and_harms_nothing(
    tmp_path: Path, broker: FakeBroker, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lie(*_: object) -> list[object]:
        raise AttributeError("'NoneType' object has no attribute 'Value'")

    monkeypatch.setattr(looking, "namespaces", lie)
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        for k in range(3):
            reply = await ask(broker, tmp_path, BrowseRequest(VERSION, f"q{k}", now_ns(), {"url": plant.url}))
            assert "NoneType" in reply.error
        await still_reads(broker)


async def test_a_node_more_of_a_server_interrupts_none_that_is_read_of_it(
    tmp_path: Path, broker: FakeBroker, plant: Plant
) -> None:
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        tell(broker, tmp_path, 1, opcua=[opcua(plant, "A")])
        await reported(broker, 1)
        await until(lambda: service.health().parts[plant.url] == "")
        stop = asyncio.Event()
        writing = asyncio.create_task(write_until(plant, "A", stop))
        await asyncio.sleep(0.5)
        for revision, names in ((2, "AB"), (3, "A"), (4, "AB")):
            tell(broker, tmp_path, revision, opcua=[opcua(plant, *names)])
            await reported(broker, revision)
            await asyncio.sleep(0.5)
        stop.set()
        n = await writing
        await until(lambda: float(n - 1) in values(broker, "A"))
        await asyncio.sleep(0.2)
    missing = set(map(float, range(1, n))) - values(broker, "A")
    assert not missing
    gaps = [record for record in sent(broker, "A") if isinstance(record, GapRecord)]
    assert len(gaps) <= 1, "from the server's first value to the first of this test"


async def test_a_topic_more_of_a_broker_interrupts_none_that_is_read_of_it(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-7")])
        await reported(broker, 1)
        stop, start = asyncio.Event(), now_ns()

        async def publish() -> int:
            k = 0
            while not stop.is_set():
                broker.publish("other/TT-7", message(start + k * 10_000_000, float(k)))
                k += 1
                await asyncio.sleep(0.002)
            return k

        publishing = asyncio.create_task(publish())
        await asyncio.sleep(0.1)
        for revision, names in ((2, ("TT-7", "TT-8")), (3, ("TT-7",)), (4, ("TT-7", "TT-9"))):
            mappings = [devices(name)["mappings"][0] for name in names]
            tell(broker, tmp_path, revision, mqtt=[{"mappings": mappings}])
            await reported(broker, revision)
            await asyncio.sleep(0.2)
        stop.set()
        n = await publishing
        await until(lambda: float(n - 1) in values(broker, "TT-7"))
    raw = Content.of(sent(broker, "TT-7")).raw
    assert set(map(float, range(n))) - {value for value, _ in raw.values()} == set()
    assert len(raw) == n, "and none twice"


async def write_until(plant: Plant, name: str, stop: asyncio.Event) -> int:
    start, k = now_ns() // 1000 * 1000, 1
    while not stop.is_set():
        await plant.write(name, float(k), start + k * 10_000_000)
        k += 1
        await asyncio.sleep(0.005)
    return k


async def test_the_same_revision_with_other_content_is_not_said_to_be_in_force(
    tmp_path: Path, broker: FakeBroker
) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-7")])
        await reported(broker, 1)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-8")])
        said = await rejected(broker)
        assert "revision 1" in said.reason
        assert born(broker) == {"TT-101", "TT-7"}


async def test_a_sensor_that_came_into_the_file_too_does_not_take_the_others_with_it(
    tmp_path: Path, broker: FakeBroker
) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-7"), devices("TT-8")])
        await reported(broker, 1)
    section = edge()
    section["mqtt"] = [*section["mqtt"], devices("TT-7")]
    async with running(settings_of(tmp_path, section), broker):
        said = await rejected(broker)
        assert "TT-7" in said.reason
        await until(lambda: born(broker) == {"TT-101", "TT-7", "TT-8"})
        broker.publish("other/TT-8", message(now_ns(), 3.0))
        await until(lambda: 3.0 in values(broker, "TT-8"))


async def test_a_password_in_an_address_does_not_travel(tmp_path: Path, broker: FakeBroker, plant: Plant) -> None:
    url = plant.url.replace("opc.tcp://", "opc.tcp://user:hunter2@")
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        reply = await ask(broker, tmp_path, BrowseRequest(VERSION, "q", now_ns(), {"url": url}))
        assert "user name and password" in reply.error
        assert "hunter2" not in reply.error


async def test_a_server_with_very_many_and_very_long_nodes_is_browsed(
    tmp_path: Path, broker: FakeBroker, plant: Plant
) -> None:
    for k in range(3000):
        await plant.add(f"N{k:04}", 1.0)
    await plant.add("x" * 2500, 1.0)
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        reply = await ask(broker, tmp_path, BrowseRequest(VERSION, "q", now_ns(), {"url": plant.url}))
        assert reply.error == ""
        assert reply.more, "one cannot be named"
        assert {f"N{k:04}" for k in range(3000)} <= {node.name for node in reply.nodes}
        assert max(len(node.node) for node in reply.nodes) <= 2000
