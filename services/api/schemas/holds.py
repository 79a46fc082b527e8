"""Holds: samples that must stay."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from dyncal.domain.holds import Hold
from dyncal.domain.time import LATEST
from services.api.schemas.base import InstantNs, Shape, example
from services.api.schemas.lifecycle import Why

Latest = Annotated[InstantNs, Field(le=LATEST)]


class HoldBody(Shape):
    """Which samples must stay as they are, and why."""

    model_config = example(
        sensor="TT-101",
        from_ns=1_769_860_800_000_000_000,
        to_ns=None,
        reason="claim 4711: batch of 31 January",
    )

    sensor: str | None = Field(None, min_length=1, max_length=128)
    """Whose; null: those of all sensors."""
    from_ns: Latest
    """From this instant on."""
    to_ns: Latest | None = None
    """Until before this instant; null: whatever is yet to come, too."""
    reason: Why


class HoldOut(Shape):
    """A hold in force."""

    model_config = example(
        id="h-3f2a9c0d1b7e4a55",
        sensor="TT-101",
        from_ns=1_769_860_800_000_000_000,
        to_ns=None,
        reason="claim 4711: batch of 31 January",
        put_by="user:grace",
        put_ns=1_769_947_200_000_000_000,
    )

    id: str
    sensor: str | None
    """Whose samples stay; null: those of all sensors."""
    from_ns: InstantNs
    to_ns: InstantNs | None
    """Null: whatever is yet to come, too."""
    reason: str
    put_by: str
    put_ns: InstantNs

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """Return the shape of a hold."""
        return cls(
            id=hold.id,
            sensor=hold.sensor,
            from_ns=hold.from_ns,
            to_ns=None if hold.to_ns == LATEST else hold.to_ns,
            reason=hold.reason,
            put_by=hold.put_by,
            put_ns=hold.put_ns,
        )


class HoldList(Shape):
    """All holds in force, oldest first."""

    items: list[HoldOut]
