"""Reports of calibrations, to print and to read by machine."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from services.api.deps import DepsOf, needs
from services.api.report.content import gather
from services.api.report.page import CSP, page
from services.api.schemas.report import ReportOut

router = APIRouter(prefix="/v1", tags=["integrators"], dependencies=[needs(Role.VIEWER)])


@router.get(
    "/calibrations/{calibration_id}/report",
    response_model=ReportOut,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report(
    calibration_id: str,
    request: Request,
    deps: DepsOf,
    media: Annotated[
        Literal["json", "html"] | None, Query(alias="format", description="Default: as the Accept header says.")
    ] = None,
) -> Response:
    """Return the report of a calibration: as JSON, or as a page that is whole in itself and prints to PDF."""
    made = gather(deps.registry, deps.store, deps.catalogue.get(), calibration_id[:200], deps.clock.now())
    if media == "html" or (media is None and "text/html" in request.headers.get("accept", "")):
        headers = {"Content-Security-Policy": CSP, "Vary": "Accept"}
        return Response(page(made), media_type="text/html; charset=utf-8", headers=headers)
    body = ReportOut.of(made).model_dump_json()
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})
