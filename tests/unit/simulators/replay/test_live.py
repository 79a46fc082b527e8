"""A source onto a broker: at its pace, to the last bit, and again from the beginning where that is wanted."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.quality import GOOD
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, duration
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings
from dyncal.testing.bus import FakeBroker, FakeMessageBus
from edge_agent.readers.mapping import decode
from edge_agent.source_settings import MqttSensorMapping
from simulators.replay.live import Played, payload, play
from simulators.replay.simulated import SimulatedSource
from simulators.replay.sources import Block
from tests.unit.simulators.replay.scenarios import small

DT = DurationNs(10_000_000)


async def played(broker: FakeBroker, stop: asyncio.Event, seconds: float, **options: Any) -> Played:
    def connect(settings: BrokerSettings, client_id: str, **more: Any) -> FakeMessageBus:
        del settings
        return broker.bus(client_id, **more)

    source = SimulatedSource(small(), duration(seconds))
    return await play(source, BrokerSettings(), SystemClock(), stop, connect=connect, **options)


async def test_all_goes_out_at_a_multiple_of_its_pace() -> None:
    broker = FakeBroker()
    done = await played(broker, asyncio.Event(), 2.0, speed=10.0)
    blocks = list(SimulatedSource(small(), duration(2.0)).blocks())
    assert done.complete
    assert (done.n_messages, done.n_lost, done.n_loops) == (len(blocks), 0, 1)
    assert 0.15 <= done.took_s < 2.0
    assert len(broker.published("devices/+/data")) == len(blocks)


async def test_it_begins_again_with_later_times_until_it_is_stopped() -> None:
    broker, stop = FakeBroker(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.4, stop.set)
    done = await played(broker, stop, 0.5, speed=10.0, loop=True)
    assert not done.complete
    assert done.n_loops >= 2
    times = [int(text.split(b'"time":')[1].split(b",")[0]) for text in broker.published("devices/P1/data")]
    assert times == sorted(set(times))


async def test_times_cannot_be_moved_at_another_pace() -> None:
    with pytest.raises(InvalidSetting, match="run ahead"):
        await played(FakeBroker(), asyncio.Event(), 1.0, speed=100.0, restamp=True)


@pytest.mark.parametrize("step", [DT, DurationNs(10_000_001)])
def test_an_edge_reads_what_was_recorded(step: DurationNs) -> None:
    mapping = MqttSensorMapping.model_validate(
        {
            "topic": "devices/+/data",
            "sensor_level": 1,
            "value_at": "/value",
            "time_at": "/time",
            "time_format": "ns",
            "quality_at": "/quality",
        }
    )
    t_ns = np.array([10**18 + 7, 10**18 + 7 + step, 10**18 + 7 + 2 * step])
    raw = np.array([0.1, 1e300, -2.5])
    block = Block(SensorId("P1"), t_ns, raw, np.full(3, GOOD, np.uint32), InstantNs(10**18 + 10**9))
    content = payload(block, DurationNs(5), DT)
    found = decode(mapping, content, unit="Cel", dt_ns=DT, arrival_ns=block.arrival_ns)
    np.testing.assert_array_equal(found.t_ns, t_ns + 5)
    np.testing.assert_array_equal(found.raw, raw)
    np.testing.assert_array_equal(found.codes, block.codes)


def test_a_hole_in_the_values_is_null_with_its_code() -> None:
    raw, codes = np.array([1.0, np.nan]), np.array([GOOD, 0x80000000], np.uint32)
    block = Block(SensorId("P1"), np.array([0, DT]), raw, codes, InstantNs(DT))
    assert payload(block, DurationNs(0), DT) == b'{"time":0,"value":[1.0,null],"quality":[0,2147483648]}'
