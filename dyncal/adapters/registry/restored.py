"""What a registry must know of having been put back to what it was."""

from __future__ import annotations

from contextlib import closing
from typing import Final

import sqlalchemy as sa

from dyncal.adapters.registry import access, audit, counters, schema
from dyncal.adapters.registry.access_tables import access_sessions
from dyncal.adapters.registry.database import Database
from dyncal.domain.time import InstantNs, iso
from dyncal.ports.records import Act

LEAST_SEQUENCE: Final = "least_sequence"
"""Name of the counter below which no new coefficient set may be numbered."""


def note_restored(url: str, made_ns: InstantNs, now: InstantNs, elapsed_s: int) -> None:
    """Enter it into the audit trail, let sets be numbered above all that were made since the back-up, end all sessions.

    Edges refuse a set whose number is not above the highest that they applied. How many were made since is not known:
    not more than one a second. A session that was ended since, by a sign-out or another password, would be open again;
    who is signed in signs in once more.

    Raises
    ------
    StoreUnavailable
        If the registry cannot be written.
    StoreRefused
        If it is newer than this program.
    """
    with closing(Database(url)) as database:
        database.prepare()
        with database.write() as connection:
            highest = connection.execute(sa.select(sa.func.max(schema.sets.c.sequence))).scalar() or 0
            least = max(highest, least_sequence(connection)) + elapsed_s
            mine = schema.counters.c.name == LEAST_SEQUENCE
            connection.execute(sa.delete(schema.counters).where(mine))
            connection.execute(sa.insert(schema.counters).values(name=LEAST_SEQUENCE, value=least))
            connection.execute(sa.delete(access_sessions))
            counters.increase(connection, access.COUNTER)
            reason = f"back-up of {iso(made_ns)}; what was done since is not in this trail"
            audit.append(connection, Act("restore", now, reason), "registry.restore", "registry")


def least_sequence(connection: sa.Connection) -> int:
    """Return the number that sets were given up to before the registry was put back, or 0."""
    query = sa.select(schema.counters.c.value).where(schema.counters.c.name == LEAST_SEQUENCE)
    return int(connection.execute(query).scalar() or 0)
