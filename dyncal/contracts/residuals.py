"""Residuals on the wire: one message an edge, every few seconds, of all sets of which there is something new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dyncal.contracts import codec
from dyncal.contracts.fields import Count, Instant, NotNegative, SensorName, SetId, Text
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.time import InstantNs

VERSION: Final = 1
MAX_ITEMS: Final = 5000
"""In one message; an edge with more sends several."""


class ResidualMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found of one set since the last message, as `dyncal.domain.residuals.ResidualReport`."""

    sensor: SensorName
    set_id: SetId
    rms: NotNegative
    limit: NotNegative
    n: Count
    shadow: bool = False
    difference: NotNegative | None = None
    fault: Text = ""


class ResidualsMessage(msgspec.Struct, frozen=True):
    """What an edge found of the sets that it runs."""

    v: int
    at_ns: Instant
    items: Annotated[list[ResidualMessage], Meta(max_length=MAX_ITEMS)]


def encode(reports: Sequence[ResidualReport], at_ns: InstantNs) -> list[bytes]:
    """Return the messages, JSON, that carry these reports."""
    items = [ResidualMessage(r.sensor, r.set_id, r.rms, r.limit, r.n, r.shadow, r.difference, r.fault) for r in reports]
    return [
        codec.to_json(ResidualsMessage(VERSION, at_ns, items[k : k + MAX_ITEMS]))
        for k in range(0, len(items), MAX_ITEMS)
    ]


def decode(payload: bytes) -> tuple[InstantNs, list[ResidualReport]]:
    """Return the instant and the reports of a message. Raises `MalformedMessage`."""
    message = codec.from_json(payload, ResidualsMessage)
    if message.v != VERSION:
        raise MalformedMessage(f"residuals of version {message.v}; this program reads {VERSION}")
    return InstantNs(message.at_ns), [
        ResidualReport(m.sensor, m.set_id, m.rms, m.limit, m.n, m.shadow, m.difference, m.fault[:500])
        for m in message.items
    ]
