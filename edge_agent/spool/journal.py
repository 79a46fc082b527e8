"""The files of the spool: written at the newest, given up at the oldest, each loss told by a gap."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from dyncal.domain.sensors import EdgeId, SensorId
from edge_agent.spool import disk, reading, rewriting, segment
from edge_agent.spool.ballast import LEAST_BYTES, Ballast
from edge_agent.spool.index import Position, SpoolIndex, StoredFile
from edge_agent.spool.policy import GivenUp, SpoolLimits
from edge_agent.spool.recovery import SUFFIX, Recovered
from edge_agent.spool.segment import Entry, EntryKind
from edge_agent.spool.spans import Span, span_of
from edge_agent.spool.waiting import Waiting
from edge_agent.spool.writer import Writer


class Journal:
    """Entries on the disk.

    Every method that writes raises `OSError` if the disk does not take it, and leaves what it did not do to the next
    call. What is written and is to be sent is added to the list `fresh` that it is given.
    """

    def __init__(self, directory: Path, edge: EdgeId, epoch: int, limits: SpoolLimits, found: Recovered) -> None:
        self.epoch = epoch
        self.edge = edge
        self.limits = limits
        self.index: SpoolIndex = found.index
        self.writer = Writer()
        self.damage: list[str] = found.damage
        self.n_dropped = 0
        self.n_writes = 0
        self._directory = directory
        self._given_up = found.given_up
        self._broken = False  # the newest file is not to be written to any more
        self._ballast = Ballast(directory)
        if self.index.files:
            self.writer.resume(self.index.newest)
        else:
            self._rotate()
        self._keep_room()

    @property
    def full(self) -> bool:
        """True if nothing new is taken."""
        return self.limits.refuses(self.index.n_bytes)

    def write(self, entries: list[Entry]) -> None:
        """Write entries, all or none."""
        if self._broken:
            self._rotate()
        self._add(b"".join(segment.frame(entry) for entry in entries))
        for entry in entries:
            self.index.add(self.index.newest, entry)

    def write_some(self, waiting: Waiting, fresh: list[Entry]) -> None:
        """Write what waits in one call, up to the end of a file, once there is room for it; or refuse the first."""
        self._make_room(fresh)
        if self._broken or self.index.newest.size >= self.limits.segment_bytes:
            self._rotate()
        if self.full:
            self.refuse(waiting.shift()[0])
            return
        active = self.index.newest
        frames: list[bytes] = []
        size = active.size
        for entry in waiting:
            if size >= self.limits.segment_bytes:
                break
            frames.append(segment.frame(entry))
            size += len(frames[-1])
        self._add(b"".join(frames))
        for _ in frames:
            entry, shown = waiting.shift()
            self.index.add(active, entry)
            if not shown:
                fresh.append(entry)

    def _add(self, content: bytes) -> None:
        self.writer.write(self.index.newest, content)
        self.index.n_bytes += len(content)
        if self.writer.removed:  # what went into it is nowhere: it is written again, to another file
            self._broken = True
            raise OSError(errno.ENOENT, "removed while in use", str(self.index.newest.path))
        self.n_writes += 1

    def _rotate(self) -> None:
        """Begin a new file with the state of all sensors, and with what the file before it holds."""
        frames = [segment.head(self.epoch), segment.frame(segment.note(EntryKind.CHECKPOINT, self.index.checkpoint()))]
        number = 1
        if self.index.files:
            number = self.index.newest.number + 1
            frames.append(segment.frame(segment.note(EntryKind.SUMMARY, self.index.newest.summary())))
        content = b"".join(frames)
        begun = StoredFile(number, self._directory / f"{number:012d}{SUFFIX}", len(content))
        self.writer.begin(begun, content)
        self._broken = False
        self.index.begin(begun)
        self._keep_room()

    def _keep_room(self) -> None:
        """Keep back what it takes to begin a file."""
        size = 2 * (len(self.index.checkpoint()) + len(self.index.newest.summary()))
        self._ballast.hold(max(LEAST_BYTES, 1 << size.bit_length()))

    def relieve(self) -> bool:
        """Make room on a full disk by letting go of a newest file that the store has in full; tell whether it could.

        Raises
        ------
        OSError
            If a new file cannot be begun all the same.
        """
        if self.index.holds(self.index.newest) or self.index.newest.spans == {}:
            return False
        self._ballast.give_up()
        self._rotate()
        return True

    # What is given up

    def refuse(self, entry: Entry) -> None:
        """Do not keep an entry."""
        self.n_dropped += entry.n_samples
        self._given_up.add(entry.sensor, span_of(entry))
        self.index.pass_over(entry)

    def tell(self, fresh: list[Entry]) -> None:
        """Write the gaps that stand for all that was given up, all or none."""
        if self._given_up:
            self._admit(self._given_up, fresh)

    def _admit(self, given_up: GivenUp, fresh: list[Entry]) -> None:
        entries = given_up.entries(self.index.gaps, self.edge, self.epoch)
        self.write(entries)
        given_up.clear()
        fresh += entries

    def _make_room(self, fresh: list[Entry]) -> None:
        """Thin files, or give up the oldest, each once the gaps that stand for it are on the disk."""
        while len(self.index.files) > 1 and self.limits.gives_up_old(self.index.n_bytes):
            if self.limits.policy == "thin" and self._thin():
                continue
            self.tell(fresh)
            oldest = self.index.files[0]
            runs = reading.uncommitted(self.index, oldest)
            try:
                self._admit(self._stand_in(oldest, runs), fresh)
            except OSError as error:
                if error.errno not in disk.NO_ROOM:
                    raise
                self._cut_oldest(runs)
                self.tell(fresh)
            else:
                self.n_dropped += sum(span.n_samples for _, span in runs)
            self.n_dropped -= oldest.n_gone  # counted when it was thinned, and in the runs
            oldest.spans, oldest.n_gone = {}, 0
            self.writer.sync()
            self.index.remove_oldest()

    def _thin(self) -> bool:
        """Thin a file; tell whether there was one, and room to write it."""
        item = rewriting.next_file(self.index)
        if item is None:
            return False
        try:
            self.n_dropped += rewriting.rewrite(self.index, item, self.edge, self.epoch)
        except OSError as error:
            if error.errno not in disk.NO_ROOM:
                raise
            return False
        return True

    def _stand_in(self, item: StoredFile, runs: Iterable[tuple[SensorId, Span]]) -> GivenUp:
        """Return what must be told before a file goes: its records, and the gaps that were told in it."""
        given_up = GivenUp()
        given_up.update(runs)
        given_up.update(self.index.gaps.within(item.number))
        return given_up

    def _cut_oldest(self, runs: Iterable[tuple[SensorId, Span]]) -> None:
        """Make room on a full disk for the gaps themselves; a start sees by what is left of the file what it lacks."""
        oldest = self.index.files[0]
        size = reading.lead_bytes(oldest.path)
        os.truncate(oldest.path, size)
        self._lost(oldest, size, runs)

    def _lost(self, item: StoredFile, size: int, runs: Iterable[tuple[SensorId, Span]]) -> None:
        for sensor, span in runs:
            self.n_dropped += span.n_samples
            self._given_up.add(sensor, span)
        self._given_up.update(self.index.gaps.within(item.number))
        self.index.cut_short(item, size, runs)

    # Reading

    def read(self, start: Position, end: Position) -> tuple[list[Entry], Position]:
        """Return some of the uncommitted entries between two places, and how far it got (`reading.read`).

        What turns out to be damaged is given up.
        """
        found, reached, damaged = reading.read(self.index, start, end)
        for item, offset in damaged:
            runs = [(sensor, span._replace(damaged=True)) for sensor, span in reading.lost(item, offset)]
            self.damage.append(f"{item.path.name}: {item.size - offset} bytes from {offset} on are damaged")
            self._lost(item, offset, runs)
            self._broken |= item is self.index.newest
        return found, reached
