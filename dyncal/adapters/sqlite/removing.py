"""Taking rows out of the embedded store: whole segments that are too old, or exactly those of a range."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence

from dyncal.adapters.series import CorrectedRows, RawRows
from dyncal.adapters.sqlite import segments
from dyncal.adapters.sqlite.merging import INSERT, Stream, merge_tail, segment_row
from dyncal.adapters.sqlite.ranges import TOUCHING, Range
from dyncal.adapters.sqlite.segments import CORRECTED, RAW


def forget_before(db: sqlite3.Connection, instant: int, most: int | None) -> list[int]:
    """Remove segments (at most `most`), aggregates and gaps that end before; return the samples of each segment."""
    sensors = [sensor for (sensor,) in db.execute("SELECT id FROM sensor")]
    found = _ended_before(db, sensors, instant, most)
    db.executemany("DELETE FROM segment WHERE id = ?", [(number,) for number, _ in found])
    db.executemany(
        "DELETE FROM gap WHERE sensor = ? AND after_ns < ? AND before_ns < ?",
        [(sensor, instant, instant) for sensor in sensors],
    )
    db.execute("DELETE FROM aggregate WHERE t_last_ns + width_ns < ?", (instant,))
    return [n for _, n in found]


def _ended_before(
    db: sqlite3.Connection, sensors: Sequence[int], instant: int, most: int | None
) -> list[tuple[int, int]]:
    """Return segments, and the samples that each is; by the index of each stream, which is in order of time."""
    found: list[tuple[int, int]] = []
    for sensor, kind in itertools.product(sensors, (RAW, CORRECTED)):
        if len(found) == most:
            break
        found += db.execute(
            "SELECT id, CASE kind WHEN ? THEN n ELSE 0 END FROM segment"
            " WHERE sensor = ? AND kind = ? AND t_first_ns < ? AND t_last_ns < ? LIMIT ?",
            (RAW, sensor, kind, instant, instant, -1 if most is None else most - len(found)),
        ).fetchall()
    return found


def cut_out(db: sqlite3.Connection, wanted: Range) -> None:
    """Remove exactly the rows of a range; what segments hold beside it stays, and which write was the newer one."""
    for kind in (RAW, CORRECTED):
        stream = Stream(wanted.sensor, kind)
        if any(tail for _, tail, _, _ in _touching(db, wanted, kind)):
            merge_tail(db, stream)  # one segment is left of it at most: parts of it need no order among themselves
        for number, tail, payload, origins in _touching(db, wanted, kind):
            rows: RawRows | CorrectedRows = (
                segments.unpack_raw(payload) if kind == RAW else segments.unpack_corrected(payload)
            )
            db.execute("DELETE FROM segment WHERE id = ?", (number,))
            for kept in (rows.within(0, wanted.start_ns), rows.at(slice(_count_before(rows, wanted.end_ns), None))):
                if len(kept.t_ns):
                    known = segments.unpack_origins(origins)
                    db.execute(INSERT, segment_row(stream, kept, known, tail=bool(tail)))


def _touching(db: sqlite3.Connection, wanted: Range, kind: int) -> list[tuple[int, int, bytes, bytes | None]]:
    return db.execute(
        f"SELECT id, tail, payload, origins FROM segment WHERE {TOUCHING}",  # noqa: S608  # ours
        wanted.touching(kind),
    ).fetchall()


def _count_before(rows: RawRows | CorrectedRows, instant: int) -> int:
    return len(rows.within(0, instant).t_ns)
