"""What the agent reads from an OPC UA server of other people. ``python -m tests.benchmarks.bench_opcua``.

node-opcua in a process of its own, a TCP connection, and the whole agent with its spool; every sample is counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dyncal import kernels
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from tests.cuts.servers import NODE_OPCUA, Missing, installed, node_command
from tests.evidence import Figure, table
from tests.integration.edge_agent.plant import running, settings_of, until

SECONDS = 10.0
SETTLE_S = 40.0


@dataclass(frozen=True, slots=True)
class Load:
    """Nodes, how often each changes, and how long an array each change is (0: one number)."""

    n_nodes: int
    rate_hz: float
    array: int = 0

    @property
    def samples(self) -> int:
        """Samples in all."""
        return self.n_nodes * int(SECONDS * self.rate_hz) * max(1, self.array)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of it: samples, gaps, the time that the server took to make them, until the last was spooled [s]."""

    samples: int
    gaps: int
    made_s: float
    taken_s: float
    cpu_s: float


async def measure(load: Load) -> Read:
    """Run it. Raises `Missing` where node-opcua is not to be had."""
    port = free_port()
    command = node_command(installed(NODE_OPCUA), "node_load.js")
    numbers = (port, load.n_nodes, load.rate_hz, load.array, SECONDS)
    with tempfile.TemporaryDirectory() as directory:
        process = await asyncio.create_subprocess_exec(
            *(*command, *(f"{number:g}" for number in numbers)),
            env={**os.environ, "HOME": directory, "XDG_CONFIG_HOME": directory},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            return await _agent(load, port, Path(directory), process)
        finally:
            process.kill()
            await process.wait()


async def _agent(load: Load, port: int, directory: Path, process: asyncio.subprocess.Process) -> Read:
    assert process.stdout is not None
    assert process.stdin is not None
    while await process.stdout.readline() != b"ready\n":
        assert process.returncode is None
    dt_s = 1 / load.rate_hz / max(1, load.array)
    nodes = [
        {"sensor": f"N{k}", "node": f"ns=1;s=N{k}", "unit": "m", "dt_s": dt_s, "array": bool(load.array)}
        for k in range(load.n_nodes)
    ]
    for node in nodes:
        node |= {"sampling_s": 0.0, "queue_size": 1000}
    source: dict[str, Any] = {"url": f"opc.tcp://127.0.0.1:{port}", "publishing_s": 0.1, "nodes": nodes}
    async with running(settings_of(directory, {"opcua": [source]}), FakeBroker()) as service:
        await until(lambda: service.health().parts.get(source["url"]) == "", 120)
        streams = service.operation.station._engine.streams  # type: ignore[union-attr]  # it runs
        await until(lambda: all(stream.counts.n_read for stream in streams.values()), 60)
        before = sum(stream.counts.n_read for stream in streams.values())
        cpu_s, began = time.process_time(), time.perf_counter()
        process.stdin.write(b"go\n")
        said = await process.stdout.readline()
        limit = time.perf_counter() + SETTLE_S
        while (n := sum(s.counts.n_read for s in streams.values()) - before) < load.samples:
            await asyncio.sleep(0.05)
            if time.perf_counter() > limit:
                break
        taken_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        gaps = sum(stream.counts.n_gaps for stream in streams.values())
    return Read(n, gaps, float(said.split()[1]), taken_s, cpu_s)


def figures(load: Load, bar: float, what: str) -> list[Figure]:
    """Return the figures of one load; `bar` is in notifications or samples a second."""
    found = asyncio.run(measure(load))
    lost = 1 - found.samples / load.samples
    n = load.samples
    return [
        Figure(f"{what} a second, until the last was read", found.samples / found.taken_s, bar, np.inf, n),
        Figure("of them lost", lost, 0.0, 0.0, n, unit="%"),
        Figure(f"{what} in a second of the agent's CPU", found.samples / found.cpu_s, bar, np.inf, n),
        Figure("gaps recorded of a node, at the start", found.gaps / load.n_nodes, 0.0, 1.0, load.n_nodes),
    ]


def sections() -> dict[str, list[Figure]]:
    """Measure all; nothing where node-opcua cannot be installed."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # servers that are killed at the end are no news
    kernels.warm_up()
    try:
        installed(NODE_OPCUA)
    except Missing as error:
        sys.stderr.write(f"not measured: {error}\n")
        return {}
    return {
        "OPC UA: 120 numbers, each at 100 Hz": figures(Load(120, 100.0), 10_000, "notifications"),
        "OPC UA: 80 arrays of 1 000, each at 20 Hz": figures(Load(80, 20.0, 1000), 1e6, "samples"),
        # as much, but a message for each sample; which the server hardly makes
        "OPC UA: 1 000 numbers, each at 10 Hz": figures(Load(1000, 10.0), -np.inf, "notifications"),
    }


def main() -> int:
    """Print the tables."""
    for section, rows in sections().items():
        sys.stdout.write("\n".join([section, *table(rows)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
