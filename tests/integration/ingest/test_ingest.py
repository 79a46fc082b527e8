"""Ingest between a real broker and a real store, which is killed and comes back while data flow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Endpoint
from dyncal.adapters.mqtt import PahoMessageBus, open_bus
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.contracts import codec, samples
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable
from dyncal.domain.samples import FloatArray, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.service import Service
from dyncal.runtime.settings import BrokerSettings, StoreSettings
from dyncal.testing.records import block, span, uniform
from services.ingest.service import build
from services.ingest.settings import IngestSection, IngestSettings
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(120)]

EDGE = EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
N_SENSORS, N_BLOCKS, N_SAMPLES = 4, 120, 50


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    server = Influxd(tmp_path / "influxd")
    server.start()
    try:
        yield server
    finally:
        server.stop(kill=True)


class Edge:
    """What an edge does for delivery: it sends again whatever is not committed yet."""

    def __init__(self, bus: PahoMessageBus) -> None:
        self.bus = bus
        self.upto: dict[str, int] = {}
        self.heard = asyncio.Event()

    async def listen(self) -> None:
        await self.bus.subscribe([EDGE.committed])
        async for delivery in self.bus.deliveries():
            self.upto = dict(codec.from_json(delivery.payload, CommittedMessage).upto)
            self.heard.set()
            delivery.ack()

    async def send(self, sensor: SensorId, sequence: int) -> None:
        with contextlib.suppress(BusUnavailable):
            await self.bus.publish(EDGE.samples(sensor), samples.encode(record(sensor, sequence)))

    async def be_heard(self) -> None:
        """Return when ingest has answered: its subscription stands, and from here on nothing is sent twice."""
        birth = codec.to_json(StatusMessage(1, "online", epoch=1))
        async with asyncio.timeout(15):
            while not self.heard.is_set():
                await self.bus.publish(EDGE.status, birth)
                await asyncio.sleep(0.1)

    def all_committed(self) -> bool:
        return len(self.upto) == N_SENSORS and all(n == N_BLOCKS - 1 for n in self.upto.values())


def record(sensor: SensorId, k: int) -> SampleBlock:
    axis = uniform(N_SAMPLES, k * N_SAMPLES)
    late = uniform(N_SAMPLES, k * N_SAMPLES - 7) if k else uniform(N_SAMPLES - 7)
    values = raw_of(sensor, np.arange(k * N_SAMPLES, (k + 1) * N_SAMPLES))
    corrected = span(late, raw_of(sensor, np.arange(len(late)) + max(k * N_SAMPLES - 7, 0)) + 0.25, f"set-{k // 50}")
    return block(values, sensor=sensor, sequence=k, axis=axis, corrected=corrected)


def raw_of(sensor: SensorId, index: Int64Array) -> FloatArray:
    values: FloatArray = np.sin(index * 0.01) * 1e3 + int(sensor[-1]) / 3
    return values


def settings(mosquitto: Mosquitto, directory: Path, store: StoreSettings) -> IngestSettings:
    return IngestSettings(
        data_dir=directory,
        broker=BrokerSettings(port=mosquitto.port),
        store=store,
        ingest=IngestSection(retry_first_s=0.05, retry_longest_s=0.3),
    )


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 6)


@contextlib.asynccontextmanager
async def edge(mosquitto: Mosquitto) -> AsyncIterator[Edge]:
    async with open_bus(BrokerSettings(port=mosquitto.port), "edge-1") as bus:
        await asyncio.wait_for(bus.wait_connected(), 10)
        edge = Edge(bus)
        task = asyncio.create_task(edge.listen())
        try:
            yield edge
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def send_all(edge: Edge, sensors: list[SensorId], pause_s: float) -> None:
    for k in range(N_BLOCKS):
        await asyncio.gather(*(edge.send(sensor, k) for sensor in sensors))
        await asyncio.sleep(pause_s)


async def until(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not so after {timeout_s} s: {what}")


def assert_complete(store: SampleStore, sensors: list[SensorId]) -> None:
    """Assert that every sample is there once, to the bit, and nothing else."""
    assert store.sensors() == sensors
    n = N_BLOCKS * N_SAMPLES
    for sensor in sensors:
        rows = store.read(sensor, *ALL)
        expected = raw_of(sensor, np.arange(n))
        np.testing.assert_array_equal(rows.t_ns, uniform(n).t_ns)
        np.testing.assert_array_equal(rows.raw, expected)
        np.testing.assert_array_equal(rows.corrected[:-7], expected[:-7] + 0.25)
        assert np.isnan(rows.corrected[-7:]).all()


SENSORS = [SensorId(f"s-{k}") for k in range(N_SENSORS)]


@pytest.mark.influxdb
async def test_the_store_is_killed_twice_while_data_flow(
    mosquitto: Mosquitto, influxd: Influxd, tmp_path: Path
) -> None:
    store_settings = StoreSettings(kind="influx", url=influxd.url, timeout_s=2)
    service = build(settings(mosquitto, tmp_path / "data", store_settings))
    async with running(service), edge(mosquitto) as sender:
        await sender.be_heard()
        sending = asyncio.create_task(send_all(sender, SENSORS, 0.02))
        for _ in range(2):
            await asyncio.sleep(0.6)
            await asyncio.to_thread(influxd.stop, kill=True)
            await until(lambda: bool(service.health().parts["store"]), "health says that the store is gone", 8)
            await asyncio.to_thread(influxd.start)
        await sending
        await until(sender.all_committed, "all committed", 30)
    store = InfluxSampleStore(Endpoint(influxd.url, "dyncal"))
    assert_complete(store, SENSORS)
    store.close()


async def test_ingest_and_broker_come_and_go_with_the_embedded_store(mosquitto: Mosquitto, tmp_path: Path) -> None:
    configuration = settings(mosquitto, tmp_path / "data", StoreSettings())
    async with edge(mosquitto) as sender:
        async with running(build(configuration)):
            sending = asyncio.create_task(send_all(sender, SENSORS, 0.01))
            await asyncio.sleep(0.5)
        async with running(build(configuration)):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(mosquitto.stop, kill=True)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(mosquitto.start)
            await sending
            while not sender.all_committed():  # the broker forgot what it held: the edge sends again what is missing
                upto = dict(sender.upto)
                for sensor in SENSORS:
                    for k in range(upto.get(sensor, -1) + 1, N_BLOCKS):
                        await sender.send(sensor, k)
                await asyncio.sleep(0.5)
    store = SqliteSampleStore(tmp_path / "data" / "samples.sqlite")
    assert_complete(store, SENSORS)
    store.close()


async def test_an_absent_broker_is_waited_for(tmp_path: Path) -> None:
    service = build(IngestSettings(data_dir=tmp_path, broker=BrokerSettings(port=1)))
    async with running(service):
        await until(lambda: service.health().parts["store"] == "", "the store works", 5)
        assert service.health().parts["broker"] == "not connected"
