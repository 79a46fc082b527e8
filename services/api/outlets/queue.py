"""What waits to be sent, on disk: how far each target has read the alarms' history, and what it has not delivered yet.

The history itself is the long queue. Here is only a window of it for each target: at most `window` changes are taken
over, with the number of the last one in the same transaction, and the next when there is room. So the file is bounded,
however long a receiver is away, and nothing is dropped for want of room. What is given up after its time is counted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.time import InstantNs, duration
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.news import News

FAR_NS: Final = duration(7 * 3600.0)
"""No attempt waits for so long: what is due later was put off by a clock that was ahead."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS target (
  name TEXT PRIMARY KEY, last INTEGER NOT NULL, n_delivered INTEGER NOT NULL DEFAULT 0,
  n_given_up INTEGER NOT NULL DEFAULT 0, n_untold INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
  target TEXT NOT NULL, number INTEGER NOT NULL, alarm TEXT NOT NULL, document BLOB NOT NULL,
  since_ns INTEGER NOT NULL, due_ns INTEGER NOT NULL, n_failed INTEGER NOT NULL DEFAULT 0, refused_ns INTEGER,
  PRIMARY KEY (target, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting_of_alarm ON waiting (target, alarm, number);
CREATE TABLE IF NOT EXISTS thread (
  target TEXT NOT NULL, alarm TEXT NOT NULL, first TEXT NOT NULL, PRIMARY KEY (target, alarm)
) STRICT, WITHOUT ROWID;
"""
_ADD: Final = """
INSERT OR IGNORE INTO waiting (target, number, alarm, document, since_ns, due_ns) VALUES (?, ?, ?, ?, ?, ?)
"""
_GONE: Final = "UPDATE target SET n_given_up = n_given_up + ?2, n_untold = n_untold + ?2 WHERE name = ?1"
_FAILED: Final = """
UPDATE waiting SET n_failed = n_failed + 1, due_ns = ?3,
  refused_ns = CASE WHEN ?4 IS NULL THEN NULL ELSE coalesce(refused_ns, ?4) END WHERE target = ?1 AND number = ?2
"""
_BEGUN: Final = "INSERT INTO target (name, last) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last = ?2"
_DUE: Final = """
SELECT number, document, since_ns, n_failed, refused_ns FROM waiting AS w
WHERE target = ?1 AND (due_ns <= ?2 OR due_ns > ?2 + ?4)
  AND number = (SELECT min(number) FROM waiting WHERE target = w.target AND alarm = w.alarm) ORDER BY number LIMIT ?3
"""
_READY: Final = """
SELECT number, document, since_ns, n_failed, refused_ns FROM waiting AS w WHERE target = ?1 AND NOT EXISTS (
  SELECT 1 FROM waiting WHERE target = ?1 AND alarm = w.alarm AND due_ns > ?2 AND due_ns <= ?2 + ?4
) ORDER BY number LIMIT ?3
"""
_NEXT_DUE: Final = """
SELECT min(due_ns) FROM waiting AS w WHERE target = ?
  AND number = (SELECT min(number) FROM waiting WHERE target = w.target AND alarm = w.alarm)
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that has not been delivered yet; refused by a receiver that is there since `refused_ns`, if it is."""

    number: int
    document: bytes
    since_ns: InstantNs
    n_failed: int
    refused_ns: InstantNs | None


@dataclass(frozen=True, slots=True)
class Account:
    """How a target stands. `n_untold` of those given up it does not know of yet; `last` was taken over last."""

    n_waiting: int
    oldest_ns: InstantNs | None
    n_delivered: int
    n_given_up: int
    n_untold: int
    last: int


class OutletQueue:
    """The queues of all targets in one file. Blocks; safe to use from several threads.

    Raises
    ------
    StoreUnavailable
        From the constructor and all methods, if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10, check_same_thread=False, isolation_level=None)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
            columns = {row[1] for row in self._db.execute("PRAGMA table_info(waiting)")}
            if "refused_ns" not in columns:  # a file of version 0.1
                self._db.execute("ALTER TABLE waiting ADD COLUMN refused_ns INTEGER")

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._db.close()

    def fill(
        self, target: str, feed: AlarmFeed, wanted: Callable[[News], bool], now: InstantNs, *, window: int = 1000
    ) -> int:
        """Take over what happened since the last call, as far as there is room; return how many were read.

        A target that is new, or whose registry is another one, begins with the alarms that are not normal.
        """
        last = self._last(target)
        newest = feed.newest()
        # What was just written may be in the history before it is in the newest number: that is no other registry.
        if last is None or (last > newest and not feed.after(last - 1, 1)):
            standing = sorted(feed.standing(), key=lambda news: news.number)
            # What changes between the two reads has a higher number than `newest`, and comes with the history too.
            begun = [n for n in standing if n.number <= newest and wanted(n)]
            self._take(target, begun, newest, now, anew=True)
            return len(standing)
        room = window - self.account(target).n_waiting
        if room <= 0 or last >= newest:
            return 0
        news = feed.after(last, room)
        # Numbers have no holes but where history was forgotten before this target came to it.
        n_forgotten = (news[0].number if news else newest + 1) - last - 1
        if news or n_forgotten:
            upto = news[-1].number if news else newest
            self._take(target, [n for n in news if wanted(n)], upto, now, n_lost=n_forgotten)
        return len(news)

    def due(self, target: str, now: InstantNs, limit: int) -> list[Waiting]:
        """Return what is due, lowest number first: of each alarm only its oldest change, so that order is kept."""
        with self._reading() as db:
            return [Waiting(*row) for row in db.execute(_DUE, (target, now, limit, FAR_NS))]

    def ready(self, target: str, now: InstantNs, limit: int) -> list[Waiting]:
        """Return what waits, lowest number first, but for alarms of which a change is put off."""
        with self._reading() as db:
            return [Waiting(*row) for row in db.execute(_READY, (target, now, limit, FAR_NS))]

    def next_due(self, target: str) -> InstantNs | None:
        """Return when the next change is due; None where none waits."""
        with self._reading() as db:
            (at_ns,) = db.execute(_NEXT_DUE, (target,)).fetchone()
        return None if at_ns is None else InstantNs(at_ns)

    def delivered(self, target: str, numbers: Iterable[int]) -> None:
        """Forget what was delivered."""
        gone = [(target, number) for number in numbers]
        with self._writing() as db:
            db.executemany("DELETE FROM waiting WHERE target = ? AND number = ?", gone)
            db.execute("UPDATE target SET n_delivered = n_delivered + ? WHERE name = ?", (len(gone), target))

    def failed(self, target: str, number: int, due_ns: InstantNs, *, refused_ns: InstantNs | None = None) -> None:
        """Keep that an attempt failed, and when the next is due.

        `refused_ns` is the instant of a refusal; None where the receiver did not come to refuse anything.
        """
        with self._writing() as db:
            db.execute(_FAILED, (target, number, due_ns, refused_ns))

    def give_up(self, target: str, number: int) -> None:
        """Drop a change that could not be delivered in its time, and count it."""
        with self._writing() as db:
            db.execute("DELETE FROM waiting WHERE target = ? AND number = ?", (target, number))
            db.execute(_GONE, (target, 1))

    def told(self, target: str, n: int) -> None:
        """Keep that the receiver knows of `n` changes that were given up."""
        with self._writing() as db:
            db.execute("UPDATE target SET n_untold = n_untold - ? WHERE name = ?", (n, target))

    def thread_of(self, target: str, alarm: str, first: str) -> str:
        """Return the identity of the first message about an alarm; `first` becomes it where there was none."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO thread VALUES (?, ?, ?)", (target, alarm, first))
            row = db.execute("SELECT first FROM thread WHERE target = ? AND alarm = ?", (target, alarm)).fetchone()
        return str(row[0])

    def account(self, target: str) -> Account:
        """Return how a target stands."""
        with self._reading() as db:
            n, oldest = db.execute("SELECT count(*), min(since_ns) FROM waiting WHERE target = ?", (target,)).fetchone()
            counts = db.execute(
                "SELECT n_delivered, n_given_up, n_untold, last FROM target WHERE name = ?", (target,)
            ).fetchone()
        return Account(n, None if oldest is None else InstantNs(oldest), *(counts or (0, 0, 0, 0)))

    def _last(self, target: str) -> int | None:
        with self._reading() as db:
            row = db.execute("SELECT last FROM target WHERE name = ?", (target,)).fetchone()
        return None if row is None else int(row[0])

    def _take(
        self, target: str, news: list[News], last: int, now: InstantNs, *, anew: bool = False, n_lost: int = 0
    ) -> None:
        rows = [(target, n.number, n.id, n.document, now, now) for n in news]
        with self._writing() as db:
            if anew:  # numbers of another registry mean other changes: what still waits of that one is given up
                gone = db.execute("DELETE FROM waiting WHERE target = ?", (target,)).rowcount
                n_lost += gone
            if n_lost:
                db.execute(_GONE, (target, n_lost))
            db.execute(_BEGUN, (target, last))
            db.executemany(_ADD, rows)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"queue of outlets {self._path}: {error}") from error
