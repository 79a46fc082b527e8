"""For other programs: gaps, calibrations, coefficient sets, pairings."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import NotFound
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import SensorId, sensor_id
from dyncal.domain.time import InstantNs
from dyncal.ports.records import SetRecord
from services.api import pages
from services.api.access.needs import check_reference
from services.api.access.scope import Reader, theirs
from services.api.catalogue import Catalogue
from services.api.deps import Deps, DepsOf, Engineer, Principal, needs
from services.api.errors import Problem
from services.api.etags import require, respond, strong
from services.api.instants import From, Moment, interval
from services.api.schemas.calibrations import CalibrationOut, CalibrationPage, SetOut, SetPage
from services.api.schemas.samples import GapList, GapOut
from services.api.schemas.sensors import PairingBody

router = APIRouter(prefix="/v1", tags=["integrators"])

READS = [needs(Role.VIEWER)]

Words = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail.")]


@router.get("/sensors/{sensor}/gaps", dependencies=READS)
def gaps(
    sensor: str,
    request: Request,
    response: Response,
    deps: DepsOf,
    from_: From = None,
    to: Moment = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most gaps in a page, and those of one instant.")] = 1000,
    cursor: Cursor = None,
) -> GapList:
    """List the gaps that touch an interval: oldest first, the newest `limit` of them, older ones behind the cursor."""
    known = deps.catalogue.get().sensor(sensor)
    from_ns, to_ns = interval(from_, to, deps.clock)
    if cursor is not None:
        to_ns = InstantNs(min(to_ns, pages.decode_number(cursor)))
    # One more than all that can begin at one instant: a page never ends among them.
    found = deps.store.gaps(known.id, from_ns, to_ns, limit=limit + len(GapCause))
    following = None
    if len(found) > limit:
        oldest = found[-limit].after_ns
        shown = [gap for gap in found if gap.after_ns >= oldest]
        following = pages.encode(str(oldest)) if len(shown) < len(found) else None
        found = shown
    pages.link_next(request, response, following)
    return GapList(sensor=known.id, items=[GapOut.of(gap) for gap in found], next_cursor=following)


@router.get("/calibrations")
def calibrations(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    sensor: Words = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> CalibrationPage:
    """List calibrations, newest first."""
    of: SensorId | None = sensor_id(sensor) if sensor else None
    if cursor is None:
        found = deps.registry.calibrations(of, limit=limit, reach=reader.reach)
    else:
        before, before_id = pages.decode_pair(cursor)
        found = deps.registry.calibrations(
            of, before=InstantNs(before), before_id=before_id, limit=limit, reach=reader.reach
        )
    following = pages.encode(f"{found[-1].fitted_at_ns} {found[-1].id}") if len(found) == limit else None
    pages.link_next(request, response, following)
    return CalibrationPage(items=[CalibrationOut.of(c) for c in found], next_cursor=following)


@router.get("/calibrations/{calibration_id}")
def one_calibration(calibration_id: str, deps: DepsOf, reader: Reader) -> CalibrationOut:
    """Return one calibration."""
    found = theirs(
        reader, deps.catalogue.get(), lambda: deps.registry.calibration(calibration_id[:255]), lambda c: c.sensor
    )
    return CalibrationOut.of(found)


@router.get("/coefficient-sets")
def coefficient_sets(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    sensor: Words = "",
    state: SetState | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SetPage:
    """List coefficient sets, newest first within a sensor."""
    of: SensorId | None = sensor_id(sensor) if sensor else None
    after: tuple[SensorId, int] | None = None
    if cursor is not None:
        sequence, last = pages.decode_pair(cursor)
        after = sensor_id(last), sequence
    found = deps.registry.sets(of, state=state, after=after, limit=limit, reach=reader.reach)
    following = None
    if len(found) == limit:
        behind = found[-1].coefficients
        following = pages.encode(f"{behind.sequence} {behind.sensor}")
    pages.link_next(request, response, following)
    return SetPage(items=[SetOut.of(record) for record in found], next_cursor=following)


def _set(deps: Deps, reader: Principal, set_id: str) -> SetRecord:
    return theirs(
        reader,
        deps.catalogue.get(),
        lambda: deps.registry.coefficient_set(set_id[:255]),
        lambda record: record.coefficients.sensor,
    )


@router.get(
    "/coefficient-sets/{set_id}", response_model=SetOut, responses={304: {"description": "As the caller has it."}}
)
def one_set(set_id: str, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return one coefficient set and where it stands, with a strong ETag."""
    record = _set(deps, reader, set_id)
    return respond(request, SetOut.of(record).model_dump_json().encode())


@router.get(
    "/coefficient-sets/{set_id}/envelope",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        304: {"description": "As the caller has it."},
    },
)
def envelope(set_id: str, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return the exact signed bytes of a set, as edges get them."""
    return respond(request, _set(deps, reader, set_id).envelope)


def _pairing_tag(body: PairingBody) -> str:
    return strong(body.model_dump_json().encode())


@router.get(
    "/sensors/{sensor}/pairing",
    response_model=PairingBody,
    responses={304: {"description": "As the caller has it."}},
    dependencies=READS,
)
def pairing(sensor: str, request: Request, deps: DepsOf) -> Response:
    """Return the pairing of a sensor, with a strong ETag."""
    catalogue = deps.catalogue.get()
    known = catalogue.sensor(sensor)
    found = catalogue.pairings.get(known.id)
    if found is None:
        raise NotFound(f"sensor {known.id} has no pairing")
    body = PairingBody.of(found)
    return respond(request, body.model_dump_json().encode(), tag=_pairing_tag(body))


@router.put("/sensors/{sensor}/pairing")
def put_pairing(
    sensor: str,
    body: PairingBody,
    request: Request,
    response: Response,
    deps: DepsOf,
    principal: Engineer,
    reason: Reason = "",
) -> PairingBody:
    """Add or replace the pairing of a sensor. With If-Match only if it is as the caller has seen it."""
    with deps.changing:
        catalogue = deps.catalogue.get()
        known = _as_seen(request, catalogue, sensor)
        check_reference(principal, catalogue, known, body.reference)
        if SensorId(body.reference) not in catalogue.sensors:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"reference: there is no sensor {body.reference!r}", kind="reference"
            )
        deps.registry.put_sensors([], [body.to_domain(known)], principal.act(deps.clock, reason))
    response.headers["ETag"] = _pairing_tag(body)
    return body


@router.delete("/sensors/{sensor}/pairing", status_code=204)
def delete_pairing(sensor: str, request: Request, deps: DepsOf, principal: Engineer, reason: Reason = "") -> None:
    """Remove the pairing of a sensor: it is no longer calibrated."""
    with deps.changing:
        known = _as_seen(request, deps.catalogue.get(), sensor)
        deps.registry.remove_pairing(known, principal.act(deps.clock, reason))


def _as_seen(request: Request, catalogue: Catalogue, sensor: str) -> SensorId:
    """Return the id of a sensor whose pairing is as the caller has seen it. Raises `NotFound`, `Problem` (412)."""
    known = catalogue.sensor(sensor).id
    before = catalogue.pairings.get(known)
    require(request, None if before is None else _pairing_tag(PairingBody.of(before)))
    return known
