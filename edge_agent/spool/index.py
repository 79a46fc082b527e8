"""What the spool holds, known without reading it: files, runs of sequences, watermarks, where each sensor goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.events import StreamStart
from edge_agent.spool.segment import HEAD_BYTES, Entry, EntryKind
from edge_agent.spool.spans import Span, add_span, span_of


class Position(NamedTuple):
    """A place in the spool, ordered."""

    number: int
    offset: int


@dataclass(slots=True)
class StoredFile:
    """A file of the spool: its number and size, and the sequences in it."""

    number: int
    path: Path
    size: int
    spans: dict[SensorId, list[Span]] = field(default_factory=dict)


class SpoolIndex:
    """Files in order, oldest first, and what is known of each sensor. No I/O but the removal of files."""

    def __init__(self) -> None:
        self.files: deque[StoredFile] = deque()
        self.starts: dict[SensorId, StreamStart] = {}
        self._watermarks: dict[SensorId, int] = {}

    @property
    def newest(self) -> StoredFile:
        """The file that is written to."""
        return self.files[-1]

    @property
    def end(self) -> Position:
        """The place behind the last entry."""
        return Position(self.newest.number, self.newest.size)

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return sum(item.size for item in self.files)

    def watermark(self, sensor: SensorId) -> int:
        """Return the last sequence up to which the store has everything; -1 if none."""
        return self._watermarks.get(sensor, -1)

    # What is written

    def add(self, into: StoredFile, entry: Entry) -> None:
        """Take note of an entry in a file."""
        add_span(into.spans.setdefault(entry.sensor, []), span_of(entry))
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
            {name: (start.next_sequence, start.last_t_ns, self.watermark(name)) for name, start in self.starts.items()}
        )

    def adopt(self, checkpoint: bytes) -> Iterator[tuple[SensorId, Span]]:
        """Go on from a checkpoint; iterate over what lies between the last whole entry and it, and was damaged."""
        content: dict[str, tuple[int, int | None, int]] = msgspec.msgpack.decode(checkpoint)
        for name, (next_sequence, last_t, watermark) in content.items():
            sensor = SensorId(name)
            known = self.starts.get(sensor)
            if known is not None and known.next_sequence < next_sequence:
                at = last_t if last_t is not None else 0
                yield sensor, Span(known.next_sequence, next_sequence - 1, known.last_t_ns or at, at, 0)
            last = None if last_t is None else InstantNs(last_t)
            self.starts[sensor] = StreamStart(max(next_sequence, known.next_sequence if known else 0), last)
            self._watermarks[sensor] = max(watermark, self.watermark(sensor))

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
            self.forget()
        return rose

    def forget(self) -> None:
        """Remove the oldest files as far as the store has them."""
        while len(self.files) > 1 and not self._holds(self.files[0], None):
            self.files.popleft().path.unlink(missing_ok=True)

    def give_up_oldest(self) -> list[tuple[SensorId, Span]]:
        """Return what the store does not have of the oldest file, for gaps to stand for; once."""
        spans, self.files[0].spans = self.files[0].spans, {}
        return [(name, span) for name, runs in spans.items() for span in runs if span.last > self.watermark(name)]

    def remove_oldest(self) -> None:
        """Remove the oldest file."""
        self.files.popleft().path.unlink(missing_ok=True)

    def first_uncommitted(self, sensors: Collection[SensorId] | None = None) -> Position:
        """Return the beginning of the first file that holds something (of `sensors`) the store lacks, or the end."""
        for item in self.files:
            if self._holds(item, sensors):
                return Position(item.number, HEAD_BYTES)
        return self.end

    @property
    def n_uncommitted(self) -> int:
        """Number of records that the store does not have."""
        return sum(
            max(0, span.last - max(span.first - 1, self.watermark(sensor)))
            for item in self.files
            for sensor, spans in item.spans.items()
            for span in spans
        )

    def _holds(self, item: StoredFile, sensors: Collection[SensorId] | None) -> bool:
        names = item.spans if sensors is None else sensors
        return any(span.last > self.watermark(name) for name in names for span in item.spans.get(name, ()))
