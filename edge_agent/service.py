"""The edge agent's shell: readers, engine, spool and bus, brought together and taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from typing import Final, Literal, Protocol

import numpy as np
from prometheus_client import CollectorRegistry

import dyncal
from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.signing import open_verifier
from dyncal.contracts.codec import to_json
from dyncal.contracts.edges import VERSION, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable, SpoolUnavailable
from dyncal.domain.sensors import edge_id, site_id
from dyncal.domain.time import duration
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus, Will
from dyncal.runtime import metrics
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.logging import logger
from dyncal.runtime.quarantine import Quarantine
from dyncal.runtime.service import Health, Service
from dyncal.runtime.settings import BrokerSettings
from dyncal.runtime.warming import kernels_ready
from edge_agent import declared, inbox
from edge_agent.agent import AgentEngine
from edge_agent.aside import Aside
from edge_agent.clock_quality import u_clock_ns
from edge_agent.events import Committed, Drain, Event, Kind, Notice, Tick
from edge_agent.keeper import SetKeeper
from edge_agent.metrics import EdgeCollector
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readers.handover import Handover
from edge_agent.readers.mqtt import MqttReader
from edge_agent.readers.opcua import OpcuaReader
from edge_agent.readers.pki import Pki
from edge_agent.readers.sink import Reader
from edge_agent.settings import EdgeSettings
from edge_agent.spool import Spool
from edge_agent.station import Station

_DRAIN_S: Final = 2.5
_FAREWELL_S: Final = 1.0
_QUARANTINE_S: Final = 0.5
_TELL_AGAIN_S: Final = 5.0
_SPOOL_AGAIN_S: Final = 1.0


class Connect(Protocol):
    """Opens a bus to a broker."""

    def __call__(
        self, settings: BrokerSettings, client_id: str, *, will: Will | None
    ) -> contextlib.AbstractAsyncContextManager[MessageBus]:
        """Return a bus to enter."""
        ...


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
        self._readers: list[Reader] = []
        self._bus: MessageBus | None = None
        self._station: Station | None = None
        self._not_open = "not open"

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        return "edge"

    def health(self) -> Health:
        """Tell how it stands; the edge is ready while it can keep what it reads."""
        station = self._station
        parts = {reader.name: reader.trouble for reader in self._readers}
        parts["broker"] = "" if self._bus is not None and self._bus.connected else "not connected"
        parts["spool"] = self._not_open if station is None else station.spool_trouble
        return Health(ready=not parts["spool"], parts=parts)

    async def run(self, stop: asyncio.Event) -> None:
        """Read, correct, keep and send until `stop`, then drain. Raises `InvalidSetting` if it can never work so."""
        if await kernels_ready(stop) is None:
            return
        settings = self._settings
        spool = await self._open_spool(stop)
        if spool is None:
            return
        try:
            async with contextlib.AsyncExitStack() as stack:
                will = Will(self._address.status, self._status("offline", spool))
                bus = await stack.enter_async_context(
                    self._connect(settings.broker, f"dyncal-edge-{settings.site}-{settings.edge.name}", will=will)
                )
                self._bus = bus
                await self._operate(spool, bus, stack, stop)
        finally:
            spool.close()
            if spool.trouble is not None:
                self._log.error("spool_not_closed", error=str(spool.trouble))

    async def _open_spool(self, stop: asyncio.Event) -> Spool | None:
        """Open the spool, waiting for a disk that fails: None at `stop`. Raises `InvalidSetting`."""
        while not stop.is_set():
            try:
                spool = Spool.open(
                    self._settings.spool_dir,
                    self._address.edge,
                    self._clock.now(),
                    declared.spool_limits(self._settings),
                    [config.sensor.id for config in self._configs],
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

    async def _operate(
        self, spool: Spool, bus: MessageBus, stack: contextlib.AsyncExitStack, stop: asyncio.Event
    ) -> None:
        settings = self._settings
        outbox = Outbox(
            spool,
            replay_per_s=settings.edge.spool.replay_per_s,
            commit_timeout_s=settings.edge.spool.commit_timeout_s,
            rng=np.random.default_rng(),
        )
        publisher = Publisher(bus, self._address, outbox, self._clock)
        keeper = SetKeeper(settings.sets_dir)
        engine = AgentEngine(
            self._address.edge,
            spool.epoch,
            self._configs,
            spool.starts,
            limits=declared.agent_limits(settings),
            policy=declared.policy(settings, open_verifier(settings.signing, settings.data_dir)),
            newest=spool.newest,
            refused=spool.refused,
        )
        aside = Aside(self._open_quarantine)
        station = Station(engine, spool, outbox, publisher, keeper, aside, self._address, self._clock)
        station.sync_each_write = settings.edge.spool.fsync_s == 0
        self._station = station
        publisher.keep_said(self._address.status, self._status("online", spool))
        kept = keeper.load()
        for sensor, what in keeper.damage.items():
            station.notice(Notice(Kind.SET_REJECTED, self._clock.now(), sensor, f"what was kept of sets: {what}"))
        station.perform(engine.restore(kept, self._clock.now(), keeper.highest))
        await self._open_readers(station, bus, stack)
        self._serve_metrics(EdgeCollector(engine, station, spool, outbox, publisher, self._readers))
        try:
            await bus.subscribe(inbox.filters(self._address, engine.streams))
        except BusUnavailable as error:  # records are kept and sent all the same
            self._log.error("subscription_refused", error=str(error))
        await self._work(spool, bus, station, publisher, stop)

    async def _open_readers(self, station: Station, bus: MessageBus, stack: contextlib.AsyncExitStack) -> None:
        edge = self._settings.edge
        sensors = {config.sensor.id: config.sensor for config in self._configs}
        pki = Pki(self._settings.pki_dir, f"urn:dyncal:{self._settings.site}:{edge.name}", self._clock)
        left = self._settings.subscriptions_dir
        self._readers = [
            OpcuaReader(server, edge.sensors, station, self._clock, pki, Handover(left, server, edge.sensors))
            for server in edge.opcua
        ]
        for number, source in enumerate(edge.mqtt):
            broker = source.broker or self._settings.broker
            south = await stack.enter_async_context(
                self._connect(broker, f"dyncal-edge-{self._settings.site}-{edge.name}-south{number}", will=None)
            )
            name = f"mqtt://{broker.host}:{broker.port}#{number}"
            self._readers.append(MqttReader(source, sensors, south, station, self._clock, name))

    async def _work(
        self, spool: Spool, bus: MessageBus, station: Station, publisher: Publisher, stop: asyncio.Event
    ) -> None:
        async with asyncio.TaskGroup() as group:
            inputs = [group.create_task(reader.run(), name=f"edge-{reader.name}") for reader in self._readers]
            others = [
                group.create_task(self._tick(station), name="edge-tick"),
                group.create_task(self._sync(spool), name="edge-sync"),
                group.create_task(self._quarantine(station), name="edge-quarantine"),
                group.create_task(self._listen(bus, station, spool, publisher, stop), name="edge-inbox"),
                group.create_task(publisher.run(), name="edge-publisher"),
            ]
            self._log.info("ready", edge=self._address.edge, sensors=len(self._configs), epoch=spool.epoch)
            await stop.wait()
            for task in inputs:
                task.cancel()
            await asyncio.wait(inputs, timeout=_FAREWELL_S) if inputs else None
            station.take([Drain(self._clock.now())])
            publisher.keep_said(self._address.status, self._status("offline", spool))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await publisher.drained()
            for task in others:
                task.cancel()
        self._write_aside(station)

    async def _tick(self, station: Station) -> None:
        interval_s = self._settings.edge.flush_s / 4
        connected: dict[str, bool] = {}
        while True:
            await asyncio.sleep(interval_s)
            station.take([Tick(self._clock.now())])
            station.tell_of_delivery()
            for reader in self._readers:
                if isinstance(reader, MqttReader):
                    now_up = not reader.trouble
                    if connected.get(reader.name, False) and not now_up:
                        reader.lost()
                    connected[reader.name] = now_up

    async def _sync(self, spool: Spool) -> None:
        """Force the spool to the disk from time to time, in a thread: it may take long."""
        while True:
            await asyncio.sleep(self._settings.edge.spool.fsync_s or _FAREWELL_S)
            try:
                descriptor = spool.unsynced()
                if descriptor is not None:
                    await asyncio.to_thread(_force, descriptor)
            except OSError as error:
                spool.distrust()
                self._log.error("spool_sync_failed", error=str(error))

    async def _quarantine(self, station: Station) -> None:
        while True:
            await asyncio.sleep(_QUARANTINE_S)
            if station.aside:
                await asyncio.to_thread(self._write_aside, station)

    def _write_aside(self, station: Station) -> None:
        try:
            station.aside.write()
        except OSError as error:
            self._log.error("quarantine_failed", error=str(error))

    def _open_quarantine(self) -> Quarantine:
        edge = self._settings.edge
        directory = self._settings.quarantine_dir
        return Quarantine(directory, max_files=edge.quarantine_files, max_bytes=edge.quarantine_bytes)

    async def _listen(
        self, bus: MessageBus, station: Station, spool: Spool, publisher: Publisher, stop: asyncio.Event
    ) -> None:
        told_s = float("-inf")
        async for delivery in bus.deliveries():
            events = inbox.read(delivery.topic, delivery.payload, self._address, self._clock.now(), station.set_aside)
            station.take(events)
            delivery.ack()
            now_s = self._clock.monotonic_s()
            if _behind(spool, events) and now_s - told_s >= _TELL_AGAIN_S and not stop.is_set():
                told_s = now_s
                publisher.keep_said(self._address.status, self._status("online", spool))

    def _status(self, state: Literal["online", "offline"], spool: Spool) -> bytes:
        epoch = spool.epoch
        if state == "offline":
            return to_json(StatusMessage(VERSION, "offline", version=dyncal.__version__, epoch=epoch))
        u_clock_s = self._settings.edge.u_clock_s
        return to_json(
            StatusMessage(
                VERSION,
                "online",
                at_ns=self._clock.now(),
                version=dyncal.__version__,
                epoch=epoch,
                u_clock_ns=u_clock_ns() if u_clock_s is None else duration(u_clock_s),
                sensors=declared.sensor_messages(self._configs),
                released={sensor: spool.watermark(sensor) for sensor in spool.starts if spool.watermark(sensor) >= 0},
            )
        )

    def _serve_metrics(self, collector: EdgeCollector) -> None:
        edge = self._settings.edge
        if edge.metrics_port is None:
            return
        registry = CollectorRegistry()
        registry.register(collector)
        metrics.serve(registry, edge.metrics_port, edge.metrics_host)


def _behind(spool: Spool, events: Iterable[Event]) -> bool:
    """Tell whether the ledger knows less than what was released on its word: it was lost, or an older one put back."""
    return any(
        event.upto.get(sensor, -1) < spool.watermark(sensor)
        for event in events
        if isinstance(event, Committed) and event.epoch == spool.epoch
        for sensor in spool.starts
    )


def _force(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def build(settings: EdgeSettings, clock: Clock | None = None) -> Service:
    """Return the edge agent, ready to run."""
    return EdgeService(settings, SystemClock() if clock is None else clock)
