"""Figures of the stores: ``python -m tests.benchmarks.bench_stores [--samples N]``.

Line encoder against f-strings, both to the same bytes, in one run; range query and write rate of the embedded store.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dyncal.adapters.influx import lines
from dyncal.adapters.influx.printers import PRINTER
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.domain.samples import SampleBlock
from dyncal.domain.time import InstantNs
from dyncal.testing.records import DT, T0, TC, block, span, uniform
from tests.evidence import Figure, table

BLOCK = 100
QUERY = 100_000
QUERY_MS = 10.0


def best(function: Callable[[], object], repeats: int = 7) -> float:
    """Return the shortest time of `repeats` [s]."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def blocks(first: int, n: int, delay: int = 16) -> list[SampleBlock]:
    """Return blocks of a noisy signal with corrected values that come `delay` samples late."""
    rng = np.random.default_rng(first)
    made = []
    for k in range(first, first + n):
        raw = 100 + np.cumsum(rng.normal(size=BLOCK)) * 0.01
        late = uniform(BLOCK, (k + 1) * BLOCK - delay)
        made.append(
            block(raw, sequence=k, axis=uniform(BLOCK, k * BLOCK), corrected=span(late, raw + 0.1, "set-1", 0.02))
        )
    return made


def with_f_strings(records: list[SampleBlock]) -> bytes:
    """Return the lines as one writes them at first, raw and corrected values on a line each sample."""
    text = []
    for record in records:
        corrected = record.corrected
        assert corrected is not None
        columns = (record.raw, corrected.value, corrected.u, record.axis.t_ns)
        for raw, value, u, t in zip(*(column.tolist() for column in columns), strict=True):
            text.append(
                f"samples,sensor={record.sensor} raw={raw!r},corrected={value!r},u={u!r},quality=0i,"
                f'set="{corrected.set_id}" {t}\n'
            )
    return "".join(text).encode()


def encoder() -> list[Figure]:
    """Return the cost of a line."""
    records = blocks(0, 100)
    n = 100 * BLOCK
    PRINTER.begin().join()
    pairs = [(best(lambda: lines.encode(records), 3), best(lambda: with_f_strings(records), 1)) for _ in range(9)]
    ours, naive = (min(times) for times in zip(*pairs, strict=True))
    return [
        Figure("line encoder, a line", ours / n * 1e6, -np.inf, np.inf, n, unit="µs"),
        Figure("the same with f-strings, over ours", naive / ours, 4.0, np.inf, n, unit="×", peer="Python"),
    ]


def sqlite(n_samples: int) -> list[Figure]:
    """Return rates and latencies of the embedded store."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "samples.sqlite"
        store = SqliteSampleStore(path)
        spent = 0.0
        for first in range(0, n_samples // BLOCK, 500):
            records = blocks(first, 500)
            started = time.perf_counter()
            store.write(records)
            spent += time.perf_counter() - started
        rng = np.random.default_rng(1)
        times = []
        for _ in range(40):
            start = InstantNs(T0 + int(rng.integers(0, max(n_samples - QUERY, 1))) * DT)
            started = time.perf_counter()
            rows = store.read(TC, start, InstantNs(start + QUERY * DT))
            times.append(time.perf_counter() - started)
            assert len(rows) == min(QUERY, n_samples)
        low, middle, high = np.percentile(times, [0, 50, 95]) * 1e3
        started = time.perf_counter()
        store.read(TC, InstantNs(T0), InstantNs(T0 + n_samples * DT), max_points=2000)
        decimated = time.perf_counter() - started
        size = path.stat().st_size / n_samples
        store.close()
    of = f"{QUERY} of {n_samples} samples"
    plain = (
        ("write, raw with corrected and u, a second", n_samples / spent / 1e3, np.inf, "thousand samples"),
        ("size of a sample", size, np.inf, "bytes"),
        (f"query of {of}, best", low, np.inf, "ms"),
        (f"query of {of}, median", middle, QUERY_MS, "ms"),
        (f"query of {of}, 95 %", high, np.inf, "ms"),
        (f"decimation of {n_samples} samples to 2000", decimated * 1e3, np.inf, "ms"),
    )
    return [Figure(what, value, -np.inf, bar, n_samples, unit=unit) for what, value, bar, unit in plain]


def sections(n_samples: int = 10_000_000) -> dict[str, list[Figure]]:
    """Measure all."""
    return {"Stores: lines for InfluxDB": encoder(), "Stores: the embedded store": sqlite(n_samples)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000_000)
    options = parser.parse_args()
    for section, figures in sections(options.samples).items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
