"""Connections to a SQLite file: one writer, a few readers, and errors in our terms."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dyncal.domain.errors import StoreUnavailable

BUSY_S: Final = 5.0
_READERS_KEPT: Final = 8
_WAL_LIMIT_BYTES: Final = 64 << 20

_Identity = tuple[int, int] | None


class SqliteFile:
    """A database in write-ahead mode, shared by threads and by processes.

    A commit is durable when it returns: ``synchronous=FULL`` syncs the write-ahead log at every commit. NORMAL, which
    SQLite advises for this mode, survives a killed process but may lose the last commits when the power fails, after
    the edges have been told that they may forget them. With batches of tens of milliseconds a sync each is affordable.

    What is written to a file that was removed or replaced is gone, and SQLite says nothing of it. So every use looks
    whether the file still has its name, and every commit once more after it: an error says that it has not. A file that
    has come in its place is opened; none is made, since whoever took it away may bring it back.

    Parameters
    ----------
    path : Path
        The file; it and its directory are made if absent.
    schema : str
        SQL that creates what is missing; idempotent.
    version : int
        Of the schema, kept in ``user_version``; a file of another version is refused.
    renewed : callable
        Called before a file that has taken the place of another is opened: what was known of that is wrong. Where it
        raises, the file is not opened.

    Raises
    ------
    StoreUnavailable
        If the file cannot be opened or is of another version.
    """

    def __init__(self, path: Path, schema: str, version: int, renewed: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._schema, self._version = schema, version
        self._renewed = renewed
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._files: tuple[_Identity, ...] = ()
        with unavailable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._open("rwc")

    def _open(self, mode: str) -> sqlite3.Connection:
        """Return a connection to write with, and remember the files that it is to."""
        writer = self._connect(mode)
        try:
            self._prepare(writer)
            self._files = _identities(self.path)
        except BaseException:
            writer.close()
            raise
        return writer

    def _prepare(self, writer: sqlite3.Connection) -> None:
        found = writer.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, self._version):
            raise StoreUnavailable(f"{self.path}: schema version {found}; this program needs {self._version}")
        if found == 0:
            writer.execute("PRAGMA auto_vacuum=INCREMENTAL")
        writer.execute("PRAGMA journal_mode=WAL")
        writer.executescript(f"BEGIN IMMEDIATE;{self._schema}PRAGMA user_version={self._version};COMMIT;")

    def _connect(self, mode: str = "rw") -> sqlite3.Connection:
        place = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(place, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _must_be_there(self) -> None:
        if _identities(self.path) != self._files:
            raise StoreUnavailable(f"{self.path}: removed while in use: put it back, or start anew without it")

    def _go_over(self) -> None:
        """Open what is in the place of our file, if that is another one; the lock is held."""
        found = _identities(self.path)
        if found == self._files:
            return
        if found[0] is None:
            self._must_be_there()
        if self._files and found[0] == self._files[0]:  # only its log was removed: save what is in that alone
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._files = ()
        with self._readers_lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers = []
        self._renewed()
        self._writer = self._open("rw")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one writer in a transaction that is durable at the end of the block, or undone."""
        with self._lock, unavailable(self.path):
            self._check_open()
            self._go_over()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise
            self._must_be_there()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold a connection that sees one state of the file throughout."""
        with unavailable(self.path):
            self._look()
            readers, connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                self._give_back(readers, connection)

    def execute_alone(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction, such as a vacuum, to its end."""
        with self._lock, unavailable(self.path):
            self._check_open()
            self._go_over()
            self._writer.execute(statement).fetchall()

    def _look(self) -> None:
        if _identities(self.path) != self._files:
            with self._lock:
                self._check_open()
                self._go_over()

    def _take_reader(self) -> tuple[list[sqlite3.Connection], sqlite3.Connection]:
        """Return a connection, and where to give it back to: not to those of another file."""
        with self._readers_lock:
            self._check_open()
            readers = self._readers
            if readers:
                return readers, readers.pop()
        return readers, self._connect()

    def _give_back(self, readers: list[sqlite3.Connection], connection: sqlite3.Connection) -> None:
        with self._readers_lock:
            if not self._closed and readers is self._readers and len(readers) < _READERS_KEPT:
                readers.append(connection)
                return
        connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.path}: closed")

    def close(self) -> None:
        """Let go of the file; idempotent."""
        with self._lock, self._readers_lock:
            if self._closed:
                return
            self._closed = True
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()


def _identities(path: Path) -> tuple[_Identity, ...]:
    """Return what is at the names of a database, of its log and of the log's index."""
    return tuple(_identity(path.with_name(path.name + suffix)) for suffix in ("", "-wal", "-shm"))


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into `StoreUnavailable` that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
