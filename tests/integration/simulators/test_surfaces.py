"""A small plant in a process of its own, read through a real OPC UA client and a real broker."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from asyncua import Client

from dyncal.adapters.mqtt import EmbeddedBroker, open_bus
from dyncal.domain.time import InstantNs, from_datetime
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from simulators.plant import Plant
from simulators.reports import Started, Stopped, read_report
from simulators.scenarios.scenario import load_scenario
from simulators.surfaces.addresses import TOPIC_FILTER, node_id

SCENARIO = """
name = "small"
seed = 5
{stations}
"""
STATION = """
[[stations]]
id = "{id}"
unit = "kPa"
surface = "{surface}"
model = "second_order"
parameters = {{ gain = 1.0, damping = 0.3, f0_hz = 5.0 }}
rate_hz = {rate}
block = {block}
measurand = {{ rms = 1.0, band_hz = 4.0 }}
converter = {{ noise = 0.01 }}
"""


class Collector:
    """Keeps what an OPC UA subscription brings."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[int, float]] = defaultdict(dict)

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        stamp = data.monitored_item.Value.SourceTimestamp
        if value is None or stamp is None:
            return
        values = value if isinstance(value, list) else [value]
        t_last = from_datetime(stamp)
        for k, v in enumerate(reversed(values)):
            self.seen[str(node.nodeid.Identifier)][t_last - k * self.dt_ns] = v

    dt_ns = 10_000_000


async def test_both_surfaces_carry_every_sample_at_its_true_instant(tmp_path: Path) -> None:
    stations = "".join(
        STATION.format(id=f"{surface}-{block}", surface=surface, rate=100, block=block)
        for surface in ("opcua", "mqtt")
        for block in (1, 10)
    )
    file = tmp_path / "small.toml"
    file.write_text(SCENARIO.format(stations=stations), encoding="utf-8")
    opcua_port, mqtt_port = free_port(), free_port()
    broker = BrokerSettings(port=mqtt_port)
    async with EmbeddedBroker("127.0.0.1", mqtt_port), open_bus(broker, "reader", clean=True) as bus:
        await bus.wait_connected()
        await bus.subscribe([TOPIC_FILTER])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators", str(file)),
            *("--opcua-port", str(opcua_port), "--mqtt-port", str(mqtt_port), "--log-level", "warning"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        mqtt: dict[str, dict[int, float]] = defaultdict(dict)

        async def read_bus() -> None:
            async for delivery in bus.deliveries():
                content = json.loads(delivery.payload)
                value = content["value"]
                for k, v in enumerate(value if isinstance(value, list) else [value]):
                    mqtt[delivery.topic.split("/")[1]][content["time"] + k * Collector.dt_ns] = v
                delivery.ack()

        reader = asyncio.create_task(read_bus())
        try:
            async with asyncio.timeout(40):
                started = read_report(await process.stdout.readline())
                assert isinstance(started, Started)
                collector = Collector()
                async with Client(started.opcua) as client:
                    names = ["opcua-1", "opcua-1-ref", "opcua-10", "opcua-10-ref"]
                    subscription = await client.create_subscription(100, collector)
                    nodes = [client.get_node(node_id(name)) for name in names]
                    await subscription.subscribe_data_change(nodes, queuesize=1000)
                    await asyncio.sleep(2.5)
                    process.send_signal(signal.SIGTERM)
                    stopped = read_report(await process.stdout.readline())
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
    assert isinstance(stopped, Stopped)
    assert process.returncode == 0
    assert stopped.max_late_s < 2.0

    plant = Plant(load_scenario(file), InstantNs(started.t0_ns))
    for channel in plant.channels():
        n = stopped.generated[channel.id]
        assert n == stopped.published[channel.id] > 200
        truth: dict[int, float] = {}
        while len(truth) < n:
            publication = channel.next_publication()
            truth.update(zip(publication.t_ns.tolist(), publication.value.tolist(), strict=True))
        got = (collector.seen if channel.id.startswith("opcua") else mqtt)[channel.id]
        first = min(got) if channel.id.startswith("opcua") else started.t0_ns
        assert got == {t: v for t, v in truth.items() if t >= first}
        assert first <= started.t0_ns + 2_000_000_000
        assert np.all(np.diff(sorted(got)) == Collector.dt_ns)


async def test_a_taken_port_and_a_bad_scenario_end_the_program_with_a_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for scenario, status, words in (("demo", 1, b"cannot listen"), ("nowhere", 2, b"cannot read it")):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "simulators", scenario, "--opcua-port", str(taken.getsockname()[1])),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(30):
                out, err = await process.communicate()
            assert process.returncode == status, err
            assert words in err
            assert out == b""
