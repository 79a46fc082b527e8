"""For edge devices that cannot hold an MQTT session: coefficients by polling or long-polling, and what they answer."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.access import Role
from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import Sensor, SensorId, edge_id
from dyncal.domain.time import InstantNs
from services.api.deps import Deps, DepsOf, Principal, needs
from services.api.etags import matches, respond
from services.api.schemas.edge import ReportBody, ResidualsBody

router = APIRouter(prefix="/v1", tags=["edge"], dependencies=[needs(Role.VIEWER, edge=True)])

MAX_WAIT_S: Final = 60
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})")


@router.get(
    "/edges/{edge}/coefficients",
    response_class=Response,
    responses={
        200: {
            "description": "The signed envelopes of the sets that the sensors of this edge should run.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        304: {"description": "As the caller has it (If-None-Match), still after `Prefer: wait=N` seconds."},
    },
)
async def coefficients(edge: str, request: Request, deps: DepsOf) -> Response:
    """Return the signed coefficient sets of an edge, with a strong ETag.

    With If-None-Match and `Prefer: wait=N` (RFC 7240; at most 60 s) the answer waits until it is another.
    """
    name = edge_id(edge)
    revision = await deps.watcher.current()
    document = await deps.documents.document(name, revision)
    wait_s = wait_preferred(request.headers.get("prefer"))
    seen = request.headers.get("if-none-match")
    if wait_s and matches(seen, document.tag):
        deadline = deps.clock.monotonic_s() + wait_s
        while matches(seen, document.tag) and not deps.hub.closed:
            left_s = deadline - deps.clock.monotonic_s()
            if left_s <= 0 or await request.is_disconnected():
                break
            revision = await deps.watcher.wait(revision, left_s)
            document = await deps.documents.document(name, revision)
    response = respond(request, document.body, tag=document.tag)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


@router.get(
    "/edges/{edge}/keys",
    response_class=Response,
    responses={
        200: {
            "description": "The list of the keys that sign, sealed by those before: byte for byte as it was announced.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        304: {"description": "As the caller has it (If-None-Match)."},
    },
)
def signing_keys(edge: str, request: Request, deps: DepsOf) -> Response:
    """Return the keys that sign for an edge's site, with a strong ETag; 404 as long as none were ever changed.

    Follow it only if a key that you trust has sealed it, and its number is above that of the list followed before.
    """
    content = deps.keys.of(_address(deps, edge).site)
    if content is None:
        raise NotFound("no list of keys was announced: the key that was laid there by hand signs")
    return respond(request, content)


_SAID: dict[int | str, dict[str, str]] = {204: {"description": "Said to all who listen to edges."}}


@router.post(
    "/edges/{edge}/residuals", status_code=204, responses=_SAID, dependencies=[needs(Role.ENGINEER, edge=True)]
)
async def say_residuals(edge: str, body: ResidualsBody, deps: DepsOf) -> None:
    """Say what an edge found of the sets that it runs: every few seconds, of windows that ended since."""
    address = await asyncio.to_thread(_address, deps, edge)
    own = (await asyncio.to_thread(deps.catalogue.get)).sensors
    for item in body.items:
        _check_own(own.get(SensorId(item.sensor)), address, item.sensor)
    now = InstantNs(deps.clock.now())
    await deps.voice.residuals(address, [item.to_domain() for item in body.items], now)


@router.put("/edges/{edge}/coefficients/{sensor}/reported", status_code=204, responses=_SAID)
async def report(
    edge: str, sensor: str, body: ReportBody, deps: DepsOf, who: Annotated[Principal, needs(Role.ENGINEER, edge=True)]
) -> None:
    """Say what an edge did with a set: once it has begun with it, refused it, or gone back from it."""
    address = await asyncio.to_thread(_address, deps, edge)
    known = (await asyncio.to_thread(deps.catalogue.get)).sensors.get(SensorId(sensor))
    _check_own(known, address, sensor)
    by = "" if who.role is Role.EDGE else f" (said by {who.name})"  # moves name the edge as their actor
    await deps.voice.report(address, body.to_domain(SensorId(sensor), by))


def _address(deps: Deps, edge: str) -> EdgeAddress:
    """Return the address of an edge that has sensors. Raises `NotFound`."""
    name = edge_id(edge)
    site = next((s.site for s in deps.catalogue.get().sensors.values() if s.edge == name), None)
    if site is None:
        raise NotFound(f"there is no edge {name!r}, or it has no sensors")
    return EdgeAddress(site, name)


def _check_own(sensor: Sensor | None, address: EdgeAddress, name: str) -> None:
    """Do nothing if an edge has a sensor. Raises `NotFound`: of others it may not even know."""
    if sensor is None or EdgeAddress(sensor.site, sensor.edge) != address:
        raise NotFound(f"edge {address.edge} has no sensor {name[:140]!r}")


def wait_preferred(prefer: str | None) -> int:
    """Return the seconds of a Prefer header's `wait`, at most 60; 0 without one."""
    found = _WAIT.search(prefer or "")
    return min(int(found.group(1)), MAX_WAIT_S) if found else 0
