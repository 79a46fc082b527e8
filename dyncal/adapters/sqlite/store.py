"""The embedded sample store: a SQLite file that holds packed segments, not a row a sample."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from dyncal.adapters import series
from dyncal.adapters.decimation import concatenated
from dyncal.adapters.sqlite import aggregated, ranges, removing, segments
from dyncal.adapters.sqlite.connection import SqliteFile
from dyncal.adapters.sqlite.merging import FULL_ROWS, INSERT, TAIL_SEGMENTS, Stream, last_valid, merge_tail
from dyncal.adapters.sqlite.runs import Run, runs
from dyncal.adapters.sqlite.schema import SCHEMA, VERSION
from dyncal.adapters.sqlite.segments import CORRECTED, RAW
from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES, Aggregates
from dyncal.domain.errors import Conflict
from dyncal.domain.samples import Gap, GapCause, GapRecord, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import Writable, WriteReport, unpacked

_VACUUM_PAGES = 2048
_FORGET_SEGMENTS = 200


class SqliteSampleStore:
    """A `SampleStore` in one file; other processes may read, and write, at the same time.

    Parameters
    ----------
    path : Path
        The file; made if absent.
    keep_ns : int, optional
        How long samples and gaps are kept [ns]; None keeps them for ever.

    Raises
    ------
    StoreUnavailable
        If it cannot be opened.
    """

    def __init__(self, path: Path, *, keep_ns: int | None = None) -> None:
        self._keep_ns = keep_ns
        self._file = SqliteFile(path, SCHEMA, VERSION, self._forget_notes)
        self._sensors: dict[str, int] = {}
        self._sets: dict[str, int] = {}
        self._tails: dict[Stream, tuple[int, int]] = {}
        self._longest: dict[int, int] = {}

    def write(self, records: Sequence[Writable]) -> WriteReport:
        """Write in one transaction; see the port."""
        n_raw = n_corrected = n_gaps = 0
        try:
            with self._file.writing() as db:
                for item in runs(unpacked(records)):
                    if isinstance(item, GapRecord):
                        self._add_gap(db, self._sensor(db, item.sensor), item.gap)
                        n_gaps += 1
                        continue
                    number = self._sensor(db, item.blocks[0].sensor)
                    self._add_raw(db, number, item)
                    n_raw += item.n_rows
                    n_corrected += self._add_corrected(db, number, item)
                self._merge_long_tails(db)
        except BaseException:  # the transaction is undone, at its very end maybe: what was noted of it is wrong
            self._forget_notes()
            raise
        return WriteReport(n_raw, n_corrected, n_gaps)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return a range; see the port."""
        with self._file.reading() as db:
            if max_points is None:
                return ranges.whole(db, sensor, start, end)
            return ranges.decimated(db, sensor, start, end, max_points)

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Return the newest row with a raw value and the newest with a corrected one."""
        with self._file.reading() as db:
            instants = [
                t
                for kind in (RAW, CORRECTED)
                for (t,) in db.execute(
                    "SELECT max(t_valid_ns) FROM segment"
                    " WHERE sensor = (SELECT id FROM sensor WHERE name = ?) AND kind = ?",
                    (sensor, kind),
                )
                if t is not None
            ]
            if not instants:
                return series.join(series.NO_RAW, series.NO_CORRECTED, ())
            first, last = min(instants), max(instants)
            parts = [ranges.whole(db, sensor, t, t + 1) for t in sorted({first, last})]
        return concatenated(parts)

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch a range; see the port."""
        with self._file.reading() as db:
            found = db.execute(
                "SELECT after_ns, before_ns, cause, n_lost FROM gap"
                " WHERE sensor = (SELECT id FROM sensor WHERE name = ?) AND after_ns < ? AND before_ns >= ?"
                " ORDER BY after_ns DESC, before_ns DESC LIMIT ?",
                (sensor, end, start, -1 if limit is None else limit),
            ).fetchall()
        found.reverse()
        return [Gap(InstantNs(after), InstantNs(before), GapCause(cause), lost) for after, before, cause, lost in found]

    def sensors(self) -> list[SensorId]:
        """Return the sensors that have rows, in order of name."""
        with self._file.reading() as db:
            found = db.execute(
                "SELECT name FROM sensor WHERE EXISTS (SELECT 1 FROM segment WHERE sensor = sensor.id) ORDER BY name"
            ).fetchall()
        return [SensorId(name) for (name,) in found]

    def check(self) -> str:
        """Return a line that names the store and its version; a write lock is taken and given back."""
        with self._file.writing():
            pass
        return f"SQLite {sqlite3.sqlite_version}, {self._file.path}, schema {VERSION}"

    def tidy(self, now: InstantNs) -> bool:
        """Forget some of what is older than is to be kept; see the port."""
        if self._keep_ns is None:
            return False
        return len(self._forget(InstantNs(now - self._keep_ns), _FORGET_SEGMENTS)) == _FORGET_SEGMENTS

    def forget_before(self, instant: InstantNs) -> int:
        """Remove segments and gaps that end before `instant`; return the number of samples removed.

        Whole segments only: up to some thousand older rows of a sensor stay. Space is given back in small steps, so
        that writers wait for none of them long.
        """
        return sum(self._forget(instant))

    def _forget(self, instant: InstantNs, most: int | None = None) -> list[int]:
        """Remove as many segments; return of each how many samples that removes."""
        with self._file.writing() as db:
            found = removing.forget_before(db, instant, most)
            self._forget_notes()
        self._give_back_space()
        return found

    def aggregates(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> Aggregates:
        """Return aggregates of all widths; see the port."""
        with self._file.reading() as db:
            number = _known(db, sensor)
            if number is None:
                return aggregates.NONE
            found = aggregated.of_all_widths(db, number, start, end, limit)
            names = [_name(db, "coefficient_set", int(known)) for known in found.set_ids]
        return dataclasses.replace(found, set_ids=tuple(names))

    def first(self, sensor: SensorId, width_ns: int) -> InstantNs | None:
        """Return the oldest instant; see the port."""
        table, of = ("segment", ()) if width_ns == SAMPLES else ("aggregate", (width_ns,))
        with self._file.reading() as db:
            found = db.execute(
                f"SELECT min(t_first_ns) FROM {table} WHERE sensor = (SELECT id FROM sensor WHERE name = ?)"  # noqa: S608
                f"{' AND width_ns = ?' if of else ''}",
                (sensor, *of),
            ).fetchone()[0]
        return None if found is None else InstantNs(found)

    def held(self) -> list[SensorId]:
        """Return the sensors that have samples or aggregates, in order of name."""
        with self._file.reading() as db:
            found = db.execute(
                "SELECT name FROM sensor WHERE EXISTS (SELECT 1 FROM segment WHERE sensor = sensor.id)"
                " OR EXISTS (SELECT 1 FROM aggregate WHERE sensor = sensor.id) ORDER BY name"
            ).fetchall()
        return [SensorId(name) for (name,) in found]

    def settle(self) -> None:
        """Do nothing: a transaction is never half done."""

    def replace(
        self, sensor: SensorId, width_ns: int, start: InstantNs, end: InstantNs, by: Aggregates, n_rows: int
    ) -> None:
        """Replace in one transaction; see the port."""
        with self._file.writing() as db:
            number = self._sensor(db, sensor)
            if width_ns == SAMPLES:
                wanted = ranges.find(db, sensor, start, end)
                n_there = len(ranges.whole(db, sensor, start, end))
            else:
                wanted, n_there = None, len(aggregated.between(db, number, width_ns, start, end))
            if n_there != n_rows:
                raise Conflict(f"{sensor}: {n_there} rows from {start} to {end}, not {n_rows}")
            numbers = tuple(str(self._set(db, name)) for name in by.set_ids)
            aggregated.add(db, number, dataclasses.replace(by, set_ids=numbers))
            if wanted is not None:
                removing.cut_out(db, wanted)
            elif width_ns != SAMPLES:
                aggregated.remove(db, number, width_ns, start, end)
            self._forget_notes()
        self._give_back_space()

    def _give_back_space(self) -> None:
        while (before := self._free_pages()) > 0:
            self._file.execute_alone(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            if self._free_pages() >= before:
                break

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._file.close()

    def _free_pages(self) -> int:
        with self._file.reading() as db:
            return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    def _add_raw(self, db: sqlite3.Connection, sensor: int, run: Run) -> None:
        axis, rows = run.raw()
        first, last = int(rows.t_ns[0]), int(rows.t_ns[-1])
        row = (first, last, last_valid(rows), len(rows.t_ns), segments.pack_raw(axis, rows))
        self._append(db, Stream(sensor, RAW), (*row, segments.pack_origins(run.origins())))

    def _add_corrected(self, db: sqlite3.Connection, sensor: int, run: Run) -> int:
        found = run.corrected([self._set(db, span.set_id) for span in run.spans])
        if found is None:
            return 0
        axis, rows = found
        first, last, n = int(rows.t_ns[0]), int(rows.t_ns[-1]), len(rows.t_ns)
        self._append(db, Stream(sensor, CORRECTED), (first, last, last, n, segments.pack_corrected(axis, rows), None))
        return n

    def _append(
        self, db: sqlite3.Connection, stream: Stream, row: tuple[int, int, int | None, int, bytes, bytes | None]
    ) -> None:
        db.execute(INSERT, (stream.sensor, stream.kind, 1, *row))
        first, last, _, n, _, _ = row
        longest = last - first
        if longest > self._longest.get(stream.sensor, -1):  # what the file knows is this or more
            db.execute(
                "UPDATE sensor SET longest_ns = ? WHERE id = ? AND longest_ns < ?", (longest, stream.sensor, longest)
            )
            self._longest[stream.sensor] = longest
        n_segments, n_rows = self._tail(db, stream)
        self._tails[stream] = (n_segments + 1, n_rows + n)

    def _tail(self, db: sqlite3.Connection, stream: Stream) -> tuple[int, int]:
        """Return count and rows of a tail before the segment that was added last."""
        known = self._tails.get(stream)
        if known is not None:
            return known
        count, rows, newest = db.execute(
            "SELECT count(*), sum(n), (SELECT n FROM segment ORDER BY id DESC LIMIT 1) FROM segment"
            " WHERE sensor = ? AND kind = ? AND tail = 1",
            (stream.sensor, stream.kind),
        ).fetchone()
        return count - 1, rows - newest

    def _merge_long_tails(self, db: sqlite3.Connection) -> None:
        for stream, (count, rows) in list(self._tails.items()):
            if count > TAIL_SEGMENTS or rows >= FULL_ROWS:
                self._tails[stream] = merge_tail(db, stream)

    def _forget_notes(self) -> None:
        self._sensors.clear()
        self._sets.clear()
        self._tails.clear()
        self._longest.clear()

    def _sensor(self, db: sqlite3.Connection, name: str) -> int:
        return _numbered(db, "sensor", self._sensors, name)

    def _set(self, db: sqlite3.Connection, name: str) -> int:
        return _numbered(db, "coefficient_set", self._sets, name)

    @staticmethod
    def _add_gap(db: sqlite3.Connection, sensor: int, gap: Gap) -> None:
        db.execute(
            "INSERT OR REPLACE INTO gap (sensor, after_ns, cause, before_ns, n_lost) VALUES (?, ?, ?, ?, ?)",
            (sensor, gap.after_ns, gap.cause, gap.before_ns, gap.n_lost),
        )


def _numbered(db: sqlite3.Connection, table: str, known: dict[str, int], name: str) -> int:
    number = known.get(name)
    if number is None:
        db.execute(f"INSERT INTO {table} (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))  # noqa: S608  # ours
        (number,) = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()  # noqa: S608
        known[name] = int(number)
    return int(number)


def _known(db: sqlite3.Connection, sensor: str) -> int | None:
    found = db.execute("SELECT id FROM sensor WHERE name = ?", (sensor,)).fetchone()
    return None if found is None else int(found[0])


def _name(db: sqlite3.Connection, table: str, number: int) -> str:
    return str(db.execute(f"SELECT name FROM {table} WHERE id = ?", (number,)).fetchone()[0])  # noqa: S608  # ours
