"""Coefficient sets in the registry: the set, the exact bytes of its envelope, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, documents, schema
from dyncal.domain.coefficients import (
    CoefficientSet,
    CorrectionFilter,
    CorrectionSmoother,
    Parameters,
    Provenance,
    SetState,
)
from dyncal.domain.errors import Conflict, NotFound, StoreRefused
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act, SetRecord

_t = schema.sets
_IN_FORCE: Final = (SetState.PUBLISHED, SetState.ACTIVE)


@dataclass(frozen=True, slots=True, eq=False)
class _Document:
    """A set as it is stored, by what may correct in it: a union of the two would not say which it is."""

    id: str
    sensor: SensorId
    sequence: int
    parent: str | None
    parameters: Parameters
    filter: CorrectionFilter | None
    gain_limits: tuple[float, float]
    valid_from_ns: InstantNs
    provenance: Provenance
    residual_limit: float = 0.0
    note: str = ""
    smoother: CorrectionSmoother | None = None


_COMMON: Final = [part.name for part in fields(_Document) if part.name not in ("filter", "smoother")]


def _document_of(coefficients: CoefficientSet) -> _Document:
    correction = coefficients.correction
    return _Document(
        **{name: getattr(coefficients, name) for name in _COMMON},
        filter=correction if isinstance(correction, CorrectionFilter) else None,
        smoother=correction if isinstance(correction, CorrectionSmoother) else None,
    )


def _set_of(document: _Document) -> CoefficientSet:
    correction = document.filter or document.smoother
    if correction is None:
        raise StoreRefused(f"registry: set {document.id} in it corrects with nothing")
    return CoefficientSet(**{name: getattr(document, name) for name in _COMMON}, correction=correction)


def add(connection: sa.Connection, coefficients: CoefficientSet, envelope: bytes, state: SetState, act: Act) -> None:
    """Add a set. Raises `Conflict` if its id, or its sequence for that sensor, is taken."""
    same_number = (_t.c.sensor == coefficients.sensor) & (_t.c.sequence == coefficients.sequence)
    taken = connection.execute(sa.select(_t.c.id).where((_t.c.id == coefficients.id) | same_number)).scalars().first()
    if taken is not None:
        raise Conflict(f"id {coefficients.id} or number {coefficients.sequence} is taken by set {taken}")
    connection.execute(
        sa.insert(_t).values(
            id=coefficients.id,
            sensor=coefficients.sensor,
            sequence=coefficients.sequence,
            state=state,
            reason=act.reason,
            changed_ns=act.at_ns,
            document=documents.dump(_document_of(coefficients)),
            envelope=envelope,
        )
    )
    audit.append(connection, act, f"set.{state}", coefficients.id)
    if state is SetState.ACTIVE:
        _supersede_others(connection, coefficients.id, coefficients.sensor, coefficients.sequence, act)
    counters.increase(connection, "sets")


def set_state(connection: sa.Connection, set_id: str, state: SetState, act: Act) -> None:
    """Move a set to `state`; making one active supersedes the one that was. Raises `NotFound`."""
    row = connection.execute(sa.select(_t.c.sensor, _t.c.sequence).where(_t.c.id == set_id)).one_or_none()
    if row is None:
        raise NotFound(f"no coefficient set {set_id}")
    _move(connection, set_id, state, act)
    if state is SetState.ACTIVE:
        _supersede_others(connection, set_id, row.sensor, row.sequence, act)
    counters.increase(connection, "sets")


def _supersede_others(connection: sa.Connection, set_id: str, sensor: str, sequence: int, act: Act) -> None:
    """Supersede what was active, and what was published earlier and never became active."""
    overtaken = (_t.c.state == SetState.ACTIVE) | ((_t.c.state == SetState.PUBLISHED) & (_t.c.sequence < sequence))
    others = sa.select(_t.c.id).where(_t.c.sensor == sensor, _t.c.id != set_id, overtaken).order_by(_t.c.sequence)
    because = Act(act.actor, act.at_ns, f"superseded by {set_id}")
    for other in connection.execute(others).scalars().all():
        _move(connection, other, SetState.SUPERSEDED, because)


def _move(connection: sa.Connection, set_id: str, state: SetState, act: Act) -> None:
    change = sa.update(_t).where(_t.c.id == set_id).values(state=state, reason=act.reason, changed_ns=act.at_ns)
    connection.execute(change)
    audit.append(connection, act, f"set.{state}", set_id)


def one(connection: sa.Connection, set_id: str) -> SetRecord:
    """Return one. Raises `NotFound`."""
    row = connection.execute(sa.select(_t).where(_t.c.id == set_id)).one_or_none()
    if row is None:
        raise NotFound(f"no coefficient set {set_id}")
    return _record(row)


def several(connection: sa.Connection, sensor: SensorId | None, state: SetState | None, limit: int) -> list[SetRecord]:
    """Return sets, newest sequence first within a sensor, sensors in order."""
    query = sa.select(_t).order_by(_t.c.sensor, _t.c.sequence.desc()).limit(limit)
    if sensor is not None:
        query = query.where(_t.c.sensor == sensor)
    if state is not None:
        query = query.where(_t.c.state == state)
    return [_record(row) for row in connection.execute(query)]


def desired(connection: sa.Connection, sensor: SensorId) -> SetRecord | None:
    """Return the newest set that is published or active."""
    query = sa.select(_t).where(_t.c.sensor == sensor, _t.c.state.in_(_IN_FORCE)).order_by(_t.c.sequence.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else _record(row)


def last_sequence(connection: sa.Connection, sensor: SensorId) -> int:
    """Return the largest sequence of this sensor, or 0."""
    return int(connection.execute(sa.select(sa.func.max(_t.c.sequence)).where(_t.c.sensor == sensor)).scalar() or 0)


def _record(row: sa.Row[Any]) -> SetRecord:
    return SetRecord(
        coefficients=_set_of(documents.load(row.document, _Document)),
        envelope=bytes(row.envelope),
        state=SetState(row.state),
        reason=row.reason,
        changed_ns=InstantNs(row.changed_ns),
    )
