"""The page: what was measured, and the arithmetic from there to cores, memory, disk and network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from tests.capacity.coefficients import Coefficients, Line

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "capacity.md"

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
BUSY: Final = 0.6
"""Most of a core that is planned with."""

SHELL: Final = 2.5
"""Broker client, event loop, TLS and system calls over the engines alone: whole programs take up to so much more."""

PLANTS: Final = (
    (100, 1), (1000, 1), (10_000, 1), (100, 10), (1000, 10), (20, 100), (100, 100), (500, 100), (50, 1000), (200, 1000),
)  # fmt: skip
"""Sensors, and samples a second of each; every second one is calibrated against the other."""


def block_of(rate_hz: int) -> float:
    """Return the samples of a block: what comes in a second, and at least one."""
    return max(float(rate_hz), 1.0)


def cores(line: Line, n: int, rate_hz: int) -> float:
    """Return the processor time of n streams in a second [s]."""
    return SHELL * n * line.a_second(rate_hz, block_of(rate_hz)) / 1e6


TEXT: Final = """\
# Capacity

Made by `python -m tests.capacity` from what it measures: processor time, not wall time, so that other work on the
machine hardly matters. At {c.made_at}, {c.processor}.

| measured | a block | and each of its samples |
|---|---|---|
{lines}

| measured | |
|---|---|
| embedded store, a sample with raw, corrected, u | {c.embedded_bytes:.1f} B |
| InfluxDB 1.6, the same | {c.influx_bytes:.1f} B |
| embedded store, an aggregate | {c.aggregate_bytes:.0f} B |
| memory of edge, ingest and calibrate with their libraries, together in one process | {c.programs_mb:.0f} MB |
| memory of a sensor with its reference in all three | {c.sensor_mb:.2f} MB |

Values are noise to the last bit, which compresses worst: real converters need less of the disk.

{table}

## How the table is made

Half of the sensors are references of the others. A block is what comes in a second. Engines are multiplied by
{shell:g} for what is around them (broker client, event loop, HTTP, system calls): all of ingest takes 0.57 µs a sample
to InfluxDB in blocks of 100 ([benchmarks](evidence/benchmarks.md)), its engines by these figures a 2.3th of it; for the
other programs, and with TLS, it is an assumption. A figure is cores that are {busy:.0%} busy. No program uses
more than one core for its work: where a figure is **above 1**, take more edges, or a plant in parts.

{shown}

and each is divided by {busy:g}. Disk: {n} × {rate} Hz × {c.embedded_bytes:.1f} B × {year_s} s = {year} a year of
samples in the embedded store; with [retention](retention.md) of 30 days of samples and seconds for the rest of the
year: {kept}.

Network: a message goes from the edge to the broker once, and from there to ingest, calibrate and the API: four times in
all. The column is one of these. Add a third for TCP and TLS where blocks are small.

## What is not in it

- Reading the sources at the edge: [OPC UA and MQTT have their own figures](evidence/benchmarks.md); scalars over OPC UA
  cost 30 to 130 µs each, arrays below 1 µs a sample.
- The database server and the broker.
- The first minutes: first estimates and sets cost calibrate several times as much. Catching up after an absence takes
  the time that the table's cores leave free.
- Models other than of the first order, which cost calibrate more, and references as noisy as their sensors.
- Consoles ([figures](evidence/benchmarks.md) of 50 clients) and PostgreSQL (a few changes a second at most).
"""


def text_of(c: Coefficients) -> str:
    """Return the page."""
    n, rate = 100, 100
    stages = [("edge", c.edge), ("ingest", c.ingest_embedded), ("calibrate", c.calibrate)]
    shown = [
        f"    {name:9} {n} × {rate} Hz × ({line.block:.3g} µs / {rate} + {line.sample:.3g} µs) × {SHELL:g}"
        f" = {cores(line, n, rate):.3f} s of processor a second"
        for name, line in stages
    ]
    kept = n * (rate * c.embedded_bytes * 30 + c.aggregate_bytes * 335) * DAY_S
    return TEXT.format(
        c=c,
        lines="\n".join(_lines(c)),
        table="\n".join(_table(c)),
        shown="\n".join(shown),
        shell=SHELL,
        busy=BUSY,
        n=n,
        rate=rate,
        year_s=YEAR_S,
        year=_bytes(n * rate * c.embedded_bytes * YEAR_S),
        kept=_bytes(kept),
    )


def _lines(c: Coefficients) -> list[str]:
    rows = (
        ("edge: check, correct with u, number, record for the spool", c.edge, "µs"),
        ("ingest: read a message, write it to the embedded store", c.ingest_embedded, "µs"),
        ("ingest: read a message, make lines for InfluxDB", c.ingest_influx, "µs"),
        ("calibrate: align, estimate, watch, forecast", c.calibrate, "µs"),
        ("a message to the broker (raw, corrected, u)", c.wire, "B"),
        ("spool of the edge", c.spool, "B"),
    )
    return [f"| {what} | {line.block:.3g} {unit} | {line.sample:.3g} {unit} |" for what, line, unit in rows]


def _table(c: Coefficients) -> list[str]:
    heads = (
        "sensors × rate", "edge", "ingest, embedded", "ingest, InfluxDB", "calibrate", "memory", "network",
        "embedded a day", "InfluxDB a day", "spool of 1 GiB lasts",
    )  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for n, rate in PLANTS:
        busy = [_cores(cores(line, n, rate)) for line in (c.edge, c.ingest_embedded, c.ingest_influx, c.calibrate)]
        spool_s = 2**30 / (n * c.spool.a_second(rate, block_of(rate)))
        rest = [
            f"{c.programs_mb + c.sensor_mb * n / 2:.0f} MB",
            f"{_bytes(n * c.wire.a_second(rate, block_of(rate)))}/s",
            _bytes(n * rate * c.embedded_bytes * DAY_S),
            _bytes(n * rate * c.influx_bytes * DAY_S),
            _time(spool_s),
        ]
        rows.append(f"| {n} × {rate} Hz | {' | '.join([*busy, *rest])} |")
    return rows


def _cores(busy_s: float) -> str:
    wanted = busy_s / BUSY
    return f"{wanted:.2f}" if wanted < 1 else f"**{wanted:.1f}**"


def _bytes(n: float) -> str:
    k = min(int(math.log10(max(n, 1)) // 3), 4)
    return f"{n / 1000**k:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[k]}"


def _time(seconds: float) -> str:
    for unit, length in (("d", DAY_S), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
