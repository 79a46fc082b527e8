"""A fleet of MQTT devices: every channel publishes JSON to ``devices/<id>/data``.

``{"time": <instant of the first value, ns since 1970>, "value": 12.3}``, with an array of values where a channel
publishes blocks. All devices share one connection and one process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, Self

import msgspec

from dyncal.domain.errors import BusUnavailable
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger
from simulators.plant import Channel, Publication
from simulators.surfaces.addresses import topic

MAX_WAITING: Final = 20_000
"""Messages kept while the broker does not take them; beyond it nothing more is made."""

AT_ONCE: Final = 2_000
AGAIN_S: Final = 0.1
ROOM_S: Final = 0.02


def payload(channel: Channel, publication: Publication) -> bytes:
    """Return the JSON of a publication; floats round-trip exactly."""
    values = publication.value.tolist()
    return msgspec.json.encode(
        {"time": int(publication.t_ns[0]), "value": values if channel.station.block > 1 else values[0]}
    )


class MqttFleet:
    """Hands publications to the broker (QoS 1), as an async context manager; waits for a broker that is away or slow.

    Parameters
    ----------
    bus : MessageBus
        The fleet's connection, opened and closed by the caller.
    stop : asyncio.Event
        From then on nobody waits: what there is no room for is refused, and counted in `refused`.
    """

    def __init__(self, bus: MessageBus, stop: asyncio.Event) -> None:
        self._bus, self._stop = bus, stop
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._under_way = 0
        self._some = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self.refused = 0

    async def __aenter__(self) -> Self:
        """Begin to send."""
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what the broker has not taken by then is lost, and said so."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        left = len(self._waiting) + self._under_way
        if left or self.refused:
            logger("mqtt-fleet").warning("messages_lost", waiting=left, refused=self.refused)

    async def wait_connected(self) -> None:
        """Return when the broker has accepted the connection."""
        await self._bus.wait_connected()

    async def publish(self, channel: Channel, publication: Publication) -> None:
        """Take a publication to be sent, after those that were taken before; wait for room."""
        await self.send(topic(channel.id), payload(channel, publication))

    async def send(self, where: str, content: bytes) -> None:
        """Take a message to be sent, as `publish` does."""
        while len(self._waiting) + self._under_way >= MAX_WAITING:
            if self._stop.is_set():
                self.refused += 1
                return
            await asyncio.sleep(ROOM_S)
        self._waiting.append((where, content))
        self._some.set()

    @property
    def n_left(self) -> int:
        """Messages that the broker has not acknowledged, and that were refused."""
        return len(self._waiting) + self._under_way + self.refused

    async def drain(self, seconds: float) -> None:
        """Wait until the broker has acknowledged everything, for at most `seconds`."""
        for _ in range(max(round(seconds / 0.05), 1)):
            if not self._waiting and not self._under_way:
                return
            await asyncio.sleep(0.05)

    async def _send(self) -> None:
        while True:
            await self._some.wait()
            await self._bus.wait_connected()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
            self._under_way = len(batch)
            answers = await asyncio.gather(
                *(self._bus.post(where, content) for where, content in batch), return_exceptions=True
            )
            again = [item for item, answer in zip(batch, answers, strict=True) if isinstance(answer, BusUnavailable)]
            self._waiting.extendleft(reversed(again))  # the broker may have them, too: at least once
            self._under_way = 0
            if again:
                await asyncio.sleep(AGAIN_S)
            if not self._waiting:
                self._some.clear()
