"""Messages a second through a broker: published and answered, delivered and acknowledged, all in one process."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import pytest

from dyncal.adapters.mqtt import EmbeddedBroker, open_bus
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from tests.servers_mosquitto import Mosquitto

pytestmark = pytest.mark.benchmark
SAY = Callable[[str], None]
PAYLOAD = bytes(900)  # a block of about 100 samples


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> SAY:
    def print_it(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return print_it


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_mosquitto(mosquitto: Mosquitto, protocol: str, say: SAY) -> None:
    rate = await messages_per_s(BrokerSettings(port=mosquitto.port, protocol=protocol), 20_000)
    say(f"bus, mosquitto, MQTT {protocol}: {rate:.0f} messages/s")
    assert rate > 500


async def test_embedded(say: SAY) -> None:
    async with EmbeddedBroker(port=free_port()) as broker:
        rate = await messages_per_s(BrokerSettings(port=broker.port, protocol="3.1.1"), 3_000)
    say(f"bus, amqtt in the same process, MQTT 3.1.1: {rate:.0f} messages/s")
    assert rate > 100


async def messages_per_s(settings: BrokerSettings, n: int) -> float:
    async with open_bus(settings, "source", clean=True) as source, open_bus(settings, "sink", clean=True) as sink:
        await source.wait_connected()
        await sink.wait_connected()
        await sink.subscribe(["t/#"])
        gate = asyncio.Semaphore(500)

        async def publish(i: int) -> None:
            async with gate:
                await source.publish(f"t/{i % 16}", PAYLOAD)

        async def consume() -> None:
            deliveries = sink.deliveries()
            for _ in range(n):
                (await anext(deliveries)).ack()

        started = time.perf_counter()
        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            group.create_task(consume())
            for i in range(n):
                group.create_task(publish(i))
        return n / (time.perf_counter() - started)
