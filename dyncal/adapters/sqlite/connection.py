"""Connections to a SQLite file: one writer, a few readers, and errors in our terms."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dyncal.domain.errors import StoreUnavailable

BUSY_S: Final = 5.0
_READERS_KEPT: Final = 8
_WAL_LIMIT_BYTES: Final = 64 << 20


class SqliteFile:
    """A database in write-ahead mode, shared by threads and by processes.

    A commit is durable when it returns: ``synchronous=FULL`` syncs the write-ahead log at every commit. NORMAL, which
    SQLite advises for this mode, survives a killed process but may lose the last commits when the power fails, after
    the edges have been told that they may forget them. With batches of tens of milliseconds a sync each is affordable.


    Parameters
    ----------
    path : Path
        The file; it and its directory are made if absent.
    schema : str
        SQL that creates what is missing; idempotent.
    version : int
        Of the schema, kept in ``user_version``; a file of another version is refused.

    Raises
    ------
    StoreUnavailable
        If the file cannot be opened or is of another version.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        with unavailable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            try:
                self._prepare(schema, version)
            except BaseException:
                self._writer.close()
                raise

    def _prepare(self, schema: str, version: int) -> None:
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise StoreUnavailable(f"{self.path}: schema version {found}; this program needs {version}")
        if found == 0:
            self._writer.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.executescript(f"BEGIN IMMEDIATE;{schema}PRAGMA user_version={version};COMMIT;")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one writer in a transaction that is durable at the end of the block, or undone."""
        with self._lock, unavailable(self.path):
            self._check_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold a connection that sees one state of the file throughout."""
        with unavailable(self.path):
            connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    def execute_alone(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction, such as a vacuum, to its end."""
        with self._lock, unavailable(self.path):
            self._check_open()
            self._writer.execute(statement).fetchall()

    def _take_reader(self) -> sqlite3.Connection:
        with self._readers_lock:
            self._check_open()
            if self._readers:
                return self._readers.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._readers_lock:
            if not self._closed and len(self._readers) < _READERS_KEPT:
                self._readers.append(connection)
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


@contextlib.contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into `StoreUnavailable` that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
