"""Recordings as files: opened by the ending of their name, written so that nothing half-written is ever seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import DurationNs
from simulators.recordings import delimited, parquet
from simulators.recordings.blocks import Block, Gatherer, Selection, cut, select
from simulators.recordings.checks import Checker
from simulators.recordings.columns import EXTRAS, arrow
from simulators.recordings.info import RecordingInfo

_PARQUET: Final = (".parquet", ".pq")
_CSV: Final = (".csv",)
_GROUP: Final = 131_072
_EVERYTHING: Final = Selection()
_EXACT: Final = DurationNs(0)


def is_recording(file: Path | str) -> bool:
    """Tell whether a file may be a recording, by the ending of its name."""
    return Path(file).suffix.lower() in (*_PARQUET, *_CSV)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that can be read, as often as wanted.

    Attributes
    ----------
    file : Path
    info : RecordingInfo
    """

    file: Path
    info: RecordingInfo

    def blocks(self, wanted: Selection = _EVERYTHING, *, gather_ns: DurationNs = _EXACT) -> Iterator[Block]:
        """Return blocks in the order of the rows, as they are read, in bounded memory.

        Parameters
        ----------
        wanted : Selection
            Which rows; all are checked all the same.
        gather_ns : int
            With 0, a block ends where another channel's row stands, or its arrival is another: just as they came.
            Otherwise the rows of a channel within such a span of time are brought together.

        Raises
        ------
        InvalidData
            While they are read, at the first row that is wrong, with file, line or row group, column, and what to do.
            What came before was right.
        """
        checker = Checker(self.file, self.info)
        if isinstance(self.info, delimited.Sidecar):
            batches = delimited.read_rows(self.file, self.info, checker, wanted)
        else:
            batches = parquet.read_rows(self.file, checker, wanted)
        chosen = (select(rows, wanted, checker.names) for rows in batches)
        if gather_ns > 0:
            return cut(Gatherer(gather_ns).gather(chosen), checker.names, apart=False)
        return cut(chosen, checker.names)


def open_recording(file: Path | str) -> Recording:
    """Return the recording in a file ``.csv``, ``.parquet`` or ``.pq``.

    Raises
    ------
    InvalidData
        If it is none: with file, what is wrong, and what to do.
    """
    path = Path(file)
    _check_name(path)
    if not path.is_file():
        raise InvalidData(f"{path}: there is no such file")
    arrow()
    if path.suffix.lower() in _CSV:
        return Recording(path, delimited.read_info(path))
    return Recording(path, parquet.read_info(path))


class RecordingWriter:
    """Takes blocks, one after the other; see `write_recording`."""

    def __init__(
        self,
        file: Path,
        info: RecordingInfo,
        writer: parquet.ParquetWriter | delimited.CsvWriter,
        columns: Collection[str],
    ) -> None:
        self._file, self._info, self._writer, self._columns = file, info, writer, columns
        self._blocks: list[Block] = []
        self._n_waiting = 0
        self.n_rows = 0

    def write(self, block: Block) -> None:
        """Take a block.

        Raises
        ------
        InvalidData
            If its channel is unknown, its arrays do not fit, or it knows what the recording has no column for.
        """
        n = len(block)
        if block.channel not in self._info.channels:
            raise InvalidData(f"{self._file}: channel {block.channel!r} is not among those of its metadata")
        if not n or block.values.shape != (n,) or (block.quality is not None and block.quality.shape != (n,)):
            raise InvalidData(f"{self._file}: {block.channel}: {n} instants do not fit {block.values.shape} values")
        lacking = {
            "quality": block.quality is not None and bool(block.quality.any()),
            "u_t_ns": block.u_t_ns != 0,
            "arrival": (block.arrival_ns is None) == ("arrival" in self._columns),
        }
        for name, has in lacking.items():
            if has and (name == "arrival" or name not in self._columns):
                raise InvalidData(f"{self._file}: {block.channel}: give all blocks, and the writer, {name}, or none")
        self._blocks.append(block)
        self._n_waiting += n
        self.n_rows += n
        if self._n_waiting >= _GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        blocks, self._blocks, self._n_waiting = self._blocks, [], 0
        if blocks:
            with _told(self._file):
                self._writer.write(blocks)

    def close(self) -> None:
        """Write what waits, and end the files."""
        self.flush()
        with _told(self._file):
            self._writer.close(self.n_rows)

    def abandon(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            self._writer.abandon()


@contextmanager
def write_recording(file: Path | str, info: RecordingInfo, columns: Collection[str] = ()) -> Iterator[RecordingWriter]:
    """Write a recording, Parquet or CSV by the ending of its name, with these columns beside the required ones.

    It lies under a temporary name until all is written: after an error, or a crash, what was at `file` before is still
    there, and nothing else.

    Raises
    ------
    InvalidData
        If the name has another ending, or the directory cannot be written to.
    """
    path = Path(file)
    _check_name(path)
    if strange := sorted(set(columns) - set(EXTRAS)):
        raise InvalidData(
            f"{path}: no column {', '.join(strange)}; beside the required ones there are {', '.join(EXTRAS)}"
        )
    arrow()
    draft = path.with_name(f".{path.name}.part")
    beside, draft_beside = delimited.sidecar_of(path), path.with_name(f".{path.stem}.toml.part")
    is_csv = path.suffix.lower() in _CSV
    with _told(path):
        made = (
            delimited.CsvWriter(draft, draft_beside, info, columns)
            if is_csv
            else parquet.ParquetWriter(draft, info, columns)
        )
    writer = RecordingWriter(path, info, made, columns)
    try:
        yield writer
        writer.close()
        with _told(path):
            if is_csv:
                draft_beside.replace(beside)
            draft.replace(path)
    finally:
        writer.abandon()
        for left in (draft, draft_beside):
            with suppress(OSError):
                left.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidData(f"{path}: cannot write it: {error.strerror or error}") from error


def _check_name(path: Path) -> None:
    if not is_recording(path):
        raise InvalidData(f"{path}: a recording ends in {', '.join((*_CSV, *_PARQUET))}, not in {path.suffix!r}")
