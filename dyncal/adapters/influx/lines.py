"""Line protocol, made column by column.

Per sensor and write, rows of all records are put together first: the newest write wins, raw and corrected values of one
instant share a line. Numbers are the shortest text that reads back to the same float64. Kernels print whole lines
(`dyncal.adapters.influx.printing`).

Measurements
------------
``samples``, tag ``sensor``: float ``raw``, ``corrected``, ``u``; integer ``quality``; string ``set``. A field is absent
where there is no value. InfluxDB has no infinity: such a value is an integer field ``raw_inf``, ``corrected_inf`` or
``u_inf`` of 1 or -1 instead.
``blocks``, tag ``sensor``: one point for each block at its first instant, with what is known of it besides the samples.
``gaps``, tags ``sensor`` and ``cause``, at the instant after which samples are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dyncal.adapters.influx.printers import PRINTER
from dyncal.adapters.series import CorrectedRows, RawRows, join, newest_corrected, newest_raw
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, GapRecord, Record, SampleBlock, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import Int64Array, TimeAxis, UniformAxis

SAMPLES: Final = "samples"
BLOCKS: Final = "blocks"
GAPS: Final = "gaps"

_TAG: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\n"})
_STRING: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})

Bools = npt.NDArray[np.bool_]


def encode(records: Sequence[Record]) -> bytes:
    """Return the lines of records, each ended by a newline; of equal instants the later record wins."""
    PRINTER.begin()
    blocks: dict[SensorId, list[SampleBlock]] = {}
    parts: list[bytes] = []
    for record in records:
        if isinstance(record, GapRecord):
            parts.append(_gap_line(record))
        else:
            blocks.setdefault(record.sensor, []).append(record)
    for sensor, of_sensor in blocks.items():
        parts += [_block_line(block) for block in of_sensor]
        parts.append(_sample_lines(sensor, *_rows(of_sensor)))
    return b"".join(parts)


def tag(text: str) -> str:
    """Return a tag value, escaped; one that ends in a backslash would swallow what follows, so that is doubled."""
    escaped = text.translate(_TAG)
    return escaped + "\\" if escaped.endswith("\\") else escaped


def string(text: str) -> str:
    """Return a string field, quoted and escaped."""
    return f'"{text.translate(_STRING)}"'


def _sample_lines(sensor: str, rows: SampleSeries, with_raw: Bools) -> bytes:
    """Return the lines of `rows`; `with_raw` tells which have a quality of their own."""
    head = f"{SAMPLES},sensor={tag(sensor)} ".encode()
    return PRINTER.sample_lines(head, rows, with_raw, [f"set={string(name)}".encode() for name in rows.set_ids])


def _rows(blocks: list[SampleBlock]) -> tuple[SampleSeries, Bools]:
    # All blocks at once: what numpy does for each call costs more than what it does for each of a hundred samples.
    runs = [run for block in blocks for run in block.quality]
    codes = quality.expand(tuple(runs))
    raw = newest_raw([RawRows(_instants([b.axis for b in blocks]), _joined([b.raw for b in blocks]), codes)])
    names: dict[str, int] = {}
    corrected = newest_corrected(_corrected([b.corrected for b in blocks if b.corrected is not None], names))
    rows = join(raw, corrected, list(names))
    with_raw = np.ones(len(rows), bool)
    if len(rows) != len(raw.t_ns):
        with_raw[:] = False
        with_raw[np.searchsorted(rows.t_ns, raw.t_ns)] = True
    return rows, with_raw


def _corrected(spans: list[CorrectedSpan], names: dict[str, int]) -> list[CorrectedRows]:
    """Return the values that are there, in one piece; `names` takes up the sets."""
    if not spans:
        return []
    numbers = [names.setdefault(span.set_id, len(names)) for span in spans]
    index = np.repeat(np.array(numbers, np.int32), [len(span.value) for span in spans])
    rows = CorrectedRows(
        _instants([span.axis for span in spans]),
        _joined([span.value for span in spans]),
        _joined([span.u for span in spans]),
        index,
    )
    given = ~np.isnan(rows.value)
    if given.all():
        return [rows]
    return [CorrectedRows(rows.t_ns[given], rows.value[given], rows.u[given], rows.set_index[given])]


def _instants(axes: list[TimeAxis]) -> Int64Array:
    """Return the instants of all axes, one after the other."""
    uniform = [(axis.t0_ns, axis.dt_ns, axis.n) for axis in axes if isinstance(axis, UniformAxis)]
    if len(uniform) < len(axes):
        return _joined([axis.t_ns for axis in axes])
    t0, dt, n = np.array(uniform, np.int64).T
    before = np.cumsum(n) - n
    # the products may wrap around, and the sums wrap back
    instants: Int64Array = np.repeat(t0 - dt * before, n) + np.repeat(dt, n) * np.arange(n.sum())
    return instants


def _joined(columns: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _block_line(block: SampleBlock) -> bytes:
    fields = [
        f"edge={string(block.edge)}",
        f"epoch={block.epoch}i",
        f"sequence={block.sequence}i",
        f"n={len(block)}i",
        f"arrival_ns={block.arrival_ns}i",
        f"u_t_ns={block.u_t_ns}i",
        f"replayed={'true' if block.replayed else 'false'}",
    ]
    if block.server_ns is not None:
        fields.append(f"server_ns={block.server_ns}i")
    first = block.axis.t0_ns if hasattr(block.axis, "t0_ns") else int(block.axis.t_ns[0])
    return f"{BLOCKS},sensor={tag(block.sensor)} {','.join(fields)} {first}\n".encode()


def _gap_line(record: GapRecord) -> bytes:
    gap = record.gap
    lost = -1 if gap.n_lost is None else gap.n_lost
    fields = (
        f"before_ns={gap.before_ns}i,n_lost={lost}i,edge={string(record.edge)},epoch={record.epoch}i,"
        f"sequence={record.sequence}i,last_sequence={record.last_sequence}i"
    )
    return f"{GAPS},sensor={tag(record.sensor)},cause={gap.cause} {fields} {gap.after_ns}\n".encode()
