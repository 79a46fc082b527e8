"""What the spool holds, known without reading it: files, runs of sequences, watermarks, where each sensor goes on."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.events import StreamStart
from edge_agent.spool.gaps import Gaps, Told
from edge_agent.spool.segment import HEAD_BYTES, Entry, EntryKind
from edge_agent.spool.spans import Span, add_span, span_of, without


class Position(NamedTuple):
    """A place in the spool, ordered."""

    number: int
    offset: int


@dataclass(slots=True)
class StoredFile:
    """A file of the spool: its number and size, and the sequences in it, but for the spool's own gaps.

    `summed_up` says that they are known from a summary, and the file was not read. A file that was thinned, `level`
    times and by `n_gone` samples, was written anew: places in it count from `moved` on, and lower ones are of what it
    was before.
    """

    number: int
    path: Path
    size: int
    spans: dict[SensorId, list[Span]] = field(default_factory=dict)
    summed_up: bool = False
    level: int = 0
    n_gone: int = 0
    moved: int = 0

    def summary(self) -> bytes:
        """Return what a start wants to know of it without reading it."""
        return msgspec.msgpack.encode(Summary(self.number, self.size, self.spans, self.level, self.n_gone))


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What a file holds: to be believed of a file of that size."""

    number: int
    size: int
    spans: dict[SensorId, list[Span]]
    level: int = 0
    n_gone: int = 0


class _State(msgspec.Struct, frozen=True, array_like=True):
    """A sensor in a checkpoint."""

    next_sequence: int
    last_t_ns: int | None
    watermark: int
    gaps: list[Told] = []


class SpoolIndex:
    """Files in order, oldest first, and what is known of each sensor. No I/O but the removal of files."""

    def __init__(self) -> None:
        self.files: deque[StoredFile] = deque()
        self.starts: dict[SensorId, StreamStart] = {}
        self.gaps = Gaps()
        self.n_bytes = 0
        self._watermarks: dict[SensorId, int] = {}

    @property
    def newest(self) -> StoredFile:
        """The file that is written to."""
        return self.files[-1]

    @property
    def end(self) -> Position:
        """The place behind the last entry."""
        return Position(self.newest.number, self.newest.size)

    def watermark(self, sensor: SensorId) -> int:
        """Return the last sequence up to which the store has everything; -1 if none."""
        return self._watermarks.get(sensor, -1)

    # What is written

    def begin(self, file: StoredFile) -> None:
        """Take note of a new file."""
        self.files.append(file)
        self.n_bytes += file.size
        self.forget()

    def take_over(self, file: StoredFile) -> None:
        """Take note of a file of an earlier life; files come in their order."""
        self.files.append(file)
        self.n_bytes += file.size
        for sensor, spans in file.spans.items():
            start = self.starts.get(sensor, StreamStart())
            upto = max((span.last + 1 for span in spans), default=0)
            self.starts[sensor] = StreamStart(max(start.next_sequence, upto), start.last_t_ns)

    def add(self, into: StoredFile, entry: Entry) -> None:
        """Take note of an entry in a file."""
        if entry.kind is EntryKind.DROPPED:
            self.gaps.add(entry.sensor, span_of(entry), into.number)
        else:
            add_span(into.spans.setdefault(entry.sensor, []), span_of(entry))
        self.pass_by(entry)

    def pass_by(self, entry: Entry) -> None:
        """Go on behind an entry that is kept here, or that the store has already."""
        self.pass_over(entry)
        # What was given up is over too: the source need not send it again, and its gap is told already.
        if entry.kind is not EntryKind.GAP:
            start = self.starts[entry.sensor]
            last_t = -1 if start.last_t_ns is None else start.last_t_ns
            self.starts[entry.sensor] = StreamStart(start.next_sequence, InstantNs(max(entry.t_last_ns, last_t)))

    def pass_over(self, entry: Entry) -> None:
        """Number on behind an entry, whether it is kept or not."""
        start = self.starts.get(entry.sensor, StreamStart())
        self.starts[entry.sensor] = StreamStart(max(start.next_sequence, entry.last + 1), start.last_t_ns)

    def checkpoint(self) -> bytes:
        """Return the state of all sensors."""
        return msgspec.msgpack.encode(
            {
                name: _State(start.next_sequence, start.last_t_ns, self.watermark(name), self.gaps.of(name))
                for name, start in self.starts.items()
            }
        )

    def adopt(self, checkpoint: bytes) -> Iterator[tuple[SensorId, Span]]:
        """Go on from a checkpoint; iterate over what lies between the last whole entry and it, and was damaged."""
        content = msgspec.msgpack.decode(checkpoint, type=dict[str, _State])
        for name, state in content.items():
            sensor = SensorId(name)
            known = self.starts.get(sensor)
            if known is not None and known.next_sequence < state.next_sequence:
                at = state.last_t_ns if state.last_t_ns is not None else 0
                yield (
                    sensor,
                    Span(known.next_sequence, state.next_sequence - 1, known.last_t_ns or at, at, 0, damaged=True),
                )
            last = None if state.last_t_ns is None else InstantNs(state.last_t_ns)
            self.starts[sensor] = StreamStart(max(state.next_sequence, known.next_sequence if known else 0), last)
            self._watermarks[sensor] = max(state.watermark, self.watermark(sensor))
            yield from self._gaps_lost(sensor, state.gaps)
            self.gaps.replace(sensor, state.gaps)

    def _gaps_lost(self, sensor: SensorId, told: list[Told]) -> Iterator[tuple[SensorId, Span]]:
        """Iterate over gaps that a checkpoint knows, in files that do not have them."""
        here = {span for span, _ in self.gaps.of(sensor)}
        read = {item.number for item in self.files if not item.summed_up}
        numbers = {item.number for item in self.files}
        for span, number in told:
            if number not in numbers or (number in read and span not in here):
                yield sensor, span

    # What the store has

    def commit(self, upto: Mapping[SensorId, int]) -> bool:
        """Take watermarks; files that the store has in full are removed. Return whether any watermark rose."""
        rose = False
        for sensor, sequence in upto.items():
            start = self.starts.get(sensor)
            if start is None:
                continue
            reachable = min(sequence, start.next_sequence - 1)
            if reachable > self.watermark(sensor):
                self._watermarks[sensor] = reachable
                rose = True
        if rose:
            self.gaps.forget(self.watermark)
            self.forget()
        return rose

    def forget(self) -> None:
        """Remove the oldest files as far as the store has them."""
        with contextlib.suppress(OSError):  # a disk that lets nothing be removed: tried again with the next watermark
            while len(self.files) > 1 and not self.holds(self.files[0]):
                self.remove_oldest()

    def remove_oldest(self) -> None:
        """Remove the oldest file. Raises `OSError`; it is there then."""
        self.files[0].path.unlink(missing_ok=True)
        self.n_bytes -= self.files.popleft().size

    def cut_short(self, item: StoredFile, size: int, lost: Iterable[tuple[SensorId, Span]]) -> None:
        """Take note that a file holds less than was thought."""
        for sensor, span in lost:
            item.spans[sensor] = without(item.spans[sensor], span)
        self.n_bytes -= item.size - size
        item.size = size

    def rewritten(self, item: StoredFile, now: Summary) -> None:
        """Take note that a file was thinned."""
        self.n_bytes += now.size - item.size
        item.moved += item.size
        item.size, item.spans, item.level, item.n_gone = now.size, now.spans, now.level, now.n_gone

    def first_uncommitted(self, sensors: Collection[SensorId] | None = None) -> Position:
        """Return the beginning of the first file that holds something (of `sensors`) the store lacks, or the end."""
        for item in self.files:
            if self.holds(item, sensors):
                return Position(item.number, HEAD_BYTES)
        return self.end

    @property
    def n_uncommitted(self) -> int:
        """Number of records that the store does not have."""
        runs = ((sensor, span) for item in self.files for sensor, spans in item.spans.items() for span in spans)
        return sum(
            max(0, span.last - max(span.first - 1, self.watermark(sensor)))
            for sensor, span in itertools.chain(runs, self.gaps)
        )

    def holds(self, item: StoredFile, sensors: Collection[SensorId] | None = None) -> bool:
        """Tell whether a file has something (of `sensors`) that the store lacks."""
        names = item.spans if sensors is None else sensors
        if any(span.last > self.watermark(name) for name in names for span in item.spans.get(name, ())):
            return True
        return any(sensors is None or sensor in sensors for sensor, _ in self.gaps.within(item.number))
