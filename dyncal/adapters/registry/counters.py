"""Revisions: numbers that grow with every change of a part of the registry, so that readers can poll cheaply."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import counters


def increase(connection: sa.Connection, name: str) -> None:
    """Count a change of `name`."""
    connection.execute(sa.update(counters).where(counters.c.name == name).values(value=counters.c.value + 1))


def value(connection: sa.Connection, name: str) -> int:
    """Return the present count of `name`."""
    return int(connection.execute(sa.select(counters.c.value).where(counters.c.name == name)).scalar_one())
