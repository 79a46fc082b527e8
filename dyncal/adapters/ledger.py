"""The ledger of what is committed, in a SQLite file: durable when `commit` returns."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dyncal.adapters.sqlite.connection import SqliteFile
from dyncal.domain.errors import StoreUnavailable, Unavailable
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.ledger import StreamKey
from dyncal.runtime.exclusive import Exclusive

_VERSION: Final = 1
# `upto` is the watermark; spans beyond a hole wait in `ahead` until the hole is filled.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS stream (
  id INTEGER PRIMARY KEY, edge TEXT NOT NULL, epoch INTEGER NOT NULL, sensor TEXT NOT NULL, upto INTEGER NOT NULL,
  UNIQUE (edge, epoch, sensor)
) STRICT;
CREATE TABLE IF NOT EXISTS ahead (
  stream INTEGER NOT NULL REFERENCES stream, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;
"""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """The watermark of a stream and the spans beyond it, disjoint, not adjacent, in order."""

    upto: int = -1
    ahead: tuple[Span, ...] = ()

    def with_spans(self, spans: Iterable[Span]) -> Progress:
        """Return the progress after more spans (both ends inclusive) are stored."""
        upto = self.upto
        ahead: list[Span] = []
        for first, last in sorted([*self.ahead, *spans]):
            if first <= upto + 1:
                upto = max(upto, last)
            elif ahead and first <= ahead[-1][1] + 1:
                ahead[-1] = (ahead[-1][0], max(ahead[-1][1], last))
            else:
                ahead.append((first, last))
        return Progress(upto, tuple(ahead))


class SqliteLedger:
    """A `Ledger` in one file, written by one process: what it has seen it keeps in memory.

    Parameters
    ----------
    path : Path
        The file; made if absent.

    Raises
    ------
    StoreUnavailable
        If it cannot be opened, or another process has it; also by every method, if it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = _lock(path)
        try:
            self._file = SqliteFile(path, _SCHEMA, _VERSION)
        except BaseException:
            self._lock.close()
            raise
        self._known: dict[StreamKey, tuple[int, Progress]] = {}

    def commit(self, spans: Iterable[tuple[StreamKey, int, int]]) -> dict[StreamKey, int]:
        """Record spans in one transaction and return the watermarks of their streams; see the port."""
        by_stream: dict[StreamKey, list[Span]] = {}
        for key, first, last in spans:
            by_stream.setdefault(key, []).append((first, last))
        if not by_stream:
            return {}
        changed: dict[StreamKey, tuple[int, Progress]] = {}
        with self._file.writing() as db:
            for key, new in by_stream.items():
                number, before = self._known.get(key) or _load(db, key)
                after = before.with_spans(new)
                _save(db, number, before, after)
                changed[key] = (number, after)
        self._known.update(changed)
        return {key: progress.upto for key, (_, progress) in changed.items()}

    def watermarks(self, edge: EdgeId, epoch: int) -> dict[SensorId, int]:
        """Return the watermark of every stream of an edge's epoch."""
        with self._file.reading() as db:
            found = db.execute("SELECT sensor, upto FROM stream WHERE edge = ? AND epoch = ?", (edge, epoch)).fetchall()
        return {SensorId(sensor): upto for sensor, upto in found}

    def close(self) -> None:
        """Let go of the file; idempotent."""
        with contextlib.suppress(sqlite3.Error):
            self._file.close()
        self._lock.close()


def _lock(path: Path) -> Exclusive:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Exclusive(path.with_name(f"{path.name}.lock"), "another ingest")
    except Unavailable as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def _load(db: sqlite3.Connection, key: StreamKey) -> tuple[int, Progress]:
    db.execute("INSERT INTO stream (edge, epoch, sensor, upto) VALUES (?, ?, ?, -1) ON CONFLICT DO NOTHING", key)
    number, upto = db.execute("SELECT id, upto FROM stream WHERE edge = ? AND epoch = ? AND sensor = ?", key).fetchone()
    ahead = db.execute("SELECT first, last FROM ahead WHERE stream = ? ORDER BY first", (number,)).fetchall()
    return number, Progress(upto, tuple(ahead))


def _save(db: sqlite3.Connection, number: int, before: Progress, after: Progress) -> None:
    if after.upto != before.upto:
        db.execute("UPDATE stream SET upto = ? WHERE id = ?", (after.upto, number))
    gone, new = set(before.ahead) - set(after.ahead), set(after.ahead) - set(before.ahead)
    db.executemany("DELETE FROM ahead WHERE stream = ? AND first = ?", [(number, first) for first, _ in gone])
    db.executemany("INSERT INTO ahead VALUES (?, ?, ?)", [(number, first, last) for first, last in new])
