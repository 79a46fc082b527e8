"""Aggregates in the embedded store: packed segments that are disjoint in time for each sensor and width."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.series import renumbered
from dyncal.adapters.sqlite import columns
from dyncal.domain import aggregates
from dyncal.domain.aggregates import COUNTS, VALUES, Aggregates
from dyncal.domain.errors import StoreRefused

FULL: Final = 4096

_OF: Final = "sensor = ? AND width_ns = ?"


class _Segment(msgspec.Struct, frozen=True, array_like=True):
    """Packed aggregates of one width; sets are numbers of the file, -1 where there is none."""

    n: int
    t_ns: bytes
    counts: tuple[bytes, ...]
    values: tuple[bytes, ...]
    quality: bytes
    sets: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Segment)


def between(db: sqlite3.Connection, sensor: int, width_ns: int, start: int, end: int) -> Aggregates:
    """Return the aggregates of one width that begin at start <= t < end; their sets are numbers of the file."""
    found = aggregates.merged(
        [_unpacked(payload, width_ns) for _, payload in _touching(db, sensor, width_ns, start, end)]
    )
    return found.at(slice(*np.searchsorted(found.t_ns, np.array([start, end], np.int64)).tolist()))


def of_all_widths(db: sqlite3.Connection, sensor: int, start: int, end: int, limit: int | None) -> Aggregates:
    """Return the aggregates that begin at start <= t < end, about the `limit` oldest; their sets as `between`."""
    most = None if limit is None else limit // FULL + 2
    found = [_within(db, sensor, width, start, end, most) for width in _widths(db, sensor)]
    known_until = min((ends for _, ends in found), default=end)
    parts = [part.at(slice(int(np.searchsorted(part.t_ns, known_until)))) for part, _ in found]
    return aggregates.oldest(aggregates.merged(parts), limit)


def _within(
    db: sqlite3.Connection, sensor: int, width_ns: int, start: int, end: int, most: int | None
) -> tuple[Aggregates, int]:
    """Return aggregates of one width out of the first `most` segments, and the instant up to which these are all."""
    rows = _touching(db, sensor, width_ns, start, end, most)
    found = aggregates.merged([_unpacked(payload, width_ns) for _, payload in rows])
    found = found.at(slice(*np.searchsorted(found.t_ns, np.array([start, end], np.int64)).tolist()))
    return found, end if len(rows) != most or not len(found) else int(found.t_ns[-1]) + 1


def _widths(db: sqlite3.Connection, sensor: int) -> list[int]:
    """Return the widths of which a sensor has aggregates."""
    rows = db.execute("SELECT DISTINCT width_ns FROM aggregate WHERE sensor = ? ORDER BY width_ns", (sensor,))
    return [width for (width,) in rows]


def add(db: sqlite3.Connection, sensor: int, by: Aggregates) -> None:
    """Join aggregates (of one width) with those that are there; raises `StoreRefused` if they are not read again."""
    if not len(by):
        return
    width, first, last = int(by.width_ns[0]), int(by.t_ns[0]), int(by.t_ns[-1])
    old = _touching(db, sensor, width, first, last + 1)
    expected = aggregates.merged([*(_unpacked(payload, width) for _, payload in old), by])
    db.executemany("DELETE FROM aggregate WHERE id = ?", [(number,) for number, _ in old])
    _insert(db, sensor, expected)
    begins, ends = int(expected.t_ns[0]), int(expected.t_ns[-1]) + 1
    if not aggregates.same(between(db, sensor, width, begins, ends), expected):
        raise StoreRefused(f"aggregates of {width} ns are not read as they were written")


def remove(db: sqlite3.Connection, sensor: int, width_ns: int, start: int, end: int) -> None:
    """Remove the aggregates of one width that begin at start <= t < end."""
    old = _touching(db, sensor, width_ns, start, end)
    db.executemany("DELETE FROM aggregate WHERE id = ?", [(number,) for number, _ in old])
    for _, payload in old:
        kept = _unpacked(payload, width_ns)
        _insert(db, sensor, kept.at((kept.t_ns < start) | (kept.t_ns >= end)))


def _touching(
    db: sqlite3.Connection, sensor: int, width_ns: int, start: int, end: int, most: int | None = None
) -> list[tuple[int, bytes]]:
    """Return number and payload of the segments (at most `most`) from the one before `start` on, in order of time."""
    before = db.execute(
        f"SELECT max(t_first_ns) FROM aggregate WHERE {_OF} AND t_first_ns <= ?",  # noqa: S608  # `_OF` is a constant
        (sensor, width_ns, start),
    ).fetchone()[0]
    return db.execute(
        f"SELECT id, payload FROM aggregate WHERE {_OF} AND t_first_ns >= ? AND t_first_ns < ?"  # noqa: S608  # `_OF` is a constant
        " ORDER BY t_first_ns LIMIT ?",
        (sensor, width_ns, start if before is None else before, end, -1 if most is None else most),
    ).fetchall()


def _insert(db: sqlite3.Connection, sensor: int, rows: Aggregates) -> None:
    db.executemany(
        "INSERT INTO aggregate (sensor, width_ns, t_first_ns, t_last_ns, n, payload) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (sensor, int(part.width_ns[0]), int(part.t_ns[0]), int(part.t_ns[-1]), len(part), _packed(part))
            for part in (rows.at(slice(k, k + FULL)) for k in range(0, len(rows), FULL))
        ],
    )


def _packed(rows: Aggregates) -> bytes:
    numbers = np.array([*(int(name) for name in rows.set_ids), -1], np.int64)[rows.set_index]
    return _ENCODER.encode(
        _Segment(
            len(rows),
            columns.pack(rows.t_ns),
            tuple(columns.pack(getattr(rows, name)) for name in COUNTS),
            tuple(columns.pack(getattr(rows, name)) for name in VALUES),
            columns.pack(rows.quality.astype(np.int64)),
            columns.pack(numbers),
        )
    )


def _unpacked(payload: bytes, width_ns: int) -> Aggregates:
    s = _DECODER.decode(payload)
    sets = columns.unpack(s.sets, s.n, "i8")
    used, position = renumbered(sets[sets >= 0].astype(np.int32))
    index = np.full(s.n, -1, np.int32)
    index[sets >= 0] = position
    arrays: dict[str, npt.NDArray[Any]] = {
        "t_ns": columns.unpack(s.t_ns, s.n, "i8"),
        "width_ns": np.full(s.n, width_ns, np.int64),
        "quality": columns.unpack(s.quality, s.n, "i8").astype(np.uint32),
        "set_index": index,
    }
    arrays |= {name: columns.unpack(part, s.n, "i8") for name, part in zip(COUNTS, s.counts, strict=True)}
    arrays |= {name: columns.unpack(part, s.n, "f8") for name, part in zip(VALUES, s.values, strict=True)}
    return aggregates.of_columns(arrays, tuple(str(number) for number in used.tolist()))
