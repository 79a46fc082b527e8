"""Snapshots: what a service writes for itself."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import snapshots as _t
from dyncal.domain.time import InstantNs


def save(connection: sa.Connection, key: str, content: bytes, at_ns: InstantNs) -> None:
    """Replace the snapshot of that name."""
    connection.execute(sa.delete(_t).where(_t.c.key == key))
    connection.execute(sa.insert(_t).values(key=key, at_ns=at_ns, content=content))


def load(connection: sa.Connection, key: str) -> bytes | None:
    """Return it, or None."""
    content = connection.execute(sa.select(_t.c.content).where(_t.c.key == key)).scalar_one_or_none()
    return None if content is None else bytes(content)
