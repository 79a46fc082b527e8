"""The database below the registry: opening, transactions, and errors in our own terms."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc

from dyncal.adapters.registry import migrations, postgresql
from dyncal.domain.errors import Conflict, InvalidData, InvalidSetting, StoreUnavailable
from dyncal.runtime.logging import logger

_log = logger("registry")

_BUSY_MS: Final = 10_000
_AGAIN_S: Final = 0.02
_WRITE: Final = "dyncal_write"
_ADVISORY_LOCK: Final = 0x64796E63_616C0001  # "dyncal" and a number: other programs' locks are others


class Database:
    """One engine; hands out transactions to read and to write in. Safe to use from several threads and processes.

    `password`, where it is given, is asked for each connection to a server.
    """

    def __init__(self, url: str, password: Callable[[], str | None] | None = None) -> None:
        try:
            self._engine = sa.create_engine(url, connect_args=_connect_args(url), pool_pre_ping=True)
        except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
            raise InvalidSetting(f"registry.url: not a database that can be used: {error}") from error
        self._shown = self._engine.url.render_as_string(hide_password=True)
        self._closed = False
        self._reader = self._engine
        if self._engine.dialect.name == "sqlite":
            _teach_sqlite(self._engine)
        elif self._engine.dialect.name == "postgresql":
            _teach_postgresql(self._engine)
            postgresql.teach(self._engine)
            if password is not None:
                postgresql.read_password(self._engine, password)
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._writer = self._engine.execution_options(**{_WRITE: True})

    def prepare(self) -> None:
        """Make the tables in an empty database, or bring those that are there up to date.

        Raises
        ------
        StoreUnavailable
            If the database cannot be opened.
        StoreRefused
            If its tables are newer than this program.
        """
        with self.read() as connection:
            if migrations.is_current(connection):
                return
        with migrations.ONE_AT_A_TIME, self.write() as connection:
            before, after = migrations.upgrade(connection)
        if before not in (None, after):
            _log.info("registry_brought_up_to_date", registry=self._shown, before=before, after=after)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that sees one state of the database."""
        with self._ours(), self._reader.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that is committed at the end, or undone by an exception."""
        with self._ours(), self._writer.begin() as connection:
            yield connection

    def describe(self) -> str:
        """Return a line that names the database and its version. Raises `StoreUnavailable`."""
        with self.read() as connection:
            revision = migrations.revision(connection)
            product = connection.dialect.server_version_info or ()
        version = ".".join(map(str, product))
        return f"{self._engine.dialect.name} {version} at {self._shown}, tables {revision}"

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._closed = True
        self._engine.dispose()

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        if self._closed:
            raise StoreUnavailable("the registry is closed")
        try:
            yield
        except exc.IntegrityError as error:
            raise Conflict(f"registry: {_first_line(error.orig)}") from error
        except exc.DataError as error:
            raise InvalidData(f"registry: {_first_line(error.orig)}") from error
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise StoreUnavailable(f"registry {self._shown}: {_first_line(getattr(error, 'orig', error))}") from error


def _first_line(error: object) -> str:
    """Return what a database said, without the statement and the values that it may add in further lines."""
    return str(error).partition("\n")[0]


def _connect_args(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"timeout": _BUSY_MS / 1000}
    return postgresql.connect_args(sa.make_url(url)) if url.startswith("postgresql") else {}


def _log_ahead(dbapi: Any) -> None:
    """Have SQLite write ahead of its file; where programs begin one together, that change does not wait by itself."""
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            dbapi.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _teach_sqlite(engine: sa.Engine) -> None:
    """Let SQLite lock at the begin of a writing transaction, so that two writers wait instead of colliding."""

    @event.listens_for(engine, "connect")
    def connect(dbapi: Any, record: object) -> None:
        del record
        dbapi.isolation_level = None  # transactions are begun below, not by the driver
        dbapi.execute(f"PRAGMA busy_timeout={_BUSY_MS}").close()
        _log_ahead(dbapi)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            dbapi.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _teach_postgresql(engine: sa.Engine) -> None:
    """Let one transaction write at a time, as SQLite does: two writers wait, and cannot lock each other out."""

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get(_WRITE, False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_BUSY_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
