"""The live stream: server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from dyncal.domain.errors import Unavailable
from services.api.access.scope import Reader
from services.api.deps import Deps, DepsOf, Principal
from services.api.errors import Problem
from services.api.hub import EVENTS, Wanted

router = APIRouter(prefix="/v1", tags=["live"])

MAX_NAMES = 2000
RECHECK_S = 1.0
"""Longest time for which a stream goes on after its session or key has ended [s], besides what the watch takes."""

Names = Annotated[str | None, Query(max_length=100_000)]


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    request: Request,
    deps: DepsOf,
    principal: Reader,
    events: Annotated[
        Names,
        Query(
            description="Of samples, values, alarm, flood, edge, registry, backfill, health, by commas; "
            "default: all but values."
        ),
    ] = None,
    sensors: Annotated[Names, Query(description="Comma-separated: only events about these.")] = None,
    trend: Annotated[Names, Query(description="Comma-separated: samples of these only; empty: of none.")] = None,
    last_event_id: Annotated[
        str | None, Query(max_length=40, description="As the header Last-Event-ID, for clients that cannot set it.")
    ] = None,
) -> StreamingResponse:
    """Stream what happens as server-sent events.

    The first event is `hello`, or `reset` where the stream cannot go on after Last-Event-ID without a hole: load anew
    what you show. `samples` are frames of trends, `values` the newest value of each sensor that changed, `alarm` every
    change of an alarm, `flood` the beginning, the growth and the end of a flood of alarms, `backfill` names sensors
    whose history was completed; `lagged` says that frames were dropped because this client is slow; `beat` that nothing
    happened.
    """
    reach = await _reach(deps, principal)
    wanted = Wanted(_events(events), _names(sensors), _names(trend), principal.name, reach)
    last_id = _last_id(request.headers.get("last-event-id") or last_event_id)
    if deps.hub.closed:
        raise Unavailable("the service is stopping")
    if deps.hub.n_clients >= deps.settings.max_clients:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many live streams are open", kind="too-many-streams")
    access = deps.settings.access
    if access.mode == "closed" and deps.hub.n_clients_of(principal.name) >= access.streams_each:
        said = f"{principal.name} has {access.streams_each} live streams open already"
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, said, kind="too-many-streams", retry_after_s=5)
    return StreamingResponse(
        _body(deps, principal, wanted, last_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _body(deps: Deps, principal: Principal, wanted: Wanted, last_id: int | None) -> AsyncIterator[bytes]:
    # Not before the first byte is asked for: of a client gone by then, nothing here would ever run to its end.
    client, first = deps.hub.subscribe(wanted, last_id)
    revision = deps.watcher.known
    try:
        yield b"retry: 1000\n\n" + first
        client.sent_s = deps.clock.monotonic_s()
        while not (client.closed or client.cut or deps.hub.closed):
            await client.wait(min(deps.settings.heartbeat_s, RECHECK_S))
            if not deps.entrance.book.stands(principal):
                break
            if wanted.reach is not None and deps.watcher.known != revision:
                revision = deps.watcher.known
                if await _reach(deps, principal) != wanted.reach:
                    break  # it comes back, and goes on with the sensors that are its business now
            waiting = client.take()
            now_s = deps.clock.monotonic_s()
            if waiting:
                client.sent_s = now_s
                yield waiting
            elif client.due(now_s, deps.settings.heartbeat_s):
                yield deps.hub.beat()
    finally:
        deps.hub.unsubscribe(client)


async def _reach(deps: Deps, principal: Principal) -> frozenset[str] | None:
    """Return the sensors that a confined principal may know of; None for one that may know all."""
    if not principal.confined:
        return None
    catalogue = await asyncio.to_thread(deps.catalogue.get)
    return frozenset(s.id for s in catalogue.sensors.values() if principal.reaches(s.id, s.edge))


def _events(text: str | None) -> frozenset[str]:
    if text is None:
        return EVENTS - {"values"}
    chosen = frozenset(filter(None, text.split(",")))
    if chosen - EVENTS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"events: {', '.join(sorted(chosen - EVENTS))[:100]!r} is none of {', '.join(sorted(EVENTS))}",
            kind="events",
        )
    return chosen


def _names(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    names = frozenset(filter(None, text.split(",")))
    if len(names) > MAX_NAMES:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"at most {MAX_NAMES} sensors", kind="too-many-sensors")
    return names


def _last_id(text: str | None) -> int | None:
    """Return the id of a Last-Event-ID; one that cannot be ours counts as too old, so that the client reloads."""
    if text is None or not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else -1
