"""Orders: what people ask of the calibration service."""

from __future__ import annotations

from typing import Any, Self

from dyncal.domain.orders import Order, OrderKind, OrderState
from services.api.schemas.base import InstantNs, Shape, example


class OrderOut(Shape):
    """An order, and what became of it."""

    model_config = example(
        id="o-5f1d0c9a2b7e4c3d8a6b",
        kind="rollout.pause",
        subject="r-5f1d0c9a2b7e4c3d8a6b",
        body={},
        actor="user:ann",
        role="engineer",
        reason="the process is being restarted",
        at_ns=1_769_860_800_000_000_000,
        state="done",
        answer="done",
        result="r-5f1d0c9a2b7e4c3d8a6b",
        done_ns=1_769_860_800_300_000_000,
    )

    id: str
    kind: OrderKind
    subject: str
    """What it is about: id of a set, a sensor or a rollout."""
    body: dict[str, Any]
    """What else was asked."""
    actor: str
    role: str
    reason: str
    at_ns: InstantNs
    state: OrderState
    answer: str
    """What was done, or why it was refused; empty while it waits."""
    result: str
    """Id of what it led to."""
    done_ns: InstantNs | None

    @classmethod
    def of(cls, order: Order) -> Self:
        """Return the shape of an order."""
        return cls(
            id=order.id,
            kind=order.kind,
            subject=order.subject,
            body=dict(order.body),
            actor=order.actor,
            role=order.role,
            reason=order.reason,
            at_ns=order.at_ns,
            state=order.state,
            answer=order.answer,
            result=order.result,
            done_ns=order.done_ns,
        )


class OrderPage(Shape):
    """Orders, last changed first."""

    items: list[OrderOut]
    next_cursor: str | None
