"""What a backlog costs: how fast it drains, and how late live samples are stored meanwhile.

``python -m tests.benchmarks.bench_backlog [HOURS]``: an edge that was cut off for so long (12 in full, 0.25 by default)
at 1 000 samples a second finds its broker again. Mosquitto, ingest with the embedded store, and the edge are three
processes of one machine, ten sensors at 100 Hz, raw values with corrected ones and their uncertainty.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.adapters.stores import open_store
from dyncal.contracts import samples as wire
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings
from edge_agent.events import SamplesRead
from edge_agent.service import EdgeService
from edge_agent.settings import EdgeSettings
from edge_agent.spool import Spool, SpoolLimits, entry_of
from services.ingest.settings import IngestSettings
from tests.evidence import Figure, table
from tests.servers_mosquitto import Mosquitto

SENSORS: Final = tuple(SensorId(f"B{k}") for k in range(10))
DT: Final = DurationNs(10_000_000)
PER_BLOCK: Final = 10
PERIOD_S: Final = 0.1
SHORT_H: Final = 0.25
FULL_H: Final = 12.0
_SPOOL_BYTES: Final = 8 << 30


def fill(directory: Path, hours: float, until_ns: int) -> int:
    """Write a backlog that ends at an instant into a spool; return its samples."""
    n_blocks = round(hours * 3600 / PERIOD_S)
    start = until_ns - n_blocks * PER_BLOCK * DT
    values, u = np.linspace(20.0, 21.0, PER_BLOCK), np.full(PER_BLOCK, 0.01)
    spool = Spool.open(directory, EdgeId("edge1"), InstantNs(start), SpoolLimits(max_bytes=_SPOOL_BYTES), SENSORS)
    for k in range(n_blocks):
        axis = UniformAxis(InstantNs(start + k * PER_BLOCK * DT), DT, PER_BLOCK)
        span = CorrectedSpan(axis, values, u, "set-1")
        block = SampleBlock(
            sensor=SENSORS[0],
            edge=EdgeId("edge1"),
            epoch=spool.epoch,
            sequence=k,
            axis=axis,
            raw=values,
            quality=quality.good(PER_BLOCK),
            arrival_ns=InstantNs(start + (k + 1) * PER_BLOCK * DT),
            corrected=span,
        )
        for sensor in SENSORS:
            record = replace(block, sensor=sensor)
            spool.append(entry_of(record, wire.encode(record)))
        if k % 100 == 0:
            spool.flush()
    spool.close()
    return n_blocks * PER_BLOCK * len(SENSORS)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def ingesting(directory: Path, port: int) -> Iterator[tuple[SampleStore, int]]:
    """Run ingest in a process of its own; yield its store, to look at, and its process."""
    config = directory / "ingest.toml"
    config.write_text(f'site = "plant"\ndata_dir = "{directory / "store"}"\n[broker]\nport = {port}\n')
    with (directory / "ingest.log").open("wb") as log:
        command = [sys.executable, "-m", "services.ingest", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        settings = IngestSettings(data_dir=directory / "store", broker=BrokerSettings(port=port))
        while not (directory / "store" / "samples.sqlite").exists():
            time.sleep(0.1)
        time.sleep(1.0)
        store = open_store(settings.store, settings.data_dir)
        try:
            yield store, process.pid
        finally:
            store.close()
    finally:
        process.terminate()
        process.wait(10)


def edge_settings(directory: Path, port: int, replay_per_s: float) -> EdgeSettings:
    """Return settings of an edge with ten sensors that are fed by hand."""
    return EdgeSettings(
        data_dir=directory,
        broker=BrokerSettings(port=port),
        edge={
            "name": "edge1",
            "sensors": [{"sensor": name, "unit": "Cel", "dt_s": DT / 1e9} for name in SENSORS],
            "spool": {"replay_per_s": replay_per_s, "max_bytes": _SPOOL_BYTES},
        },
    )


async def feed(service: EdgeService, stop: asyncio.Event) -> None:
    """Give the edge a thousand samples a second."""
    clock = SystemClock()
    station = None if service.operation is None else service.operation.station
    assert station is not None
    newest = clock.now() // DT
    while not stop.is_set():
        await asyncio.sleep(PERIOD_S)
        now = clock.now()
        t_ns = np.arange(newest + 1, now // DT + 1, dtype=np.int64) * DT
        newest = now // DT
        raw, codes = np.full(t_ns.size, 20.0), np.zeros(t_ns.size, np.uint32)
        station.take([SamplesRead(sensor, t_ns, raw, codes, now) for sensor in SENSORS])


async def watch(store: SampleStore, stop: asyncio.Event, ages_s: list[float]) -> None:
    """Note how old the newest stored sample of a sensor is, now and again."""
    clock = SystemClock()
    while not stop.is_set():
        newest = (await asyncio.to_thread(store.latest, SENSORS[len(ages_s) % len(SENSORS)])).t_ns
        if newest.size:
            ages_s.append((clock.now() - int(newest[-1])) / 1e9)
        await asyncio.sleep(0.05)


async def drain(directory: Path, port: int, store: SampleStore, replay_per_s: float) -> tuple[float, list[float]]:
    """Have the edge find its broker again; return the seconds until the store has all, and the ages of live samples."""
    service = EdgeService(edge_settings(directory, port, replay_per_s), SystemClock())
    stop, fed, ages_s = asyncio.Event(), asyncio.Event(), list[float]()
    running = asyncio.create_task(service.run(stop))
    while service.operation is None:
        await asyncio.sleep(0.01)
    spool = service.operation.station._spool
    backlog = {sensor: start.next_sequence - 1 for sensor, start in spool.starts.items()}
    began = time.perf_counter()
    feeding = asyncio.create_task(feed(service, fed))
    await asyncio.sleep(1.0)
    watching = asyncio.create_task(watch(store, fed, ages_s))
    while any(spool.watermark(sensor) < last for sensor, last in backlog.items()):
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    fed.set()
    await asyncio.gather(feeding, watching)
    stop.set()
    await running
    return seconds, ages_s


def measure(hours: float, replay_per_s: float) -> list[Figure]:
    """Return how fast a backlog of so many hours drains, and how late live samples are stored meanwhile."""
    directory = Path(tempfile.mkdtemp())
    broker = Mosquitto(directory)
    try:
        broker.start()
        with ingesting(directory, broker.port) as (store, pid):
            n = fill(directory / "edge" / "edge1" / "spool", hours, int(SystemClock().now()))
            before = cpu_s(os.getpid()), cpu_s(pid)
            seconds, ages_s = asyncio.run(drain(directory, broker.port, store, replay_per_s))
            after = cpu_s(os.getpid()), cpu_s(pid)
    finally:
        with suppress(OSError):
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    n_ages = len(ages_s)
    cpu_us = [(b - a) / n * PER_BLOCK * 1e6 for a, b in zip(before, after, strict=True)]

    def quantile(q: float) -> float:
        return float(np.quantile(ages_s, q))

    return [
        Figure("backlog drains, times real time", hours * 3600 / seconds, 20.0, np.inf, n, unit="×"),
        Figure("age of live samples in the store, 99 %", quantile(0.99), 0.0, 1.0, n_ages, unit="s"),
        Figure("age of live samples in the store, 50 %", quantile(0.5), -np.inf, np.inf, n_ages, unit="s"),
        Figure(
            "CPU time of a record in the edge, with live ones and this watch", cpu_us[0], -np.inf, np.inf, n, unit="µs"
        ),
        Figure("CPU time of a record in ingest, with live ones", cpu_us[1], -np.inf, np.inf, n, unit="µs"),
    ]


def sections() -> dict[str, list[Figure]]:
    """Measure a short backlog."""
    return {f"Edge: backlog of {SHORT_H:g} h at 1 000 samples/s": measure(SHORT_H, 3000.0)}


def main() -> int:
    """Print the table for the hours that the command line gives."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else SHORT_H
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 3000.0
    sys.stdout.write("\n".join(table(measure(hours, rate))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
