"""Coefficient sets in the registry: the set, the exact bytes of its envelope, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import counters, documents, moves, schema
from dyncal.adapters.registry.reach import within
from dyncal.adapters.registry.restored import least_sequence
from dyncal.domain.coefficients import (
    CoefficientSet,
    CorrectionFilter,
    CorrectionSmoother,
    Parameters,
    Provenance,
    SetState,
)
from dyncal.domain.errors import Conflict, IllegalMove, NotFound, StoreRefused
from dyncal.domain.lifecycle import Move, check_move, check_path
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.records import Act, SetRecord

_t = schema.sets
_IN_FORCE: Final = (SetState.PUBLISHED, SetState.ACTIVE)
_standing: Final[sa.Select[Any]] = sa.select(_t.c.id, _t.c.sensor, _t.c.sequence, _t.c.state)


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
    restores: str | None = None
    apply_until_ns: InstantNs | None = None
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


def add(
    connection: sa.Connection,
    coefficients: CoefficientSet,
    envelope: bytes,
    state: SetState,
    act: Act,
    earlier: Sequence[tuple[SetState, Act]] = (),
) -> None:
    """Add a set that was in the `earlier` states. Raises `Conflict` if its id, or its sequence, is taken."""
    same_number = (_t.c.sensor == coefficients.sensor) & (_t.c.sequence == coefficients.sequence)
    taken = connection.execute(sa.select(_t.c.id).where((_t.c.id == coefficients.id) | same_number)).scalars().first()
    if taken is not None:
        raise Conflict(f"id {coefficients.id} or number {coefficients.sequence} is taken by set {taken}")
    path = [*earlier, (state, act)]
    check_path(coefficients.id, [step for step, _ in path])
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
    before: list[SetState | None] = [None, *(step for step, _ in earlier)]
    moves.add(connection, [
        Move(coefficients.id, coefficients.sensor, old, new, why.actor, why.at_ns, why.reason)
        for old, (new, why) in zip(before, path, strict=True)
    ])  # fmt: skip
    _end_others(connection, coefficients.id, coefficients.sensor, coefficients.sequence, state, act)
    counters.increase(connection, "sets")


def set_state(connection: sa.Connection, set_id: str, state: SetState, act: Act, envelope: bytes | None = None) -> None:
    """Move a set to `state`, signed where that is needed. Raises `NotFound`, `IllegalMove`."""
    row = connection.execute(_standing.where(_t.c.id == set_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"no coefficient set {set_id}")
    _move(connection, row, state, act, envelope)
    _end_others(connection, set_id, row.sensor, row.sequence, state, act)
    counters.increase(connection, "sets")


def _end_others(connection: sa.Connection, set_id: str, sensor: str, sequence: int, state: SetState, act: Act) -> None:
    """End what a set that goes into force leaves behind.

    What was active is superseded, and what was published earlier and never became active; what was verified earlier and
    never published is rejected.
    """
    if state not in _IN_FORCE:
        return
    earlier = _t.c.sequence < sequence
    overtaken = (_t.c.state == SetState.VERIFIED) & earlier
    if state is SetState.ACTIVE:
        overtaken |= (_t.c.state == SetState.ACTIVE) | ((_t.c.state == SetState.PUBLISHED) & earlier)
    others = _standing.where(_t.c.sensor == sensor, _t.c.id != set_id, overtaken).order_by(_t.c.sequence)
    for other in connection.execute(others).all():
        waited = other.state == SetState.VERIFIED
        because = Act(act.actor, act.at_ns, f"{'replaced' if waited else 'superseded'} by {set_id}")
        _move(connection, other, SetState.REJECTED if waited else SetState.SUPERSEDED, because)


def _move(
    connection: sa.Connection, row: sa.Row[Any], state: SetState, act: Act, envelope: bytes | None = None
) -> None:
    before = SetState(row.state)
    check_move(row.id, before, state)
    if state is SetState.PUBLISHED and not envelope:
        raise IllegalMove(f"set {row.id} cannot become published: it is not signed")
    values: dict[str, object] = {"state": state, "reason": act.reason, "changed_ns": act.at_ns}
    if envelope is not None:
        values["envelope"] = envelope
    connection.execute(sa.update(_t).where(_t.c.id == row.id).values(values))
    moves.add(connection, [Move(row.id, SensorId(row.sensor), before, state, act.actor, act.at_ns, act.reason)])


def one(connection: sa.Connection, set_id: str) -> SetRecord:
    """Return one. Raises `NotFound`."""
    row = connection.execute(sa.select(_t).where(_t.c.id == set_id)).one_or_none()
    if row is None:
        raise NotFound(f"no coefficient set {set_id}")
    return record_of(row)


def several(
    connection: sa.Connection,
    sensor: SensorId | None,
    state: SetState | None,
    after: tuple[SensorId, int] | None,
    limit: int,
    reach: Reach | None,
) -> list[SetRecord]:
    """Return sets, newest sequence first within a sensor, sensors in order; those behind `after`."""
    query = sa.select(_t).order_by(_t.c.sensor, _t.c.sequence.desc()).limit(limit)
    if sensor is not None:
        query = query.where(_t.c.sensor == sensor)
    if state is not None:
        query = query.where(_t.c.state == state)
    if after is not None:
        at, sequence = after
        query = query.where((_t.c.sensor > at) | ((_t.c.sensor == at) & (_t.c.sequence < sequence)))
    if reach is not None:
        query = query.where(within(_t.c.sensor, reach))
    return [record_of(row) for row in connection.execute(query)]


def desired(connection: sa.Connection, sensor: SensorId) -> SetRecord | None:
    """Return the newest set that is published or active."""
    query = sa.select(_t).where(_t.c.sensor == sensor, _t.c.state.in_(_IN_FORCE)).order_by(_t.c.sequence.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else record_of(row)


def last_sequence(connection: sa.Connection, sensor: SensorId) -> int:
    """Return the largest sequence of this sensor, or what was reached before the registry was put back, or 0."""
    found = connection.execute(sa.select(sa.func.max(_t.c.sequence)).where(_t.c.sensor == sensor)).scalar()
    return max(int(found or 0), least_sequence(connection))


def record_of(row: sa.Row[Any]) -> SetRecord:
    """Return the set in a row."""
    return SetRecord(
        coefficients=_set_of(documents.load(row.document, _Document)),
        envelope=bytes(row.envelope),
        state=SetState(row.state),
        reason=row.reason,
        changed_ns=InstantNs(row.changed_ns),
    )
