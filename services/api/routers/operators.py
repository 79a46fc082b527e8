"""For people at the console: sensors, edges, audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, Sensor
from services.api import pages
from services.api.access.scope import Reader
from services.api.deps import DepsOf, needs
from services.api.schemas.ledgers import LedgerOut, LedgerPage
from services.api.schemas.operations import AuditOut, AuditPage, EdgeList, EdgeOut
from services.api.schemas.sensors import SensorOut, SensorPage
from services.api.state import SensorState
from services.api.views import views

router = APIRouter(prefix="/v1", tags=["operators"])

READS = [needs(Role.VIEWER)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Words = Annotated[str, Query(max_length=200)]


@router.get("/sensors")
def sensors(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    q: Annotated[Words, Query(description="Words that id, label, edge or unit must contain.")] = "",
    edge: Words = "",
    state: SensorState | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> SensorPage:
    """List sensors in order of id, with how they stand."""
    catalogue = deps.catalogue.get()
    words = q.lower().split()
    found = [
        s
        for s in catalogue.sensors.values()
        if (not edge or s.edge == edge) and _has(s, words) and reader.reaches(s.id, s.edge)
    ]
    if state is not None:
        shapes = views(deps, catalogue, found, ask_store=False)
        chosen = {shape.id for shape in shapes if shape.state is state}
        found = [s for s in found if s.id in chosen]
    n_total = len(found)
    if cursor is not None:
        after = pages.decode(cursor)
        found = [s for s in found if s.id > after]
    page = found[:limit]
    following = pages.encode(page[-1].id) if len(found) > limit else None
    pages.link_next(request, response, following)
    return SensorPage(
        now_ns=deps.clock.now(), n_total=n_total, items=views(deps, catalogue, page), next_cursor=following
    )


def _has(sensor: Sensor, words: list[str]) -> bool:
    text = f"{sensor.id} {sensor.label} {sensor.edge} {sensor.unit}".lower()
    return all(word in text for word in words)


@router.get("/sensors/{sensor}", dependencies=READS)
def one_sensor(sensor: str, deps: DepsOf) -> SensorOut:
    """Return one sensor and how it stands."""
    catalogue = deps.catalogue.get()
    return views(deps, catalogue, [catalogue.sensor(sensor)])[0]


@router.get("/ledger")
def ledger(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    edge: Words = "",
    limit: Limit = 200,
    cursor: Cursor = None,
) -> LedgerPage:
    """List what became of the records of all sensors, in order of id; with `edge` of those that it has sent too."""
    after = "" if cursor is None else pages.decode(cursor)
    known = deps.catalogue.get().sensors.values()
    mine = [s for s in known if s.id > after and reader.reaches(s.id, s.edge)]
    found = [s for s in mine if not edge or s.edge == edge or deps.ledgers.has(edge, s.id)]
    page = found[:limit]
    following = pages.encode(page[-1].id) if len(found) > limit else None
    pages.link_next(request, response, following)
    items = [LedgerOut.of(sensor, deps.ledgers.of(sensor.id)) for sensor in page]
    return LedgerPage(items=items, next_cursor=following)


@router.get("/sensors/{sensor}/ledger", dependencies=READS)
def sensor_ledger(sensor: str, deps: DepsOf) -> LedgerOut:
    """Say what became of the records of a sensor: stored, missing by cause, set aside, and what came again."""
    known = deps.catalogue.get().sensor(sensor)
    return LedgerOut.of(known, deps.ledgers.of(known.id))


@router.get("/edges")
def edges(deps: DepsOf, reader: Reader) -> EdgeList:
    """List edges as they last spoke."""
    return EdgeList(
        items=[EdgeOut.of(status) for status in deps.edges.all() if reader.reaches_edge(EdgeId(status.edge))]
    )


@router.get("/audit", dependencies=READS)
def audit(request: Request, response: Response, deps: DepsOf, limit: Limit = 200, cursor: Cursor = None) -> AuditPage:
    """List the audit trail, oldest first."""
    after = pages.decode_number(cursor) if cursor is not None else 0
    found = deps.registry.audit(after=after, limit=limit)
    following = pages.encode(str(found[-1].number)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return AuditPage(items=[AuditOut.of(entry) for entry in found], next_cursor=following)
