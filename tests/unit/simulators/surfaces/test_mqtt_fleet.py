"""The fleet keeps what its broker does not take, in order, and makes no more than it can keep."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from dyncal.domain.time import InstantNs
from dyncal.testing.bus import FakeBroker
from simulators.plant import Channel, Plant
from simulators.scenarios.scenario import load_scenario
from simulators.surfaces import mqtt_fleet
from simulators.surfaces.mqtt_fleet import MqttFleet

T0 = InstantNs(1_790_000_000_000_000_000)


def channel() -> Channel:
    return Plant(load_scenario("demo"), T0).channels("mqtt")[0]


async def test_what_is_handed_over_while_the_broker_is_away_arrives_later_and_in_order() -> None:
    broker, stop, source = FakeBroker(), asyncio.Event(), channel()
    async with broker.bus("reader") as reader, broker.bus("fleet", clean=True) as bus, MqttFleet(bus, stop) as fleet:
        await reader.subscribe(["devices/+/data"])
        await fleet.publish(source, source.next_publication())
        await fleet.drain(2.0)
        broker.cut("fleet")
        for _ in range(20):
            await fleet.publish(source, source.next_publication())
        await asyncio.sleep(0.05)
        broker.restore("fleet")
        await fleet.drain(5.0)
        times: list[int] = []
        async for delivery in reader.deliveries():
            times.append(msgspec.json.decode(delivery.payload)["time"])
            delivery.ack()
            if len(set(times)) == 21:
                break
    assert sorted(set(times)) == list(dict.fromkeys(times))
    assert fleet.refused == 0


async def test_no_more_is_made_than_can_be_kept_and_a_stop_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_fleet, "MAX_WAITING", 5)
    broker, stop, source = FakeBroker(), asyncio.Event(), channel()
    async with broker.bus("fleet", clean=True) as bus, MqttFleet(bus, stop) as fleet:
        broker.cut("fleet")
        for _ in range(5):
            await fleet.publish(source, source.next_publication())
        late = asyncio.create_task(fleet.publish(source, source.next_publication()))
        await asyncio.sleep(0.1)
        assert not late.done()
        stop.set()
        await asyncio.wait_for(late, 2.0)
        assert fleet.refused == 1
        broker.restore("fleet")
        await fleet.drain(2.0)
