"""An OPC UA server (asyncua) whose variables are the channels of a plant.

Every channel is ``nsu=urn:dyncal:simulators;s=<id>`` (at first ``ns=2``) below Objects/Plant: a Double, or an array of
Double for channels that publish blocks. The source time stamp is that of the (last) sample; OPC UA libraries in Python
carry it to the microsecond, and a scenario's grid is made of whole microseconds. A scenario's `[opcua]` says whether it
behaves (`simulators.scenarios.opcua_settings`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from asyncua import Server, ua

from dyncal.domain.errors import Unavailable
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from simulators.plant import Channel, Publication
from simulators.scenarios.opcua_settings import OpcuaSpec
from simulators.surfaces.opcua_misbehaviour import Manners

NAMESPACE: Final = "urn:dyncal:simulators"
OTHER: Final = "urn:dyncal:simulators:another-plant"
"""Where namespaces are reordered, the same names are here too, with values of their own."""

NOT_MEANT: Final = -999.0
_HISTORY: Final = 1_000_000
_RETRY_S: Final = 0.2


class PlantServer:
    """The server, as an async context manager.

    Parameters
    ----------
    channels : sequence of Channel
    port : int
        TCP port on `host`.
    clock : Clock
        For server time stamps, and for spans in which it misbehaves.
    spec : OpcuaSpec, optional
        How it behaves; default: well.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        port: int,
        clock: Clock,
        host: str = "127.0.0.1",
        spec: OpcuaSpec | None = None,
    ) -> None:
        self._channels, self._clock = channels, clock
        self.url = f"opc.tcp://{host}:{port}"
        self._spec = spec or OpcuaSpec()
        self._manners = Manners(self._spec, self._elapsed_s)
        self._t0_ns: InstantNs | None = None
        self._begun = asyncio.Event()
        self._server: Server | None = None
        self._nodes: dict[str, ua.NodeId] = {}
        self._starts = 0
        self._restarting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start it. Raises `Unavailable` if the port is taken."""
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        await self._start()
        if self._spec.restarts:
            self._restarting = asyncio.create_task(self._restart_when_due())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        await self._stop()

    @property
    def up(self) -> bool:
        """Whether it is there."""
        return self._server is not None

    def _elapsed_s(self) -> float:
        return -1.0 if self._t0_ns is None else (self._clock.now() - self._t0_ns) / NS_PER_S

    async def _start(self) -> None:
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("dyncal simulators")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._manners.install(server)
        reordered = self._spec.reorders_namespaces
        order = [NAMESPACE, OTHER] if self._starts % 2 == 0 else [OTHER, NAMESPACE]
        nodes: dict[str, ua.NodeId] = {}
        for uri in order if reordered else [NAMESPACE]:
            index = await server.register_namespace(uri)
            name = ua.QualifiedName("Plant" if uri == NAMESPACE else "Another", index)
            plant = await server.nodes.objects.add_object(ua.NodeId(name.Name, index), name)
            for channel in self._channels:
                node_id = await self._add(server, plant, index, channel, meant=uri == NAMESPACE)
                if uri == NAMESPACE:
                    nodes[channel.id] = node_id
        try:
            await server.start()
        except OSError as error:
            raise Unavailable(f"OPC UA server: cannot listen at {self.url}: {error}") from error
        self._server, self._nodes = server, nodes
        self._starts += 1

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        # asyncua leaves the tasks of subscriptions that were open.
        service = server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))
        await server.stop()

    async def _restart_when_due(self) -> None:
        await self._begun.wait()
        for span in self._spec.restarts:
            await asyncio.sleep(max(0.0, span.from_s - self._elapsed_s()))
            await self._stop()
            await asyncio.sleep(max(0.0, span.to_s - self._elapsed_s()))
            while self._server is None:
                with contextlib.suppress(Unavailable):  # the port may be held for a moment still
                    await self._start()
                if self._server is None:
                    logger("simulators").info("opcua_port_held", url=self.url)
                    await asyncio.sleep(_RETRY_S)

    async def _add(self, server: Server, plant: Any, index: int, channel: Channel, *, meant: bool) -> ua.NodeId:
        name = ua.NodeId(channel.id, index)
        block = channel.station.block > 1
        other = [NOT_MEANT] if block else NOT_MEANT
        initial: list[float] | float = other if not meant else [] if block else 0.0
        variant = ua.Variant(initial, ua.VariantType.Double, is_array=block)
        variable = await plant.add_variable(name, ua.QualifiedName(channel.id, index), variant)
        if not meant:
            return name
        waiting = ua.DataValue(
            Value=ua.Variant(None, ua.VariantType.Null),
            StatusCode=ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData),
        )
        await server.write_attribute_value(variable.nodeid, waiting)
        if self._spec.history == "kept":
            await server.historize_node_data_change(variable, period=None, count=_HISTORY)
        elif self._spec.history == "refused":
            for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
                await variable.set_attr_bit(attribute, ua.AccessLevel.HistoryRead)
        return name

    async def publish(self, channel: Channel, publication: Publication) -> None:
        """Write a publication into its node, with the time stamp of its last sample; nowhere while it is down."""
        if self._t0_ns is None:
            self._t0_ns = channel.t0_ns
            self._begun.set()
        server = self._server
        if server is None:
            return
        values, t_ns = publication.value.tolist(), int(publication.t_ns[-1])
        block = channel.station.block > 1
        elapsed_s = (t_ns - self._t0_ns) / NS_PER_S
        code, source, stamped = self._manners.of_sample(t_ns, elapsed_s, self._clock.now())
        value = ua.DataValue(
            Value=ua.Variant(values if block else values[0], ua.VariantType.Double, is_array=block),
            StatusCode=ua.StatusCode(code),
            SourceTimestamp=source,
            ServerTimestamp=stamped,
        )
        await server.write_attribute_value(self._nodes[channel.id], value)

    async def drain(self, seconds: float) -> None:
        """Wait until the subscriptions have had time to publish what was written last."""
        await asyncio.sleep(seconds)
