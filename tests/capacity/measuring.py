"""Measures the coefficients: processor time of this process, bytes, memory."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from dyncal.adapters.influx import InfluxSampleStore, lines
from dyncal.adapters.influx.http import Endpoint
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.contracts import samples
from dyncal.contracts.samples import decode_packed
from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.kernels import warm_up
from dyncal.runtime.logging import configure
from dyncal.runtime.settings import LogSettings
from dyncal.testing.records import block, uniform
from tests.benchmarks import bench_replay
from tests.capacity.coefficients import Line
from tests.evidence import revision
from tests.servers import Influxd

SIZES: Final = (10, 100, 1000)
ROWS: Final = 400_000
DELAY: Final = 16
BEGUN_S: Final = 60
LONG_S: Final = 120.0
"""Simulated time, of which the beginning, with first estimates and sets, is left out [s]."""

MQTT_BYTES: Final = 60
"""Topic and header."""

RECORD_BYTES: Final = 16
"""Around a record in the spool."""

SETTLE_S: Final = 20.0


def stages() -> dict[str, Any]:
    """Return the processor time of edge and calibration."""
    found = {n: _stages(n) for n in SIZES}
    return {
        "edge": _line([(n, found[n]["edge"] * n) for n in SIZES]),
        "calibrate": _line([(n, found[n]["calibration"] * n) for n in SIZES]),
    }


def ingest() -> dict[str, Any]:
    """Return the processor time of ingest, and bytes of messages."""
    sizes = {n: len(samples.encode(_blocks(n, 1)[0])) for n in SIZES}
    return {
        "ingest_embedded": _line([(n, _ingest(n, influx=False)) for n in SIZES]),
        "ingest_influx": _line([(n, _ingest(n, influx=True)) for n in SIZES]),
        "wire": _line([(n, size + MQTT_BYTES) for n, size in sizes.items()]),
        "spool": _line([(n, size + RECORD_BYTES) for n, size in sizes.items()]),
    }


def disk() -> dict[str, Any]:
    """Return bytes on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        embedded, aggregate = _embedded_bytes(Path(folder))
        influx = _influx_bytes(Path(folder) / "influxd")
    return {"embedded_bytes": embedded, "influx_bytes": influx, "aggregate_bytes": aggregate}


def memory() -> dict[str, Any]:
    """Return what the programs take, and each sensor."""
    few, many = _memory_mb(1), _memory_mb(4)
    return {
        "programs_mb": few - (many - few) / 3,
        "sensor_mb": (many - few) / (3 * bench_replay.STATIONS),
    }


PARTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "ingest": ingest, "disk": disk, "stages": stages, "memory": memory,
}  # fmt: skip


def measured(parts: Sequence[str]) -> dict[str, Any]:
    """Measure some parts."""
    configure(LogSettings(level="error"))
    warm_up()
    found: dict[str, Any] = {"made_at": revision(), "processor": _processor()}
    for part in parts:
        found |= PARTS[part]()
    return found


def _line(points: Sequence[tuple[int, float]]) -> Line:
    """Return the line through costs of blocks, each weighed by its own size."""
    n, cost = (np.array(column, np.float64) for column in zip(*points, strict=True))
    found = np.linalg.lstsq(np.column_stack([1 / cost, n / cost]), np.ones(n.size), rcond=None)[0]
    return Line(round(max(float(found[0]), 0.0), 3), round(float(found[1]), 5))


def _blocks(n: int, count: int) -> list[SampleBlock]:
    """Return blocks of n samples at 100 Hz, corrected late; noise down to the last bit, which compresses worst."""
    rng = np.random.default_rng(n)
    made = []
    for k in range(count):
        raw = 100 + np.cumsum(rng.normal(size=n)) * 0.01
        late = uniform(n, (k + 1) * n - DELAY)
        u = 0.02 + 1e-4 * rng.random(n)
        made.append(block(raw, sequence=k, axis=uniform(n, k * n), corrected=CorrectedSpan(late, raw + 0.1, u, "s@3")))
    return made


def _store(path: Path) -> SqliteSampleStore:
    return SqliteSampleStore(path)


def _cpu_us(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return 1e6 * (time.process_time() - begun)


def _ingest(n: int, *, influx: bool) -> float:
    """Return what ingest's thread spends on a block: reading the message, and the store's share [µs]."""
    count = max(ROWS // 4 // n, 50)
    payloads = [samples.encode(block) for block in _blocks(n, count)]
    encoder = lines.Encoder()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(SqliteSampleStore(Path(folder) / "s.sqlite")) as store,
    ):

        def work() -> None:
            for k in range(0, count, 200):
                packed = [decode_packed(payload) for payload in payloads[k : k + 200]]
                if influx:
                    encoder.encode(lines.packed(packed))
                else:
                    store.write(packed)

        work()
        return _cpu_us(work) / count


def _stages(n: int) -> dict[str, float]:
    """Return processor time of edge and calibration a sample, where blocks hold n [µs]."""
    _, cost = bench_replay.measured(LONG_S, 1, n / bench_replay.RATE_HZ, good=True)
    first = next(k for k, mark in enumerate(cost.marks) if mark[0] - cost.marks[0][0] >= BEGUN_S * NS_PER_S)
    span_s, _, stages = cost.since(first)
    rows = bench_replay.RATE_HZ * 2 * bench_replay.STATIONS * span_s
    return {stage: 1e6 * spent / rows for stage, spent in stages.items()}


def _memory_mb(copies: int) -> float:
    """Return the most memory of a process that replays so many times ten sensors with their references [MB]."""
    code = (
        "import sys; from tests.benchmarks import bench_replay as b; from tests.capacity.measuring import most_mb;"
        "b.measured(100.0, int(sys.argv[1]), 10.0, good=True); print(most_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(copies)], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def most_mb() -> float:
    """Return the most memory that this process has had [MB]."""
    said = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss knows what the parent had, too
    return next(float(line.split()[1]) for line in said.splitlines() if line.startswith("VmHWM:")) / 1024


def _embedded_bytes(folder: Path) -> tuple[float, float]:
    """Return bytes a sample and bytes an aggregate of the embedded store, once it has merged."""
    path = folder / "s.sqlite"
    written = _blocks(100, ROWS // 100)
    with contextlib.closing(_store(path)) as store:
        for k in range(0, len(written), 100):
            store.write(written[k : k + 100])
        sensor, first = written[0].sensor, int(written[0].axis.t_ns[0])
    a_sample = path.stat().st_size / ROWS
    with contextlib.closing(_store(path)) as store:
        start = first - first % NS_PER_S
        for begin in range(start, start + ROWS // 100 * NS_PER_S + NS_PER_S, 400 * NS_PER_S):
            span = InstantNs(begin), InstantNs(begin + 400 * NS_PER_S)
            rows = store.read(sensor, *span)
            store.replace(sensor, SAMPLES, *span, aggregates.of_samples(rows, NS_PER_S), len(rows))
        n = len(store.aggregates(sensor, InstantNs(0), InstantNs(9 * 10**18)))
    return a_sample, path.stat().st_size / n


def _influx_bytes(folder: Path) -> float:
    """Return bytes a sample of InfluxDB 1.x, once it has moved its log to files; NaN where there is no server."""
    wishes = {
        "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "1s",
        "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "1s",
    }
    os.environ |= wishes
    server = Influxd(folder)
    server.start()
    try:
        with contextlib.closing(InfluxSampleStore(Endpoint(server.url, "capacity"))) as store:
            written = _blocks(100, ROWS // 100)
            for k in range(0, len(written), 200):
                store.write(written[k : k + 200])
        time.sleep(SETTLE_S)
        used = sum(
            path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix in (".tsm", ".wal")
        )
    finally:
        server.stop(kill=True)
        for name in wishes:
            del os.environ[name]
    return used / ROWS


def _processor() -> str:
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    return platform.machine()
