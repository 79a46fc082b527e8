"""Orders that people gave to the calibration service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dyncal.domain.errors import NotFound
from dyncal.domain.orders import Order, OrderKind, OrderState
from services.api import pages
from services.api.access.scope import Reader, theirs
from services.api.deps import Deps, DepsOf
from services.api.schemas.orders import OrderOut, OrderPage

router = APIRouter(prefix="/v1/orders", tags=["orders"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Subject = Annotated[str, Query(max_length=255, description="Id of a set, a sensor or a rollout.")]


@router.get("")
def orders(
    request: Request,
    response: Response,
    deps: DepsOf,
    reader: Reader,
    state: OrderState | None = None,
    subject: Subject = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> OrderPage:
    """List orders, last changed first."""
    before = None if cursor is None else pages.decode_number(cursor)
    subjects = (subject,) if subject else ()
    found = deps.registry.orders(state=state, subjects=subjects, before=before, limit=limit, reach=reader.reach)
    following = pages.encode(str(found[-1].revision)) if len(found) == limit else None
    pages.link_next(request, response, following)
    return OrderPage(items=[OrderOut.of(order) for order in found], next_cursor=following)


@router.get("/{order}")
def one_order(order: str, deps: DepsOf, reader: Reader) -> OrderOut:
    """Return one order, and what became of it."""
    found = theirs(
        reader, deps.catalogue.get(), lambda: deps.registry.order(order[:64]), lambda found: _sensor(deps, found)
    )
    return OrderOut.of(found)


def _sensor(deps: Deps, order: Order) -> str:
    """Return the sensor that an order is about, '' for one about many."""
    if order.kind is OrderKind.SET_ROLL_BACK:
        return order.subject
    if order.kind not in (OrderKind.SET_APPROVE, OrderKind.SET_REJECT):
        return ""
    try:
        return deps.registry.coefficient_set(order.subject).coefficients.sensor
    except NotFound:
        return ""
