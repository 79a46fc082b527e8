"""The registry's part about holds."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry import audit, documents
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.hold_tables import holds as _t
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.holds import Hold
from dyncal.domain.time import iso
from dyncal.ports.records import Act


class SqlHolds:
    """`dyncal.ports.holds` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def put_hold(self, hold: Hold, act: Act, *, most: int) -> None:
        """Add one. Raises `Conflict` if its id is taken, or there are `most` already."""
        with self._db.write() as connection:
            audit.append(connection, act, "hold.put", _subject(hold))
            if connection.execute(sa.select(_t.c.id).where(_t.c.id == hold.id)).first() is not None:
                raise Conflict(f"there is a hold {hold.id} already")
            if int(connection.execute(sa.select(sa.func.count()).select_from(_t)).scalar_one()) >= most:
                raise Conflict(f"there are {most} holds already: release what is not needed any more")
            row = {"id": hold.id, "put_ns": hold.put_ns, "document": documents.dump(hold)}
            connection.execute(sa.insert(_t).values(**row))

    def release_hold(self, hold_id: str, act: Act) -> Hold:
        """End one, and return what it was. Raises `NotFound`."""
        with self._db.write() as connection:
            found = connection.execute(sa.select(_t.c.document).where(_t.c.id == hold_id)).scalar_one_or_none()
            if found is None:
                raise NotFound(f"there is no hold {hold_id[:80]!r}")
            hold = documents.load(found, Hold)
            audit.append(connection, act, "hold.release", _subject(hold))
            connection.execute(sa.delete(_t).where(_t.c.id == hold_id))
            return hold

    def holds(self) -> list[Hold]:
        """Return all that are in force, oldest first."""
        query = sa.select(_t.c.document).order_by(_t.c.put_ns, _t.c.id)
        with self._db.read() as connection:
            return [documents.load(document, Hold) for document in connection.execute(query).scalars()]


def _subject(hold: Hold) -> str:
    return f"{hold.id} {hold.sensor or '*'} {iso(hold.from_ns)} to {iso(hold.to_ns)}"
