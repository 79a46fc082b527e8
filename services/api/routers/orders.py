"""Orders that people gave to the calibration service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.orders import OrderState
from services.api import pages
from services.api.deps import DepsOf, needs
from services.api.schemas.orders import OrderOut, OrderPage

router = APIRouter(prefix="/v1/orders", tags=["orders"], dependencies=[needs(Role.VIEWER)])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Subject = Annotated[str, Query(max_length=255, description="Id of a set, a sensor or a rollout.")]


@router.get("")
def orders(
    request: Request,
    response: Response,
    deps: DepsOf,
    state: OrderState | None = None,
    subject: Subject = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> OrderPage:
    """List orders, last changed first."""
    before = None if cursor is None else pages.decode_number(cursor)
    found = deps.registry.orders(state=state, subjects=(subject,) if subject else (), before=before, limit=limit)
    following = pages.encode(str(found[-1].revision)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return OrderPage(items=[OrderOut.of(order) for order in found], next_cursor=following)


@router.get("/{order}")
def one_order(order: str, deps: DepsOf) -> OrderOut:
    """Return one order, and what became of it."""
    return OrderOut.of(deps.registry.order(order[:64]))
