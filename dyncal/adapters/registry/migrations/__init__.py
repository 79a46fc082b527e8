"""The way of the registry's tables from each older form to the present one: Alembic revisions, run when it is opened.

An empty database goes the same way from the first revision on, so that there is one way to the present tables. Opening
a registry that is up to date costs two queries: Alembic is imported only where there is something to do.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata
from dyncal.domain.errors import StoreRefused

if TYPE_CHECKING:
    from alembic.config import Config

HERE: Final = Path(__file__).resolve().parent
REVISIONS: Final = tuple(sorted(file.name[1:5] for file in (HERE / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py")))
"""Names of all revisions, in order."""

ONE_AT_A_TIME: Final = threading.Lock()
"""Held while `upgrade` runs, and before its transaction begins: Alembic keeps what it works on in globals."""

_TABLE: Final = "alembic_version"
_BEFORE_ALEMBIC: Final = {1: "0001", 2: "0002", 3: "0003"}


def revision(connection: sa.Connection) -> str | None:
    """Return the revision that a database is at, or None if it is empty.

    Raises
    ------
    StoreRefused
        If this program does not know it.
    """
    inspector = sa.inspect(connection)
    if inspector.has_table(_TABLE):
        found: list[object] = list(connection.execute(sa.text(f"SELECT version_num FROM {_TABLE}")).scalars())  # noqa: S608  constant
        known = str(found[0]) if len(found) == 1 and found[0] in REVISIONS else None
    elif inspector.has_table("schema_version"):
        found = list(connection.execute(sa.text("SELECT version FROM schema_version")).scalars())
        known = _BEFORE_ALEMBIC.get(int(str(found[0]))) if len(found) == 1 else None
    else:
        return None
    if known is None:
        raise StoreRefused(
            f"the registry's tables are of version {found}; this program knows them up to {REVISIONS[-1]}: "
            "use a newer dyncal, or restore a back-up that was made before the newer one"
        )
    return known


def is_current(connection: sa.Connection) -> bool:
    """Tell whether nothing is to be done. Raises `StoreRefused` if the tables are newer than this program."""
    return revision(connection) == REVISIONS[-1] and sa.inspect(connection).has_table(_TABLE)


def upgrade(connection: sa.Connection, to: str = REVISIONS[-1]) -> tuple[str | None, str]:
    """Bring tables to a revision, in the transaction of `connection`; which holds off all others that write.

    Returns the revision that was there, None in an empty database, and the one that is.

    Raises
    ------
    StoreRefused
        If they are newer than this program.
    """
    from alembic import command  # noqa: PLC0415  costs 0.1 s, and most starts need it not

    config = alembic_config(connection)
    found = revision(connection)
    if found is not None and not sa.inspect(connection).has_table(_TABLE):
        command.stamp(config, found)
    command.upgrade(config, to)
    if connection.dialect.name == "postgresql":
        _compare_by_code_points(connection)
    return found, to


def _compare_by_code_points(connection: sa.Connection) -> None:
    """Have PostgreSQL order all text as SQLite and Python do, whatever language the database was made for."""
    columns = connection.execute(sa.text(
        "SELECT c.table_name, c.column_name, format_type(a.atttypid, a.atttypmod) AS kind "
        "FROM information_schema.columns c JOIN pg_attribute a "
        "ON a.attrelid = format('%I.%I', c.table_schema, c.table_name)::regclass AND a.attname = c.column_name "
        "WHERE c.table_schema = current_schema() AND c.data_type IN ('character varying', 'text') "
        "AND c.collation_name IS DISTINCT FROM 'C'"
    )).all()  # fmt: skip
    quote = connection.dialect.identifier_preparer.quote
    for table, column, kind in columns:
        if table in metadata.tables:
            change = f'ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)} TYPE {kind} COLLATE "C"'
            connection.execute(sa.text(change))


def alembic_config(connection: sa.Connection) -> Config:
    """Return Alembic's configuration for work in the transaction of `connection`."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, and most starts migrate nothing

    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
