"""Recordings in Parquet: rows in row groups, metadata as JSON under the key ``dyncal`` of the schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from dyncal.domain.errors import InvalidData
from dyncal.runtime.faults import describe
from simulators.recordings.blocks import Block, Rows, Selection
from simulators.recordings.checks import Checker, fault
from simulators.recordings.columns import arrow, check_columns, expected, rows_of, schema, table_of
from simulators.recordings.info import RecordingInfo

if TYPE_CHECKING:
    import pyarrow as pa

KEY: Final = b"dyncal"
_BATCH: Final = 65_536
_BUFFER: Final = 1 << 20


def read_info(file: Path) -> RecordingInfo:
    """Return the metadata; those of a stranger's file say nothing but that time goes on. Raises `InvalidData`."""
    with _opened(file) as content:
        columns = content.schema_arrow
        check_columns(file, columns.names)
        _check_types(file, columns)
        text = (columns.metadata or {}).get(KEY)
        if text is None:
            return RecordingInfo()
        try:
            return RecordingInfo.model_validate_json(text)
        except ValidationError as error:
            raise InvalidData(describe(error, Path(f"{file}: metadata"), RecordingInfo)) from error


def read_rows(file: Path, checker: Checker, wanted: Selection) -> Iterator[Rows]:
    """Yield checked rows, a batch at a time, in bounded memory. Raises `InvalidData`.

    Row groups that hold none of the wanted instants, by their own statistics, are passed over unread.
    """
    pa = arrow()
    with _opened(file) as content:
        for group in range(content.num_row_groups):
            if _outside(content.metadata.row_group(group), wanted):
                checker.n_rows += content.metadata.row_group(group).num_rows
                continue
            done = 0
            batches = content.iter_batches(_BATCH, row_groups=[group], use_threads=False)
            while True:
                try:
                    batch = next(batches, None)
                except (OSError, pa.ArrowException) as error:
                    what = f"damaged: {error}; get the file again, or read up to here"
                    raise fault(file, f"row group {group}, after row {done}", None, what) from error
                if batch is None:
                    break

                def place(k: int, group: int = group, done: int = done) -> str:
                    return f"row group {group}, row {done + k} of it"

                rows = rows_of(batch, checker, file, place)
                yield checker.check(rows, place)
                done += batch.num_rows
    checker.finish()


def _opened(file: Path) -> Any:
    pa = arrow()
    try:
        try:
            return _parquet_file(file, ["channel"])
        except KeyError:  # no such column: what is missing is said where the columns are checked
            return _parquet_file(file, [])
    except (OSError, pa.ArrowException) as error:
        what = f"no Parquet file, or cut short: {error}; get it again, or write it again"
        raise InvalidData(f"{file}: {what}") from error


def _parquet_file(file: Path, as_dictionary: list[str]) -> Any:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    return pq.ParquetFile(
        file, read_dictionary=as_dictionary, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
    )


def _check_types(file: Path, columns: pa.Schema) -> None:
    t = arrow().types
    for field in columns:
        kind = field.type
        right = {
            "t": t.is_timestamp(kind) and kind.tz in ("UTC", "+00:00", "Z"),
            "t_ns": t.is_integer(kind),
            "channel": t.is_string(kind) or t.is_large_string(kind) or t.is_dictionary(kind),
            "value": t.is_floating(kind) or t.is_integer(kind),
            "quality": t.is_integer(kind),
            "u_t_ns": t.is_integer(kind),
            "arrival": t.is_timestamp(kind) and kind.tz in ("UTC", "+00:00", "Z"),
        }[field.name]
        if not right:
            zone = "; instants carry the time zone UTC" if t.is_timestamp(kind) else ""
            raise InvalidData(f"{file}: column {field.name} is of type {kind}; expected {expected(field.name)}{zone}")


def _outside(group: Any, wanted: Selection) -> bool:
    """Tell whether, by its statistics, a row group has no wanted instant; unknown is no."""
    for k in range(group.num_columns):
        column = group.column(k)
        if column.path_in_schema in ("t", "t_ns"):
            found = column.statistics
            if found is None or not found.has_min_max:
                return False
            low, high = (_as_ns(value, found) for value in (found.min_raw, found.max_raw))
            if low is None or high is None:
                return False
            too_early = wanted.from_ns is not None and high < wanted.from_ns
            return too_early or (wanted.to_ns is not None and low >= wanted.to_ns)
    return False


def _as_ns(value: Any, found: Any) -> int | None:
    unit = {"NANOS": 1, "MICROS": 1_000, "MILLIS": 1_000_000}
    if not isinstance(value, int):
        return None
    if found.logical_type.type != "TIMESTAMP":
        return value
    text = found.logical_type.to_json()
    return next((value * scale for name, scale in unit.items() if name[:4].lower() in text.lower()), None)


class ParquetWriter:
    """Writes row groups to an open file; the metadata are known from the start."""

    def __init__(self, file: Path, info: RecordingInfo, columns: Collection[str]) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        self._columns, self._names = columns, {name: k for k, name in enumerate(info.channels)}
        described = schema(columns).with_metadata({KEY: info.model_dump_json(exclude_none=True).encode()})
        plain = {name: "DELTA_BINARY_PACKED" for name in ("t", "arrival", "u_t_ns") if name in described.names}
        self._writer = pq.ParquetWriter(
            file,
            described,
            compression="zstd",
            use_dictionary=["channel", "quality"] if "quality" in columns else ["channel"],  # type: ignore[arg-type]  # stubs
            column_encoding={**plain, "value": "BYTE_STREAM_SPLIT"},
            write_page_checksum=True,
        )

    def write(self, blocks: Sequence[Block]) -> None:
        """Write blocks as a row group."""
        self._writer.write_batch(table_of(blocks, self._names, self._columns))

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in."""
        self._writer.close()

    def close(self, n_rows: int) -> None:
        """End the file: the number of rows stands in it anyway."""
        del n_rows
        self._writer.close()
