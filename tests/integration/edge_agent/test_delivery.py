"""From devices on MQTT through the edge and back, with buses that are cut; in-process and on mosquitto."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.signing import open_signer
from dyncal.contracts import samples as wire
from dyncal.contracts.coefficients import decode_report, seal
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.domain.coefficients import Outcome
from dyncal.domain.samples import GapRecord, SampleBlock
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from edge_agent.service import EdgeService
from edge_agent.settings import EdgeSettings
from services.ingest.service import IngestService
from services.ingest.settings import IngestSection
from tests.integration.edge_agent.plant import now_ns, running, sent, settings_of, until
from tests.servers_mosquitto import Mosquitto
from tests.unit.edge_agent.helpers import SENSOR, Content, coefficient_set

DT = 10_000_000
DEVICE = "devices/TT-101"
STATUS = "dyncal/v1/plant/edge1/status"
COMMITTED = "dyncal/v1/plant/edge1/committed"
DESIRED = "dyncal/v1/plant/edge1/coefficients/TT-101/desired"
REPORTED = "dyncal/v1/plant/edge1/coefficients/TT-101/reported"


def edge(**more: Any) -> dict[str, Any]:
    mapping = {
        "topic": "devices/+",
        "sensor": "TT-101",
        "unit": "Cel",
        "dt_s": 0.01,
        "time_at": "/t",
        "time_format": "ns",
        "value_at": "/v",
    }
    return {"flush_s": 0.02, "mqtt": [{"mappings": [mapping]}], **more}


def message(t_ns: int, value: float) -> bytes:
    return json.dumps({"t": t_ns, "v": value}).encode()


def committed(broker: FakeBroker, upto: int) -> None:
    record = sent(broker)[0]
    text = msgspec.json.encode(CommittedMessage(1, record.epoch, now_ns(), {"TT-101": upto}))
    broker.publish(COMMITTED, text, retain=True)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


async def listening(broker: FakeBroker) -> None:
    """Return when the edge has subscribed to its devices for the first time."""
    await until(lambda: any("south0" in name and s.filters for name, s in broker._sessions.items()))


async def feed(broker: FakeBroker, start: int, first: int, n: int) -> None:
    for k in range(first, first + n):
        broker.publish(DEVICE, message(start + k * DT, float(k)))
        await asyncio.sleep(0.001)


async def test_cuts_and_restarts_lose_and_double_nothing(tmp_path: Path, broker: FakeBroker) -> None:
    settings = settings_of(tmp_path, edge())
    start = now_ns()
    async with running(settings, broker):
        await listening(broker)
        await feed(broker, start, 0, 100)
        broker.cut("dyncal-edge-plant-edge1")
        await feed(broker, start, 100, 100)
        broker.restore()
        await until(lambda: len(Content.of(sent(broker)).raw) >= 200)
    await feed(broker, start, 200, 50)  # nobody is there: the device's broker keeps them
    async with running(settings, broker):
        await feed(broker, start, 250, 50)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 300)
        await until(lambda: not broker.unacknowledged("dyncal-edge-plant-edge1-south0"))
    raw = Content.of(sent(broker)).raw
    assert raw == {start + k * DT: (float(k), 0) for k in range(300)}
    distinct = {record.sequence for record in sent(broker)}
    assert distinct == set(range(len(distinct)))
    assert len({record.epoch for record in sent(broker)}) == 1
    assert any(record.replayed for record in sent(broker)), "what the store has not confirmed is sent again"


async def test_what_the_store_has_is_not_sent_again(tmp_path: Path, broker: FakeBroker) -> None:
    settings = settings_of(tmp_path, edge())
    start = now_ns()
    async with running(settings, broker):
        await listening(broker)
        await feed(broker, start, 0, 50)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 50)
        last = max(record.sequence for record in sent(broker))
        committed(broker, last)
        await asyncio.sleep(0.1)
    n = len(sent(broker))
    async with running(settings, broker):
        await feed(broker, start, 50, 10)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 60)
    fresh = sent(broker)[n:]
    assert {record.sequence for record in fresh} == set(range(last + 1, last + 1 + len(fresh)))


async def test_a_ledger_that_was_lost_is_told_what_was_released(tmp_path: Path, broker: FakeBroker) -> None:
    def released() -> list[dict[str, int]]:
        births = [msgspec.json.decode(said, type=StatusMessage) for said in broker.published(STATUS)]
        return [dict(birth.released) for birth in births if birth.state == "online"]

    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        await feed(broker, now_ns(), 0, 50)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 50)
        last = max(record.sequence for record in sent(broker))
        committed(broker, last)
        await asyncio.sleep(0.1)
        assert released() == [{}]
        committed(broker, 3)
        await until(lambda: len(released()) == 2)
        committed(broker, 2)
        await asyncio.sleep(0.1)
        assert released() == [{}, {"TT-101": last}]


async def test_without_word_from_the_store_records_are_sent_again(tmp_path: Path, broker: FakeBroker) -> None:
    settings = settings_of(tmp_path, edge(spool={"commit_timeout_s": 0.3}))
    async with running(settings, broker):
        await listening(broker)
        await feed(broker, now_ns(), 0, 20)
        await until(lambda: len([r for r in sent(broker) if r.sequence == 0]) >= 2)
        assert [r.replayed for r in sent(broker) if r.sequence == 0][:2] == [False, True]


async def test_what_ingest_was_away_for_comes_soon_after_it_is_there(tmp_path: Path, broker: FakeBroker) -> None:
    """Nothing more is read meanwhile, and the edge has given up waiting for long."""
    store = MemorySampleStore()
    ingest = IngestService(
        IngestSection(),
        open_bus=lambda: broker.bus("ingest"),
        open_store=lambda: store,
        open_ledger=lambda: SqliteLedger(tmp_path / "ledger.sqlite"),
        quarantine_dir=tmp_path / "ingest",
        clock=SystemClock(),
        rng=np.random.default_rng(1),
    )
    start = now_ns()
    async with running(settings_of(tmp_path, edge(spool={"commit_timeout_s": 300})), broker):
        await listening(broker)
        await feed(broker, start, 0, 20)
        await until(lambda: sum(len(r) for r in sent(broker) if isinstance(r, SampleBlock)) == 20)
        stop = asyncio.Event()
        task = asyncio.create_task(ingest.run(stop))
        try:
            await until(lambda: "TT-101" in store.sensors(), 10)
            await until(lambda: len(store.read(SENSOR, InstantNs(0), InstantNs(2**62))) == 20)
        finally:
            stop.set()
            await task


async def test_what_was_refused_and_comes_again_after_a_restart_is_told_once(
    tmp_path: Path, broker: FakeBroker
) -> None:
    settings = settings_of(tmp_path, edge())
    start = now_ns()

    def causes() -> list[str]:
        return list({r.sequence: r.gap.cause.value for r in sent(broker) if isinstance(r, GapRecord)}.values())

    async with running(settings, broker):
        await listening(broker)
        broker.publish(DEVICE, b"nonsense")
        broker.publish(DEVICE, message(10, 1.0))
        await until(lambda: causes() == ["rejected", "rejected"])
    async with running(settings, broker):
        await listening(broker)
        broker.publish(DEVICE, b"nonsense")
        broker.publish(DEVICE, message(10, 1.0))
        broker.publish(DEVICE, message(start, 2.0))
        await until(lambda: any(isinstance(r, SampleBlock) for r in sent(broker)))
        assert causes() == ["rejected", "rejected"]


async def test_hostile_messages_are_set_aside_and_the_edge_goes_on(tmp_path: Path, broker: FakeBroker) -> None:
    start = now_ns()
    hostile = [
        b"",
        b"{",
        b"\xff",
        b'{"t":1}',
        message(2**62, 1.0),
        b'{"t":"x","v":1}',
        b"[" * 9999,
        b'{"t":1e999,"v":1}',
    ]
    topics = [COMMITTED, DESIRED, "dyncal/v1/plant/edge1/coefficients/other/desired"]
    settings = settings_of(tmp_path, edge())
    async with running(settings, broker) as service:
        await listening(broker)
        for payload in hostile:
            broker.publish(DEVICE, payload)
            for topic in topics:
                broker.publish(topic, payload, retain=True)
        for upto in ({"TT-101": 10**30}, {"TT-101": -5}, {"x" * 999: 1}):
            broker.publish(COMMITTED, json.dumps({"v": 1, "epoch": 1, "at_ns": 0, "upto": upto}).encode())
        await feed(broker, start, 0, 20)
        await until(lambda: len(Content.of(sent(broker)).raw) >= 20)
        await until(lambda: not broker.unacknowledged("dyncal-edge-plant-edge1-south0"))
        await until(lambda: not broker.unacknowledged("dyncal-edge-plant-edge1"))
        assert service.health().ready
    assert len(Content.of(sent(broker)).raw) == 20
    kinds = {msgspec.json.decode(event)["kind"] for event in broker.published("dyncal/v1/plant/edge1/events")}
    assert {"input_quarantined", "samples_refused", "set_rejected"} <= kinds
    kept = {path.read_bytes() for path in settings.quarantine_dir.glob("*.bin")}
    assert {b"{", b"\xff", b"[" * 9999} <= kept


async def test_a_set_is_applied_reported_and_known_after_a_restart(tmp_path: Path, broker: FakeBroker) -> None:
    settings = settings_of(tmp_path, edge())
    signer = open_signer(settings.signing, settings.data_dir)
    coefficients = coefficient_set(3, dt=DurationNs(DT), valid_from=InstantNs(0))
    start = now_ns()
    async with running(settings, broker):
        broker.publish(DESIRED, seal(coefficients, signer), retain=True)
        await until(lambda: broker.retained.get(REPORTED))
        await feed(broker, start, 0, 50)
        await until(lambda: len(Content.of(sent(broker)).corrected) >= 45)
    assert decode_report(broker.retained[REPORTED]).outcome is Outcome.APPLIED
    broker.retained.pop(DESIRED)
    async with running(settings, broker):
        await until(lambda: "from disk" in decode_report(broker.retained[REPORTED]).reason)
        await feed(broker, start, 50, 50)
        await until(lambda: start + 99 * DT in Content.of(sent(broker)).corrected)
    assert decode_report(broker.retained[REPORTED]).set_id == coefficients.id


@pytest.mark.mosquitto
async def test_on_a_real_broker_devices_to_records(tmp_path: Path, mosquitto: Mosquitto) -> None:
    settings = EdgeSettings(
        data_dir=tmp_path / "var",
        broker=BrokerSettings(port=mosquitto.port),
        edge={"name": "edge1", **edge(), "metrics_port": None},
    )
    start = now_ns()
    content: dict[int, float] = {}
    async with (
        open_bus(settings.broker, "device") as device,
        open_bus(settings.broker, "store") as store,
        running(settings),
    ):

        async def collect() -> None:
            async for delivery in store.deliveries():
                record = wire.decode(delivery.payload)
                if not hasattr(record, "gap"):
                    content.update(zip(record.axis.t_ns.tolist(), record.raw.tolist(), strict=True))
                delivery.ack()

        await device.wait_connected()
        await store.wait_connected()
        await store.subscribe([f"dyncal/v1/plant/edge1/samples/{SENSOR}"])
        collector = asyncio.create_task(collect())
        await asyncio.sleep(0.5)
        for k in range(500):
            await device.publish(DEVICE, message(start + k * DT, float(k)))
        await until(lambda: len(content) >= 500)
        collector.cancel()
        await asyncio.gather(collector, return_exceptions=True)
    assert content == {start + k * DT: float(k) for k in range(500)}


async def test_a_record_over_which_a_broker_of_3_1_1_ends_the_connection_stops_no_other(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """Blocks of TT-101, from a broker that sets no limit, are more bytes than the other takes."""
    (tmp_path / "north").mkdir()
    broker = Mosquitto(tmp_path / "north", extra="allow_anonymous true\nmax_packet_size 900")
    broker.start()
    mappings = [
        {"topic": f"devices/{name}", "sensor": name, "unit": "Cel", "dt_s": dt_s, "time_at": "/t", "value_at": "/v"}
        | {"time_format": "ns"}
        for name, dt_s in (("TT-101", 0.01), ("TT-102", 1.0))
    ]
    south = {"port": mosquitto.port}
    settings = EdgeSettings(
        data_dir=tmp_path / "var",
        broker=BrokerSettings(port=broker.port, protocol="3.1.1"),
        edge={"name": "edge1", "mqtt": [{"broker": south, "mappings": mappings}], "metrics_port": None},
    )
    start = now_ns()
    taken: set[int] = set()
    try:
        async with (
            open_bus(BrokerSettings(port=mosquitto.port), "device") as device,
            open_bus(settings.broker, "store") as store,
            running(settings) as service,
        ):

            async def collect() -> None:
                async for delivery in store.deliveries():
                    record = wire.decode(delivery.payload)
                    assert isinstance(record, SampleBlock)
                    taken.update(record.axis.t_ns.tolist())
                    delivery.ack()

            await device.wait_connected()
            await store.wait_connected()
            await store.subscribe(["dyncal/v1/plant/edge1/samples/TT-102"])
            collector = asyncio.create_task(collect())
            await until(lambda: not any(service.health().parts.values()))
            await asyncio.sleep(0.5)  # until the devices' broker knows what the edge listens to
            large = json.dumps({"t": start, "v": [0.5 * k for k in range(200)]}).encode()
            await device.publish("devices/TT-101", large)
            for k in range(5):
                await device.publish("devices/TT-102", message(start + k * 100 * DT, float(k)))
            await until(lambda: taken >= {start + k * 100 * DT for k in range(5)}, 20)
            connection = await settled(service)
            await device.publish("devices/TT-102", message(start + 500 * DT, 5.0))
            await until(lambda: start + 500 * DT in taken)
            assert service._bus is not None
            assert service._bus.connections == connection, "the broker is left in peace"
            collector.cancel()
            await asyncio.gather(collector, return_exceptions=True)
    finally:
        broker.stop()


async def settled(service: EdgeService) -> int:
    """Return the number of the connection that has stood for two seconds."""
    async with asyncio.timeout(30):
        while True:
            assert service._bus is not None
            before = service._bus.connections
            await asyncio.sleep(2)
            if service._bus.connected and service._bus.connections == before:
                return before
