"""The spool: every record goes here before it is published, and stays until the store has it.

Promises: what `flush` has written survives the death of the process at any instant; a torn tail is cut off at the next
start; a loss of power may take what was written since the last `sync`, but no number is used twice for it (`marks`).
Sequences and the epoch go on after a restart: every file begins with a checkpoint of all sensors, so that the newest
file is enough. The size is capped, and what is given up for it is recorded as a gap that takes the sequences of what it
stands for. A disk that fails is waited for, with a bound; what waits can be had (`show`) and sent meanwhile.
Blocking; one user at a time.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from dyncal.domain.errors import InvalidSetting, SpoolUnavailable, Unavailable
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.runtime.exclusive import Exclusive
from edge_agent.events import StreamStart
from edge_agent.spool import disk
from edge_agent.spool.index import Position
from edge_agent.spool.journal import Journal
from edge_agent.spool.marks import Marks
from edge_agent.spool.policy import SpoolLimits, hole
from edge_agent.spool.recovery import recover
from edge_agent.spool.segment import Entry
from edge_agent.spool.tail import Tail
from edge_agent.spool.waiting import Waiting

SHOW_AFTER_S: Final = 2.0
"""How long records wait for a disk that fails before they may be sent without it [s]."""

_STALE_S: Final = 0.75 * SHOW_AFTER_S
_LOCK: Final = "lock"


class Spool:
    """See the module. Made by `Spool.open`."""

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        lock: Exclusive,
        marks: Marks,
        sensors: tuple[SensorId, ...],
        tail: Tail,
    ) -> None:
        self.epoch = journal.epoch
        self.newest = tail.instants()
        """Instants [ns] of the samples in the last blocks of an earlier life, by sensor."""
        self.refused = tail.refused()
        """What an earlier life has refused and told last, by sensor, each with its instant [ns]."""
        self.trouble: OSError | None = None
        self._directory = directory
        self._journal = journal
        self._index = journal.index
        self._lock: Exclusive | None = lock
        self._marks = marks
        self._sensors = sensors
        self._waiting = Waiting()
        self._unreserved: dict[SensorId, int] = {}
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
        SpoolUnavailable
            If its disk fails, is full, or is mounted read-only: it may be opened later.
        InvalidSetting
            If the directory cannot be used, or another edge uses it.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = Exclusive(directory / _LOCK, "another edge")
            try:
                return cls._open(directory, edge, now, limits or SpoolLimits(), tuple(sensors), lock)
            except BaseException:
                lock.close()
                raise
        except Unavailable as error:
            raise InvalidSetting(f"spool in {directory}: {error}") from error
        except OSError as error:
            kind = SpoolUnavailable if disk.may_pass(error) else InvalidSetting
            raise kind(f"spool in {directory}: {error.strerror or error}") from error

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
        found = recover(directory)
        fresh = found.epoch is None
        epoch = now // 1_000_000 if found.epoch is None else found.epoch
        stale = not fresh and disk.age_s(found.index.newest.path, directory / _LOCK) > _STALE_S
        journal = Journal(directory, edge, epoch, limits.beside(found.aside_bytes), found)
        spool = cls(directory, journal, lock, Marks(directory, epoch), sensors, found.tail)
        spool._skip(now, fresh=fresh, stale=stale)
        return spool

    def _skip(self, now: InstantNs, *, fresh: bool, stale: bool) -> None:
        """Number on above what an earlier life can have used; what is skipped is told by the next `flush`."""
        for sensor, upto in self._marks.skipped(self._index.starts, fresh=fresh, stale=stale).items():
            entry = hole(
                sensor, self._index.starts.get(sensor, StreamStart()), upto, self._journal.edge, self.epoch, now
            )
            self._holes.append(entry)
            self._index.pass_over(entry)
            self._journal.damage.append(
                f"{sensor}: an earlier life may have used the numbers {entry.first} to {entry.last}"
            )
        if self._marks.damage:
            self.damage.append(self._marks.damage)

    @property
    def damage(self) -> list[str]:
        """What is damaged, in words; whoever tells of it takes it out."""
        return self._journal.damage

    @property
    def n_dropped(self) -> int:
        """Number of samples that were given up."""
        return self._journal.n_dropped

    @property
    def starts(self) -> Mapping[SensorId, StreamStart]:
        """Where the records of each sensor go on."""
        return self._index.starts

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return self._index.n_bytes

    @property
    def fill(self) -> float:
        """How full it is beside the file that is written to: 1 is where something is given up."""
        limits = self._journal.limits
        return max(self._index.n_bytes - limits.segment_bytes, 0) / (limits.full_bytes - limits.segment_bytes)

    @property
    def n_uncommitted(self) -> int:
        """Number of records that the store does not have."""
        return self._index.n_uncommitted + len(self._waiting)

    @property
    def n_taken(self) -> int:
        """Number of entries that were ever appended."""
        return self._waiting.n_taken

    @property
    def n_safe(self) -> int:
        """Number of entries, from the first on, that are on the disk, with the store, or told as given up."""
        return self._waiting.n_passed

    @property
    def end(self) -> Position:
        """The place behind the last entry."""
        return self._index.end

    def watermark(self, sensor: SensorId) -> int:
        """Return the last sequence up to which the store has everything; -1 if none."""
        return self._index.watermark(sensor)

    def commit(self, upto: Mapping[SensorId, int]) -> bool:
        """Take watermarks; files that the store has in full are removed. Return whether any watermark rose."""
        for entry in self._waiting.let_go(upto):
            self._index.pass_by(entry)
        return self._index.commit(upto)

    # Writing

    def append(self, entry: Entry) -> None:
        """Take an entry; it is in the spool once `flush` has returned it."""
        if self._waiting.full:
            if self._journal.limits.policy == "newest":
                self._journal.refuse(entry)
                return
            self._journal.refuse(self._waiting.shift()[0])
        self._waiting.add(entry)
        if not self._marks.covers(entry.sensor, entry.last, ahead=True):
            self._unreserved[entry.sensor] = entry.last

    def flush(self) -> list[Entry]:
        """Write what waits; return what of it was not shown before, and the spool's own gaps.

        Where the disk does not take it, `trouble` says why until it does. What was not written is kept, up to a bound,
        and tried again by the next call; what goes beyond the bound is recorded as a gap later.
        """
        fresh: list[Entry] = []
        n_before = self._journal.n_writes
        try:
            self._write_relieved(fresh)
        except OSError as error:
            self.trouble = error
        else:
            if self._journal.n_writes > n_before:  # that there was nothing to write says nothing of the disk
                self.trouble = None
        return fresh

    def show(self) -> list[Entry]:
        """Return the entries that wait for the disk and were not shown yet, to be sent without it.

        Only once it has failed for `SHOW_AFTER_S`: a later life knows by that silence that numbers were used of which
        it finds nothing.
        """
        if not self._waiting.shown:
            with contextlib.suppress(OSError):
                self._marks.unsettle()
        return self._waiting.show(lambda entry: self._marks.covers(entry.sensor, entry.last))

    def hide(self) -> None:
        """Have what waits shown again, or returned by `flush`: what was shown is lost."""
        self._waiting.hide()

    def _write_relieved(self, fresh: list[Entry]) -> None:
        try:
            self._write_all(fresh)
        except OSError as error:
            if error.errno not in disk.NO_ROOM or not self._journal.relieve():
                raise
            self._write_all(fresh)

    def _write_all(self, fresh: list[Entry]) -> None:
        self._tell_holes(fresh)
        if self._unreserved:
            self._reserve()
        if self._waiting.shown:
            self._marks.unsettle()
        while self._waiting:
            self._journal.write_some(self._waiting, fresh)
        if not self._journal.full:
            self._journal.tell(fresh)
        self._settle()

    def _tell_holes(self, fresh: list[Entry]) -> None:
        """Write the gaps that take the numbers of an earlier life; only then is it over."""
        while self._holes:
            self._journal.write([self._holes[0]])
            fresh.append(self._holes.popleft())
        self._settle()

    def _settle(self) -> None:
        if not self._marks.settled and not self._waiting.shown:
            self.sync()
            self._marks.settle()

    def _reserve(self) -> None:
        self._marks.reserve((*self._sensors, *self._index.starts), self._unreserved)
        self._unreserved.clear()

    def sync(self) -> None:
        """Force what was written to the disk. Raises `OSError`."""
        self._journal.writer.sync()

    def unsynced(self) -> int | None:
        """Return a descriptor for the caller to force to the disk and close, or None if nothing was written since."""
        return self._journal.writer.unsynced()

    def distrust(self) -> None:
        """Take note that what was written could not be forced to the disk."""
        self._journal.writer.distrust()

    # Reading

    def first_uncommitted(self, sensors: Collection[SensorId] | None = None) -> Position:
        """Return the beginning of the first file that holds something (of `sensors`) the store lacks, or the end."""
        return self._index.first_uncommitted(sensors)

    def read(self, start: Position, end: Position) -> tuple[list[Entry], Position]:
        """Return some of the uncommitted entries between two places, and how far it got (`reading.read`).

        What turns out to be damaged is given up, and told as a gap by the next `flush`. Raises `OSError`.
        """
        return self._journal.read(start, end)

    def replayable(self) -> Iterator[Entry]:
        """Iterate over everything that the store does not have, oldest first; for tests and tools."""
        place, end = self.first_uncommitted(), self.end
        while place < end:
            found, place = self.read(place, end)
            yield from found

    def close(self) -> None:
        """Write what is left, force it to the disk and let go; idempotent.

        Gaps are written however full the spool is: nobody else knows of them. `trouble` says what the disk refused.
        """
        if self._lock is None:
            return
        try:
            self.flush()
            if not self._waiting:
                self._journal.tell([])
                self.sync()
                self._marks.release(self._index.starts)
                self.trouble = None
        except OSError as error:
            self.trouble = error
        finally:
            self._journal.writer.close()
            self._lock.close()
            self._lock = None
