"""Recordings in CSV: UTF-8, a header, decimal points; metadata in ``NAME.toml`` beside it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import tomli_w
from pydantic import Field, ValidationError

from dyncal.domain.errors import InvalidData
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import Section
from simulators.recordings.blocks import Block, Rows, Selection
from simulators.recordings.checks import Checker, fault
from simulators.recordings.columns import arrow, check_columns, expected, rows_of, table_of
from simulators.recordings.info import RecordingInfo

_READ: Final = 1 << 20
MAX_LINE: Final = 1 << 16
"""Longest line [bytes]."""

_PARSE: Final = re.compile(r"Row #(\d+): (Expected \d+ columns, got \d+)")
_CONVERT: Final = re.compile(r"column #(\d+): Row #(\d+): CSV conversion error to [^:]*: (.*)", re.DOTALL)


class Dialect(Section):
    """How a CSV file is written, where it is not as dyncal writes it."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    """Between two columns."""

    decimal: Literal[".", ","] = "."
    """In numbers."""


class Sidecar(RecordingInfo):
    """The file beside a CSV file."""

    csv: Dialect = Dialect()
    """How it is written."""


def sidecar_of(file: Path) -> Path:
    """Return where the metadata of a CSV file lie."""
    return file.with_suffix(".toml")


def read_info(file: Path) -> Sidecar:
    """Return the metadata beside a file; without them, that time goes on and nothing else. Raises `InvalidData`."""
    beside = sidecar_of(file)
    try:
        content = tomllib.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sidecar()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"{beside}: not TOML that can be read: {error}") from error
    try:
        return Sidecar.model_validate(content)
    except ValidationError as error:
        raise InvalidData(describe(error, beside, Sidecar)) from error


def read_rows(file: Path, info: Sidecar, checker: Checker, wanted: Selection) -> Iterator[Rows]:
    """Yield checked rows, a batch at a time, in bounded memory. Raises `InvalidData`."""
    del wanted  # the caller selects: a CSV file has to be read from its begin
    pa = arrow()
    columns = _header(file, info.csv)
    done = 0
    try:
        for batch in _batches(file, info.csv):

            def place(k: int, done: int = done) -> str:
                return _line(file, done + k + 2)

            yield checker.check(rows_of(batch, checker, file, place), place)
            done += batch.num_rows
    except pa.ArrowInvalid as error:
        raise _explained(file, str(error), columns, info.csv) from error
    except OSError as error:
        raise fault(file, f"after row {done}", None, f"cannot read it: {error}") from error
    checker.finish()


def _batches(file: Path, dialect: Dialect) -> Any:
    pa = arrow()
    import pyarrow.csv as csv  # noqa: PLC0415 - an extra

    instant = pa.timestamp("ns", tz="UTC")
    types = {"t": instant, "t_ns": pa.int64(), "channel": pa.string(), "value": pa.float64(), "arrival": instant}
    return csv.open_csv(
        file,
        # One thread: only then errors name their row.
        read_options=csv.ReadOptions(use_threads=False, block_size=_READ),
        parse_options=csv.ParseOptions(delimiter=dialect.delimiter),
        convert_options=csv.ConvertOptions(
            column_types={**types, "quality": pa.uint32(), "u_t_ns": pa.int64()},
            null_values=[""],
            decimal_point=dialect.decimal,
        ),
    )


def _header(file: Path, dialect: Dialect) -> list[str]:
    """Return the names of the columns, checked."""
    try:
        with file.open("rb") as content:
            line = content.readline(MAX_LINE + 1)
    except OSError as error:
        raise InvalidData(f"{file}: cannot read it: {error.strerror}") from error
    if not line:
        raise InvalidData(f"{file}: is empty; expected a header such as t,channel,value")
    if b"\x00" in line:
        raise InvalidData(f"{file}: line 1: no text in UTF-8 (UTF-16, or no text at all): save it as CSV in UTF-8")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"{file}: line 1: not UTF-8: {error.reason}; save it as CSV in UTF-8") from error
    if len(line) > MAX_LINE:
        raise InvalidData(f"{file}: line 1: longer than {MAX_LINE} bytes: is this CSV?")
    names = [name.strip('"') for name in text.rstrip("\r\n").split(dialect.delimiter)]
    if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in text), None)):
        beside = sidecar_of(file)
        raise InvalidData(
            f"{file}: line 1: columns are divided by {other!r}, not by {dialect.delimiter!r}: write"
            f" [csv] delimiter = {other!r} (and decimal, if numbers have commas) into {beside}"
        )
    check_columns(file, names)
    return names


def _explained(file: Path, message: str, columns: Sequence[str], dialect: Dialect) -> InvalidData:
    """Return what pyarrow found, in words that say where and what to do."""
    if found := _CONVERT.search(message):
        column = columns[int(found[1])]
        what = found[3].splitlines()[0]
        do = f"expected {expected(column)}"
        if "UTF8" in what:
            do = "save the file in UTF-8"
        elif column == "value" and "," in what:
            do = f'numbers with decimal commas: write [csv] decimal = "," into {sidecar_of(file)}'
        return fault(file, _line(file, int(found[2])), column, f"{what[:200]}; {do}")
    if found := _PARSE.search(message):
        hint = "a decimal comma, or a line that was cut short?" if dialect.delimiter == "," else "cut short?"
        return fault(file, _line(file, int(found[1])), None, f"{found[2].lower()}: {hint} Correct or remove the line")
    if "straddl" in message:
        return fault(file, _long_line(file), None, f"longer than {MAX_LINE} bytes: is this CSV?")
    return InvalidData(f"{file}: cannot read it as CSV: {message[:200]}")


def _line(file: Path, row: int) -> str:
    """Return in words the line of the row-th line that is not empty; 1 is the header."""
    with file.open("rb") as content:
        met = 0
        for number, line in enumerate(content, 1):
            met += bool(line.rstrip(b"\r\n"))
            if met == row:
                return f"line {number}"
    return f"row {row}"


def _long_line(file: Path) -> str:
    with file.open("rb") as content:
        number = 1
        while line := content.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                return f"line {number}"
            number += 1
    return "a line"


class CsvWriter:
    """Writes rows as text to an open file, and the metadata to another in the end."""

    def __init__(self, file: Path, beside: Path, info: RecordingInfo, columns: Collection[str]) -> None:
        self._beside, self._info, self._columns = beside, info, columns
        self._names = {name: k for k, name in enumerate(info.channels)}
        self._file = file.open("wb")
        extras = [name for name in ("quality", "u_t_ns", "arrival") if name in columns]
        self._file.write((",".join(("t", "channel", "value", *extras)) + "\n").encode())

    def write(self, blocks: Sequence[Block]) -> None:
        """Write the rows of blocks."""
        pa = arrow()
        import pyarrow.csv as csv  # noqa: PLC0415 - an extra

        table = table_of(blocks, self._names, self._columns)
        arrays = []
        for name, array in zip(table.schema.names, table.columns, strict=True):
            if pa.types.is_timestamp(array.type):
                arrays.append(pa.compute.strftime(array, format="%Y-%m-%dT%H:%M:%SZ"))
            else:
                arrays.append(array.cast(pa.string()) if name == "channel" else array)
        plain = pa.RecordBatch.from_arrays(arrays, names=table.schema.names)
        csv.write_csv(plain, self._file, csv.WriteOptions(include_header=False, quoting_style="none"))

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in."""
        self._file.close()

    def close(self, n_rows: int) -> None:
        """End the file, and write what is beside it."""
        self._file.close()
        info = self._info.model_copy(update={"n_rows": n_rows})
        content = info.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        self._beside.write_text(tomli_w.dumps({"version": info.version, **content}), encoding="utf-8")
