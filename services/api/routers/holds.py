"""Holds: samples that must stay as they are, whatever the retention of others."""

from __future__ import annotations

import hashlib
import uuid
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from dyncal.domain.access import Role
from dyncal.domain.errors import NotFound
from dyncal.domain.holds import Hold
from dyncal.domain.time import LATEST, InstantNs
from services.api.deps import DepsOf, Engineer, needs
from services.api.errors import Problem
from services.api.routers.integrators import Reason
from services.api.schemas.holds import HoldBody, HoldList, HoldOut

router = APIRouter(prefix="/v1/holds", tags=["operators"])

MOST_HOLDS: Final = 1000

Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$")]


@router.get("", dependencies=[needs(Role.VIEWER)])
def holds(deps: DepsOf) -> HoldList:
    """List the holds in force, oldest first."""
    return HoldList(items=[HoldOut.of(hold) for hold in deps.registry.holds()])


@router.post("", status_code=201)
def put_hold(body: HoldBody, response: Response, deps: DepsOf, principal: Engineer, key: Key = "") -> HoldOut:
    """Have samples stay as they are until the hold is released: no retention touches them, nor aggregates of that time.

    It protects from some ten seconds after the answer on; what was removed before is gone.
    """
    sensor = None if body.sensor is None else deps.catalogue.get().sensor(body.sensor).id
    to_ns = LATEST if body.to_ns is None else InstantNs(body.to_ns)
    if body.from_ns >= to_ns:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "from_ns must lie before to_ns", kind="interval")
    word = hashlib.sha256(f"{principal.name} {key}".encode()).hexdigest()[:16] if key else uuid.uuid4().hex[:16]
    hold = Hold(
        f"h-{word}", sensor, InstantNs(body.from_ns), to_ns, body.reason, principal.name, deps.clock.now()
    )  # fmt: skip
    known = {each.id: each for each in deps.registry.holds()}.get(hold.id) if key else None
    if known is not None:  # asked for again under its key
        asked, had = ((each.sensor, each.from_ns, each.to_ns, each.reason) for each in (hold, known))
        if asked != had:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "this key was used for another hold", kind="key")
        hold = known
    else:
        deps.registry.put_hold(hold, principal.act(deps.clock, body.reason), most=MOST_HOLDS)
    response.headers["Location"] = f"/v1/holds/{hold.id}"
    return HoldOut.of(hold)


@router.get("/{hold}", dependencies=[needs(Role.VIEWER)])
def one_hold(hold: str, deps: DepsOf) -> HoldOut:
    """Return a hold in force."""
    found = {each.id: each for each in deps.registry.holds()}.get(hold)
    if found is None:
        raise NotFound(f"there is no hold {hold[:80]!r}")
    return HoldOut.of(found)


@router.delete("/{hold}", status_code=204)
def release_hold(hold: str, deps: DepsOf, principal: Engineer, reason: Reason = "") -> None:
    """Release a hold: what it held may be replaced by aggregates, or removed, from the next search on."""
    deps.registry.release_hold(hold[:80], principal.act(deps.clock, reason))
