"""For edge devices that cannot hold an MQTT session: coefficients by polling or long-polling."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.sensors import edge_id
from services.api.deps import DepsOf, needs
from services.api.etags import matches, respond

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


def wait_preferred(prefer: str | None) -> int:
    """Return the seconds of a Prefer header's `wait`, at most 60; 0 without one."""
    found = _WAIT.search(prefer or "")
    return min(int(found.group(1)), MAX_WAIT_S) if found else 0
