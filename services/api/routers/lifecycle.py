"""The life of coefficient sets: history, approval, going back, policies, and what a value is traced to."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import NotFound
from dyncal.domain.lifecycle import ReleaseMode
from dyncal.domain.orders import OrderKind
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import Sensor, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.models import paired_model
from dyncal.ports.records import SetRecord
from services.api import pages
from services.api.deps import Deps, DepsOf, Engineer, Principal, needs
from services.api.errors import Problem
from services.api.etags import require, respond, strong
from services.api.instants import Moment, instant
from services.api.orders import ANSWERS, Key, give
from services.api.routers import findings
from services.api.schemas.base import number
from services.api.schemas.calibrations import CalibrationOut, SetOut
from services.api.schemas.lifecycle import (
    DecisionBody,
    LifecycleOut,
    LifeOut,
    MoveOut,
    MovePage,
    PolicyBody,
    ResidualOut,
    RollBackBody,
    SampleChainOut,
    TracedSampleOut,
)
from services.api.schemas.orders import OrderOut

router = APIRouter(prefix="/v1/sensors/{sensor}", tags=["lifecycle"], dependencies=[needs(Role.VIEWER)])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Reason = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$", description="Why, for the audit trail.")]

LOOK_BACK = 5000
LOOK_BACK_NS = 60 * NS_PER_S


@router.get("/coefficients")
def lifecycle(sensor: str, deps: DepsOf, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> LifecycleOut:
    """Return the newest sets of a sensor with all that was done with them, and what edges say of their residuals."""
    known = deps.catalogue.get().sensor(sensor)
    records = deps.registry.sets(known.id, limit=limit)
    desired, policy = deps.registry.desired_set(known.id), deps.registry.policy(known.id)
    return LifecycleOut(
        sensor=known.id,
        policy=None if policy is None else PolicyBody.of(policy.policy),
        in_force=None if desired is None else desired.coefficients.id,
        items=[_life(deps, known, record) for record in records],
    )


def _life(deps: Deps, sensor: Sensor, record: SetRecord) -> LifeOut:
    made = record.coefficients
    try:
        calibration = CalibrationOut.of(deps.registry.calibration(made.provenance.calibration_id))
    except NotFound:
        calibration = None
    figure = deps.residuals.of(sensor.edge, sensor.id).get(made.id)
    return LifeOut(
        set=SetOut.of(record),
        calibration=calibration,
        moves=[MoveOut.of(move) for move in deps.registry.set_moves(made.id)],
        residual=None if figure is None else ResidualOut.of(figure),
        waits=record.state is SetState.VERIFIED,
        can_go_back=record.state is SetState.SUPERSEDED,
    )


@router.get("/moves")
def moves(
    sensor: str, request: Request, response: Response, deps: DepsOf, limit: Limit = 100, cursor: Cursor = None
) -> MovePage:
    """List what was done with the sets of a sensor, newest first."""
    known = deps.catalogue.get().sensor(sensor)
    before = None if cursor is None else pages.decode_number(cursor)
    found = deps.registry.sensor_moves(known.id, before=before, limit=limit)
    following = pages.encode(str(found[-1].number)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return MovePage(items=[MoveOut.of(move) for move in found], next_cursor=following)


@router.post("/coefficients/{set_id}/approve", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def approve(
    sensor: str, set_id: str, body: DecisionBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order that a verified set that waits is published. Answered by the calibration service."""
    return await _decide(OrderKind.SET_APPROVE, sensor, set_id, body, request, deps, principal, key)


@router.post("/coefficients/{set_id}/reject", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def reject(
    sensor: str, set_id: str, body: DecisionBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order that a verified set that waits is rejected. Answered by the calibration service."""
    return await _decide(OrderKind.SET_REJECT, sensor, set_id, body, request, deps, principal, key)


async def _decide(
    kind: OrderKind,
    sensor: str,
    set_id: str,
    body: DecisionBody,
    request: Request,
    deps: Deps,
    principal: Principal,
    key: str,
) -> Response:
    record = await asyncio.to_thread(deps.registry.coefficient_set, set_id[:255])
    if record.coefficients.sensor != sensor:
        raise NotFound(f"no coefficient set {set_id[:255]} of sensor {sensor[:140]}")
    return await give(deps, request, principal, kind, record.coefficients.id, body.reason, key=key)


@router.post("/roll-back", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def roll_back(
    sensor: str, body: RollBackBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order that a sensor goes back to an earlier set: by a new signed set with its numbers, which says so.

    What is verified after that waits for approval, whatever the policy says.
    """
    known = (await asyncio.to_thread(deps.catalogue.get)).sensor(sensor)
    asked = {"to": body.to}
    return await give(deps, request, principal, OrderKind.SET_ROLL_BACK, known.id, body.reason, body=asked, key=key)


def _policy(deps: Deps, sensor: SensorId) -> PolicyBody | None:
    found = deps.registry.policy(sensor)
    return None if found is None else PolicyBody.of(found.policy)


def _tag(policy: PolicyBody | None) -> str | None:
    return None if policy is None else strong(policy.model_dump_json().encode())


@router.get("/policy", response_model=PolicyBody, responses={304: {"description": "As the caller has it."}})
def policy(sensor: str, request: Request, deps: DepsOf) -> Response:
    """Return who releases the sets of a sensor, with a strong ETag; 404 if it has no policy of its own."""
    known = deps.catalogue.get().sensor(sensor)
    found = _policy(deps, known.id)
    if found is None:
        raise NotFound(f"sensor {known.id} has no policy of its own: what the calibration service is set to holds")
    return respond(request, found.model_dump_json().encode(), tag=_tag(found))


@router.put("/policy")
def put_policy(
    sensor: str,
    body: PolicyBody,
    request: Request,
    response: Response,
    deps: DepsOf,
    principal: Engineer,
    reason: Reason = "",
) -> PolicyBody:
    """Say who releases the sets of a sensor. With If-Match only if it is as the caller has seen it."""
    with deps.changing:
        catalogue = deps.catalogue.get()
        known = catalogue.sensor(sensor)
        require(request, _tag(_policy(deps, known.id)))
        pairing = catalogue.pairings.get(known.id)
        unknown = set() if pairing is None else set(body.max_parameter_change) - set(paired_model(pairing).names)
        if unknown:
            detail = f"max_parameter_change: this sensor's model has no parameter {min(unknown)!r}"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="parameter")
        if body.mode is not ReleaseMode.WITHIN_BOUNDS and (body.max_parameter_change or body.max_response_change):
            detail = f"bounds say nothing where the mode is {body.mode}: leave them out"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="bounds")
        deps.registry.put_policy(known.id, body.to_domain(), principal.act(deps.clock, reason))
    response.headers["ETag"] = _tag(body) or ""
    return body


@router.delete("/policy", status_code=204)
def delete_policy(sensor: str, request: Request, deps: DepsOf, principal: Engineer, reason: Reason = "") -> None:
    """Take the policy of a sensor away: what the calibration service is set to holds again."""
    with deps.changing:
        known = deps.catalogue.get().sensor(sensor)
        require(request, _tag(_policy(deps, known.id)))
        deps.registry.put_policy(known.id, None, principal.act(deps.clock, reason))


@router.get("/chain")
def sample_chain(sensor: str, deps: DepsOf, at: Moment = None) -> SampleChainOut:
    """Return what the corrected value at an instant (the last one before it; default: the newest) is traced to.

    From the value to the set, its fit and the window of data, the reference, what that is corrected by, and so on.
    """
    known = deps.catalogue.get().sensor(sensor)
    if at is not None:
        at_ns = instant(at, "at")
    else:
        latest = deps.hub.latest(known.id)
        at_ns = InstantNs(deps.clock.now() if latest is None or latest.raw_t_ns < 0 else latest.raw_t_ns)
    sample = _corrected_at(deps, known, at_ns)
    record = deps.registry.coefficient_set(sample.set_id)
    return SampleChainOut(
        sensor=known.id,
        unit=known.unit,
        sample=sample,
        state=record.state,
        moves=[MoveOut.of(move) for move in deps.registry.set_moves(sample.set_id)],
        chain=findings.chain_of(record, deps),
    )


def _corrected_at(deps: Deps, sensor: Sensor, at_ns: InstantNs) -> TracedSampleOut:
    span = max(LOOK_BACK_NS, LOOK_BACK * sensor.dt_ns)
    series = deps.store.read(sensor.id, InstantNs(max(at_ns - span, 0)), InstantNs(at_ns + 1), max_points=None)
    found = np.flatnonzero(series.set_index >= 0)
    if not found.size:
        raise NotFound(f"no corrected value of sensor {sensor.id} in the {span / NS_PER_S:.0f} s up to {at_ns}")
    return _sample(series, int(found[-1]))


def _sample(series: SampleSeries, k: int) -> TracedSampleOut:
    return TracedSampleOut(
        t_ns=int(series.t_ns[k]),
        raw=number(float(series.raw[k])),
        corrected=number(float(series.corrected[k])),
        u=number(float(series.u[k])),
        quality=int(series.quality[k]),
        set_id=series.set_ids[int(series.set_index[k])],
    )
