"""The broker of a replay: messages handed on at once, in order, by whoever drives the engines."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from dyncal.contracts import topics


class Wire(NamedTuple):
    """A message that one program has published."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Handed:
    """A message handed over (`dyncal.ports.message_bus.Delivery`); nobody waits for its acknowledgement."""

    topic: str
    payload: bytes
    retained: bool = False

    def ack(self) -> None:
        """Do nothing."""


@functools.lru_cache(maxsize=65_536)  # few topics, and many messages on each
def place(topic: str) -> topics.EdgeTopic:
    """Return the parts of a topic below an edge. Raises `MalformedMessage`."""
    return topics.parse(topic)
