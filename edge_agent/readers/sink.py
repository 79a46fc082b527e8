"""What a reader is given and what it offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.aside import Unreadable
from edge_agent.events import Event, Notice


class Sink(Protocol):
    """Takes what readers have, without waiting.

    When `take` returns, the samples are with the engine, and blocks that were cut are on the disk: a reader that is
    ahead of the disk is slowed by it.
    """

    def take(self, events: Iterable[Event]) -> None:
        """Handle events."""
        ...

    def newest(self, sensor: SensorId) -> InstantNs | None:
        """Return the newest source instant taken of a sensor, also by a former life; None if there was none."""
        ...

    def notice(self, notice: Notice) -> None:
        """Tell that something happened."""
        ...

    def set_aside(self, message: Unreadable, sensor: SensorId | None) -> None:
        """Keep a message that cannot be read, and tell of it."""
        ...


class Reader(Protocol):
    """A source of samples."""

    @property
    def name(self) -> str:
        """For logs and health."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong with the source; empty when nothing is."""
        ...

    @property
    def n_messages(self) -> int:
        """Notifications or messages that have come."""
        ...

    async def run(self) -> None:
        """Read until cancelled; a source that is absent is waited for."""
        ...
