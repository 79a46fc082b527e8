"""Merging of what came lately into large disjoint segments, so that ranges are read in few pieces.

New blocks are appended to a sensor's *tail* as they come. When the tail has become long it is merged with every full
segment that it reaches into, the newest write winning, and written back in pieces that overlap nothing: reading never
has to untangle more than one tail.
"""

from __future__ import annotations

import itertools
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dyncal.adapters.series import CorrectedRows, RawRows, newest_corrected, newest_raw
from dyncal.adapters.sqlite import segments
from dyncal.adapters.sqlite.segments import RAW, Origin
from dyncal.domain.time import Int64Array, axis_of

FULL_ROWS: Final = 8192
TAIL_SEGMENTS: Final = 64

INSERT: Final = (
    "INSERT INTO segment (sensor, kind, tail, t_first_ns, t_last_ns, t_valid_ns, n, payload, origins)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


_Stored = tuple[int, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """The raw or the corrected rows of one sensor, by their numbers in the file."""

    sensor: int
    kind: int


def merge_tail(db: sqlite3.Connection, stream: Stream) -> tuple[int, int]:
    """Merge the tail of `stream` inside the caller's transaction; return how many segments and rows remain in it."""
    tail = db.execute(
        "SELECT id, payload, origins FROM segment WHERE sensor = ? AND kind = ? AND tail = 1 ORDER BY id",
        (stream.sensor, stream.kind),
    ).fetchall()
    merged = _merged(stream, [payload for _, payload, _ in tail])
    old, borders = _reached(db, stream, merged.t_ns)
    if old:
        merged = _merged(stream, [payload for _, payload, _ in (*old, *tail)])
    origins = segments.merged_origins([packed for _, _, packed in (*old, *tail)])
    db.executemany("DELETE FROM segment WHERE id = ?", [(number,) for number, _, _ in (*old, *tail)])
    cuts = _cuts(merged.t_ns, borders)
    rest = 0
    for first, last in itertools.pairwise(cuts):
        is_rest = last == cuts[-1] and last - first < FULL_ROWS
        rest = last - first if is_rest else 0
        db.execute(INSERT, segment_row(stream, merged.at(slice(first, last)), origins, tail=is_rest))
    longest = max(int(merged.t_ns[b - 1] - merged.t_ns[a]) for a, b in itertools.pairwise(cuts))
    db.execute("UPDATE sensor SET longest_ns = max(longest_ns, ?) WHERE id = ?", (longest, stream.sensor))
    return int(rest > 0), rest


def _merged(stream: Stream, payloads: list[bytes]) -> RawRows | CorrectedRows:
    if stream.kind == RAW:
        return newest_raw([segments.unpack_raw(payload) for payload in payloads])
    return newest_corrected([segments.unpack_corrected(payload) for payload in payloads])


def _reached(db: sqlite3.Connection, stream: Stream, t: Int64Array) -> tuple[list[_Stored], Int64Array]:
    """Return the full segments that hold an instant between others of `t`, and the beginnings of those passed over."""
    (longest,) = db.execute("SELECT longest_ns FROM sensor WHERE id = ?", (stream.sensor,)).fetchone()
    candidates = db.execute(
        "SELECT id, t_first_ns, t_last_ns FROM segment WHERE sensor = ? AND kind = ? AND tail = 0"
        " AND t_first_ns BETWEEN ? AND ? AND t_last_ns >= ? ORDER BY t_first_ns",
        (stream.sensor, stream.kind, int(t[0]) - longest, int(t[-1]), int(t[0])),
    ).fetchall()
    if not candidates:
        return [], np.empty(0, np.int64)
    found = np.array(candidates, np.int64)
    hit = np.searchsorted(t, found[:, 1]) < np.searchsorted(t, found[:, 2], "right")
    old = [
        db.execute("SELECT id, payload, origins FROM segment WHERE id = ?", (number,)).fetchone()
        for number in found[hit, 0].tolist()
    ]
    return old, found[~hit, 1]


def _cuts(t: Int64Array, borders: Int64Array) -> list[int]:
    """Positions at which merged rows are cut: nowhere across a segment that stays, and not too long."""
    ends = np.unique(np.concatenate([np.searchsorted(t, borders), [0, t.size]])).tolist()
    cuts = [0]
    for end in ends[1:]:
        while end - cuts[-1] > FULL_ROWS:
            cuts.append(cuts[-1] + FULL_ROWS)
        cuts.append(end)
    return cuts


def segment_row(stream: Stream, rows: RawRows | CorrectedRows, origins: list[Origin], *, tail: bool) -> tuple[Any, ...]:
    """Return the parameters of `INSERT` for rows (at least one), with the origins of the blocks that begin in them."""
    axis = axis_of(rows.t_ns)
    first, last = int(rows.t_ns[0]), int(rows.t_ns[-1])
    if isinstance(rows, CorrectedRows):
        valid: int | None = last
        payload = segments.pack_corrected(axis, rows)
    else:
        valid = last_valid(rows)
        payload = segments.pack_raw(axis, rows)
    packed_origins = segments.pack_origins([origin for origin in origins if first <= origin.t0_ns <= last])
    return (stream.sensor, stream.kind, int(tail), first, last, valid, len(rows.t_ns), payload, packed_origins)


def last_valid(rows: RawRows) -> int | None:
    """Return the newest instant that has a value."""
    with_value = np.flatnonzero(~np.isnan(rows.value))
    return int(rows.t_ns[with_value[-1]]) if with_value.size else None
