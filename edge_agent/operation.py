"""The agent at work, with a spool and a bus: everything it consists of, brought together and taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

import dyncal
from dyncal.adapters.opcua.pki import Pki
from dyncal.contracts.codec import to_json
from dyncal.contracts.edges import VERSION, ClockMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.ports.signing import Verifier
from dyncal.runtime import memory
from dyncal.runtime.following import follower
from dyncal.runtime.logging import logger
from dyncal.runtime.quarantine import Quarantine
from edge_agent import declared, inbox
from edge_agent.agent import AgentEngine
from edge_agent.aside import Aside
from edge_agent.clock.metrics import ClockCollector
from edge_agent.clock.service import SOURCES, ClockService, described
from edge_agent.clock.watch import ClockState
from edge_agent.commissioning.commissioner import Commissioner
from edge_agent.commissioning.kept import Commissioned
from edge_agent.events import Committed, DesiredSet, Drain, Event, Kind, Notice, ShadowSet, StreamConfig, Tick
from edge_agent.filling import FillingWatch
from edge_agent.keeper import SetKeeper
from edge_agent.keys import KeyWatch
from edge_agent.metrics import EdgeCollector
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readers.mqtt import MqttReader
from edge_agent.roster import Roster
from edge_agent.settings import EdgeSettings, SpoolSettings
from edge_agent.sources import Connect, Sources
from edge_agent.spool import Spool
from edge_agent.station import Station

_DRAIN_S: Final = 2.5
_SYNC_S: Final = 1.0
_GIVE_BACK_S: Final = 10.0
_QUARANTINE_S: Final = 0.5
_TELL_AGAIN_S: Final = 5.0
_MOST_TOLD: Final = 100


class Operation:
    """One life of the agent.

    Parameters
    ----------
    configs : sequence of StreamConfig
        The sensors that it begins with.
    verifier : Verifier
        Who signs what is applied and read.
    stack : contextlib.AsyncExitStack
        Closes the sources' connections, after the last acknowledgement.
    metrics : CollectorRegistry
        Gets what there is to count.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        address: EdgeAddress,
        configs: Sequence[StreamConfig],
        commissioned: Commissioned,
        verifier: Verifier,
        spool: Spool,
        bus: MessageBus,
        connect: Connect,
        clock: Clock,
        stack: contextlib.AsyncExitStack,
        metrics: CollectorRegistry,
    ) -> None:
        self._settings = settings
        self._address = address
        self._commissioned = commissioned
        self._spool = spool
        self._bus = bus
        self._clock = clock
        self._log = logger("edge")
        outbox = self._outbox = Outbox(
            spool,
            replay_per_s=settings.edge.spool.replay_per_s,
            commit_timeout_s=settings.edge.spool.commit_timeout_s,
            rng=secrets.SystemRandom(),
        )
        self._publisher = Publisher(bus, address, outbox, clock)
        self._filling = FillingWatch(address, settings.edge.spool.alarm_at)
        self._keeper = SetKeeper(settings.sets_dir)
        self._engine = AgentEngine(
            address.edge,
            spool.epoch,
            configs,
            spool.starts,
            limits=declared.agent_limits(settings),
            policy=declared.policy(settings, verifier),
            newest=spool.newest,
            refused=spool.refused,
        )
        aside = Aside(self._open_quarantine)
        self._follower = follower(settings.trace, "edge", self._log)
        self.station = Station(
            self._engine, spool, outbox, self._publisher, self._keeper, aside, address, clock, self._follower
        )
        self.station.sync_each_write = settings.edge.spool.fsync_s == 0
        pki = Pki(settings.pki_dir, f"urn:dyncal:{settings.site}:{settings.edge.name}", clock)
        self.sources = Sources(settings, self.station, clock, connect, pki, stack)
        self._clock_service = ClockService(
            [SOURCES[name]() for name in settings.edge.clock.sources],
            declared.clock_rules(settings),
            clock,
            interval_s=settings.edge.clock.interval_s,
            take=lambda told: self.station.take([told]),
            notice=self.station.notice,
            changed=self._say_born,
        )
        metrics.register(EdgeCollector(self._engine, self.station, spool, outbox, self._publisher, self.sources))
        metrics.register(ClockCollector(self._clock_service))
        own = {sensor.sensor for sensor in settings.edge.all_sensors()}
        self._roster = Roster(configs, own, self._engine, self.station, spool, self._keeper, bus, address, clock)
        self._commissioner = Commissioner(
            settings,
            address,
            commissioned,
            self.sources,
            self._roster,
            bus,
            connect,
            pki,
            clock,
            self._publisher.keep_said,
            self._say_born,
        )
        self._keys = KeyWatch(settings, address.site)

    @property
    def clock_trouble(self) -> str:
        """What is wrong with this machine's clock; '' where nothing is, or no sensor has its time stamps from it."""
        standing = self._clock_service.standing
        needed = any(config.own_clock for config in self._roster.configs)
        return described(standing) if needed and not standing.state.good else ""

    def follow(self, spool: SpoolSettings) -> None:
        """Go on with what may change of the spool's settings."""
        self._outbox.follow(replay_per_s=spool.replay_per_s, commit_timeout_s=spool.commit_timeout_s)
        self._filling.follow(spool.alarm_at)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain."""
        await self._clock_service.begin()
        self._say_born()
        kept = self._keeper.load()
        for sensor, what in self._keeper.damage.items():
            self.station.notice(Notice(Kind.SET_REJECTED, self._clock.now(), sensor, f"what was kept of sets: {what}"))
        self.station.perform(self._engine.restore(kept, self._clock.now(), self._keeper.highest))
        await self.sources.open_own(self._roster.own)
        await self.sources.open_commissioned(self._commissioned.section, self._roster.commissioned)
        try:
            # keys first: what new ones have signed follows
            topics = [self._keys.topic, *inbox.filters(self._address, self._engine.streams), *self._commissioner.topics]
            await self._bus.subscribe(topics)
        except BusUnavailable as error:  # records are kept and sent all the same
            self._log.error("subscription_refused", error=str(error))
        await self._work(stop)

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self.sources.start(group)
            commissioning = group.create_task(self._commissioner.run(), name="edge-commissioner")
            others = [
                group.create_task(self._tick(), name="edge-tick"),
                group.create_task(self._sync(), name="edge-sync"),
                group.create_task(self._quarantine(), name="edge-quarantine"),
                group.create_task(_spare_memory(), name="edge-memory"),
                # what was restored is said before what comes is answered: of two reports the newer one counts
                group.create_task(self._publisher.run(), name="edge-publisher"),
                group.create_task(self.station.keeping.run(), name="edge-keeping"),
                group.create_task(self._listen(stop), name="edge-inbox"),
                group.create_task(self._clock_service.run(), name="edge-clock"),
            ]
            self._log.info("ready", edge=self._address.edge, sensors=len(self._roster.configs), epoch=self._spool.epoch)
            await stop.wait()
            commissioning.cancel()
            await self.sources.stop()
            self.station.take([Drain(self._clock.now())])
            self.station.keeping.finish()
            self._publisher.keep_said(self._address.status, offline(self._spool))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self._publisher.drained()
            for task in others:
                task.cancel()
        self._write_aside()
        await asyncio.to_thread(self._follower.close)

    async def _tick(self) -> None:
        interval_s = self._settings.edge.flush_s / 4
        connected: dict[str, bool] = {}
        while True:
            await asyncio.sleep(interval_s)
            self.station.take([Tick(self._clock.now())])
            self.station.tell_of_delivery()
            self._tell_of_filling()
            for reader in self.sources.readers:
                if isinstance(reader, MqttReader):
                    now_up = not reader.trouble
                    if connected.get(reader.name, False) and not now_up:
                        reader.lost()
                    connected[reader.name] = now_up

    def _tell_of_filling(self) -> None:
        told = self._filling.look(self._spool.fill, self._clock.now(), self._clock.monotonic_s())
        if told is not None:
            self._publisher.keep_said(self._filling.topic, told)

    async def _sync(self) -> None:
        """Force the spool to the disk from time to time, in a thread: it may take long."""
        while True:
            await asyncio.sleep(self._settings.edge.spool.fsync_s or _SYNC_S)
            try:
                descriptor = self._spool.unsynced()
                if descriptor is not None:
                    await asyncio.to_thread(_force, descriptor)
            except OSError as error:
                self._spool.distrust()
                self._log.error("spool_sync_failed", error=str(error))

    async def _quarantine(self) -> None:
        while True:
            await asyncio.sleep(_QUARANTINE_S)
            if self.station.aside:
                await asyncio.to_thread(self._write_aside)

    def _write_aside(self) -> None:
        try:
            self.station.aside.write()
        except OSError as error:
            self._log.error("quarantine_failed", error=str(error))

    def _open_quarantine(self) -> Quarantine:
        edge = self._settings.edge
        directory = self._settings.quarantine_dir
        return Quarantine(directory, max_files=edge.quarantine_files, max_bytes=edge.quarantine_bytes)

    async def _listen(self, stop: asyncio.Event) -> None:
        told_s = float("-inf")
        station = self.station
        async for delivery in self._bus.deliveries():
            if self._commissioner.take(delivery.topic, delivery.payload) or await self._keys.take(
                delivery.topic, delivery.payload
            ):
                delivery.ack()
                continue
            events = inbox.read(delivery.topic, delivery.payload, self._address, self._clock.now(), station.set_aside)
            station.take(events)
            delivery.ack()
            if any(isinstance(event, (DesiredSet, ShadowSet)) for event in events):
                await asyncio.sleep(0)  # to examine one takes some ms, and many may come: samples go in between
            now_s = self._clock.monotonic_s()
            if _behind(self._spool, events) and now_s - told_s >= _TELL_AGAIN_S and not stop.is_set():
                told_s = now_s
                self._say_born()

    def _say_born(self) -> None:
        spool, clock = self._spool, self._clock_service.standing
        birth = StatusMessage(
            VERSION,
            "online",
            at_ns=self._clock.now(),
            version=dyncal.__version__,
            epoch=spool.epoch,
            u_clock_ns=None if clock.state is ClockState.UNKNOWN else clock.u_ns,
            clock=ClockMessage(
                clock.state.value,
                clock.u_ns,
                clock.since_ns,
                clock.source,
                clock.reference[:_MOST_TOLD],
                clock.offset_ns,
            ),
            sensors=declared.sensor_messages(self._roster.configs),
            released={sensor: spool.watermark(sensor) for sensor in spool.starts if spool.watermark(sensor) >= 0},
        )
        self._publisher.keep_said(self._address.status, to_json(birth))


def offline(spool: Spool) -> bytes:
    """Return the status of an edge that is gone: its last word, or its will."""
    return to_json(StatusMessage(VERSION, "offline", version=dyncal.__version__, epoch=spool.epoch))


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


async def _spare_memory() -> None:
    """Keep little of what bursts have taken: many edges are small machines, and other programs' too."""
    memory.keep_little()
    while True:
        await asyncio.sleep(_GIVE_BACK_S)
        await asyncio.to_thread(memory.give_back)
