"""What PostgreSQL's driver and server are told of connections: passwords that change, and ends that are gone.

Of a connection whose other end is gone without a word either side finds out within half a minute.

Left to themselves, ours waits for a quarter of an hour for an answer, and the server keeps the locks of a machine that
lost its power in the midst of a transaction for two hours, while nobody else can write.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from dyncal.domain.errors import InvalidSetting

CONNECT_S: Final = 10
_OURS: Final = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SERVERS: Final = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 15000",
)


def connect_args(url: sa.URL) -> dict[str, Any]:
    """Return what the driver is told, but for what the URL itself says."""
    return {name: value for name, value in _OURS.items() if name not in url.query}


def read_password(engine: sa.Engine, password: Callable[[], str | None]) -> None:
    """Have each new connection of an engine ask for the password again; one that cannot be read stays as it was."""

    @event.listens_for(engine, "do_connect")
    def do_connect(dialect: object, record: object, args: object, parameters: dict[str, Any]) -> None:
        del dialect, record, args
        with contextlib.suppress(InvalidSetting):
            found = password()
            if found is not None:
                parameters["password"] = found


def teach(engine: sa.Engine) -> None:
    """Have the server look after each connection of an engine as well."""

    @event.listens_for(engine, "connect")
    def connect(dbapi: Any, record: object) -> None:
        del record
        before, dbapi.autocommit = dbapi.autocommit, True
        for statement in _SERVERS:
            with contextlib.suppress(engine.dialect.loaded_dbapi.Error):
                dbapi.execute(statement)  # one that this server, or what stands before it, does not know
        dbapi.autocommit = before
