"""A fleet of MQTT devices: every channel publishes JSON to ``devices/<id>/data``.

``{"time": <instant of the first value, ns since 1970>, "value": 12.3}``, with an array of values where a channel
publishes blocks. All devices share one connection and one process.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from dyncal.runtime.logging import logger
from dyncal.runtime.settings import BrokerSettings
from simulators.addresses import topic
from simulators.plant import Channel, Publication

MAX_WAITING: Final = 20_000  # messages kept while the broker is away; beyond it the newest is refused and counted
IN_FLIGHT: Final = 200


def payload(channel: Channel, publication: Publication) -> bytes:
    """Return the JSON of a publication; floats round-trip exactly."""
    values = publication.value.tolist()
    return msgspec.json.encode(
        {"time": int(publication.t_ns[0]), "value": values if channel.station.block > 1 else values[0]}
    )


class MqttFleet:
    """The fleet's connection, as an async context manager; it connects, and connects again, by itself.

    Parameters
    ----------
    broker : BrokerSettings
        Host, port and credentials.
    client_id : str
    """

    def __init__(self, broker: BrokerSettings, client_id: str = "dyncal-simulators") -> None:
        self._broker = broker
        self._connected = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.refused = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv311, clean_session=True)
        self._client.max_queued_messages_set(MAX_WAITING)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.reconnect_delay_set(min_delay=0.1, max_delay=2)  # type: ignore[arg-type]  # any number will do
        self._client.on_connect = self._on_connect
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.resolved_password())

    async def __aenter__(self) -> Self:
        """Start connecting, without waiting for it."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._broker.host, self._broker.port, self._broker.keepalive_s)
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; what the broker has not taken by then is lost, and said so."""
        left = self._waiting()
        if left or self.refused:
            logger("mqtt-fleet").warning("messages_lost", waiting=left, refused=self.refused)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def wait_connected(self) -> None:
        """Return when the broker has accepted the connection."""
        await self._connected.wait()

    async def publish(self, channel: Channel, publication: Publication) -> None:
        """Hand a publication to the connection (QoS 1)."""
        info = self._client.publish(topic(channel.id), payload(channel, publication), qos=1)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.refused += 1

    async def drain(self, seconds: float) -> None:
        """Wait until the broker has acknowledged everything, for at most `seconds`."""
        for _ in range(max(round(seconds / 0.05), 1)):
            if not self._waiting():
                return
            await asyncio.sleep(0.05)

    def _waiting(self) -> int:
        return len(self._client._out_messages)  # noqa: SLF001  # paho has no public count of what is not acknowledged

    def _on_connect(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._connected.set)
