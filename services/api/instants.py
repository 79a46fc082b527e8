"""Instants in queries."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import LATEST, NS_PER_S, InstantNs, parse_iso
from dyncal.ports.clock import Clock

DEFAULT_SPAN_NS: Final = 600 * NS_PER_S

Moment = Annotated[
    str | None,
    Query(max_length=64, description="ISO 8601 with time zone, or nanoseconds since 1970-01-01T00:00:00Z."),
]
From = Annotated[Moment, Query(alias="from")]


def instant(text: str, name: str) -> InstantNs:
    """Return the instant that the query parameter `name` states. Raises `InvalidData`."""
    if text.isascii() and text.isdigit():
        value = int(text) if len(text) <= 19 else LATEST + 1
        if value <= LATEST:
            return InstantNs(value)
        raise InvalidData(f"{name}: {text[:40]} ns lies after 2255")
    try:
        return parse_iso(text.replace(" ", "+"))  # a plus sign that nobody escaped arrives as a blank
    except (InvalidData, OverflowError) as error:
        raise InvalidData(f"{name}: {error}") from error


def interval(start: str | None, end: str | None, clock: Clock) -> tuple[InstantNs, InstantNs]:
    """Return the interval asked for: by default the last ten minutes before its end, and its end is now.

    Raises
    ------
    InvalidData
        If an instant is none, or the interval is empty.
    """
    # Sources whose clock is a little ahead are part of now.
    to_ns = instant(end, "to") if end is not None else InstantNs(clock.now() + NS_PER_S)
    latest = to_ns if end is not None else clock.now()
    from_ns = instant(start, "from") if start is not None else InstantNs(max(latest - DEFAULT_SPAN_NS, 0))
    if from_ns >= to_ns:
        raise InvalidData(f"from ({from_ns}) must lie before to ({to_ns})")
    return from_ns, to_ns
