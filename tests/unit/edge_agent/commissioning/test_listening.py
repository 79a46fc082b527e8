"""What can be read of a payload that nobody has described."""

from __future__ import annotations

import json

import msgspec
import pytest

from dyncal.contracts.commissioning import FoundField, FoundTopic
from dyncal.testing.bus import FakeBroker
from edge_agent.commissioning import listening
from edge_agent.commissioning.listening import read
from edge_agent.readers.mapping import decode
from edge_agent.source_settings import MqttSensorMapping


def places(fields: list[FoundField]) -> dict[str, str]:
    return {field.place: field.value for field in fields}


def test_a_plain_number() -> None:
    assert read(b" 20.5\n") == ("number", [FoundField("", "20.5")], [])


def test_numbers_and_times_of_json_have_pointers() -> None:
    content = {"t": "2026-01-31T12:00:00Z", "a/b": {"~v": 1.5}, "on": True, "s": "x", "ms": 1769860800000, "v": [1, 2]}
    kind, numbers, times = read(json.dumps(content).encode())
    assert kind == "json"
    assert places(numbers) == {"/a~1b/~0v": "1.5", "/ms": "1769860800000", "/v": "[1, 2]"}
    assert [field.array for field in numbers] == [False, False, True]
    assert places(times) == {"/t": "2026-01-31T12:00:00Z", "/ms": "1769860800000"}


def test_what_is_found_can_be_read_by_a_mapping() -> None:
    payload = json.dumps({"data": [{"value": 20.5, "ts": "2026-01-31T12:00:00Z"}]}).encode()
    kind, numbers, times = read(payload)
    mapping = MqttSensorMapping.model_validate(
        {
            "topic": "a",
            "sensor": "TT1",
            "format": kind,
            "value_at": numbers[0].place,
            "time_at": times[0].place,
        }
    )
    _, raw, _ = decode(mapping, payload, unit="Cel", dt_ns=1, arrival_ns=0)  # type: ignore[arg-type]  # plain numbers do
    assert raw.tolist() == [20.5]


def test_msgpack_and_csv() -> None:
    assert read(msgspec.msgpack.encode({"v": 2.5}))[:2] == ("msgpack", [FoundField("/v", "2.5")])
    kind, numbers, times = read(b"time,value\n2026-01-31T12:00:00Z,20.5\n")
    assert kind == "csv"
    assert places(numbers) == {"1": "20.5"}
    assert places(times) == {"0": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b'{"a": ',
        b"[" * 100_000,
        b'"text"',
        b"null",
        b"a,b,c",
        b"\xc1" * 50,
        b"x" * (2 << 20),
    ],
)
def test_what_cannot_be_read_is_said_to_be_nothing(payload: bytes) -> None:
    assert read(payload) == ("", [], [])


def test_fields_are_bounded() -> None:
    _, numbers, _ = read(json.dumps({str(k): k for k in range(10_000)}).encode())
    assert len(numbers) <= 100
    deep: object = 1.0
    for _ in range(50):
        deep = {"a": deep}
    assert read(json.dumps(deep).encode())[1] == []


async def test_topics_are_counted_and_the_last_payload_is_shown() -> None:
    broker = FakeBroker()
    broker.publish("plant/retained", b"1", retain=True)
    async with broker.bus("device") as device, broker.bus("edge", clean=True) as bus:
        import asyncio

        listen = asyncio.create_task(listening.topics(bus, "plant/#", 0.4))
        await asyncio.sleep(0.1)
        for k in range(3):
            await device.publish("plant/a", str(k).encode())
        await device.publish("other", b"1")
        found, more = await listen
    assert not more
    assert [(topic.topic, topic.n_messages, topic.payload) for topic in found] == [
        ("plant/a", 3, "2"),
        ("plant/retained", 1, "1"),
    ]


def test_a_number_that_no_float_holds_is_none() -> None:
    assert read(b'{"a": 1' + b"0" * 400 + b"}") == ("json", [], [])


async def heard(*payloads: tuple[str, bytes]) -> tuple[list[FoundTopic], bool]:
    broker = FakeBroker()
    for topic, payload in payloads:
        broker.publish(topic, payload, retain=True)
    async with broker.bus("edge", clean=True) as bus:
        return await listening.topics(bus, "#", 0.3)


async def test_an_answer_is_bounded_whatever_comes() -> None:
    odd = json.dumps({f"{k:03}" + "x" * 200: "2026-01-31T12:00:00Z" for k in range(200)}).encode()
    found, more = await heard(*((f"t/{k:04}", odd) for k in range(1000)))
    assert more
    assert 10 < len(found) < 1000
    assert sum(len(msgspec.json.encode(topic)) for topic in found) <= 2 << 20


async def test_what_is_too_long_is_left_out_rather_than_cut() -> None:
    """A topic or a place that is cut is another one."""
    found, more = await heard(("t" * 3000, b"1"), ("short", json.dumps({"x" * 400: 1, "v": 2}).encode()))
    assert more
    assert [(topic.topic, [field.place for field in topic.numbers]) for topic in found] == [("short", ["/v"])]


async def test_much_data_is_not_kept_while_listening() -> None:
    found, _ = await heard(*((f"t/{k:02}", b"[" + b"1," * 400_000 + b"1]") for k in range(40)))
    assert len(found) == 40
    kinds = [topic.format for topic in found]
    assert kinds.count("json") * 800_000 <= 16 << 20
    assert "" in kinds
