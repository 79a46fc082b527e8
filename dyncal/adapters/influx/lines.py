"""Line protocol, made column by column.

Per sensor and write, rows of all records are put together first: the newest write wins, raw and corrected values of one
instant share a line. Numbers are printed by msgspec (shortest text that reads back to the same float64) a column at a
time, and joined in one go; no text is made sample by sample in Python.

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

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.series import CorrectedRows, RawRows, join, newest_corrected, newest_raw
from dyncal.domain import quality
from dyncal.domain.samples import GapRecord, Record, SampleBlock, SampleSeries
from dyncal.domain.sensors import SensorId

SAMPLES: Final = "samples"
BLOCKS: Final = "blocks"
GAPS: Final = "gaps"

_ENCODER: Final = msgspec.json.Encoder()
_TAG: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\n"})
_STRING: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})

Bools = npt.NDArray[np.bool_]


def encode(records: Sequence[Record]) -> bytes:
    """Return the lines of records, each ended by a newline; of equal instants the later record wins."""
    blocks: dict[SensorId, list[SampleBlock]] = {}
    parts: list[bytes] = []
    for record in records:
        if isinstance(record, GapRecord):
            parts.append(_gap_line(record))
        else:
            blocks.setdefault(record.sensor, []).append(record)
    for sensor, of_sensor in blocks.items():
        parts += [_block_line(block) for block in of_sensor]
        parts += sample_lines(sensor, *_rows(of_sensor))
    return b"".join(parts)


def tag(text: str) -> str:
    """Return a tag value, escaped; one that ends in a backslash would swallow what follows, so that is doubled."""
    escaped = text.translate(_TAG)
    return escaped + "\\" if escaped.endswith("\\") else escaped


def string(text: str) -> str:
    """Return a string field, quoted and escaped."""
    return f'"{text.translate(_STRING)}"'


def sample_lines(sensor: str, rows: SampleSeries, with_raw: Bools | None = None) -> list[bytes]:
    """Return the lines of `rows`; `with_raw` tells which have a quality of their own (default: all)."""
    raw_row = np.ones(len(rows), bool) if with_raw is None else with_raw
    has_raw = raw_row & ~np.isnan(rows.raw)
    has_corrected = rows.set_index >= 0
    # Rows of one pattern have the same fields; nearly always there are one or two patterns.
    finite = np.isfinite(rows.raw) & np.isfinite(rows.corrected) & np.isfinite(rows.u)
    pattern = raw_row + 2 * has_raw + 4 * has_corrected + 8 * rows.set_index.astype(np.int64).clip(0)
    odd = (has_raw & np.isinf(rows.raw)) | (has_corrected & ~(np.isfinite(rows.corrected) & np.isfinite(rows.u)))
    pattern = np.where(odd & ~finite, -1, pattern)
    lines: list[bytes] = []
    for code in np.unique(pattern).tolist():
        chosen = np.flatnonzero(pattern == code) if code >= 0 else None
        if chosen is None:
            lines += [
                _odd_line(sensor, rows, k, raw_row=bool(raw_row[k])) for k in np.flatnonzero(pattern < 0).tolist()
            ]
        elif code:
            lines.append(_lines(sensor, rows, slice(None) if chosen.size == len(rows) else chosen, code))
    return lines


def _lines(sensor: str, rows: SampleSeries, chosen: Any, code: int) -> bytes:
    """Return the lines of rows that have the same fields."""
    columns: list[tuple[str, npt.NDArray[Any]]] = []
    if code & 2:
        columns.append(("raw=", rows.raw[chosen]))
    if code & 4:
        columns += [("corrected=", rows.corrected[chosen]), ("u=", rows.u[chosen])]
    constants = []
    if code & 4:
        constants.append(f"set={string(rows.set_ids[code >> 3])}")
    if code & 1:
        codes = rows.quality[chosen]
        if bool(np.all(codes == codes[0])):
            constants.append(f"quality={codes[0]}i")
        else:
            columns.append(("quality=", codes))
    t = rows.t_ns[chosen]
    width = 2 * len(columns) + 2
    line: list[bytes] = []
    head = f"{SAMPLES},sensor={tag(sensor)} "
    for k, (name, _) in enumerate(columns):
        line += [(("," + name) if k else (head + name)).encode(), b""]
    # The quality column is the last one, and an integer.
    suffix = "i" if columns and columns[-1][0] == "quality=" else ""
    tail = suffix + ("," if columns and constants else "") + ",".join(constants) + " "
    line += [(tail if columns else head + tail).encode(), b""]
    parts = line * t.size
    for k, (_, values) in enumerate(columns):
        parts[2 * k + 1 :: width] = _texts(values)
    parts[width - 1 :: width] = _texts(t)
    parts[width::width] = [b"\n" + line[0]] * (t.size - 1)
    return b"".join(parts) + b"\n"


def _texts(values: npt.NDArray[Any]) -> list[bytes]:
    return _ENCODER.encode(values.tolist())[1:-1].split(b",")


def _odd_line(sensor: str, rows: SampleSeries, k: int, *, raw_row: bool) -> bytes:
    """Return the line of a row that has an infinity, or a corrected value without uncertainty."""
    fields = [f"quality={rows.quality[k]}i"] if raw_row else []
    for name, value in (("raw", rows.raw[k]), ("corrected", rows.corrected[k]), ("u", rows.u[k])):
        if np.isinf(value):
            fields.append(f"{name}_inf={1 if value > 0 else -1}i")
        elif not np.isnan(value):
            fields.append(f"{name}={float(value)!r}")
    if rows.set_index[k] >= 0:
        fields.append(f"set={string(rows.set_ids[rows.set_index[k]])}")
    return f"{SAMPLES},sensor={tag(sensor)} {','.join(fields)} {rows.t_ns[k]}\n".encode()


def _rows(blocks: list[SampleBlock]) -> tuple[SampleSeries, Bools]:
    raw = newest_raw([RawRows(b.axis.t_ns, b.raw, quality.expand(b.quality)) for b in blocks])
    names: dict[str, int] = {}
    spans = []
    for span in (b.corrected for b in blocks if b.corrected is not None):
        given = ~np.isnan(span.value)
        index = np.full(int(np.count_nonzero(given)), names.setdefault(span.set_id, len(names)), np.int32)
        spans.append(CorrectedRows(span.axis.t_ns[given], span.value[given], span.u[given], index))
    rows = join(raw, newest_corrected(spans), list(names))
    with_raw = np.ones(len(rows), bool)
    if len(rows) != len(raw.t_ns):
        with_raw = np.isin(rows.t_ns, raw.t_ns)
    return rows, with_raw


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
