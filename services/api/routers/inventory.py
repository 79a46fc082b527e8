"""Sensors and pairings in bulk, as JSON or CSV."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from services.api import inventory
from services.api.access.scope import Reader
from services.api.deps import Deps, DepsOf, Engineer, Principal
from services.api.errors import Problem
from services.api.etags import require, respond, strong
from services.api.inventory import BadRows, Line
from services.api.schemas.inventory import InventoryBody, InventoryReport

router = APIRouter(prefix="/v1", tags=["integrators"])

_READERS: dict[str, Callable[[bytes], list[Line]]] = {
    "application/json": inventory.read_json,
    "text/csv": inventory.read_csv,
}
_CSV_EXAMPLE = (
    "id,site,edge,unit,dt_ns,label,reference,model,u_reference,tolerance\n"
    "TT-101-REF,plant,edge-1,Cel,100000000,,,,,\n"
    "TT-101,plant,edge-1,Cel,100000000,Reactor inlet,TT-101-REF,first_order,0.05,tau_s=0.05\n"
)
_CONTENT: dict[str, Any] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/InventoryBody"}},
    "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
}

Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail.")]


@router.get(
    "/inventory",
    response_model=InventoryBody,
    responses={200: {"content": {"text/csv": _CONTENT["text/csv"]}}, 304: {"description": "As the caller has it."}},
)
def export(
    request: Request,
    deps: DepsOf,
    reader: Reader,
    media: Annotated[
        Literal["json", "csv"] | None, Query(alias="format", description="Default: as the Accept header says.")
    ] = None,
) -> Response:
    """Return all sensors with their pairings, in order of id, with a strong ETag: what an import takes back."""
    catalogue = deps.catalogue.get()
    if reader.confined:
        mine = {name: s for name, s in catalogue.sensors.items() if reader.reaches(s.id, s.edge)}
        catalogue = replace(catalogue, sensors=mine)
    if media == "csv" or (media is None and "text/csv" in request.headers.get("accept", "")):
        answer = respond(request, inventory.as_csv(catalogue), "text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = 'attachment; filename="inventory.csv"'
    else:
        answer = respond(request, inventory.as_json(catalogue))
    answer.headers["Vary"] = "Accept"
    return answer


@router.post(
    "/inventory",
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
    responses={415: {"description": "Neither JSON nor CSV."}},
)
async def import_(
    request: Request,
    deps: DepsOf,
    principal: Engineer,
    dry_run: Annotated[bool, Query(description="Say what would change, and change nothing.")] = False,
    reason: Reason = "",
) -> InventoryReport:
    """Add or replace sensors and pairings: all rows or, where anything is wrong with one of them, none.

    What is wrong is listed as `errors`, with `line` (the line of the CSV file, or the number of the item) and `where`.
    Nothing is ever removed: a row without pairing leaves the one that is there. The same file again changes nothing.
    With If-Match only if the inventory is as an export of the same media type said.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _READERS:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {' or '.join(_READERS)}, not {media[:80]!r}", kind="media-type"
        )
    try:
        content = await request.body()
    except ClientDisconnect as gone:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long", kind="too-large") from gone
    return await asyncio.to_thread(_take, request, deps, principal, media, content, dry_run=dry_run, reason=reason)


def _take(
    request: Request, deps: Deps, principal: Principal, media: str, content: bytes, *, dry_run: bool, reason: str
) -> InventoryReport:
    try:
        lines = _READERS[media](content)
        with deps.changing:
            catalogue = deps.catalogue.get()
            if "if-match" in request.headers:
                shown = inventory.as_csv(catalogue) if media == "text/csv" else inventory.as_json(catalogue)
                require(request, strong(shown))
            report = inventory.plan(lines, catalogue, dry_run=dry_run)
            if report.n_changed and not dry_run:
                sensors = [line.sensor for line in lines]
                pairings = [line.pairing for line in lines if line.pairing is not None]
                deps.registry.put_sensors(sensors, pairings, principal.act(deps.clock, reason))
    except BadRows as bad:
        faults = [{"line": f.line, "where": f.where, "message": f.message} for f in bad.faults]
        first = bad.faults[0]
        detail = f"nothing was taken over; first, line {first.line}: {first.where} {first.message}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="rows", errors=faults) from bad
    return report
