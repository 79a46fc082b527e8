"""Instants in queries."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import LATEST, InstantNs, parse_iso

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
