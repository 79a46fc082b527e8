"""The ledger of what is committed, in a SQLite file: durable when `commit` returns.

The account is entered in the transaction of the numbers, so that it cannot differ from them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dyncal.adapters.sqlite.connection import SqliteFile
from dyncal.domain.accounts import Account, Entry, Lost
from dyncal.domain.errors import StoreUnavailable, Unavailable
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.ledger import StreamKey
from dyncal.runtime.exclusive import Exclusive

MAX_KNOWN: Final = 100_000
"""Streams kept in memory; any other is read from the file again."""

_VERSION: Final = 2
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
CREATE TABLE IF NOT EXISTS account (
  stream INTEGER NOT NULL REFERENCES stream, kind TEXT NOT NULL,
  numbers INTEGER NOT NULL, records INTEGER NOT NULL, samples INTEGER NOT NULL, uncounted INTEGER NOT NULL,
  PRIMARY KEY (stream, kind)
) STRICT, WITHOUT ROWID;
"""
_STORED, _REPEATED, _QUARANTINED, _UNKNOWN = "stored", "repeated", "quarantined", "unknown"
_GAP: Final = "gap "  # and its cause
_ADD: Final = """
INSERT INTO account VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET numbers = numbers + excluded.numbers,
records = records + excluded.records, samples = samples + excluded.samples, uncounted = uncounted + excluded.uncounted
"""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """The watermark of a stream and the spans beyond it, disjoint, not adjacent, in order."""

    upto: int = -1
    ahead: tuple[Span, ...] = ()

    def with_span(self, first: int, last: int) -> Progress:
        """Return the progress after one more span (both ends inclusive)."""
        if not self.ahead and first <= self.upto + 1:
            return self if last <= self.upto else Progress(last)
        upto = self.upto
        ahead: list[Span] = []
        for begin, end in sorted([*self.ahead, (first, last)]):
            if begin <= upto + 1:
                upto = max(upto, end)
            elif ahead and begin <= ahead[-1][1] + 1:
                ahead[-1] = (ahead[-1][0], max(ahead[-1][1], end))
            else:
                ahead.append((begin, end))
        return Progress(upto, tuple(ahead))

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self.upto + 1 + sum(last - first + 1 for first, last in self.ahead)


@dataclass(slots=True)
class _Sums:
    """What a commit adds to one kind of a stream's account."""

    numbers: int = 0
    records: int = 0
    samples: int = 0
    uncounted: int = 0


class SqliteLedger:
    """A `Ledger` in one file, written by one process: of the streams it has seen last it keeps `MAX_KNOWN` in memory.

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
        self._known: dict[StreamKey, tuple[int, Progress]] = {}
        self._lock = _lock(path)
        try:
            self._file = SqliteFile(path, _SCHEMA, _VERSION, self._renewed)
        except BaseException:
            self._lock.close()
            raise

    def _renewed(self) -> None:
        """Take the lock beside a file that has taken the place of ours: it may be another ingest's."""
        self._known.clear()
        self._lock.close()
        self._lock = _lock(self._file.path)

    def commit(self, entries: Iterable[tuple[StreamKey, Entry]]) -> dict[StreamKey, int]:
        """Enter records in one transaction and return the watermarks of their streams; see the port."""
        by_stream: dict[StreamKey, list[Entry]] = {}
        for key, entry in entries:
            by_stream.setdefault(key, []).append(entry)
        if not by_stream:
            return {}
        changed: dict[StreamKey, tuple[int, Progress]] = {}
        with self._file.writing() as db:
            for key, new in by_stream.items():
                number, before = self._known.get(key) or _load(db, key)
                after, sums = _entered(before, new)
                _save(db, number, before, after)
                db.executemany(
                    _ADD, [(number, kind, s.numbers, s.records, s.samples, s.uncounted) for kind, s in sums.items()]
                )
                changed[key] = (number, after)
        for key in changed:
            self._known.pop(key, None)
        self._known.update(changed)
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return {key: progress.upto for key, (_, progress) in changed.items()}

    def watermarks(self, edge: EdgeId, epoch: int) -> dict[SensorId, int]:
        """Return the watermark of every stream of an edge's epoch."""
        with self._file.reading() as db:
            found = db.execute("SELECT sensor, upto FROM stream WHERE edge = ? AND epoch = ?", (edge, epoch)).fetchall()
        return {SensorId(sensor): upto for sensor, upto in found}

    def accounts(self) -> dict[tuple[EdgeId, SensorId], Account]:
        """Return the account of each sensor of each edge; see the port."""
        with self._file.reading() as db:
            streams = db.execute("SELECT id, edge, sensor, upto FROM stream").fetchall()
            ahead = dict(db.execute("SELECT stream, sum(last - first + 1) FROM ahead GROUP BY stream").fetchall())
            rows = db.execute("SELECT stream, kind, numbers, records, samples, uncounted FROM account").fetchall()
        by_stream: dict[int, dict[str, _Sums]] = {}
        for stream, kind, *sums in rows:
            by_stream.setdefault(stream, {})[kind] = _Sums(*sums)
        found: dict[tuple[EdgeId, SensorId], Account] = {}
        for number, edge, sensor, upto in streams:
            account = _account(upto + 1 + ahead.get(number, 0), by_stream.get(number, {}))
            key = EdgeId(edge), SensorId(sensor)
            found[key] = found.get(key, Account()) + account
        return found

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


def _entered(progress: Progress, entries: Iterable[Entry]) -> tuple[Progress, dict[str, _Sums]]:
    """Return the progress after entries of one stream, and what they add to its account."""
    sums: dict[str, _Sums] = {}
    upto, ahead = progress.upto, progress.ahead
    for entry in entries:
        if not ahead and entry.first == upto + 1:  # as it is nearly always
            new, upto = entry.last - upto, entry.last
        else:
            before = Progress(upto, ahead)
            after = before.with_span(entry.first, entry.last)
            new, upto, ahead = after.count - before.count, after.upto, after.ahead
        kind = _kind(entry) if new else _REPEATED
        into = sums.setdefault(kind, _Sums())
        into.numbers += new
        into.records += 1
        if entry.cause is None:
            into.samples += entry.n_samples
        elif new:
            into.samples += entry.n_lost or 0
            into.uncounted += entry.n_lost is None
    return Progress(upto, ahead), sums


def _kind(entry: Entry) -> str:
    if entry.quarantined:
        return _QUARANTINED
    if entry.cause is not None:
        return _GAP + entry.cause
    return _STORED if entry.n_samples else _UNKNOWN


def _account(numbers: int, sums: Mapping[str, _Sums]) -> Account:
    gaps = {cause: sums[_GAP + cause] for cause in GapCause if _GAP + cause in sums}
    stored, repeated, quarantined, unknown = (
        sums.get(kind, _Sums()) for kind in (_STORED, _REPEATED, _QUARANTINED, _UNKNOWN)
    )
    return Account(
        numbers=numbers,
        blocks=stored.numbers,
        samples=stored.samples,
        gap_numbers=sum(gap.numbers for gap in gaps.values()),
        gaps={cause: Lost(gap.records, gap.samples, gap.uncounted) for cause, gap in gaps.items()},
        quarantined=quarantined.numbers,
        unknown=unknown.numbers,
        repeated_records=repeated.records,
        repeated_samples=repeated.samples,
    )
