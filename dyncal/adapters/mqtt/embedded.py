"""A broker in this event loop (amqtt), for demonstrations and small plants."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Self

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from dyncal.domain.errors import BusUnavailable

_NOISY: Final = ("amqtt", "transitions")


class Everyone(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is not typed for us
    """Lets every client in under its own name (amqtt's anonymous plugin would forget the sessions of all)."""

    async def authenticate(self, *, session: Session) -> bool:
        """Say yes."""
        del session
        return True


class _Broker(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt's broker, with two of its faults mended.

    A client that goes away in the midst of its CONNECT is contained; and who connects gets the retained messages of
    his own subscriptions, not of everybody's.
    """

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection."""
        try:
            await super().stream_connected(reader, writer, listener_name)
        except Exception as error:  # noqa: BLE001  whatever a client does, the broker goes on
            from dyncal.runtime.logging import logger  # noqa: PLC0415 - a broker of its own starts sooner without

            writer.transport.abort()
            logger("broker").info("connection_failed", error=str(error) or type(error).__name__)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Publish what is retained; amqtt 0.12 asks this for each client that connects of all filters there are."""
        if any(subscriber is session for subscriber, _ in self._subscriptions.get(subscription[0], ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class EmbeddedBroker:
    """An MQTT 3.1.1 broker on `host`:`port` in this event loop; enter it (``async with``) to start it.

    Retained messages, wills and the subscriptions of persistent sessions are kept while it runs, and nothing on disk.
    amqtt 0.12 has limits that the protocol between edge and store is made to bear, since the edge keeps every record
    until it is committed and sends it again:

    - a delivery that is not acknowledged within 5 s, or before its connection ends, is forgotten;
    - what it queued while a client was away arrives marked as retained;
    - queues are bounded by memory only, and it carries about a thousand messages a second.

    Clients should ask for protocol 3.1.1 outright: amqtt does not answer a CONNECT of MQTT 5 at all.

    Raises
    ------
    BusUnavailable
        On entering, if it cannot listen there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 1883) -> None:
        self.host = host
        self.port = port
        self._broker: Broker | None = None

    async def __aenter__(self) -> Self:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        broker = _Broker(_config(self.host, self.port), loop=asyncio.get_running_loop())
        try:
            await broker.start()
        except Exception as error:  # amqtt raises what its parts raise
            raise BusUnavailable(f"cannot start a broker on {self.host}:{self.port}: {error}") from error
        self._broker = broker
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._broker is not None:
            await self._broker.shutdown()
            self._broker = None


def _config(host: str, port: int) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {f"{Everyone.__module__}.{Everyone.__qualname__}": {}},
    }
