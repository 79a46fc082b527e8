"""Calibrations in the registry."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry import audit, documents, schema
from dyncal.adapters.registry.reach import within
from dyncal.domain.calibration import Calibration
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.records import Act

_t = schema.calibrations


def add(connection: sa.Connection, calibration: Calibration, act: Act) -> None:
    """Add one; the very same one again is no change. Raises `Conflict` if its id is taken by another."""
    document = documents.dump(calibration)
    taken = connection.execute(sa.select(_t.c.document).where(_t.c.id == calibration.id)).scalar_one_or_none()
    if taken is not None:
        if taken != document:
            raise Conflict(f"another calibration has the id {calibration.id}")
        return
    connection.execute(
        sa.insert(_t).values(
            id=calibration.id,
            sensor=calibration.sensor,
            fitted_at_ns=calibration.fitted_at_ns,
            document=document,
        )
    )
    audit.append(connection, act, "calibration.add", calibration.id)


def several(
    connection: sa.Connection,
    sensor: SensorId | None,
    before: InstantNs | None,
    before_id: str,
    limit: int,
    reach: Reach | None = None,
) -> list[Calibration]:
    """Return calibrations with (fitted_at_ns, id) < (before, before_id), newest first."""
    query = sa.select(_t.c.document).order_by(_t.c.fitted_at_ns.desc(), _t.c.id.desc()).limit(limit)
    if sensor is not None:
        query = query.where(_t.c.sensor == sensor)
    if reach is not None:
        query = query.where(within(_t.c.sensor, reach))
    if before is not None:
        query = query.where(
            sa.or_(_t.c.fitted_at_ns < before, sa.and_(_t.c.fitted_at_ns == before, _t.c.id < before_id))
        )
    return [documents.load(document, Calibration) for document in connection.execute(query).scalars()]


def one(connection: sa.Connection, calibration_id: str) -> Calibration:
    """Return one. Raises `NotFound`."""
    document = connection.execute(sa.select(_t.c.document).where(_t.c.id == calibration_id)).scalar_one_or_none()
    if document is None:
        raise NotFound(f"no calibration {calibration_id}")
    return documents.load(document, Calibration)
