"""An OPC UA server (asyncua) whose variables are the channels of a plant.

Every channel is ``ns=2;s=<id>`` below Objects/Plant: a Double, or an array of Double for channels that publish blocks.
The source time stamp is that of the (last) sample; OPC UA libraries in Python carry it to the microsecond, and a
scenario's grid is made of whole microseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from asyncua import Server, ua

from dyncal.domain.errors import Unavailable
from dyncal.domain.time import to_datetime
from dyncal.ports.clock import Clock
from simulators.plant import Channel, Publication

NAMESPACE: Final = "urn:dyncal:simulators"
_GOOD: Final = ua.StatusCode(ua.StatusCodes.Good)


class PlantServer:
    """The server, as an async context manager.

    Parameters
    ----------
    channels : sequence of Channel
    port : int
        TCP port on `host`.
    clock : Clock
        For server time stamps.
    """

    def __init__(self, channels: Sequence[Channel], port: int, clock: Clock, host: str = "127.0.0.1") -> None:
        self._channels, self._clock = channels, clock
        self.url = f"opc.tcp://{host}:{port}"
        self._server = Server()
        self._nodes: dict[str, ua.NodeId] = {}

    async def __aenter__(self) -> Self:
        """Start it. Raises `Unavailable` if the port is taken."""
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        server = self._server
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("dyncal simulators")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(NAMESPACE)
        plant = await server.nodes.objects.add_object(ua.NodeId("Plant", index), ua.QualifiedName("Plant", index))
        for channel in self._channels:
            await self._add(plant, index, channel)
        try:
            await server.start()
        except OSError as error:
            raise Unavailable(f"OPC UA server: cannot listen at {self.url}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self._server.stop()

    async def _add(self, plant: Any, index: int, channel: Channel) -> None:
        name = ua.NodeId(channel.id, index)
        initial: list[float] | float = [] if channel.station.block > 1 else 0.0
        variant = ua.Variant(initial, ua.VariantType.Double, is_array=channel.station.block > 1)
        variable = await plant.add_variable(name, ua.QualifiedName(channel.id, index), variant)
        waiting = ua.DataValue(
            Value=ua.Variant(None, ua.VariantType.Null),
            StatusCode=ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData),
        )
        await self._server.write_attribute_value(variable.nodeid, waiting)
        self._nodes[channel.id] = variable.nodeid

    async def publish(self, channel: Channel, publication: Publication) -> None:
        """Write a publication into its node, with the source time stamp of its last sample."""
        values = publication.value.tolist()
        block = channel.station.block > 1
        value = ua.DataValue(
            Value=ua.Variant(values if block else values[0], ua.VariantType.Double, is_array=block),
            StatusCode=_GOOD,
            SourceTimestamp=to_datetime(int(publication.t_ns[-1])),
            ServerTimestamp=to_datetime(self._clock.now()),
        )
        await self._server.write_attribute_value(self._nodes[channel.id], value)

    async def drain(self, seconds: float) -> None:
        """Wait until the subscriptions have had time to publish what was written last."""
        await asyncio.sleep(seconds)
