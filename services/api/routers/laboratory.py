"""Laboratory calibrations: points sent with covariance, fitted, and kept with the file they came in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.sensors import sensor_id
from dyncal.domain.time import InstantNs
from services.api import laboratory, pages
from services.api.access.scope import FilteredEngineer, Reader, check_sensor, theirs
from services.api.deps import Deps, DepsOf, Principal
from services.api.errors import Problem
from services.api.etags import respond
from services.api.schemas.laboratory import LaboratoryBody, LaboratoryOut, LaboratoryPage

router = APIRouter(prefix="/v1/laboratory-calibrations", tags=["integrators"])

JSON: Final = "application/json"
XML: Final = frozenset({"application/xml", "text/xml"})
_CONTENT: dict[str, Any] = {
    JSON: {"schema": {"$ref": "#/components/schemas/LaboratoryBody"}},
    "application/xml": {"schema": {"type": "string"}},
}

Words = Annotated[str, Query(max_length=200)]


@router.get("")
def laboratory_calibrations(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    sensor: Words = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> LaboratoryPage:
    """List laboratory calibrations, those measured last first."""
    before = None if cursor is None else pages.decode_pair(cursor)
    of = sensor_id(sensor) if sensor else None
    found = deps.registry.laboratories(of, before=before, limit=limit, reach=reader.reach)
    following = pages.encode(f"{found[-1].calibrated_ns} {found[-1].id}") if len(found) == limit else None
    pages.link_next(request, response, following)
    return LaboratoryPage(items=[LaboratoryOut.of(each) for each in found], next_cursor=following)


@router.get(
    "/{calibration_id}", response_model=LaboratoryOut, responses={304: {"description": "As the caller has it."}}
)
def one_laboratory_calibration(calibration_id: str, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return one laboratory calibration, with a strong ETag."""
    found = _one(deps, reader, calibration_id)
    return respond(request, LaboratoryOut.of(found).model_dump_json().encode())


def _one(deps: Deps, reader: Principal, id_: str) -> LaboratoryCalibration:
    return theirs(reader, deps.catalogue.get(), lambda: deps.registry.laboratory(id_[:255]), lambda found: found.sensor)


@router.get(
    "/{calibration_id}/source",
    response_class=Response,
    responses={
        200: {"content": {**_CONTENT, "text/xml": {"schema": {"type": "string"}}}},
        304: {"description": "As the caller has it."},
    },
)
def source(calibration_id: str, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return the very file that a laboratory calibration came in."""
    found = _one(deps, reader, calibration_id)
    answer = respond(request, deps.registry.laboratory_source(found.id), found.media_type)
    ending = "json" if found.media_type == JSON else "xml"
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.id}.{ending}"'
    return answer


@router.post(
    "",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
    responses={
        200: {"model": LaboratoryOut, "description": "With `dry_run`; or this file is there already."},
        415: {"description": "Neither JSON nor XML."},
    },
)
async def add(
    request: Request,
    response: Response,
    deps: DepsOf,
    principal: FilteredEngineer,
    sensor: Annotated[str, Query(max_length=128, description="Of a certificate in XML: the sensor it is about.")] = "",
    unit: Annotated[
        str, Query(max_length=50, description="Of a certificate in XML: unit of the magnitude; '' as stated.")
    ] = "",
    lag_positive: Annotated[
        bool, Query(description="Of a certificate in XML: this laboratory calls a lag positive.")
    ] = False,
    dry_run: Annotated[bool, Query(description="Fit and answer, and keep nothing.")] = False,
    reason: Annotated[str, Query(max_length=500, description="Why, for the audit trail.")] = "",
) -> LaboratoryOut:
    """Add a laboratory's frequency-response points, as JSON or as a digital calibration certificate (DCC).

    A model is fitted to them with their covariance; where none can be stood by they are refused, with the reason. The
    same file once more is answered with what was made of it the first time. A certificate's XML signature is verified
    against the authorities that the service is told to trust: `signature` says what came of it.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON and media not in XML:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON} or application/xml, not {media[:80]!r}", kind="media-type"
        )
    try:
        content = await request.body()
    except ClientDisconnect as gone:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long", kind="too-large") from gone

    def read() -> laboratory.Sent:
        if media == JSON:
            return laboratory.of_body(_body(content))
        return laboratory.of_certificate(
            content,
            sensor_id(sensor),
            unit or None,
            lag_positive=lag_positive,
            trusted=deps.settings.certificates.trusted_file,
            now=InstantNs(deps.clock.now()),
        )

    found, new = await asyncio.to_thread(_add, deps, principal, read, content, media, reason, keep=not dry_run)
    if not new:
        response.status_code = 200
    response.headers["Location"] = f"{router.prefix}/{found.id}"
    return found


def _body(content: bytes) -> LaboratoryBody:
    try:
        return LaboratoryBody.model_validate_json(content)
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error


def _add(
    deps: Deps,
    principal: Principal,
    read: Callable[[], laboratory.Sent],
    content: bytes,
    media: str,
    reason: str,
    *,
    keep: bool,
) -> tuple[LaboratoryOut, bool]:
    sent = read()
    catalogue = deps.catalogue.get()
    check_sensor(principal, catalogue, sent.sensor)
    catalogue.sensor(sent.sensor)
    if deps.settings.certificates.required:
        laboratory.check_signature(sent)
    now = InstantNs(deps.clock.now())
    found = laboratory.calibrate(sent, content, media, now)
    new = keep and deps.registry.add_laboratory(found, content, principal.act(deps.clock, reason))
    if keep and not new:
        found = deps.registry.laboratory(found.id)
    return LaboratoryOut.of(found), new
