"""Samples in the forms in which they leave: JSON, CSV, and Apache Arrow as a stream of record batches."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import InstantNs, iso
from dyncal.ports.history import HistoryStore
from services.api import past
from services.api.past import Stood

if TYPE_CHECKING:  # a tenth of a second, which no start of the service should pay
    import pyarrow as pa

ARROW: Final = "application/vnd.apache.arrow.stream"
ROWS_A_BATCH: Final = 65_536
MAX_BATCHES: Final = 10_000


EXTREMES: Final = ("raw_min", "raw_max", "corrected_min", "corrected_max")


def as_json(
    sensor: Sensor, series: SampleSeries, from_ns: InstantNs, to_ns: InstantNs, stood: Stood | None = None
) -> bytes:
    """Return columns; what is not there is null. Those of `stood` come where some rows are aggregates."""
    beside: dict[str, list[Any]] = {}
    if stood is not None:
        beside = {"width_ns": stood.width_ns.tolist(), "n": stood.n.tolist()}
        beside |= {name: _finite(getattr(stood, name)) for name in EXTREMES}
    return msgspec.json.encode(
        {
            "sensor": sensor.id,
            "unit": sensor.unit,
            "from_ns": from_ns,
            "to_ns": to_ns,
            "decimated": series.decimated,
            "t_ns": series.t_ns.tolist(),
            "raw": _finite(series.raw),
            "corrected": _finite(series.corrected),
            "u": _finite(series.u),
            "quality": series.quality.tolist(),
            "set_index": series.set_index.tolist(),
            "sets": list(series.set_ids),
            "aggregated": stood is not None,
            **beside,
        }
    )


def as_csv(series: SampleSeries, stood: Stood | None = None) -> str:
    """Return a line for each row, behind one with the names of the columns; those of `stood` are the last."""
    out = io.StringIO()
    writer = csv.writer(out)
    behind = () if stood is None else ("width_ns", "n", *EXTREMES)
    writer.writerow(["t", "t_ns", "raw", "corrected", "u", "quality", "set", *behind])
    columns = (series.t_ns.tolist(), _finite(series.raw), _finite(series.corrected), _finite(series.u))
    rows = zip(*columns, series.quality.tolist(), series.set_index.tolist(), strict=True)
    lines = [
        [iso(t), t, raw, corrected, u, f"0x{code:08X}", series.set_ids[index] if index >= 0 else ""]
        for t, raw, corrected, u, code, index in rows
    ]
    if stood is not None:
        more = zip(
            stood.width_ns.tolist(), stood.n.tolist(), *(_finite(getattr(stood, e)) for e in EXTREMES), strict=True
        )
        lines = [[*line, *others] for line, others in zip(lines, more, strict=True)]
    writer.writerows(lines)
    return out.getvalue()


def _finite(values: np.typing.NDArray[np.float64]) -> list[float | None]:
    return [None if bad else value for value, bad in zip(values.tolist(), ~np.isfinite(values), strict=True)]


def slices(sensor: Sensor, from_ns: InstantNs, to_ns: InstantNs) -> list[tuple[InstantNs, InstantNs]]:
    """Return intervals that make up [from, to), each of about `ROWS_A_BATCH` rows at the sensor's nominal rate.

    Raises
    ------
    InvalidData
        If there are more than `MAX_BATCHES` of them.
    """
    length = sensor.dt_ns * ROWS_A_BATCH
    n = -(-(to_ns - from_ns) // length)
    if n > MAX_BATCHES:
        raise InvalidData(f"an interval of {n * ROWS_A_BATCH} rows is too long; ask for parts, or give max_points")
    starts = range(from_ns, to_ns, length)
    return [(InstantNs(start), InstantNs(min(start + length, to_ns))) for start in starts]


def arrow_stream(
    sensor: Sensor,
    store: HistoryStore,
    parts: list[tuple[InstantNs, InstantNs]],
    max_points: int | None = None,
) -> Iterator[bytes]:
    """Yield an Arrow IPC stream: a batch for each part, none held longer than it takes to write it.

    Columns: `t` (timestamp [ns], UTC), `raw`, `corrected`, `u` (float64 in the unit that the schema's metadata states;
    null where there is none), `quality` (uint32), `set` (dictionary of string); where the range has aggregates also
    `width_ns`, `n` (int64) and the extremes. Blocks while it reads.
    """
    import pyarrow as pa  # noqa: PLC0415 - see above

    aggregated = past.any_aggregates(store, sensor.id, parts[0][0], parts[-1][1])
    schema = _schema(sensor, parts[0][0], parts[-1][1], aggregated=aggregated)
    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        for start, end in parts:
            series, stood = past.read(store, sensor.id, start, end, max_points)
            if len(series):
                writer.write_batch(_batch(series, stood, schema, aggregated=aggregated))
            yield from sink.drain()
    yield from sink.drain()


class _Sink(io.RawIOBase):
    """Takes what Arrow writes, until it is handed on."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        part = bytes(content)  # type: ignore[call-overload]  # Arrow's buffers are only lent
        self._parts.append(part)
        return len(part)

    def drain(self) -> Iterator[bytes]:
        """Yield what came since the last call, as one piece."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)


def _schema(sensor: Sensor, from_ns: InstantNs, to_ns: InstantNs, *, aggregated: bool) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    fields: list[pa.Field[Any]] = [
        pa.field("t", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("raw", pa.float64()),
        pa.field("corrected", pa.float64()),
        pa.field("u", pa.float64()),
        pa.field("quality", pa.uint32(), nullable=False),
        pa.field("set", pa.dictionary(pa.int32(), pa.string())),
    ]
    if aggregated:
        fields += [pa.field("width_ns", pa.int64()), pa.field("n", pa.int64())]
        fields += [pa.field(name, pa.float64()) for name in EXTREMES]
    said: dict[str | bytes, str | bytes] = {
        "sensor": sensor.id,
        "unit": sensor.unit,
        "from_ns": str(from_ns),
        "to_ns": str(to_ns),
    }
    return pa.schema(fields, metadata=said)


def _batch(series: SampleSeries, stood: Stood | None, schema: pa.Schema, *, aggregated: bool) -> pa.RecordBatch:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    columns: list[pa.Array[Any]] = [
        pa.array(series.t_ns, pa.timestamp("ns", tz="UTC")),
        *(pa.array(values, pa.float64(), mask=~np.isfinite(values)) for values in (series.raw, series.corrected)),
        pa.array(series.u, pa.float64(), mask=~np.isfinite(series.u)),
        pa.array(series.quality, pa.uint32()),
        pa.DictionaryArray.from_arrays(
            pa.array(series.set_index, pa.int32(), mask=series.set_index < 0), pa.array(series.set_ids, pa.string())
        ),
    ]
    if aggregated:
        stood = stood or past.of_samples(series)
        columns += [pa.array(stood.width_ns, pa.int64()), pa.array(stood.n, pa.int64())]
        columns += [pa.array(values, pa.float64(), mask=~np.isfinite(values)) for values in stood.extremes]
    return pa.record_batch(columns, schema=schema)
