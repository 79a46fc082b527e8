"""The registry's part about laboratory calibrations."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry import audit, documents
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.laboratory_tables import laboratory_calibrations as _t
from dyncal.adapters.registry.reach import within
from dyncal.domain.errors import NotFound
from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.sensors import SensorId
from dyncal.ports.access import Reach
from dyncal.ports.records import Act


class SqlLaboratory:
    """`dyncal.ports.laboratory` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def add_laboratory(self, found: LaboratoryCalibration, source: bytes, act: Act) -> bool:
        """Add one; return whether it is new."""
        with self._db.write() as connection:
            if connection.execute(sa.select(_t.c.id).where(_t.c.id == found.id)).first() is not None:
                return False
            row = {
                "id": found.id,
                "sensor": found.sensor,
                "calibrated_ns": found.calibrated_ns,
                "document": documents.dump(found),
                "source": source,
            }
            connection.execute(sa.insert(_t).values(**row))
            audit.append(connection, act, "laboratory.add", found.id)
            return True

    def laboratory(self, id_: str) -> LaboratoryCalibration:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            document = connection.execute(sa.select(_t.c.document).where(_t.c.id == id_)).scalar_one_or_none()
        if document is None:
            raise NotFound(f"no laboratory calibration {id_}")
        return documents.load(document, LaboratoryCalibration)

    def laboratory_source(self, id_: str) -> bytes:
        """Return the file it came in. Raises `NotFound`."""
        with self._db.read() as connection:
            source = connection.execute(sa.select(_t.c.source).where(_t.c.id == id_)).scalar_one_or_none()
        if source is None:
            raise NotFound(f"no laboratory calibration {id_}")
        return bytes(source)

    def laboratories(
        self,
        sensor: SensorId | None = None,
        *,
        before: tuple[int, str] | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[LaboratoryCalibration]:
        """Return those with (calibrated_ns, id) < before, the newest first, equal ones by falling id."""
        query = sa.select(_t.c.document).order_by(_t.c.calibrated_ns.desc(), _t.c.id.desc()).limit(limit)
        if sensor is not None:
            query = query.where(_t.c.sensor == sensor)
        if reach is not None:
            query = query.where(within(_t.c.sensor, reach))
        if before is not None:
            at_ns, id_ = before
            earlier = sa.and_(_t.c.calibrated_ns == at_ns, _t.c.id < id_)
            query = query.where(sa.or_(_t.c.calibrated_ns < at_ns, earlier))
        with self._db.read() as connection:
            return [documents.load(document, LaboratoryCalibration) for document in connection.execute(query).scalars()]
