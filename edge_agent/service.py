"""The edge agent as a program: its settings, its spool, its bus, and how it stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry

from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.signing import open_verifier, trail_verifier
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import SpoolUnavailable
from dyncal.domain.sensors import edge_id, site_id
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus, Will
from dyncal.runtime import metrics as metrics_server
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.logging import logger
from dyncal.runtime.service import Health, Service
from dyncal.runtime.warming import kernels_ready
from edge_agent import declared
from edge_agent.commissioning.kept import Commissioned, with_sources
from edge_agent.events import StreamConfig
from edge_agent.operation import Operation, offline
from edge_agent.settings import EdgeSettings
from edge_agent.sources import Connect
from edge_agent.spool import Spool

_SPOOL_AGAIN_S: Final = 1.0


class EdgeService:
    """The edge agent as a program.

    Parameters
    ----------
    settings : EdgeSettings
    clock : Clock
    connect : callable, optional
        Opens a bus, as `dyncal.adapters.mqtt.open_bus`; tests give another.
    """

    def __init__(self, settings: EdgeSettings, clock: Clock, connect: Connect = open_bus) -> None:
        self._settings = settings
        self._connect = connect
        self._clock = clock
        self._log = logger("edge")
        self._address = EdgeAddress(site_id(settings.site), edge_id(settings.edge.name))
        self._configs = declared.stream_configs(settings)
        self._verifier = open_verifier(settings.signing, settings.data_dir)
        self._bus: MessageBus | None = None
        self._operation: Operation | None = None
        self._not_open = "not open"
        self.metrics = CollectorRegistry()
        metrics_server.tell_of_program(self.metrics, self.name, self.health)

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        return "edge"

    @property
    def operation(self) -> Operation | None:
        """The agent at work; None before and after."""
        return self._operation

    def health(self) -> Health:
        """Tell how it stands; the edge is ready while it can keep what it reads."""
        operation = self._operation
        parts = {} if operation is None else operation.sources.troubles
        parts["broker"] = "" if self._bus is not None and self._bus.connected else "not connected"
        parts["spool"] = self._not_open if operation is None else operation.station.spool_trouble
        parts["clock"] = "" if operation is None else operation.clock_trouble
        return Health(ready=not parts["spool"], parts=parts)

    def follow(self, settings: EdgeSettings) -> Callable[[], None]:
        """See `dyncal.runtime.reload.Following`."""

        def take_up() -> None:
            self._settings = settings
            if self._operation is not None:
                self._operation.follow(settings.edge.spool)

        return take_up

    async def run(self, stop: asyncio.Event) -> None:
        """Read, correct, keep and send until `stop`, then drain. Raises `InvalidSetting` if it can never work so."""
        edge = self._settings.edge
        if edge.metrics_port is None:
            await self._run(stop)
            return
        close = metrics_server.serve(self.metrics, edge.metrics_port, edge.metrics_host, self.health)
        try:
            await self._run(stop)
        finally:
            await asyncio.to_thread(close)

    async def _run(self, stop: asyncio.Event) -> None:
        if await kernels_ready(stop) is None:
            return
        settings = self._settings
        trusted = self._verifier if settings.edge.correction.require_signature else None
        kept = trail_verifier(settings.signing, settings.data_dir) if trusted is not None else None
        commissioned = Commissioned(settings, self._address, trusted, kept)
        commissioned.load()
        configs = [*self._configs, *declared.stream_configs(with_sources(settings, commissioned.section))]
        spool = await self._open_spool(configs, stop)
        if spool is None:
            return
        try:
            async with contextlib.AsyncExitStack() as stack:
                will = Will(self._address.status, offline(spool))
                bus = await stack.enter_async_context(
                    self._connect(settings.broker, f"dyncal-edge-{settings.site}-{settings.edge.name}", will=will)
                )
                self._bus = bus
                self._operation = Operation(
                    settings,
                    self._address,
                    configs,
                    commissioned,
                    self._verifier,
                    spool,
                    bus,
                    self._connect,
                    self._clock,
                    stack,
                    self.metrics,
                )
                await self._operation.run(stop)
        finally:
            spool.close()
            if spool.trouble is not None:
                self._log.error("spool_not_closed", error=str(spool.trouble))

    async def _open_spool(self, configs: list[StreamConfig], stop: asyncio.Event) -> Spool | None:
        """Open the spool, waiting for a disk that fails: None at `stop`. Raises `InvalidSetting`."""
        while not stop.is_set():
            try:
                spool = Spool.open(
                    self._settings.spool_dir,
                    self._address.edge,
                    self._clock.now(),
                    declared.spool_limits(self._settings),
                    [config.sensor.id for config in configs],
                )
            except SpoolUnavailable as error:
                if self._not_open != str(error):
                    self._log.error("spool_unavailable", error=str(error))
                self._not_open = str(error)
            else:
                self._not_open = "not open"
                return spool
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SPOOL_AGAIN_S):
                    await stop.wait()
        return None


def build(settings: EdgeSettings, clock: Clock | None = None) -> Service:
    """Return the edge agent, ready to run."""
    return EdgeService(settings, SystemClock() if clock is None else clock)
