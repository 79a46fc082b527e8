"""The registry on SQLAlchemy: SQLite by default, PostgreSQL by the same code."""

from __future__ import annotations

from pathlib import Path

from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.domain.errors import DyncalError, StoreUnavailable
from dyncal.runtime.settings import RegistrySettings

__all__ = ["SqlRegistry", "open_registry"]


def open_registry(settings: RegistrySettings, data_dir: Path) -> SqlRegistry:
    """Open the registry; make its tables where the database is empty, and bring older ones up to date.

    Raises
    ------
    StoreUnavailable
        If the database cannot be reached or its directory not be made.
    StoreRefused
        If its tables are newer than this program.
    InvalidSetting
        If the URL names no database that can be used.
    """
    if settings.url is None:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"data_dir = {str(data_dir)!r}: {error.strerror}") from error
    database = Database(settings.resolved_url(data_dir), settings.resolved_password)
    try:
        database.prepare()
    except DyncalError:
        database.close()
        raise
    return SqlRegistry(database)
