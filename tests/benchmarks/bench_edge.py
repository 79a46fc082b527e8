"""What the edge agent takes: engine, spool, OPC UA notifications. ``python -m tests.benchmarks.bench_edge``.

`engine` goes from samples read to encoded records with a 64-tap correction, without a disk;
`station` includes the spool; `opcua` is a real server in a process of its own, a TCP connection, and the whole agent.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dyncal import kernels
from dyncal.contracts import samples as wire
from dyncal.domain.time import InstantNs
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.events import Append, DesiredSet, Drain
from edge_agent.spool import Spool, entry_of
from tests.evidence import Figure, table
from tests.integration.edge_agent.plant import Plant, now_ns, running, settings_of, until
from tests.unit.edge_agent.helpers import DT, EDGE, SENSOR, T0, coefficient_set, engine, envelope, read


def corrected_set() -> bytes:
    """A set of 64 taps."""
    plain = coefficient_set()
    taps = np.zeros(64)
    taps[:2] = plain.filter.fir
    return envelope(replace(plain, correction=replace(plain.filter, fir=taps)))


def bench_engine(per_block: int, spool: Spool | None) -> float:
    """Return samples a second of one stream, in blocks of `per_block`."""
    agent = engine()
    agent.handle(DesiredSet(SENSOR, corrected_set(), T0))
    n_blocks = max(200, min(3000, 400_000 // per_block))
    raw = np.random.default_rng(1).normal(20, 1, per_block)
    reads = [
        read(T0 + DT * np.arange(k * per_block, (k + 1) * per_block, dtype=np.int64), raw) for k in range(n_blocks)
    ]
    started = time.perf_counter()
    for event in reads:
        effects = [*agent.handle(event), *agent.handle(Drain(event.arrival_ns))]
        for effect in effects:
            if isinstance(effect, Append):
                payload = wire.encode(effect.record)
                if spool is not None:
                    spool.append(entry_of(effect.record, payload))
        if spool is not None:
            spool.flush()
    return n_blocks * per_block / (time.perf_counter() - started)


def serve(port: int, n_nodes: int, array: int, seconds: float, rate_hz: float) -> None:
    """Run a server that writes every node `rate_hz` times a second; in a process of its own."""

    async def main() -> None:
        plant = Plant(port)
        value: Any = [0.0] * array if array else 0.0
        await plant.start(**{f"N{k}": value for k in range(n_nodes)})
        await asyncio.sleep(3)
        start, wall = now_ns() // 1000 * 1000, time.perf_counter()
        step = round(1e9 / rate_hz)
        for k in range(int(seconds * rate_hz)):
            for node in range(n_nodes):
                await plant.write(f"N{node}", [float(k)] * array if array else float(k), start + k * step)
            await asyncio.sleep(max(0.0, wall + k / rate_hz - time.perf_counter()))
        await asyncio.sleep(2)
        await plant.stop()

    asyncio.run(main())


async def bench_opcua(n_nodes: int, array: int, rate_hz: float, seconds: float) -> dict[str, float]:
    """Return samples a second that came through, over the time in which they came, and the share of CPU it took."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, n_nodes, array, seconds, rate_hz))
    process.start()
    broker = FakeBroker()
    dt_s = 1 / rate_hz / max(1, array)
    nodes = [
        {"sensor": f"N{k}", "node": f"ns=2;s=N{k}", "unit": "m", "dt_s": dt_s, "array": bool(array)}
        for k in range(n_nodes)
    ]
    with tempfile.TemporaryDirectory() as directory:
        source: dict[str, Any] = {"url": f"opc.tcp://127.0.0.1:{port}/", "publishing_s": 0.1, "nodes": nodes}
        async with running(settings_of(Path(directory), {"opcua": [source]}), broker) as service:
            await until(lambda: service.health().parts.get(source["url"]) == "", 60)
            cpu = time.process_time()
            await asyncio.sleep(seconds + 6)  # three seconds of peace, writing, the last notifications
            cpu = time.process_time() - cpu
            counts = [stream.counts for stream in service.operation.station._engine.streams.values()]  # type: ignore[union-attr]
    process.kill()
    process.join()
    n_read = sum(item.n_read for item in counts)
    return {
        "written": int(seconds * rate_hz) * n_nodes * max(1, array),
        "read": n_read,
        "gaps": sum(item.n_gaps for item in counts),
        "us_cpu_per_sample": round(cpu / max(1, n_read) * 1e6, 3),
    }


def sections() -> dict[str, list[Figure]]:
    """Measure all."""
    kernels.warm_up()
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # servers that are killed at the end are no news
    made = {"Edge: samples of one stream, corrected with 64 taps": engine_figures()}
    for name, n_nodes, array in (("100 scalars at 20 Hz", 100, 0), ("4 arrays of 1000 at 20 Hz", 4, 1000)):
        found = asyncio.run(bench_opcua(n_nodes, array, 20.0, 8.0))
        n, read_all = int(found["written"]), found["read"] / found["written"]
        made[f"Edge: OPC UA, {name}"] = [
            Figure("samples read, of those written", read_all, -np.inf, np.inf, n, unit="%"),
            Figure("gaps recorded", found["gaps"], -np.inf, np.inf, n),
            Figure("CPU time of a sample", found["us_cpu_per_sample"], -np.inf, np.inf, n, unit="µs"),
        ]
    return made


def engine_figures() -> list[Figure]:
    """Return thousands of samples a second, without a disk and with the spool."""
    figures = []
    for per_block in (1, 10, 100, 1000):
        bench_engine(per_block, None)
        rates = {"engine": bench_engine(per_block, None)}
        with tempfile.TemporaryDirectory() as directory:
            spool = Spool.open(Path(directory), EDGE, InstantNs(T0))
            rates["engine and spool"] = bench_engine(per_block, spool)
            spool.close()
        for what, rate in rates.items():
            label = f"{what}, blocks of {per_block}, a second"
            figures.append(Figure(label, rate / 1e3, -np.inf, np.inf, per_block, unit="thousand samples"))
    return figures


def main() -> int:
    """Print the tables."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
