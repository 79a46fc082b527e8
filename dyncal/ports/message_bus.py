"""The message bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says when this client is gone without a word."""

    topic: str
    payload: bytes
    retain: bool = True


class Delivery(Protocol):
    """One message that arrived. The broker keeps it until `ack` is called (QoS 1)."""

    @property
    def topic(self) -> str:
        """Where it was published."""
        ...

    @property
    def payload(self) -> bytes:
        """What was published."""
        ...

    @property
    def retained(self) -> bool:
        """True if the broker had kept it from before this subscription."""
        ...

    def ack(self) -> None:
        """Tell the broker that the message is dealt with; idempotent, thread-safe, never raises."""
        ...


class MessageBus(Protocol):
    """Publishes and receives at QoS 1, reconnects by itself, and subscribes again by itself."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish, and return when the broker has taken over the message.

        Raises
        ------
        BusUnavailable
            If the broker is not connected or does not acknowledge in time. The message may or may not have arrived.
        """
        ...

    def post(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Begin to publish; what is returned is done, or raises, as `publish` does. For a publisher of many messages.

        Messages go out in the order of the calls. It belongs to the running event loop.
        """
        ...

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Add topic filters, now and after every reconnection."""
        ...

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Take topic filters back, as soon as the broker can be told; what it has sent already still arrives."""
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives, in order for each topic, until the bus is closed; one consumer only.

        The queue behind it is bounded by the count of unacknowledged messages that the broker may have in flight.
        """
        ...

    def arrivals(self) -> AsyncIterator[Sequence[Delivery]]:
        """Iterate as `deliveries` does, over what arrives together: for a consumer of many messages."""
        ...

    @property
    def connected(self) -> bool:
        """True while the broker answers."""
        ...

    @property
    def connections(self) -> int:
        """How many connections the broker has accepted so far: when it grows, publish again what a will undid."""
        ...

    async def wait_connected(self) -> None:
        """Return when the broker answers."""
        ...
