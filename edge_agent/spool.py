"""The spool: every record goes here before it is published, and stays until the store has it.

Promises: what `flush` has written survives the death of the process at any instant; a torn tail is cut off at the next
start; a loss of power may take what was written since the last `sync`. Sequences and the epoch go on after a restart:
every file begins with a checkpoint of all sensors, so that the newest file is enough. The size is capped, and what is
given up for it is recorded as a gap that takes the sequences of what it stands for. Blocking; one user at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

import msgspec

from dyncal.contracts import samples as wire
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from edge_agent import segment
from edge_agent.events import StreamStart
from edge_agent.segment import Entry, EntryKind
from edge_agent.spans import Span, add_span, merged

_SUFFIX: Final = ".seg"
_CHECKPOINT: Final = SensorId("checkpoint")
_READ_BYTES: Final = 1 << 20
_UNWRITTEN_BYTES: Final = 16 << 20


class Position(NamedTuple):
    """A place in the spool, ordered."""

    number: int
    offset: int


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Most bytes on disk, bytes of a file, and what is given up when it is full."""

    max_bytes: int = 1 << 30
    segment_bytes: int = 4 << 20
    policy: Literal["oldest", "newest"] = "oldest"


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    size: int
    spans: dict[SensorId, list[Span]] = field(default_factory=dict)


class Spool:
    """See the module. Made by `Spool.open`."""

    def __init__(self, directory: Path, edge: EdgeId, epoch: int, limits: SpoolLimits) -> None:
        self.epoch = epoch
        self.damage: list[str] = []
        self.n_dropped = 0
        self._directory = directory
        self._edge = edge
        self._limits = limits
        self._segments: deque[_Segment] = deque()
        self._starts: dict[SensorId, StreamStart] = {}
        self._watermarks: dict[SensorId, int] = {}
        self._unwritten: deque[Entry] = deque()
        self._unwritten_bytes = 0
        self._refused: dict[SensorId, list[Span]] = {}
        self._fd: int | None = None
        self._dirty = False

    # Opening

    @classmethod
    def open(cls, directory: Path, edge: EdgeId, now: InstantNs, limits: SpoolLimits | None = None) -> Self:
        """Open the spool in `directory`, or begin one there with an epoch of its own, taken from `now`.

        Raises
        ------
        InvalidSetting
            If the directory cannot be used.
        """
        limits = limits or SpoolLimits()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            paths = sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX and path.stem.isdecimal())
            spool = cls(directory, edge, now // 1_000_000, limits)
            spool._recover(paths)
            if not spool._segments:
                spool._rotate()
            else:
                spool._fd = os.open(spool._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise InvalidSetting(f"spool in {directory}: {error.strerror or error}") from error
        return spool

    def _recover(self, paths: list[Path]) -> None:
        contents: list[tuple[Path, bytes]] = []
        for path in paths:
            content = path.read_bytes()
            if segment.read_epoch(content) is None:
                self.damage.append(f"{path.name} is no file of a spool; moved aside")
                path.rename(path.with_suffix(".bad"))
                continue
            contents.append((path, content))
        if not contents:
            return
        self.epoch = segment.read_epoch(contents[-1][1]) or self.epoch
        for position, (path, content) in enumerate(contents):
            if segment.read_epoch(content) != self.epoch:
                path.unlink()
                continue
            self._load(path, content, newest=position == len(contents) - 1)

    def _load(self, path: Path, content: bytes, *, newest: bool) -> None:
        loaded = _Segment(int(path.stem), path, segment.HEAD_BYTES)
        for entry, end in segment.entries(content):
            loaded.size = end
            if entry.kind is EntryKind.CHECKPOINT:
                self._adopt(entry.payload)
            else:
                self._index(loaded, entry)
        if loaded.size < len(content):
            self.damage.append(f"{path.name}: {len(content) - loaded.size} bytes at the end are no whole record")
            if newest:
                os.truncate(path, loaded.size)
        self._segments.append(loaded)

    def _adopt(self, payload: bytes) -> None:
        """Go on from a checkpoint; what lies between the last whole entry and it was damaged, and becomes a gap."""
        checkpoint: dict[str, tuple[int, int | None, int]] = msgspec.msgpack.decode(payload)
        for name, (next_sequence, last_t, watermark) in checkpoint.items():
            sensor = SensorId(name)
            known = self._starts.get(sensor)
            if known is not None and known.next_sequence < next_sequence:
                at = last_t if last_t is not None else 0
                span = Span(known.next_sequence, next_sequence - 1, known.last_t_ns or at, at, 0)
                add_span(self._refused.setdefault(sensor, []), span)
            last = None if last_t is None else InstantNs(last_t)
            self._starts[sensor] = StreamStart(max(next_sequence, known.next_sequence if known else 0), last)
            self._watermarks[sensor] = max(watermark, self._watermarks.get(sensor, -1))

    def _index(self, into: _Segment, entry: Entry) -> None:
        span = Span(entry.first, entry.last, entry.t_first_ns, entry.t_last_ns, entry.n_samples)
        add_span(into.spans.setdefault(entry.sensor, []), span)
        start = self._starts.get(entry.sensor, StreamStart())
        last_t = start.last_t_ns
        if entry.kind is EntryKind.BLOCK:
            last_t = InstantNs(max(entry.t_last_ns, -1 if last_t is None else last_t))
        self._starts[entry.sensor] = StreamStart(max(start.next_sequence, entry.last + 1), last_t)

    @property
    def starts(self) -> Mapping[SensorId, StreamStart]:
        """Where the records of each sensor go on."""
        return self._starts

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return sum(item.size for item in self._segments)

    @property
    def end(self) -> Position:
        """The place behind the last entry."""
        return Position(self._segments[-1].number, self._segments[-1].size)

    def watermark(self, sensor: SensorId) -> int:
        """Return the last sequence up to which the store has everything; -1 if none."""
        return self._watermarks.get(sensor, -1)

    # Writing

    def append(self, entry: Entry) -> None:
        """Take an entry; it is in the spool once `flush` has returned it."""
        if self._unwritten_bytes > _UNWRITTEN_BYTES:
            self._refuse(entry)
            return
        self._unwritten.append(entry)
        self._unwritten_bytes += len(entry.payload)

    def flush(self) -> list[tuple[Entry, Position]]:
        """Write what was appended; return it, and the spool's own gaps, with the place behind each.

        Raises
        ------
        OSError
            If the disk does not take it. What was not written is kept, up to a bound, and tried again by the next call;
            what goes beyond the bound is recorded as a gap later.
        """
        written: list[tuple[Entry, Position]] = []
        while self._unwritten:
            if self.end.offset >= self._limits.segment_bytes:
                self._rotate()
            self._make_room(written)
            if self._full():
                self._refuse(self._shift())
                continue
            self._write_batch(written)
        if not self._full():
            self._admit(written)
        return written

    def _shift(self) -> Entry:
        entry = self._unwritten.popleft()
        self._unwritten_bytes -= len(entry.payload)
        return entry

    def _full(self) -> bool:
        return self._limits.policy == "newest" and self.n_bytes >= self._limits.max_bytes

    def _write_batch(self, written: list[tuple[Entry, Position]]) -> None:
        """Write entries in one call, up to the end of a file."""
        active = self._segments[-1]
        batch: list[Entry] = []
        frames: list[bytes] = []
        size = active.size
        for entry in self._unwritten:
            if size >= self._limits.segment_bytes:
                break
            frames.append(segment.frame(entry))
            size += len(frames[-1])
            batch.append(entry)
        self._write(active, b"".join(frames))
        offset = size - sum(map(len, frames))
        for entry, packed in zip(batch, frames, strict=True):
            self._shift()
            offset += len(packed)
            self._index(active, entry)
            written.append((entry, Position(active.number, offset)))

    def _write(self, active: _Segment, content: bytes) -> None:
        if self._fd is None:
            self._fd = os.open(active.path, os.O_WRONLY | os.O_APPEND)
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, active.size)
            raise
        active.size += len(content)
        self._dirty = True

    def _rotate(self) -> None:
        """Begin a new file: written whole under another name first, so that it is there with its checkpoint or not."""
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._directory / f"{number:012d}{_SUFFIX}"
        checkpoint = {
            sensor: (start.next_sequence, start.last_t_ns, self.watermark(sensor))
            for sensor, start in self._starts.items()
        }
        entry = Entry(EntryKind.CHECKPOINT, _CHECKPOINT, 0, 0, 0, 0, 0, msgspec.msgpack.encode(checkpoint))
        content = segment.head(self.epoch) + segment.frame(entry)
        draft = path.with_suffix(".new")
        self.sync()
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
        if self._fd is not None:
            os.close(self._fd)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._segments.append(_Segment(number, path, len(content)))
        self._forget()

    def sync(self) -> None:
        """Force what was written to the disk."""
        if self._dirty and self._fd is not None:
            self._dirty = False
            os.fsync(self._fd)

    def unsynced(self) -> int | None:
        """Return a descriptor for the caller to force to the disk and close, or None if nothing was written since."""
        if not self._dirty or self._fd is None:
            return None
        self._dirty = False
        return os.dup(self._fd)

    # The cap

    def _make_room(self, written: list[tuple[Entry, Position]]) -> None:
        if self._limits.policy == "newest":
            return
        while self.n_bytes > self._limits.max_bytes - self._limits.segment_bytes and len(self._segments) > 1:
            oldest = self._segments.popleft()
            oldest.path.unlink(missing_ok=True)
            for sensor, spans in oldest.spans.items():
                for span in spans:
                    if span.last > self.watermark(sensor):
                        add_span(self._refused.setdefault(sensor, []), span)
            self._admit(written)

    def _refuse(self, entry: Entry) -> None:
        span = Span(entry.first, entry.last, entry.t_first_ns, entry.t_last_ns, entry.n_samples)
        add_span(self._refused.setdefault(entry.sensor, []), span)
        start = self._starts.get(entry.sensor, StreamStart())
        self._starts[entry.sensor] = StreamStart(max(start.next_sequence, entry.last + 1), start.last_t_ns)

    def _admit(self, written: list[tuple[Entry, Position]]) -> None:
        """Write the gaps that stand for what was dropped or refused."""
        for sensor in list(self._refused):
            spans = merged(self._refused[sensor])
            while spans:
                entry = self._dropped(sensor, spans[0])
                active = self._segments[-1]
                self._write(active, segment.frame(entry))
                self._index(active, entry)
                written.append((entry, self.end))
                self.n_dropped += spans.pop(0).n_samples
                self._refused[sensor] = spans
            del self._refused[sensor]

    def _dropped(self, sensor: SensorId, span: Span) -> Entry:
        gap = Gap(
            InstantNs(max(0, span.t_first_ns - 1)),
            InstantNs(span.t_last_ns + 1),
            GapCause.SPOOL_CAPPED,
            span.n_samples or None,
        )
        record = GapRecord(sensor, self._edge, self.epoch, span.first, span.last, gap)
        return Entry(
            EntryKind.DROPPED,
            sensor,
            span.first,
            span.last,
            span.t_first_ns,
            span.t_last_ns,
            span.n_samples,
            wire.encode(record),
        )

    # What the store has

    def commit(self, upto: Mapping[SensorId, int]) -> bool:
        """Take watermarks; files that the store has in full are removed. Return whether any watermark rose."""
        rose = False
        for sensor, sequence in upto.items():
            start = self._starts.get(sensor)
            if start is None:
                continue
            reachable = min(sequence, start.next_sequence - 1)
            if reachable > self.watermark(sensor):
                self._watermarks[sensor] = reachable
                rose = True
        if rose:
            self._forget()
        return rose

    def _forget(self) -> None:
        while len(self._segments) > 1 and not self._uncommitted(self._segments[0]):
            self._segments.popleft().path.unlink(missing_ok=True)

    def _uncommitted(self, item: _Segment) -> bool:
        return any(span.last > self.watermark(sensor) for sensor, spans in item.spans.items() for span in spans)

    @property
    def n_uncommitted(self) -> int:
        """Number of records that the store does not have."""
        return sum(
            max(0, span.last - max(span.first - 1, self.watermark(sensor)))
            for item in self._segments
            for sensor, spans in item.spans.items()
            for span in spans
        )

    # Reading

    def first_uncommitted(self) -> Position:
        """Return the beginning of the first file that holds something the store does not have, or the end."""
        for item in self._segments:
            if self._uncommitted(item):
                return Position(item.number, segment.HEAD_BYTES)
        return self.end

    def read(self, start: Position, end: Position) -> tuple[list[tuple[Entry, Position]], Position]:
        """Return some of the uncommitted entries between two places, each with the place behind it, and how far it got.

        Files that are gone, and entries that the store has, are passed over. The place is `end` when there is no more.
        """
        for item in self._segments:
            if item.number < start.number:
                continue
            offset = max(start.offset, segment.HEAD_BYTES) if item.number == start.number else segment.HEAD_BYTES
            stop = item.size if item.number < end.number else min(item.size, end.offset)
            if Position(item.number, offset) >= end or item.number > end.number:
                break
            if offset >= stop:
                continue
            found, reached = self._read_part(item, offset, stop)
            if reached == offset:  # damaged in the middle: the rest of this file is lost, the next checkpoint knows
                continue
            return found, Position(item.number, reached)
        return [], end

    def _read_part(self, item: _Segment, offset: int, stop: int) -> tuple[list[tuple[Entry, Position]], int]:
        n_bytes = min(stop - offset, _READ_BYTES)
        content = segment.read(item.path, offset, n_bytes)
        found, reached = self._select(item, content, offset)
        if reached == offset and n_bytes < stop - offset:  # one entry larger than the usual part
            found, reached = self._select(item, segment.read(item.path, offset, stop - offset), offset)
        return found, reached

    def _select(self, item: _Segment, content: bytes, offset: int) -> tuple[list[tuple[Entry, Position]], int]:
        found: list[tuple[Entry, Position]] = []
        reached = offset
        for entry, end in segment.entries(content, 0):
            reached = offset + end
            if entry.kind is not EntryKind.CHECKPOINT and entry.last > self.watermark(entry.sensor):
                found.append((entry, Position(item.number, reached)))
        return found, reached

    def replayable(self) -> Iterator[Entry]:
        """Iterate over everything that the store does not have, oldest first; for tests and tools."""
        place, end = self.first_uncommitted(), self.end
        while place < end:
            found, place = self.read(place, end)
            yield from (entry for entry, _ in found)

    def close(self) -> None:
        """Write what is left, force it to the disk and let go; idempotent."""
        if self._fd is None:
            return
        try:
            self.flush()
            self.sync()
        finally:
            os.close(self._fd)
            self._fd = None
