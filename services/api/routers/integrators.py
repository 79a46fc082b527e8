"""For other programs: samples, gaps, calibrations, coefficient sets, pairings."""

from __future__ import annotations

import csv
import io
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.samples import GapCause, SampleSeries
from dyncal.domain.sensors import Sensor, SensorId, sensor_id
from dyncal.domain.time import NS_PER_S, InstantNs, iso
from services.api import pages
from services.api.catalogue import Catalogue
from services.api.deps import Deps, DepsOf, Engineer, needs
from services.api.errors import Problem
from services.api.etags import require, respond, strong
from services.api.instants import From, Moment, instant
from services.api.schemas.calibrations import CalibrationOut, CalibrationPage, SetList, SetOut
from services.api.schemas.samples import GapList, GapOut, SamplesOut
from services.api.schemas.sensors import PairingBody

router = APIRouter(prefix="/v1", tags=["integrators"], dependencies=[needs(Role.VIEWER)])

DEFAULT_SPAN_NS = 600 * NS_PER_S

Words = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail.")]


def _range(start: str | None, end: str | None, deps: Deps) -> tuple[InstantNs, InstantNs]:
    """Return the interval asked for: by default the last ten minutes before its end, and its end is now."""
    # Sources whose clock is a little ahead are part of now.
    to_ns = instant(end, "to") if end is not None else InstantNs(deps.clock.now() + NS_PER_S)
    latest = to_ns if end is not None else deps.clock.now()
    from_ns = instant(start, "from") if start is not None else InstantNs(max(latest - DEFAULT_SPAN_NS, 0))
    if from_ns >= to_ns:
        raise InvalidData(f"from ({from_ns}) must lie before to ({to_ns})")
    return from_ns, to_ns


@router.get(
    "/sensors/{sensor}/samples",
    response_model=SamplesOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def samples(
    sensor: str,
    request: Request,
    deps: DepsOf,
    from_: From = None,
    to: Moment = None,
    max_points: Annotated[
        int, Query(ge=2, le=1_000_000, description="Most rows; more are decimated, extremes kept.")
    ] = 2000,
    media: Annotated[
        Literal["json", "csv"] | None, Query(alias="format", description="Default: as the Accept header says.")
    ] = None,
) -> Response:
    """Return the samples of an interval: raw, corrected, u, quality and the set that made `corrected`."""
    known = deps.catalogue.get().sensor(sensor)
    from_ns, to_ns = _range(from_, to, deps)
    series = deps.store.read(known.id, from_ns, to_ns, max_points=min(max_points, deps.settings.max_points))
    if media == "csv" or (media is None and "text/csv" in request.headers.get("accept", "")):
        headers = {"Content-Disposition": f'attachment; filename="{known.id}.csv"'}
        return Response(_csv(series), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(_json(known, series, from_ns, to_ns), media_type="application/json")


def _json(sensor: Sensor, series: SampleSeries, from_ns: InstantNs, to_ns: InstantNs) -> bytes:
    return msgspec.json.encode(
        {
            "sensor": sensor.id,
            "unit": sensor.unit,
            "from_ns": from_ns,
            "to_ns": to_ns,
            "decimated": series.decimated,
            "t_ns": series.t_ns.tolist(),
            "raw": _finite(series.raw),
            "corrected": _finite(series.corrected),
            "u": _finite(series.u),
            "quality": series.quality.tolist(),
            "set_index": series.set_index.tolist(),
            "sets": list(series.set_ids),
        }
    )


def _finite(values: np.typing.NDArray[np.float64]) -> list[float | None]:
    return [None if bad else value for value, bad in zip(values.tolist(), ~np.isfinite(values), strict=True)]


def _csv(series: SampleSeries) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["t", "t_ns", "raw", "corrected", "u", "quality", "set"])
    columns = (series.t_ns.tolist(), _finite(series.raw), _finite(series.corrected), _finite(series.u))
    rows = zip(*columns, series.quality.tolist(), series.set_index.tolist(), strict=True)
    writer.writerows(
        [iso(t), t, raw, corrected, u, f"0x{code:08X}", series.set_ids[index] if index >= 0 else ""]
        for t, raw, corrected, u, code, index in rows
    )
    return out.getvalue()


@router.get("/sensors/{sensor}/gaps")
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
    from_ns, to_ns = _range(from_, to, deps)
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
    request: Request, response: Response, deps: DepsOf, sensor: Words = "", limit: Limit = 50, cursor: Cursor = None
) -> CalibrationPage:
    """List calibrations, newest first."""
    of: SensorId | None = sensor_id(sensor) if sensor else None
    if cursor is None:
        found = deps.registry.calibrations(of, limit=limit)
    else:
        before, before_id = pages.decode_pair(cursor)
        found = deps.registry.calibrations(of, before=InstantNs(before), before_id=before_id, limit=limit)
    following = pages.encode(f"{found[-1].fitted_at_ns} {found[-1].id}") if len(found) == limit else None
    pages.link_next(request, response, following)
    return CalibrationPage(items=[CalibrationOut.of(c) for c in found], next_cursor=following)


@router.get("/calibrations/{calibration_id}")
def one_calibration(calibration_id: str, deps: DepsOf) -> CalibrationOut:
    """Return one calibration."""
    return CalibrationOut.of(deps.registry.calibration(calibration_id[:200]))


@router.get("/coefficient-sets")
def coefficient_sets(deps: DepsOf, sensor: Words = "", state: SetState | None = None, limit: Limit = 100) -> SetList:
    """List coefficient sets, newest first within a sensor."""
    of: SensorId | None = sensor_id(sensor) if sensor else None
    return SetList(items=[SetOut.of(record) for record in deps.registry.sets(of, state=state, limit=limit)])


@router.get(
    "/coefficient-sets/{set_id}", response_model=SetOut, responses={304: {"description": "As the caller has it."}}
)
def one_set(set_id: str, request: Request, deps: DepsOf) -> Response:
    """Return one coefficient set and where it stands, with a strong ETag."""
    record = deps.registry.coefficient_set(set_id[:200])
    return respond(request, SetOut.of(record).model_dump_json().encode())


@router.get(
    "/coefficient-sets/{set_id}/envelope",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        304: {"description": "As the caller has it."},
    },
)
def envelope(set_id: str, request: Request, deps: DepsOf) -> Response:
    """Return the exact signed bytes of a set, as edges get them."""
    return respond(request, deps.registry.coefficient_set(set_id[:200]).envelope)


def _pairing_tag(body: PairingBody) -> str:
    return strong(body.model_dump_json().encode())


@router.get(
    "/sensors/{sensor}/pairing", response_model=PairingBody, responses={304: {"description": "As the caller has it."}}
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
