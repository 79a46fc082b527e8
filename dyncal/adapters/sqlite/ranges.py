"""Ranges of a sensor: whole, or decimated piece by piece in memory for a few segments."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from dyncal.adapters import series
from dyncal.adapters.decimation import Decimator
from dyncal.adapters.series import CorrectedRows, RawRows
from dyncal.adapters.sqlite import segments
from dyncal.adapters.sqlite.segments import CORRECTED, RAW
from dyncal.domain.samples import SampleSeries

PIECE_SEGMENTS: Final = 8

TOUCHING: Final = "sensor = ? AND kind = ? AND t_first_ns >= ? AND t_first_ns < ? AND t_last_ns >= ?"

Rows = TypeVar("Rows", RawRows, CorrectedRows)


class Range(NamedTuple):
    """The rows of a sensor with start_ns <= t < end_ns; no segment of it is longer than `longest_ns`."""

    sensor: int
    start_ns: int
    end_ns: int
    longest_ns: int

    def touching(self, kind: int) -> tuple[int, int, int, int, int]:
        """Return the parameters of `TOUCHING`."""
        return self.sensor, kind, self.start_ns - self.longest_ns, self.end_ns, self.start_ns


def find(db: sqlite3.Connection, sensor: str, start: int, end: int) -> Range | None:
    """Return the range of a sensor by its name, or None where nothing can be in it."""
    found = db.execute("SELECT id, longest_ns FROM sensor WHERE name = ?", (sensor,)).fetchone()
    return None if found is None or end <= start else Range(found[0], start, end, found[1])


def whole(db: sqlite3.Connection, sensor: str, start: int, end: int) -> SampleSeries:
    """Return all rows of a range."""
    wanted = find(db, sensor, start, end)
    if wanted is None:
        return series.join(series.NO_RAW, series.NO_CORRECTED, ())
    # Full segments in order of time, then the tail in order of writing.
    order = "ORDER BY tail, CASE tail WHEN 0 THEN t_first_ns ELSE id END"
    raw = [_raw(payload, wanted) for _, payload in _stored(db, wanted, RAW, order)]
    corrected = [_corrected(payload, wanted) for _, payload in _stored(db, wanted, CORRECTED, order)]
    return _joined(db, series.newest_raw(raw), series.newest_corrected(corrected))


def decimated(db: sqlite3.Connection, sensor: str, start: int, end: int, max_points: int) -> SampleSeries:
    """Return what `series.decimate` returns of the whole range; at no time is more of it held than some segments."""
    wanted = find(db, sensor, start, end)
    extent = None if wanted is None else _extent(db, wanted)
    if wanted is None or extent is None:
        return series.join(series.NO_RAW, series.NO_CORRECTED, ())
    kept = Decimator(*extent, max_points)
    for piece in _pieces(db, wanted):
        kept.add(piece)
    return kept.result()


class _Sweep(Generic[Rows]):
    """The full segments of one kind, disjoint and in order of time, and the tail that lies over them."""

    def __init__(self, full: Iterator[tuple[int, Rows]], tail: Rows) -> None:
        self._full: Iterator[tuple[int, Rows]] = full
        self._ahead: tuple[int, Rows] | None = next(full, None)
        self._held: list[Rows] = [tail]  # it stays the last: it is newer

    @property
    def next_ns(self) -> int | None:
        """Where the segment that is to be read next begins; None after the last one."""
        return None if self._ahead is None else self._ahead[0]

    def advance(self) -> None:
        """Hold the next segment."""
        if self._ahead is not None:
            self._held.insert(-1, self._ahead[1])
            self._ahead = next(self._full, None)

    def take(self, end: int) -> list[Rows]:
        """Return the rows before `end` that were not taken yet, oldest write first."""
        taken = [part.within(0, end) for part in self._held]
        left = [part.at(slice(len(done.t_ns), None)) for part, done in zip(self._held, taken, strict=True)]
        self._held = [part for part in left[:-1] if len(part.t_ns)] + left[-1:]
        return [part for part in taken if len(part.t_ns)]


def _pieces(db: sqlite3.Connection, wanted: Range) -> Iterator[SampleSeries]:
    """Yield the rows of a range in pieces of some segments, oldest first."""
    tail, full = "AND tail = 1 ORDER BY id", "AND tail = 0 ORDER BY t_first_ns"
    raw = _Sweep(
        ((first, _raw(payload, wanted)) for first, payload in _stored(db, wanted, RAW, full)),
        series.newest_raw([_raw(payload, wanted) for _, payload in _stored(db, wanted, RAW, tail)]),
    )
    corrected = _Sweep(
        ((first, _corrected(payload, wanted)) for first, payload in _stored(db, wanted, CORRECTED, full)),
        series.newest_corrected([_corrected(payload, wanted) for _, payload in _stored(db, wanted, CORRECTED, tail)]),
    )
    n_read = 0
    while True:
        ahead = [t for t in (raw.next_ns, corrected.next_ns) if t is not None]
        if not ahead or n_read >= PIECE_SEGMENTS:
            end = min(ahead, default=wanted.end_ns)
            yield _joined(db, series.newest_raw(raw.take(end)), series.newest_corrected(corrected.take(end)))
            n_read = 0
        if not ahead:
            return
        (raw if raw.next_ns == min(ahead) else corrected).advance()
        n_read += 1


def _extent(db: sqlite3.Connection, wanted: Range) -> tuple[int, int] | None:
    """Return the first instant and the last one in a range; only segments that reach out of it are opened."""
    found: list[int] = []
    for kind in (RAW, CORRECTED):
        inside = db.execute(
            "SELECT min(t_first_ns), max(t_last_ns) FROM segment"
            " WHERE sensor = ? AND kind = ? AND t_first_ns >= ? AND t_last_ns < ?",
            (wanted.sensor, kind, wanted.start_ns, wanted.end_ns),
        ).fetchone()
        found += [t for t in inside if t is not None]
        reaching_out = f"AND (t_first_ns < {wanted.start_ns:d} OR t_last_ns >= {wanted.end_ns:d})"
        for _, payload in _stored(db, wanted, kind, reaching_out):
            t = (_raw(payload, wanted) if kind == RAW else _corrected(payload, wanted)).t_ns
            found += [int(t[0]), int(t[-1])] if t.size else []
    return (min(found), max(found)) if found else None


def _stored(db: sqlite3.Connection, wanted: Range, kind: int, rest: str) -> Iterator[tuple[int, bytes]]:
    """Yield beginning and payload of the segments that touch a range, as they are wanted."""
    return db.execute(
        f"SELECT t_first_ns, payload FROM segment WHERE {TOUCHING} {rest}",  # noqa: S608  # ours
        wanted.touching(kind),
    )


def _raw(payload: bytes, wanted: Range) -> RawRows:
    return segments.unpack_raw(payload).within(wanted.start_ns, wanted.end_ns)


def _corrected(payload: bytes, wanted: Range) -> CorrectedRows:
    return segments.unpack_corrected(payload).within(wanted.start_ns, wanted.end_ns)


def _joined(db: sqlite3.Connection, raw: RawRows, corrected: CorrectedRows) -> SampleSeries:
    numbers, position = series.renumbered(corrected.set_index)
    names = [db.execute("SELECT name FROM coefficient_set WHERE id = ?", (k,)).fetchone()[0] for k in numbers.tolist()]
    return series.join(raw, corrected._replace(set_index=position), names)
