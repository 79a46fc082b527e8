"""For who commissions sensors: what an edge can read, and what it is to read."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dyncal.contracts.commissioning import VERSION, BrowseRequest, Reply, TopicsRequest
from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, edge_id
from services.api import sourcing
from services.api.births import decode_declared
from services.api.commissioning import ANSWER_S, EdgeSources
from services.api.deps import Deps, DepsOf, Engineer, Principal, needs
from services.api.errors import Problem
from services.api.etags import require
from services.api.schemas.commissioning import BrowseBody, NodesOut, SourcesBody, SourcesOut, TopicsBody, TopicsOut

router = APIRouter(prefix="/v1", tags=["commissioning"], dependencies=[needs(Role.VIEWER)])

Reason = Annotated[str, Query(max_length=1000, description="Why, for the audit trail.")]


@router.post("/edges/{edge}/browse", dependencies=[needs(Role.ENGINEER)])
async def browse(edge: str, body: BrowseBody, deps: DepsOf) -> NodesOut:
    """Ask an edge what lies below a node of an OPC UA server that it can reach."""
    desk = deps.commissioning
    sourcing.without_secrets({"server": body.server})
    request = BrowseRequest(VERSION, desk.new_id(), deps.clock.now(), body.server, body.node)
    return NodesOut.model_validate(_found(await desk.ask(edge_id(edge), request)), from_attributes=True)


@router.post("/edges/{edge}/topics", dependencies=[needs(Role.ENGINEER)])
async def topics(edge: str, body: TopicsBody, deps: DepsOf) -> TopicsOut:
    """Have an edge listen at a broker for a while: which topics come, and what can be read of their messages."""
    desk = deps.commissioning
    sourcing.without_secrets({"broker": body.broker})
    request = TopicsRequest(VERSION, desk.new_id(), deps.clock.now(), body.broker, body.filter, body.seconds)
    return TopicsOut.model_validate(
        _found(await desk.ask(edge_id(edge), request, ANSWER_S + body.seconds)), from_attributes=True
    )


@router.get("/edges/{edge}/sources")
def sources(edge: str, response: Response, deps: DepsOf) -> SourcesOut:
    """Return what an edge is to read beside its own file, and what it said of that; with an ETag."""
    found = deps.commissioning.sources(edge_id(edge))
    response.headers["ETag"] = _tag(found)
    return SourcesOut.of(found)


@router.put("/edges/{edge}/sources")
async def put_sources(
    edge: str,
    body: SourcesBody,
    request: Request,
    response: Response,
    deps: DepsOf,
    principal: Engineer,
    reason: Reason = "",
) -> SourcesOut:
    """Have an edge read this beside its own file, in place of what was said before; with If-Match only if that is so.

    The answer comes when the edge has said what it did with it (`reported`), or after five seconds.
    """
    desk, name = deps.commissioning, edge_id(edge)
    sourcing.without_secrets({"opcua": body.opcua, "mqtt": body.mqtt})
    await asyncio.to_thread(_check, deps, principal, name, body)
    seen = await asyncio.to_thread(desk.sources, name)
    require(request, _tag(seen))
    put = await desk.put(name, seen.revision, body.opcua, body.mqtt, principal.act(deps.clock, reason))
    response.headers["ETag"] = _tag(put)
    return SourcesOut.of(put)


def _check(deps: Deps, principal: Principal, edge: EdgeId, body: SourcesBody) -> None:
    sourcing.check_scope(principal, body.opcua, body.mqtt, deps.catalogue.get())

    @functools.cache
    def declared(other: EdgeId) -> Collection[str]:
        return decode_declared(deps.registry.load_snapshot(f"api.declared.{other}")).keys()

    sourcing.check(edge, body.opcua, body.mqtt, deps.catalogue.get(), declared)


def _tag(sources: EdgeSources) -> str:
    return f'"{sources.revision}"'


def _found(reply: Reply) -> Reply:
    """Return an answer that has found something. Raises `Problem` (422) with what the edge says."""
    if reply.error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, reply.error, kind="edge-says")
    return reply
