"""From the broker to InfluxDB: ``python -m tests.benchmarks.bench_ingest [--seconds N]``.

An edge in a process of its own publishes blocks of 100 samples (raw, corrected, u), a window of them ahead of what is
committed; mosquitto, ``services.ingest`` and InfluxDB run beside it on the same cores. The rate is that of samples
which ingest has announced as committed. It is compared with the rate at which the same InfluxDB takes the same lines,
prebuilt, from one bare urllib3 connection, with nothing else running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import urllib3

from dyncal.adapters.influx import InfluxSampleStore, lines
from dyncal.adapters.influx.http import Endpoint
from dyncal.adapters.influx.printers import PRINTER
from dyncal.adapters.mqtt import open_bus
from dyncal.contracts import codec, samples
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.runtime.settings import BrokerSettings
from dyncal.testing.records import block, span, uniform
from tests.evidence import Figure, table
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto

BLOCK, SENSORS, DELAY, WINDOW = 100, 10, 16, 2_000
WARM_S = 120.0
BATCH = 200  # blocks in a request of prebuilt lines: about 2 MB
DT_NS = 1_000_000
EDGE = EdgeAddress(SiteId("plant"), EdgeId("edge-1"))


class Source:
    """Blocks of noisy signals; corrected values come `DELAY` samples late."""

    def __init__(self, sensor: int) -> None:
        rng = np.random.default_rng(sensor)
        self._sensor = SensorId(f"sensor-{sensor}")
        self._raw = 100 + np.cumsum(rng.normal(size=(50, BLOCK)), axis=1) * 0.01
        self._u = 0.02 + 1e-4 * rng.random((50, BLOCK))

    def block(self, k: int) -> SampleBlock:
        raw, axis = self._raw[k % 50], uniform(BLOCK, k * BLOCK, DT_NS)
        late = span(uniform(BLOCK, (k + 1) * BLOCK - DELAY, DT_NS), raw + 0.1, "sensor-1@3")
        corrected = type(late)(late.axis, late.value, self._u[k % 50], late.set_id)
        return block(raw, sensor=self._sensor, sequence=k, axis=axis, corrected=corrected)


def publish(port: int, seconds: float, result: Any) -> None:
    """Be the edge; put (samples committed while time ran, seconds) into `result`."""
    result.put(asyncio.run(_publish(port, seconds)))


async def _publish(port: int, seconds: float) -> tuple[int, float]:
    sources = [Source(k) for k in range(SENSORS)]
    committed: dict[str, int] = {}
    moved = asyncio.Event()
    async with open_bus(BrokerSettings(port=port), "edge-1", clean=True) as bus:
        await bus.wait_connected()
        await bus.subscribe([EDGE.committed])

        async def listen() -> None:
            async for delivery in bus.deliveries():
                committed.update(codec.from_json(delivery.payload, CommittedMessage).upto)
                delivery.ack()
                moved.set()

        def stored() -> int:
            return sum(committed.values()) + len(committed)

        gate = asyncio.Semaphore(200)

        async def send(topic: str, payload: bytes) -> None:
            try:
                await bus.publish(topic, payload)
            finally:
                gate.release()

        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(listen())
            while not moved.is_set():  # until ingest has subscribed, and answers: what went out before would be lost
                await bus.publish(EDGE.status, codec.to_json(StatusMessage(1, "online", epoch=1)))
                await asyncio.sleep(0.2)
            sent, begun, before, end = 0, 0.0, 0, float("inf")
            while time.perf_counter() < end:
                while sent - stored() >= WINDOW:
                    moved.clear()
                    await moved.wait()
                if not begun and stored() > 2 * WINDOW:  # under way: everything is warm
                    begun, before = time.perf_counter(), stored()
                    end = begun + seconds
                await gate.acquire()
                record = sources[sent % SENSORS].block(sent // SENSORS)
                tasks.create_task(send(EDGE.samples(record.sensor), samples.encode(record)))
                sent += 1
            took, n = time.perf_counter() - begun, stored() - before
            listening.cancel()
    return n * BLOCK, took


@contextlib.contextmanager
def running_ingest(directory: Path, broker: Mosquitto, influxd: Influxd) -> Iterator[int]:
    """Run the program; yields its process id."""
    config = directory / "dyncal.toml"
    config.write_text(
        f'data_dir = "{directory / "var"}"\n[broker]\nport = {broker.port}\n'
        f'[store]\nkind = "influx"\nurl = "{influxd.url}"\n'
    )
    with (directory / "ingest.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "services.ingest", "--config", str(config)], stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def chain(directory: Path, influxd: Influxd, seconds: float) -> tuple[float, float]:
    """Return samples a second through all, and processor time of ingest a sample [s]."""
    broker = Mosquitto(directory)
    broker.start()
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    try:
        with running_ingest(directory, broker, influxd) as pid:
            edge = context.Process(target=publish, args=(broker.port, seconds, result))
            edge.start()
            rows, spent = _rows(influxd), cpu_s(pid)
            deadline = time.monotonic() + WARM_S
            while rows < 2 * WINDOW * BLOCK and time.monotonic() < deadline:  # kernels are loaded by then
                time.sleep(0.5)
                rows, spent = _rows(influxd), cpu_s(pid)
            n, took = result.get(timeout=seconds + WARM_S)
            per_sample = (cpu_s(pid) - spent) / max(_rows(influxd) - rows, 1)
            edge.join(20)
    finally:
        broker.stop()
    return n / took, per_sample


def _rows(influxd: Influxd) -> int:
    pool = urllib3.PoolManager()
    fields = {"db": "dyncal", "q": "SELECT COUNT(raw) FROM samples"}
    found = pool.request("GET", f"{influxd.url}/query", fields=fields).json()
    pool.clear()
    return sum(series["values"][0][1] for series in found["results"][0].get("series", []))


def prebuilt(n: int) -> list[list[SampleBlock]]:
    """Return batches of blocks, sensors in turn."""
    sources = [Source(k) for k in range(SENSORS)]
    return [
        [sources[i % SENSORS].block(i // SENSORS) for i in range(batch * BATCH, (batch + 1) * BATCH)]
        for batch in range(n)
    ]


def alone(influxd: Influxd, n_batches: int) -> dict[str, float]:
    """Return samples a second into InfluxDB with nothing else running: bare, by the writer, and with the encoder."""
    PRINTER.begin().join()
    batches = prebuilt(n_batches)
    bodies = [lines.encode(batch) for batch in batches]
    spent = dict.fromkeys(("bare", "writer", "store"), 0.0)
    pool = urllib3.PoolManager()
    stores = {name: InfluxSampleStore(Endpoint(influxd.url, name, timeout_s=60)) for name in spent}
    for store in stores.values():
        store.check()

    def bare(body: bytes) -> None:
        answer = pool.request("POST", f"{influxd.url}/write?db=bare&precision=ns", body=body)
        assert answer.status == 204, answer.data

    for batch, body in zip(batches, bodies, strict=True):  # in turn, so that all meet the same machine
        for name, send in (
            ("bare", lambda body=body: bare(body)),
            ("writer", lambda body=body: stores["writer"]._send(body)),
            ("store", lambda batch=batch: stores["store"].write(batch)),
        ):
            started = time.perf_counter()
            send()
            spent[name] += time.perf_counter() - started
    for store in stores.values():
        store.close()
    pool.clear()
    return {name: n_batches * BATCH * BLOCK / took for name, took in spent.items()}


def sections(seconds: float = 60.0) -> dict[str, list[Figure]]:
    """Measure all."""
    n_batches = max(10, round(seconds))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        influxd = Influxd(directory / "alone")
        influxd.start()
        try:
            rates = alone(influxd, n_batches)
        finally:
            influxd.stop(kill=True)
        influxd = Influxd(directory / "chain")
        influxd.start()
        try:
            rate, per_sample = chain(directory, influxd, seconds)
        finally:
            influxd.stop(kill=True)
    n = n_batches * BATCH * BLOCK
    return {
        "Ingest: from the broker to InfluxDB 1.6.7": [
            Figure(
                "prebuilt lines by bare urllib3, a second", rates["bare"] / 1e3, -np.inf, np.inf, n, unit="thousand"
            ),
            Figure(
                "writer with prebuilt lines over bare urllib3",
                rates["writer"] / rates["bare"],
                0.85,
                np.inf,
                n,
                unit="×",
                peer="urllib3",
            ),
            Figure(
                "store with its encoder over bare urllib3",
                rates["store"] / rates["bare"],
                -np.inf,
                np.inf,
                n,
                unit="×",
                peer="urllib3",
            ),
            Figure(
                "MQTT to InfluxDB, samples a second",
                rate / 1e3,
                -np.inf,
                np.inf,
                round(rate * seconds),
                unit="thousand",
            ),
            Figure("the same over prebuilt lines alone", rate / rates["bare"], 0.7, np.inf, round(rate * seconds)),
            Figure(
                "processor time of ingest a sample", per_sample * 1e6, -np.inf, 0.6, round(rate * seconds), unit="µs"
            ),
        ]
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    for section, figures in sections(options.seconds).items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
