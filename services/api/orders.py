"""Giving orders to the calibration service: written into the registry, carried out by it, answered there.

A route that gives orders is a few lines:

    @router.post("/rollouts/{rollout}/pause", status_code=202, response_model=OrderOut, responses=ANSWERS)
    async def pause(rollout: str, body: …, request: Request, deps: DepsOf, principal: Engineer, key: Key = "") -> …:
        return await give(deps, request, principal, OrderKind.ROLLOUT_PAUSE, rollout, body.reason, key=key)
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Header, Request, Response

from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.orders import Order, OrderKind, OrderState
from services.api.deps import Deps, Principal
from services.api.errors import Problem
from services.api.routers.edge import wait_preferred
from services.api.schemas.orders import OrderOut

Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$")]

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The order was carried out, or refused: see `state`.", "model": OrderOut},
    202: {
        "description": "The order waits, at the address in Location; with `Prefer: wait=N` for longer than that.",
        "model": OrderOut,
    },
}
"""What a route that gives orders answers."""

_LOOK_S: Final = 0.1


async def give(
    deps: Deps,
    request: Request,
    principal: Principal,
    kind: OrderKind,
    subject: str,
    reason: str,
    *,
    body: Mapping[str, object] | None = None,
    key: str = "",
) -> Response:
    """Give an order, wait for its answer as long as the caller prefers (RFC 7240), and return it.

    `subject` "" stands for a new rollout, whose id is then made. The same `key` of the same caller gives one order.

    Raises
    ------
    Problem
        422, if `key` was used for another order.
    Conflict
        If too many orders wait.
    """
    word = _word(principal, key)
    order = Order(
        id=f"o-{word}",
        kind=kind,
        subject=subject or f"r-{word}",
        actor=principal.name,
        role=principal.role,
        reason=reason,
        at_ns=deps.clock.now(),
        body=dict(body or {}),
    )
    given = await asyncio.to_thread(_put, deps, order, repeated=bool(key))
    return await _answered(deps, request, given)


def _word(principal: Principal, key: str) -> str:
    if not key:
        return uuid.uuid4().hex[:20]
    return hashlib.sha256(f"{principal.name}\n{key}".encode()).hexdigest()[:20]


def _put(deps: Deps, order: Order, *, repeated: bool) -> Order:
    try:
        return deps.registry.put_order(order)
    except Conflict:
        try:
            before = deps.registry.order(order.id)
        except NotFound:
            before = None
        if before is None or not repeated:
            raise
    if (before.kind, before.subject, before.body, before.reason) != (
        order.kind, order.subject, order.body, order.reason,
    ):  # fmt: skip
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "another order was given under this key", kind="key-reused")
    return before


async def _answered(deps: Deps, request: Request, order: Order) -> Response:
    wait_s = wait_preferred(request.headers.get("prefer"))
    deadline = deps.clock.monotonic_s() + wait_s
    while order.state is OrderState.WAITING and deps.clock.monotonic_s() < deadline:
        if deps.hub.closed or await request.is_disconnected():
            break
        await asyncio.sleep(_LOOK_S)
        order = await asyncio.to_thread(deps.registry.order, order.id)
    waits = order.state is OrderState.WAITING
    headers = {"Location": f"/v1/orders/{order.id}"}
    if wait_s:
        headers["Preference-Applied"] = f"wait={wait_s}"
    return Response(
        OrderOut.of(order).model_dump_json(),
        HTTPStatus.ACCEPTED if waits else HTTPStatus.OK,
        headers,
        "application/json",
    )
