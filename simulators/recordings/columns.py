"""Arrow columns and rows: what types columns have, and how others become them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dyncal.domain.errors import InvalidData
from simulators.recordings.blocks import Block, Rows
from simulators.recordings.checks import Checker, Place, fault

if TYPE_CHECKING:
    import pyarrow as pa

REQUIRED: Final = ("channel", "value")
EXTRAS: Final[tuple[str, ...]] = ("quality", "u_t_ns", "arrival")
"""Columns that a recording need not have."""

KNOWN: Final = ("t", "t_ns", *REQUIRED, *EXTRAS)


def arrow() -> Any:
    """Return pyarrow. Raises `InvalidData` that says which extra brings it, where it is not installed."""
    try:
        import pyarrow  # noqa: PLC0415 - an extra
        import pyarrow.compute  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InvalidData(f"recordings need the extra 'services': pip install 'dyncal[services]' ({error})") from error
    return pyarrow


def check_columns(file: Path, columns: Sequence[str]) -> None:
    """Raise `InvalidData` unless the columns are those of a recording, in any order."""
    found = list(columns)
    twice = sorted({name for name in found if found.count(name) > 1})
    unknown = [name for name in found if name not in KNOWN]
    missing = [name for name in REQUIRED if name not in found]
    if "t" not in found and "t_ns" not in found:
        missing.insert(0, "t (or t_ns)")
    what = ""
    if twice:
        what = f"column {', '.join(twice)} stands there more than once"
    elif missing:
        what = f"column {', '.join(missing)} is missing; there are {', '.join(found)[:200] or 'none'}"
    elif unknown:
        what = f"unknown column {', '.join(unknown)[:200]}; known are {', '.join(KNOWN)}: rename or remove it"
    elif "t" in found and "t_ns" in found:
        what = "give t or t_ns, not both"
    if what:
        raise InvalidData(f"{file}: {what}")


def rows_of(batch: pa.RecordBatch, checker: Checker, file: Path, place: Place) -> Rows:
    """Return a batch as rows; `checker` names the channels. Raises `InvalidData`."""
    pa = arrow()
    given = dict(zip(batch.schema.names, batch.columns, strict=True))

    def column(name: str, convert: Callable[[Any], Any], *, may_lack: bool = False) -> Any:
        array = given[name]
        if array.null_count and not may_lack:
            k = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
            raise fault(file, place(k), name, "has no value; every row needs one")
        try:
            return convert(array)
        except pa.ArrowInvalid as error:
            raise fault(file, f"{place(0)} and after", name, f"{error}; expected {_EXPECTED[name]}") from error

    def instants(array: Any) -> Any:
        return array.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)

    def numbers(array: Any) -> Any:
        return pa.compute.fill_null(array.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False)

    def whole(kind: Any) -> Callable[[Any], Any]:
        return lambda array: array.cast(kind).to_numpy(zero_copy_only=False)

    channel = column("channel", lambda a: a if pa.types.is_dictionary(a.type) else a.dictionary_encode())
    codes = checker.codes(
        channel.dictionary.to_pylist(), channel.indices.cast(pa.int32()).to_numpy(zero_copy_only=False), place
    )
    t_ns = column("t", instants) if "t" in given else column("t_ns", whole(pa.int64()))
    return Rows(
        t_ns,
        codes,
        column("value", numbers, may_lack=True),
        column("quality", whole(pa.uint32())) if "quality" in given else None,
        column("u_t_ns", whole(pa.int64())) if "u_t_ns" in given else None,
        column("arrival", instants) if "arrival" in given else None,
    )


_EXPECTED: Final = {
    "t": "instants with a time zone, such as 2026-01-31T12:00:00.123456789Z",
    "t_ns": "whole nanoseconds since 1970, UTC",
    "channel": "names",
    "value": "numbers with a decimal point",
    "quality": "OPC UA status codes as whole numbers",
    "u_t_ns": "whole nanoseconds",
    "arrival": "instants with a time zone, such as 2026-01-31T12:00:00.123456789Z",
}


def expected(column: str) -> str:
    """Return in words what a column holds."""
    return _EXPECTED.get(column, "another column")


def schema(columns: Collection[str]) -> pa.Schema:
    """Return the schema of what is written: the required columns, and those of the extras that are wanted."""
    lib = arrow()
    instant = lib.timestamp("ns", tz="UTC")
    fields = [("t", instant), ("channel", lib.dictionary(lib.int32(), lib.string())), ("value", lib.float64())]
    extra = {"quality": lib.uint32(), "u_t_ns": lib.int64(), "arrival": instant}
    fields += [(name, extra[name]) for name in EXTRAS if name in columns]
    made: pa.Schema = lib.schema([lib.field(name, kind, nullable=False) for name, kind in fields])
    return made


def table_of(blocks: Sequence[Block], names: dict[str, int], columns: Collection[str]) -> pa.RecordBatch:
    """Return the rows of blocks under `schema`; `names` gives each channel its place among its keys."""
    lib = arrow()
    sizes = [len(b) for b in blocks]
    instant = lib.timestamp("ns", tz="UTC")
    codes = np.repeat(np.array([names[b.channel] for b in blocks], np.int32), sizes)
    arrays = [
        lib.array(np.concatenate([b.t_ns for b in blocks]), lib.int64()).cast(instant),
        lib.DictionaryArray.from_arrays(lib.array(codes), lib.array(list(names), lib.string())),
        lib.array(np.concatenate([b.values for b in blocks]), lib.float64(), from_pandas=False),
    ]
    if "quality" in columns:
        codes_of = [np.zeros(len(b), np.uint32) if b.quality is None else b.quality for b in blocks]
        arrays.append(lib.array(np.concatenate(codes_of), lib.uint32()))
    if "u_t_ns" in columns:
        arrays.append(lib.array(np.repeat(np.array([b.u_t_ns for b in blocks], np.int64), sizes)))
    if "arrival" in columns:
        came = [-1 if b.arrival_ns is None else b.arrival_ns for b in blocks]
        arrays.append(lib.array(np.repeat(np.array(came, np.int64), sizes)).cast(instant))
    made: pa.RecordBatch = lib.RecordBatch.from_arrays(arrays, schema=schema(columns))
    return made
