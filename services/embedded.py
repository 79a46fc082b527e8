"""All services in one process and one event loop, with a broker beside it: for demonstrations and small plants.

They are the same services that run alone in production, and talk through the broker as they do there.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Literal

from dyncal.adapters.mqtt import BrokerProcess
from dyncal.domain.errors import BusUnavailable
from dyncal.ports.clock import Clock
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.logging import logger
from dyncal.runtime.reload import Following
from dyncal.runtime.service import Health, Service
from dyncal.runtime.settings import BrokerSettings, Section
from services.api.settings import ApiSettings
from services.calibrate.settings import CalibrateSettings
from services.ingest.settings import IngestSettings

for _package in ("amqtt", "fastapi", "paho", "scipy", "sqlalchemy", "uvicorn"):  # imported late, missed at once
    if importlib.util.find_spec(_package) is None:
        raise ImportError(f"No module named {_package!r}", name=_package)


class EmbeddedSection(Section):
    """All services in one process."""

    broker: Literal["own", "external"] = "own"
    """`own`: a broker of our own listens on the address in [broker]. `external`: one is there already."""


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
    """Starts the broker, ingest, calibrate and api in that order, and stops them together, the broker last.

    `make` returns the services in the order in which they start; it is called in a thread, while the broker comes up.
    """

    def __init__(self, settings: EmbeddedSettings, make: Callable[[], list[Service]]) -> None:
        self._settings = settings
        self._make = make
        self._services: list[Service] = []
        self._log = logger("embedded")
        self._kernels = "kernels are being made ready"
        self._broker = "not started"

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        return "embedded"

    def follow(self, settings: EmbeddedSettings) -> Callable[[], None]:
        """See `dyncal.runtime.reload.Following`: all services do, or none."""
        common = settings.with_broker()
        following = [service.follow(common) for service in self._services if isinstance(service, Following)]

        def take_up() -> None:
            self._settings = common
            for each in following:
                each()

        return take_up

    def health(self) -> Health:
        """Tell how it stands: ready when all are; parts are named after their service, as in ``"ingest.store"``."""
        parts = {"kernels": self._kernels, "broker": self._broker}
        ready = bool(self._services) and not any(parts.values())
        for service in self._services:
            health = service.health()
            ready = ready and health.ready
            parts |= {f"{service.name}.{part}": fault for part, fault in health.parts.items()}
        return Health(ready, parts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, or until the broker or one of the services fails; then drain all.

        Raises
        ------
        BusUnavailable
            If the broker cannot listen.
        ExceptionGroup
            Of the errors that services ended with.
        """
        making = asyncio.create_task(asyncio.to_thread(self._make), name="embedded-make")
        try:
            async with AsyncExitStack() as stack:
                ended: asyncio.Task[None] | None = None
                if self._settings.embedded.broker == "own":
                    at = self._settings.broker
                    broker = await stack.enter_async_context(BrokerProcess(at.host, at.port))
                    ended = asyncio.create_task(_broker_lost(broker), name="broker")
                    stack.callback(ended.cancel)
                self._broker = ""
                self._services = await making
                await self._run_services(stop, ended)
        finally:
            await asyncio.gather(making, return_exceptions=True)

    async def _run_services(self, stop: asyncio.Event, broker: asyncio.Task[None] | None) -> None:
        down = asyncio.Event()
        warming = asyncio.create_task(self._warm_up(down), name="kernels")
        running = [asyncio.create_task(service.run(down), name=service.name) for service in self._services]
        told = asyncio.create_task(stop.wait(), name="embedded-stop")
        try:
            watched = {told, *running} if broker is None else {told, broker, *running}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            down.set()
            await asyncio.wait(running)
        finally:
            for task in (warming, told, *running):
                task.cancel()
            outcomes = await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(warming, told, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if broker is not None and broker.done() and isinstance(lost := broker.exception(), Exception):
            errors.append(lost)
        if errors:
            raise ExceptionGroup("services failed", errors)

    async def _warm_up(self, stop: asyncio.Event) -> None:
        from dyncal.runtime.warming import kernels_ready  # noqa: PLC0415 - imported by the services in their thread

        done = await kernels_ready(stop)
        if done is None:
            return
        self._log.info("kernels_ready", n=done.n_kernels, compiled=done.n_compiled, seconds=round(done.seconds, 2))
        self._kernels = ""


async def _broker_lost(broker: BrokerProcess) -> None:
    await broker.ended()
    raise BusUnavailable("the broker ended by itself")


def build(settings: EmbeddedSettings, clock: Clock | None = None) -> EmbeddedService:
    """Return the service of these settings; nothing is opened before it runs."""
    time = SystemClock() if clock is None else clock
    common: Any = settings.with_broker()

    def make() -> list[Service]:
        # Imported while the broker starts; together they take more than a second of a core.
        import services.api.service  # noqa: PLC0415
        import services.calibrate.service  # noqa: PLC0415
        import services.ingest.service  # noqa: PLC0415

        return [
            services.ingest.service.build(common, time),
            services.calibrate.service.build(common, time),
            services.api.service.build(common, time),
        ]

    return EmbeddedService(common, make)
