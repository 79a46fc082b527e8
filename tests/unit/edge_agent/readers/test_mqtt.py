"""When messages of devices are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from dyncal.domain.sensors import EdgeId, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.message_bus import Delivery
from dyncal.runtime.clocks import SystemClock
from dyncal.testing.bus import FakeBroker, FakeMessageBus
from edge_agent.aside import Unreadable
from edge_agent.events import Drain, Event, Kind, Notice, SamplesRead
from edge_agent.readers.mqtt import MqttReader
from edge_agent.source_settings import MqttSourceSettings

SENSORS = ("A", "B")


class Holding:
    """A sink that has samples in the spool when a test says so."""

    def __init__(self) -> None:
        self.reads: list[SamplesRead] = []
        self.aside: list[Unreadable] = []
        self.unmapped: list[str] = []
        self.n_drains = 0
        self.n_takes = 0

    def take(self, events: Iterable[Event]) -> None:
        self.n_takes += 1
        for event in events:
            if isinstance(event, SamplesRead):
                self.reads.append(event)
            self.n_drains += isinstance(event, Drain)

    def newest(self, sensor: SensorId) -> InstantNs | None:
        raise AssertionError(sensor)

    def notice(self, notice: Notice) -> None:
        assert notice.kind is Kind.INPUT_UNMAPPED
        self.unmapped.append(notice.detail)

    def set_aside(self, message: Unreadable, sensor: SensorId | None) -> None:
        del sensor
        self.aside.append(message)

    def spooled(self, k: int) -> None:
        self.reads[k].receipt.settle()  # type: ignore[attr-defined]  # what the reader made


class Scene:
    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.sink = Holding()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[MqttReader]:
        mappings = [{"topic": f"t/{name}", "sensor": name, "unit": "Cel", "dt_s": 1.0} for name in SENSORS]
        mappings.append({"topic": "both", "sensor": "A"})
        mappings.append({"topic": "both", "sensor": "B"})
        settings = MqttSourceSettings.model_validate({"mappings": mappings})
        sensors = {
            SensorId(name): Sensor(SensorId(name), SiteId("plant"), EdgeId("edge1"), "Cel", DurationNs(10**9), "")
            for name in SENSORS
        }
        async with self.broker.bus("south") as bus:
            reader = MqttReader(settings, sensors, bus, self.sink, SystemClock(), "south")
            task = asyncio.create_task(reader.run())
            await asyncio.sleep(0)
            yield reader
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def send(self, topic: str, payload: bytes = b'{"value": 1}') -> None:
        self.broker.publish(topic, payload)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def waiting(self) -> int:
        return self.broker.unacknowledged("south")


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_messages_are_acknowledged_in_their_order_whatever_is_spooled_first(scene: Scene) -> None:
    async with scene.reading() as reader:
        await scene.send("t/A")
        await scene.send("t/B")
        await scene.send("t/A", b"not json")
        assert len(scene.sink.aside) == 1
        assert (scene.waiting, reader.n_held) == (3, 3)
        scene.sink.spooled(1)
        assert scene.waiting == 3
        scene.sink.spooled(0)
        assert (scene.waiting, reader.n_held) == (1, 1)
        assert scene.sink.reads[2].unreadable
        scene.sink.spooled(2)  # the gap that stands for what could not be read
        assert (scene.waiting, reader.n_held) == (0, 0)


async def test_a_message_of_two_sensors_waits_for_both(scene: Scene) -> None:
    async with scene.reading():
        await scene.send("both")
        scene.sink.spooled(0)
        assert scene.waiting == 1
        scene.sink.spooled(1)
        assert scene.waiting == 0


async def test_what_was_not_spooled_when_the_connection_broke_comes_again(scene: Scene) -> None:
    async with scene.reading():
        await scene.send("t/A", b'{"value": 1}')
        await scene.send("t/B", b'{"value": 2}')
        scene.broker.cut("south")
        scene.sink.spooled(0)  # too late to say so
        scene.broker.restore("south")
        await scene.send("t/A", b'{"value": 3}')
        assert [float(read.raw[0]) for read in scene.sink.reads] == [1.0, 2.0, 1.0, 2.0, 3.0]
        for k in (1, 2, 3, 4):
            scene.sink.spooled(k)
        assert scene.waiting == 0


async def test_what_a_new_connection_brings_may_have_come_before(scene: Scene) -> None:
    async with scene.reading():
        await scene.send("t/A", b"nonsense")
        scene.broker.cut("south")
        scene.broker.restore("south")
        await scene.send("t/A", b"other nonsense")
        first, again, other = scene.sink.reads
        assert first.unreadable == again.unreadable != other.unreadable
        assert again.again_since_ns == other.again_since_ns == again.arrival_ns > first.arrival_ns


async def test_a_broker_that_waits_is_served_at_once(scene: Scene) -> None:
    async with scene.reading():
        for _ in range(12):
            await scene.send("t/A")
        assert scene.sink.n_drains == 3


async def test_what_arrives_together_is_spooled_together_and_no_more_than_16_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = FakeMessageBus.arrivals

    async def by_twenties(bus: FakeMessageBus) -> AsyncIterator[Sequence[Delivery]]:
        together: list[Delivery] = []
        async for one in arrivals(bus):
            together += one
            if len(together) == 20:
                yield together
                together = []

    monkeypatch.setattr(FakeMessageBus, "arrivals", by_twenties)
    async with scene.reading() as reader:
        for k in range(20):
            await scene.send("t/A", b'{"value": %d}' % k)
        assert [float(read.raw[0]) for read in scene.sink.reads] == list(range(20))
        assert scene.sink.n_takes - scene.sink.n_drains == 2
        assert reader.n_held == 20
        for k in range(20):
            scene.sink.spooled(k)
        assert reader.n_held == 0


async def test_a_message_that_no_mapping_is_for_is_told_of(scene: Scene) -> None:
    async with scene.reading() as reader:
        await reader._bus.subscribe(["left/over"])  # as a session does that other settings had
        await scene.send("left/over")
        assert scene.waiting == 0
        assert scene.sink.unmapped == ["south: no mapping is for left/over"]
        assert scene.sink.reads == []
