"""The spool: every record goes here before it is published, and stays until the store has it.

Promises: what `flush` has written survives the death of the process at any instant; a torn tail is cut off at the next
start; a loss of power may take what was written since the last `sync`, but no number is used twice for it
(`marks`). Sequences and the epoch go on after a restart: every file begins with a checkpoint of all sensors, so
that the newest file is enough. The size is capped, and what is given up for it is recorded as a gap that takes the
sequences of what it stands for. Blocking; one user at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from dyncal.domain.errors import InvalidSetting, Unavailable
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.runtime.exclusive import Exclusive
from edge_agent.events import StreamStart
from edge_agent.spool import disk, reading, segment
from edge_agent.spool.index import Position, StoredFile
from edge_agent.spool.marks import Marks
from edge_agent.spool.policy import SpoolLimits, hole
from edge_agent.spool.reading import Found
from edge_agent.spool.recovery import SUFFIX, Recovered, recover
from edge_agent.spool.segment import Entry, EntryKind
from edge_agent.spool.spans import span_of

_CHECKPOINT: Final = SensorId("checkpoint")
_LOCK: Final = "lock"
_UNWRITTEN_BYTES: Final = 16 << 20


class Spool:
    """See the module. Made by `Spool.open`."""

    def __init__(
        self, directory: Path, edge: EdgeId, epoch: int, limits: SpoolLimits, found: Recovered, lock: Exclusive
    ) -> None:
        self.epoch = epoch
        self.damage = found.damage
        self.n_dropped = 0
        self._directory = directory
        self._lock = lock
        self._edge = edge
        self._limits = limits
        self._index = found.index
        self._given_up = found.given_up
        self._unwritten: deque[Entry] = deque()
        self._unwritten_bytes = 0
        self._fd: int | None = None
        self._dirty = False
        self._torn = False
        self._marks = Marks(directory, epoch)
        self._sensors: tuple[SensorId, ...] = ()
        self._holes: deque[Entry] = deque()

    @classmethod
    def open(
        cls,
        directory: Path,
        edge: EdgeId,
        now: InstantNs,
        limits: SpoolLimits | None = None,
        sensors: Iterable[SensorId] = (),
    ) -> Self:
        """Open the spool in `directory`, or begin one there with an epoch of its own, taken from `now`.

        Of `sensors`, which it will be given records of, numbers are reserved together.

        Raises
        ------
        InvalidSetting
            If the directory cannot be used, or another edge uses it.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = Exclusive(directory / _LOCK, "another edge")
        except (OSError, Unavailable) as error:
            raise InvalidSetting(f"spool in {directory}: {getattr(error, 'strerror', None) or error}") from error
        try:
            return cls._open(directory, edge, now, limits or SpoolLimits(), tuple(sensors), lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def _open(
        cls,
        directory: Path,
        edge: EdgeId,
        now: InstantNs,
        limits: SpoolLimits,
        sensors: tuple[SensorId, ...],
        lock: Exclusive,
    ) -> Self:
        try:
            found = recover(directory)
            epoch = now // 1_000_000 if found.epoch is None else found.epoch
            spool = cls(directory, edge, epoch, limits, found, lock)
            if found.index.files:
                spool._fd = os.open(found.index.newest.path, os.O_WRONLY | os.O_APPEND)
            else:
                spool._rotate()
            spool._sensors = sensors
            spool._skip(now, fresh=found.epoch is None)
        except OSError as error:
            raise InvalidSetting(f"spool in {directory}: {error.strerror or error}") from error
        return spool

    def _skip(self, now: InstantNs, *, fresh: bool) -> None:
        """Number on above what an earlier life can have used; what is skipped is told by the next `flush`."""
        for sensor, upto in self._marks.skipped(self._index.starts, fresh=fresh).items():
            entry = hole(sensor, self._index.starts.get(sensor, StreamStart()), upto, self._edge, self.epoch, now)
            self._holes.append(entry)
            self._index.pass_over(entry)
            self.damage.append(
                f"{sensor}: numbers {entry.first} to {entry.last} may have been used before power was lost"
            )
        if self._marks.damage:
            self.damage.append(self._marks.damage)

    @property
    def starts(self) -> Mapping[SensorId, StreamStart]:
        """Where the records of each sensor go on."""
        return self._index.starts

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return self._index.n_bytes

    @property
    def n_uncommitted(self) -> int:
        """Number of records that the store does not have."""
        return self._index.n_uncommitted

    @property
    def end(self) -> Position:
        """The place behind the last entry."""
        return self._index.end

    def watermark(self, sensor: SensorId) -> int:
        """Return the last sequence up to which the store has everything; -1 if none."""
        return self._index.watermark(sensor)

    def commit(self, upto: Mapping[SensorId, int]) -> bool:
        """Take watermarks; files that the store has in full are removed. Return whether any watermark rose."""
        return self._index.commit(upto)

    # Writing

    def append(self, entry: Entry) -> None:
        """Take an entry; it is in the spool once `flush` has returned it."""
        if self._unwritten_bytes > _UNWRITTEN_BYTES:
            self._refuse(entry)
            return
        self._unwritten.append(entry)
        self._unwritten_bytes += len(entry.payload)

    def flush(self) -> Found:
        """Write what was appended; return it, and the spool's own gaps, with the place behind each.

        Raises
        ------
        OSError
            If the disk does not take it. What was not written is kept, up to a bound, and tried again by the next call;
            what goes beyond the bound is recorded as a gap later.
        """
        written: Found = []
        self._settle(written)
        self._reserve()
        while self._unwritten:
            if self.end.offset >= self._limits.segment_bytes:
                self._rotate()
            self._make_room(written)
            if self._limits.refuses(self.n_bytes):
                self._refuse(self._shift())
            else:
                self._write_batch(written)
        if self._given_up and not self._limits.refuses(self.n_bytes):
            self._admit(written)
        return written

    def _settle(self, written: Found) -> None:
        """Write the gaps that take the numbers of an earlier life; only then is it over."""
        while self._holes:
            self._write(self._index.newest, segment.frame(self._holes[0]))
            self._index.add(self._index.newest, self._holes[0])
            written.append((self._holes.popleft(), self.end))
        if not self._marks.settled:
            self.sync()
            self._marks.settle()

    def _reserve(self) -> None:
        used: dict[SensorId, int] = {}
        for entry in self._unwritten:
            used[entry.sensor] = max(entry.last, used.get(entry.sensor, -1))
        self._marks.reserve((*self._sensors, *self._index.starts), used)

    def _shift(self) -> Entry:
        entry = self._unwritten.popleft()
        self._unwritten_bytes -= len(entry.payload)
        return entry

    def _write_batch(self, written: Found) -> None:
        """Write entries in one call, up to the end of a file."""
        active = self._index.newest
        batch: list[Entry] = []
        frames: list[bytes] = []
        offset = size = active.size
        for entry in self._unwritten:
            if size >= self._limits.segment_bytes:
                break
            frames.append(segment.frame(entry))
            size += len(frames[-1])
            batch.append(entry)
        self._write(active, b"".join(frames))
        for entry, packed in zip(batch, frames, strict=True):
            self._shift()
            offset += len(packed)
            self._index.add(active, entry)
            written.append((entry, Position(active.number, offset)))

    def _write(self, active: StoredFile, content: bytes) -> None:
        if self._fd is None:
            self._fd = os.open(active.path, os.O_WRONLY | os.O_APPEND)
        self._mend(self._fd, active)
        self._torn = True
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._mend(self._fd, active)
            raise
        self._torn = False
        active.size += len(content)
        self._dirty = True

    def _mend(self, descriptor: int, active: StoredFile) -> None:
        """Cut off what a write left behind that did not come to its end; what followed it could not be read again."""
        if self._torn:
            os.ftruncate(descriptor, active.size)
            self._torn = False

    def _rotate(self) -> None:
        """Begin a new file: written whole under another name first, so that it is there with its checkpoint or not."""
        number = self._index.newest.number + 1 if self._index.files else 1
        path = self._directory / f"{number:012d}{SUFFIX}"
        entry = Entry(EntryKind.CHECKPOINT, _CHECKPOINT, 0, 0, 0, 0, 0, self._index.checkpoint())
        content = segment.head(self.epoch) + segment.frame(entry)
        self.sync()
        disk.replace(path, content)
        if self._fd is not None:
            os.close(self._fd)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._torn = False
        self._index.files.append(StoredFile(number, path, len(content)))
        self._index.forget()

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

    def _make_room(self, written: Found) -> None:
        """Give up the oldest files, each once the gap that stands for it is on the disk."""
        while len(self._index.files) > 1 and self._limits.gives_up_oldest(self.n_bytes):
            self._given_up.update(self._index.give_up_oldest())
            try:
                self._admit(written)
            except OSError:  # a disk that is full has room for the gap only when the file is gone
                self._index.remove_oldest()
                self._admit(written)
            else:
                self.sync()
                self._index.remove_oldest()

    def _refuse(self, entry: Entry) -> None:
        self._given_up.add(entry.sensor, span_of(entry))
        self._index.pass_over(entry)

    def _admit(self, written: Found) -> None:
        """Write the gaps that stand for what was given up."""
        for entry in self._given_up.gaps(self._edge, self.epoch):
            active = self._index.newest
            self._write(active, segment.frame(entry))
            self._index.add(active, entry)
            written.append((entry, self.end))
            self.n_dropped += entry.n_samples

    # Reading

    def first_uncommitted(self, sensors: Collection[SensorId] | None = None) -> Position:
        """Return the beginning of the first file that holds something (of `sensors`) the store lacks, or the end."""
        return self._index.first_uncommitted(sensors)

    def read(self, start: Position, end: Position) -> tuple[Found, Position]:
        """Return some of the uncommitted entries between two places, and how far it got (`reading.read`)."""
        return reading.read(self._index, start, end)

    def replayable(self) -> Iterator[Entry]:
        """Iterate over everything that the store does not have, oldest first; for tests and tools."""
        place, end = self.first_uncommitted(), self.end
        while place < end:
            found, place = self.read(place, end)
            yield from (entry for entry, _ in found)

    def close(self) -> None:
        """Write what is left, force it to the disk and let go; idempotent.

        Gaps are written however full the spool is: nobody else knows of them.
        """
        if self._fd is None:
            return
        try:
            self.flush()
            self._admit([])
            self.sync()
            self._marks.release(self._index.starts)
        finally:
            os.close(self._fd)
            self._fd = None
            self._lock.close()
