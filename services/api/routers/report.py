"""Reports of calibrations, to print and to read by machine."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from services.api.access.scope import Reader, theirs
from services.api.deps import DepsOf
from services.api.report.content import gather
from services.api.report.page import CSP, page
from services.api.schemas.report import ReportOut

router = APIRouter(prefix="/v1", tags=["integrators"])


@router.get(
    "/calibrations/{calibration_id}/report",
    response_model=ReportOut,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report(
    calibration_id: str,
    request: Request,
    deps: DepsOf,
    reader: Reader,
    media: Annotated[
        Literal["json", "html"] | None, Query(alias="format", description="Default: as the Accept header says.")
    ] = None,
) -> Response:
    """Return the report of a calibration: as JSON, or as a page that is whole in itself and prints to PDF."""
    catalogue = deps.catalogue.get()
    found = theirs(reader, catalogue, lambda: deps.registry.calibration(calibration_id[:255]), lambda c: c.sensor)
    made = gather(deps.registry, deps.store, catalogue, found.id, deps.clock.now())
    if media == "html" or (media is None and "text/html" in request.headers.get("accept", "")):
        headers = {"Content-Security-Policy": CSP, "Vary": "Accept"}
        return Response(page(made), media_type="text/html; charset=utf-8", headers=headers)
    body = ReportOut.of(made).model_dump_json()
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})
