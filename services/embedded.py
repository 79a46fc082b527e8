"""All services and a broker in one process and one event loop: for demonstrations and small plants.

They are the same services that run alone in production, and talk through the broker as they do there.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Literal

import services.api.service
import services.calibrate.service
import services.ingest.service
from dyncal import kernels
from dyncal.adapters.mqtt import EmbeddedBroker
from dyncal.ports.clock import Clock
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.logging import logger
from dyncal.runtime.service import Health, Service
from dyncal.runtime.settings import BrokerSettings, Section
from services.api.settings import ApiSettings
from services.calibrate.settings import CalibrateSettings
from services.ingest.settings import IngestSettings


class EmbeddedSection(Section):
    """All services in one process."""

    broker: Literal["own", "external"] = "own"
    """`own`: a broker inside the process listens on the address in [broker]. `external`: one is there already."""


class EmbeddedSettings(IngestSettings, CalibrateSettings, ApiSettings):
    """The settings of all services."""

    embedded: EmbeddedSection = EmbeddedSection()

    def with_broker(self) -> EmbeddedSettings:
        """Return the settings that the services get: those of the own broker, where there is one."""
        if self.embedded.broker == "external":
            return self
        # amqtt knows nothing of MQTT 5, of users and of TLS
        plain = BrokerSettings(host=self.broker.host, port=self.broker.port, protocol="3.1.1")
        return self.model_copy(update={"broker": plain})


class EmbeddedService:
    """Starts the broker, ingest, calibrate and api in that order, and stops them together, the broker last."""

    def __init__(self, settings: EmbeddedSettings, services_: list[Service]) -> None:
        self._settings = settings
        self._services = services_
        self._log = logger("embedded")
        self._kernels = "kernels are being made ready"
        self._broker = "not started"

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        return "embedded"

    @property
    def services(self) -> list[Service]:
        """The services in the order in which they start."""
        return self._services

    def health(self) -> Health:
        """Tell how it stands: ready when all are; parts are named after their service, as in ``"ingest.store"``."""
        parts = {"kernels": self._kernels, "broker": self._broker}
        ready = not any(parts.values())
        for service in self._services:
            health = service.health()
            ready = ready and health.ready
            parts |= {f"{service.name}.{part}": fault for part, fault in health.parts.items()}
        return Health(ready, parts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, or until one of the services fails; then drain all.

        Raises
        ------
        BusUnavailable
            If the broker cannot listen.
        ExceptionGroup
            Of the errors that services ended with.
        """
        async with AsyncExitStack() as stack:
            if self._settings.embedded.broker == "own":
                broker = self._settings.broker
                await stack.enter_async_context(EmbeddedBroker(broker.host, broker.port))
            self._broker = ""
            await self._run_services(stop)

    async def _run_services(self, stop: asyncio.Event) -> None:
        down = asyncio.Event()
        warming = asyncio.create_task(self._warm_up(), name="kernels")
        running = [asyncio.create_task(service.run(down), name=service.name) for service in self._services]
        told = asyncio.create_task(stop.wait(), name="embedded-stop")
        try:
            await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
            down.set()
            await asyncio.wait(running)
        finally:
            for task in (warming, told, *running):
                task.cancel()
            outcomes = await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(warming, told, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if errors:
            raise ExceptionGroup("services failed", errors)

    async def _warm_up(self) -> None:
        done = await asyncio.to_thread(kernels.warm_up)
        self._log.info("kernels_ready", n=done.n_kernels, compiled=done.n_compiled, seconds=round(done.seconds, 2))
        self._kernels = ""


def build(settings: EmbeddedSettings, clock: Clock | None = None) -> EmbeddedService:
    """Return the service of these settings; nothing is opened before it runs."""
    time = SystemClock() if clock is None else clock
    common: Any = settings.with_broker()
    return EmbeddedService(
        common,
        [
            services.ingest.service.build(common, time),
            services.calibrate.service.build(common, time),
            services.api.service.build(common, time),
        ],
    )
