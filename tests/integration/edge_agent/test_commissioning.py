"""Sources that come and go while the edge runs, as it is told over the bus, and what it finds when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dyncal.adapters.signing import open_signer
from dyncal.contracts.commissioning import (
    VERSION,
    BrowseRequest,
    FoundNode,
    Reply,
    SourcesMessage,
    SourcesReport,
    TopicsRequest,
    seal,
)
from dyncal.domain.samples import GapRecord
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import SigningSettings
from dyncal.testing.bus import FakeBroker
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_delivery import edge, feed, listening, message
from tests.unit.edge_agent.helpers import Content

PREFIX = "dyncal/v1/plant/edge1"
DESIRED, REPORTED, STATUS = f"{PREFIX}/sources/desired", f"{PREFIX}/sources/reported", f"{PREFIX}/status"
REQUESTS, REPLIES = f"{PREFIX}/requests", f"{PREFIX}/replies"


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant(free_port())
    await plant.start(A=0.0, B=0.0, C=[0.0, 1.0], D="text")
    try:
        yield plant
    finally:
        await plant.stop()


def opcua(plant: Plant, *names: str, **more: Any) -> dict[str, Any]:
    nodes = [{"sensor": name, "node": f"ns=2;s={name}", "unit": "Cel", "dt_s": 0.01} for name in names]
    return {"url": plant.url, "publishing_s": 0.02, "timeout_s": 2, "nodes": nodes, **more}


def devices(sensor: str) -> dict[str, Any]:
    return {
        "mappings": [
            {
                "topic": f"other/{sensor}",
                "sensor": sensor,
                "unit": "Cel",
                "dt_s": 0.01,
                "time_at": "/t",
                "time_format": "ns",
                "value_at": "/v",
            }
        ]
    }


def tell(broker: FakeBroker, tmp_path: Path, revision: int, *, signer: str = "var", **sources: Any) -> None:
    text = SourcesMessage(VERSION, revision, now_ns(), **sources)
    broker.publish(DESIRED, seal(text, DESIRED, open_signer(SigningSettings(), tmp_path / signer)), retain=True)


def report(broker: FakeBroker) -> SourcesReport | None:
    payload = broker.retained.get(REPORTED)
    return None if payload is None else msgspec.json.decode(payload, type=SourcesReport)


async def reported(broker: FakeBroker, revision: int, outcome: str = "applied") -> SourcesReport:
    def there() -> bool:
        said = report(broker)
        return said is not None and (said.revision, said.outcome) == (revision, outcome)

    await until(there)
    found = report(broker)
    assert found is not None
    return found


def born(broker: FakeBroker) -> set[str]:
    return {sensor["id"] for sensor in msgspec.json.decode(broker.retained[STATUS]).get("sensors", [])}


def _has(broker: FakeBroker, sensor: str, value: float) -> bool:
    return value in values(broker, sensor)


async def write(plant: Plant, name: str, n: int) -> None:
    start = now_ns() // 1000 * 1000
    for k in range(n):
        await plant.write(name, float(k), start + k * 10_000_000)
        await asyncio.sleep(0.002)


def values(broker: FakeBroker, sensor: str) -> set[float]:
    return {value for value, _ in Content.of(sent(broker, sensor)).raw.values()}


async def test_a_server_is_read_once_the_edge_is_told_and_again_after_a_restart(
    tmp_path: Path, broker: FakeBroker, plant: Plant
) -> None:
    settings, start = settings_of(tmp_path, edge()), now_ns()
    async with running(settings, broker) as service:
        await listening(broker)
        await feed(broker, start, 0, 20)
        tell(broker, tmp_path, 1, opcua=[opcua(plant, "A")])
        assert (await reported(broker, 1)).running == 1
        await feed(broker, start, 20, 20)
        assert born(broker) == {"TT-101", "A"}
        await until(lambda: not service.health().parts[plant.url])
        await write(plant, "A", 20)
        await until(lambda: values(broker, "A") >= set(map(float, range(1, 20))))
        await until(lambda: len(Content.of(sent(broker, "TT-101")).raw) == 40)
    assert not any(isinstance(record, GapRecord) for record in sent(broker, "TT-101")), "the others go on"
    numbers = {record.sequence for record in sent(broker, "A")}
    async with running(settings, broker) as service:
        await until(lambda: plant.url in service.health().parts and not service.health().parts[plant.url])
        assert born(broker) == {"TT-101", "A"}
        await plant.write("A", 99.0, now_ns() // 1000 * 1000)
        await until(lambda: 99.0 in values(broker, "A"))
    assert {record.sequence for record in sent(broker, "A")} > numbers


async def test_what_is_told_takes_the_place_of_what_was_told_before(
    tmp_path: Path, broker: FakeBroker, plant: Plant
) -> None:
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        tell(broker, tmp_path, 1, opcua=[opcua(plant, "A")], mqtt=[devices("TT-7")])
        await reported(broker, 1)
        await until(lambda: not service.health().parts[plant.url])
        broker.publish("other/TT-7", message(now_ns(), 1.0))
        await until(lambda: values(broker, "TT-7") == {1.0})
        reader = next(r for r in service.operation.sources.readers if r.name == plant.url)  # type: ignore[union-attr]
        tell(broker, tmp_path, 2, opcua=[opcua(plant, "A"), opcua(plant, "B")])
        await reported(broker, 2)
        assert born(broker) == {"TT-101", "A", "B"}
        assert reader in service.operation.sources.readers, "what stays as it is goes on"  # type: ignore[union-attr]
        assert not any("south-" in name for name in broker._sessions), "no broker keeps messages for what is not read"
        tell(broker, tmp_path, 3)
        await reported(broker, 3)
        assert born(broker) == {"TT-101"}
        assert plant.url not in service.health().parts


async def test_a_sensor_that_changes_goes_on_with_its_numbers(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        for revision, unit in enumerate(("Cel", "K"), 1):
            source = devices("TT-7")
            source["mappings"][0]["unit"] = unit
            tell(broker, tmp_path, revision, mqtt=[source])
            await reported(broker, revision)
            broker.publish("other/TT-7", message(now_ns(), float(revision)))
            await until(partial(_has, broker, "TT-7", float(revision)))
    numbers = [record.sequence for record in sent(broker, "TT-7")]
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    assert len(set(numbers)) >= 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a sensor of the edge's own file": ({"mqtt": [devices("TT-101")]}, "TT-101 is in the edge's own file"),
    "one sensor twice": ({"mqtt": [devices("TT-7"), devices("TT-7")]}, "TT-7 is declared more than once"),
    "an unknown key": ({"mqtt": [{**devices("TT-7"), "colour": 1}]}, "unknown key"),
    "a secret": (
        {"mqtt": [{**devices("TT-7"), "broker": {"username": "u", "password": "hunter2"}}]},
        "a secret must not travel",
    ),
    "a file that is none of its secrets": (
        {"mqtt": [{**devices("TT-7"), "broker": {"username": "u", "password_file": "/etc/shadow"}}]},
        "expected a file below",
    ),
    "a server without nodes": ({"opcua": [{"url": "opc.tcp://127.0.0.1:1"}]}, "give nodes, or browse"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_read_is_refused_and_changes_nothing(
    tmp_path: Path, broker: FakeBroker, case: str
) -> None:
    sources, reason = REFUSED[case]
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 1, mqtt=[devices("TT-8")])
        await reported(broker, 1)
        tell(broker, tmp_path, 2, **sources)
        said = await rejected(broker)
        assert reason in said.reason
        assert said.revision == 2
        assert "hunter2" not in said.reason
        assert said.running == 1
        assert born(broker) == {"TT-101", "TT-8"}


async def rejected(broker: FakeBroker) -> SourcesReport:
    await until(lambda: (said := report(broker)) is not None and said.outcome == "rejected")
    found = report(broker)
    assert found is not None
    return found


async def test_strangers_and_older_words_are_not_followed(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        tell(broker, tmp_path, 5, mqtt=[devices("TT-7")])
        await reported(broker, 5)
        tell(broker, tmp_path, 6, signer="stranger", mqtt=[devices("TT-9")])
        assert "not signed" in (await rejected(broker)).reason
        tell(broker, tmp_path, 5, mqtt=[devices("TT-7")])
        await reported(broker, 5)
        tell(broker, tmp_path, 4, mqtt=[devices("TT-9")])
        assert "older than 5" in (await rejected(broker)).reason
        broker.publish(DESIRED, b"{", retain=True)
        await until(lambda: "older" not in report(broker).reason)  # type: ignore[union-attr]  # it is there
        assert born(broker) == {"TT-101", "TT-7"}


async def test_a_damaged_file_is_told_and_passed_over(tmp_path: Path, broker: FakeBroker) -> None:
    settings = settings_of(tmp_path, edge())
    settings.commissioned_file.parent.mkdir(parents=True)
    settings.commissioned_file.write_bytes(b"{}")
    async with running(settings, broker):
        assert "sources.json" in (await rejected(broker)).reason
        await listening(broker)


async def ask(broker: FakeBroker, tmp_path: Path, request: BrowseRequest | TopicsRequest) -> Reply:
    broker.publish(REQUESTS, seal(request, REQUESTS, open_signer(SigningSettings(), tmp_path / "var")))
    await until(lambda: request.id in replies(broker))
    return replies(broker)[request.id]


def replies(broker: FakeBroker) -> dict[str, Reply]:
    found = [msgspec.json.decode(payload, type=Reply) for payload in broker.published(REPLIES)]
    return {reply.id: reply for reply in found}


async def test_a_server_is_browsed(tmp_path: Path, broker: FakeBroker, plant: Plant) -> None:
    await plant.write("A", 20.5, now_ns() // 1000 * 1000, 0x4090_0000)
    server = {"url": plant.url, "timeout_s": 2}
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        top = await ask(broker, tmp_path, BrowseRequest(VERSION, "top", now_ns(), server))
        assert top.error == ""
        nodes = {node.name: node for node in top.nodes}
        assert (nodes["Server"].node, nodes["Server"].variable) == ("i=2253", False)
        a = nodes["A"]
        assert a.node.endswith(";s=A")
        assert (a.variable, a.numeric, a.array, a.data_type, a.value) == (True, True, False, "Double", "20.5")
        assert a.status == "UncertainLastUsableValue"
        assert abs(a.source_ns - now_ns()) < 60e9  # type: ignore[operator]  # it is there
        assert (nodes["C"].numeric, nodes["C"].array) == (True, True)
        assert (nodes["D"].variable, nodes["D"].numeric) == (True, False)
        below = await ask(broker, tmp_path, BrowseRequest(VERSION, "below", now_ns(), server, nodes["Server"].node))
        assert {"ServerStatus", "NamespaceArray"} <= {node.name for node in below.nodes}
        assert all(isinstance(node, FoundNode) for node in below.nodes)
        for name, node, reason in (("x", "nonsense", "expected a node id"), ("y", "/Objects/2:No", "BadNoMatch")):
            reply = await ask(broker, tmp_path, BrowseRequest(VERSION, name, now_ns(), server, node))
            assert reason in reply.error


async def test_what_is_found_can_be_commissioned_as_it_is(tmp_path: Path, broker: FakeBroker, plant: Plant) -> None:
    server = {"url": plant.url, "timeout_s": 2}
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        top = await ask(broker, tmp_path, BrowseRequest(VERSION, "top", now_ns(), server))
        found = next(node for node in top.nodes if node.name == "A")
        nodes = [{"sensor": "A", "node": found.node, "unit": "Cel", "dt_s": 0.01}]
        tell(broker, tmp_path, 1, opcua=[{**server, "publishing_s": 0.02, "nodes": nodes}])
        await reported(broker, 1)
        await until(lambda: service.health().parts[plant.url] == "")
        await write(plant, "A", 5)
        await until(lambda: values(broker, "A") >= {1.0, 2.0, 3.0, 4.0})


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"url": "opc.tcp://127.0.0.1:1", "timeout_s": 1}, "127.0.0.1:1"),
        ({"url": "http://127.0.0.1"}, "url"),
        ({"url": "opc.tcp://127.0.0.1:1", "password": "hunter2"}, "a secret must not travel"),
        ({}, "url"),
    ],
)
async def test_a_server_that_cannot_be_asked_is_told_why(
    tmp_path: Path, broker: FakeBroker, server: dict[str, Any], reason: str
) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        reply = await ask(broker, tmp_path, BrowseRequest(VERSION, "q", now_ns(), server))
        assert reason in reply.error
        assert "hunter2" not in reply.error


async def test_topics_are_listened_to(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        asked = asyncio.create_task(
            ask(broker, tmp_path, TopicsRequest(VERSION, "t", now_ns(), filter="other/#", seconds=0.5))
        )
        while not asked.done():
            broker.publish("other/TT-7", message(now_ns(), 20.5))
            await asyncio.sleep(0.05)
        reply = await asked
    (topic,) = reply.topics
    assert (topic.topic, topic.format) == ("other/TT-7", "json")
    assert topic.n_messages >= 1
    assert [field.place for field in topic.numbers] == ["/t", "/v"]
    assert not any("look" in name for name in broker._sessions)


class Later(msgspec.Struct, tag_field="kind", tag="discover"):
    """A question of a later version."""

    v: int
    id: str
    at_ns: int


@pytest.mark.parametrize(("v", "reason"), [(VERSION, "discover"), (VERSION + 1, "does not understand")])
async def test_a_question_of_a_later_version_is_answered_with_the_reason(
    tmp_path: Path, broker: FakeBroker, v: int, reason: str
) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        signer, stranger = (open_signer(SigningSettings(), tmp_path / name) for name in ("var", "stranger"))
        broker.publish(REQUESTS, seal(Later(v, "foreign", now_ns()), REQUESTS, stranger))
        broker.publish(REQUESTS, seal(Later(v, "old", now_ns() - 120 * 10**9), REQUESTS, signer))
        broker.publish(REQUESTS, seal(Later(v, "good", now_ns()), REQUESTS, signer))
        await until(lambda: "good" in replies(broker))
    assert list(replies(broker)) == ["good"]
    assert reason in replies(broker)["good"].error


async def test_old_and_foreign_questions_are_not_answered(tmp_path: Path, broker: FakeBroker) -> None:
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        signer, stranger = (open_signer(SigningSettings(), tmp_path / name) for name in ("var", "stranger"))
        old = TopicsRequest(VERSION, "old", now_ns() - 120 * 10**9, seconds=0.1)
        broker.publish(REQUESTS, seal(old, REQUESTS, signer))
        foreign = TopicsRequest(VERSION, "foreign", now_ns(), seconds=0.1)
        broker.publish(REQUESTS, seal(foreign, REQUESTS, stranger))
        broker.publish(REQUESTS, b"nonsense")
        reply = await ask(broker, tmp_path, TopicsRequest(VERSION, "good", now_ns(), seconds=0.1))
        assert reply.error == ""
    assert list(replies(broker)) == ["good"]
