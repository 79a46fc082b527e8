"""Shapes of one's own sessions."""

from __future__ import annotations

from typing import Self

from dyncal.ports.access import SessionRecord
from services.api.schemas.base import InstantNs, Shape, example


def session_id(session: SessionRecord) -> str:
    """Return what a session is called: part of what is kept of it, which opens nothing."""
    return session.digest[:16]


class OwnSessionOut(Shape):
    """A session that is open."""

    model_config = example(
        id="9f86d081884c7d65", opened_ns=1_769_860_800_000_000_000, seen_ns=1_769_864_400_000_000_000,
        expires_ns=1_769_947_200_000_000_000, here=True,
    )  # fmt: skip

    id: str
    opened_ns: InstantNs
    seen_ns: InstantNs
    """When it was last used."""

    expires_ns: InstantNs
    """When it ends in any case."""

    here: bool
    """True for the one that this request came with."""

    @classmethod
    def of(cls, session: SessionRecord, seen_ns: int, *, here: bool) -> Self:
        """Return the shape of a session."""
        return cls(
            id=session_id(session),
            opened_ns=session.opened_ns,
            seen_ns=seen_ns,
            expires_ns=session.expires_ns,
            here=here,
        )


class OwnSessionList(Shape):
    """One's own open sessions, newest first."""

    items: list[OwnSessionOut]
