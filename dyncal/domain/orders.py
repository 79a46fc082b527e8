"""Orders: what people ask of the calibration service, kept in the registry until it is done or refused.

The HTTP interface writes an order, calibration takes it up, acts, and answers in the transaction of the act. So an
order survives either of the two being away, and is carried out once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.time import InstantNs


class OrderKind(enum.StrEnum):
    """What is asked for; the subject of those about sets is a set, of `SET_ROLL_BACK` a sensor, of others a rollout."""

    SET_APPROVE = "set.approve"
    SET_REJECT = "set.reject"
    SET_ROLL_BACK = "set.roll_back"
    ROLLOUT_START = "rollout.start"
    ROLLOUT_PAUSE = "rollout.pause"
    ROLLOUT_RESUME = "rollout.resume"
    ROLLOUT_ABORT = "rollout.abort"


class OrderState(enum.StrEnum):
    """Where an order stands; the last two are for good."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes
    ----------
    id : str
        Unique, and safe in a path.
    kind : OrderKind
    subject : str
        What it is about: id of a set, a sensor or a rollout.
    body : mapping
        What else was asked; plain JSON.
    actor, role, reason : str
        Who gave it, as what, and why.
    answer : str
        What was done, or why it was refused; empty while it waits.
    result : str
        Id of what it led to: the set that was published, for one.
    revision : int
        Grows with every change of any order.
    """

    id: str
    kind: OrderKind
    subject: str
    actor: str
    role: str
    reason: str
    at_ns: InstantNs
    body: Mapping[str, object] = field(default_factory=dict)
    state: OrderState = OrderState.WAITING
    answer: str = ""
    result: str = ""
    done_ns: InstantNs | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an order: written in the transaction of the act that it led to."""

    order: str
    state: OrderState
    text: str
    at_ns: InstantNs
    result: str = ""


MAX_WAITING: Final = 10_000
"""Orders that may wait at once; more are refused, as long as nobody takes them up."""
