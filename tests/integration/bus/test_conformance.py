"""The suite of `conformance` on the fake, on amqtt inside the process and on mosquitto with either protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from dyncal.adapters.mqtt import EmbeddedBroker, PahoMessageBus, open_bus
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from dyncal.testing.bus import FakeBroker
from tests.integration.bus.conformance import BusConformance, BusHarness, RedeliveryConformance
from tests.servers_mosquitto import Mosquitto


def paho(port: int, protocol: Literal["auto", "5", "3.1.1"]) -> BusHarness:
    """A harness on a broker at `port`."""
    settings = BrokerSettings(port=port, protocol=protocol)

    def open_one(client_id: str, **options: Any) -> PahoMessageBus:
        return open_bus(settings, client_id, **options)

    return BusHarness(open_one)


class TestFake(RedeliveryConformance):
    @pytest.fixture
    def harness(self) -> BusHarness:
        return BusHarness(FakeBroker().bus)


class TestEmbedded(BusConformance):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[BusHarness]:
        async with EmbeddedBroker(port=free_port()) as broker:
            yield paho(broker.port, "3.1.1")


@pytest.mark.mosquitto
class TestMosquitto5(RedeliveryConformance):
    @pytest.fixture
    def harness(self, mosquitto: Mosquitto) -> BusHarness:
        return paho(mosquitto.port, "5")


@pytest.mark.mosquitto
class TestMosquitto311(RedeliveryConformance):
    @pytest.fixture
    def harness(self, mosquitto: Mosquitto) -> BusHarness:
        return paho(mosquitto.port, "3.1.1")
