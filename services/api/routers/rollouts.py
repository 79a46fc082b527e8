"""Rollouts: begun, followed and commanded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import OrderKind
from dyncal.domain.rollouts import MAX_MEMBERS, MemberState, RolloutState
from dyncal.domain.time import InstantNs
from services.api import pages
from services.api.deps import DepsOf, Engineer, needs
from services.api.etags import respond
from services.api.orders import ANSWERS, Key, give
from services.api.schemas.orders import OrderOut
from services.api.schemas.rollout_members import (
    CandidateList,
    CandidateOut,
    MemberOut,
    MemberPage,
    RolloutHistoryPage,
    RolloutMoveOut,
)
from services.api.schemas.rollouts import (
    RolloutBody,
    RolloutCommandBody,
    RolloutOut,
    RolloutPage,
    RolloutResumeBody,
)

router = APIRouter(prefix="/v1/rollouts", tags=["rollouts"], dependencies=[needs(Role.VIEWER)])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]

_AS_IT_IS: dict[int | str, dict[str, Any]] = {304: {"description": "As the caller has it."}}


@router.get("")
def rollouts(
    request: Request,
    response: Response,
    deps: DepsOf,
    state: RolloutState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RolloutPage:
    """List rollouts, newest first."""
    before = None
    if cursor is not None:
        begun, name = pages.decode_pair(cursor)
        before = (InstantNs(begun), name)
    found = deps.registry.rollouts(state=state, before=before, limit=limit)
    following = pages.encode(f"{found[-1].rollout.begun_ns} {found[-1].rollout.id}") if len(found) == limit else None
    pages.link_next(request, response, following)
    return RolloutPage(items=[RolloutOut.of(record) for record in found], next_cursor=following)


@router.post("", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def begin(body: RolloutBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = "") -> Response:
    """Order a rollout of verified sets that wait; the order's `subject` is its id.

    Sensors go out in stages, the canary group first. Each stage is watched by what edges report of it; if too much
    fails, every sensor that was touched goes back to the set before, by a new signed set.
    """
    asked = body.model_dump(mode="json", exclude={"reason"})
    return await give(deps, request, principal, OrderKind.ROLLOUT_START, "", body.reason, body=asked, key=key)


@router.get("/candidates")
def candidates(deps: DepsOf, limit: Annotated[int, Query(ge=1, le=MAX_MEMBERS)] = 1000) -> CandidateList:
    """List the verified sets that wait, in order of sensor: what a rollout can be of."""
    sensors = deps.catalogue.get().sensors
    found = deps.registry.sets(state=SetState.VERIFIED, limit=limit)
    newest = {record.coefficients.sensor: record for record in reversed(found)}
    items = [
        CandidateOut.of(record, sensors[name].edge if name in sensors else None)
        for name, record in sorted(newest.items())
    ]
    return CandidateList(items=items)


@router.get("/{rollout}", response_model=RolloutOut, responses=_AS_IT_IS)
def one_rollout(rollout: str, request: Request, deps: DepsOf) -> Response:
    """Return a rollout and how it stands, with a strong ETag."""
    record = deps.registry.rollout(rollout[:64])
    return respond(request, RolloutOut.of(record).model_dump_json().encode(), tag=f'"{record.revision}"')


@router.get("/{rollout}/members")
def members(
    rollout: str,
    request: Request,
    response: Response,
    deps: DepsOf,
    state: MemberState | None = None,
    stage: Annotated[int | None, Query(ge=0, le=100)] = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> MemberPage:
    """List the sensors of a rollout, in the order in which they are taken."""
    deps.registry.rollout(rollout[:64])
    after = -1 if cursor is None else min(pages.decode_number(cursor), MAX_MEMBERS)
    found = deps.registry.rollout_members(rollout[:64], state=state, stage=stage, after=after, limit=limit)
    following = pages.encode(str(found[-1].position)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return MemberPage(items=[MemberOut.of(member) for member in found], next_cursor=following)


@router.get("/{rollout}/history")
def history(
    rollout: str, request: Request, response: Response, deps: DepsOf, limit: Limit = 100, cursor: Cursor = None
) -> RolloutHistoryPage:
    """List what happened in a rollout, by whom and why, newest first."""
    deps.registry.rollout(rollout[:64])
    before = None if cursor is None else pages.decode_number(cursor)
    found = deps.registry.rollout_moves(rollout[:64], before=before, limit=limit)
    following = pages.encode(str(found[-1].number)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return RolloutHistoryPage(items=[RolloutMoveOut.of(entry) for entry in found], next_cursor=following)


@router.post("/{rollout}/pause", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def pause(
    rollout: str, body: RolloutCommandBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order that no further sets go out; those that are out are watched as before."""
    return await give(deps, request, principal, OrderKind.ROLLOUT_PAUSE, rollout[:64], body.reason, key=key)


@router.post("/{rollout}/resume", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def resume(
    rollout: str, body: RolloutResumeBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order a paused rollout to go on; with `accept` as if its present stage had passed."""
    asked = {"accept": body.accept}
    return await give(
        deps, request, principal, OrderKind.ROLLOUT_RESUME, rollout[:64], body.reason, body=asked, key=key
    )


@router.post("/{rollout}/abort", status_code=202, response_model=OrderOut, responses=ANSWERS)
async def abort(
    rollout: str, body: RolloutCommandBody, request: Request, deps: DepsOf, principal: Engineer, key: Key = ""
) -> Response:
    """Order every sensor that was touched to go back to the set before."""
    return await give(deps, request, principal, OrderKind.ROLLOUT_ABORT, rollout[:64], body.reason, key=key)
