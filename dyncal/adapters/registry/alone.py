"""One process at a time for a part of the work on a registry, wherever its data directory is."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from dyncal.adapters.registry import postgresql
from dyncal.domain.errors import InvalidSetting, StoreUnavailable, Unavailable
from dyncal.runtime.exclusive import Exclusive
from dyncal.runtime.settings import RegistrySettings

_CLASS: Final = 0x64796E63
"""Of PostgreSQL's advisory locks those of dyncal: "dync"."""


class Alone:
    """Holds a part of the work from its making to `close`: by a file beside SQLite's, by a session of PostgreSQL's.

    Parameters
    ----------
    part : str
        What is done alone, such as ``api``.
    holder : str
        Who else may do it, for the text of the error.

    Raises
    ------
    Unavailable
        If another process does it.
    StoreUnavailable
        If the database does not answer.
    InvalidSetting
        If the URL names no database that can be used.
    """

    def __init__(self, settings: RegistrySettings, data_dir: Path, part: str, holder: str) -> None:
        self._part, self._holder = part, holder
        self._file: Exclusive | None = None
        self._connection: sa.Connection | None = None
        try:
            url = sa.make_url(settings.resolved_url(data_dir))
        except exc.ArgumentError as error:
            raise InvalidSetting(f"registry.url: not a database that can be used: {error}") from error
        if url.get_backend_name() == "sqlite":
            self._file = self._lock_file(url)
        else:
            self._engine = sa.create_engine(
                url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args=postgresql.connect_args(url)
            )
            postgresql.teach(self._engine)
            postgresql.read_password(self._engine, settings.resolved_password)
            self._hold()

    def _lock_file(self, url: sa.URL) -> Exclusive:
        path = Path(f"{url.database or ':memory:'}.{self._part}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Exclusive(path, self._holder)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror}") from error

    def _hold(self) -> None:
        with self._ours():
            connection = self._engine.connect()
            try:
                with contextlib.suppress(exc.DBAPIError):  # a server that does not know it
                    connection.exec_driver_sql("SET idle_session_timeout = 0")
                number = int.from_bytes(hashlib.sha256(self._part.encode()).digest()[:4], "big", signed=True)
                asked = sa.select(sa.func.pg_try_advisory_lock(_CLASS, number))
                held = bool(connection.execute(asked).scalar_one())
            except BaseException:
                connection.close()
                raise
        if not held:
            connection.close()
            raise Unavailable(f"the registry is in use: {self._holder} works on it")
        self._connection = connection

    def renew(self) -> None:
        """See that the work is still this process's, and take it up again where the database was away; blocks.

        Raises as making it does: where that is `Unavailable`, another process has it now.
        """
        if self._file is not None:
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.exec_driver_sql("SELECT 1")
            except exc.DBAPIError:
                connection.invalidate()
                connection.close()
            else:
                self._connection = connection
                return
        self._hold()

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError) as error:
            said = str(getattr(error, "orig", error)).partition("\n")[0]
            shown = self._engine.url.render_as_string(hide_password=True)
            raise StoreUnavailable(f"registry {shown}: {said}") from error

    def close(self) -> None:
        """Let go; idempotent."""
        if self._file is not None:
            self._file.close()
        if self._connection is not None:
            with contextlib.suppress(exc.DBAPIError):
                self._connection.close()
            self._connection = None
            self._engine.dispose()
