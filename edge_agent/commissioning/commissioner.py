"""Does what an edge is told over the bus about its sources, and answers what there is to be read."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any, Final

import dyncal
from dyncal.adapters.opcua import client as opcua_client
from dyncal.adapters.opcua.pki import Pki
from dyncal.contracts import codec
from dyncal.contracts.commissioning import (
    VERSION,
    AnyRequest,
    BrowseRequest,
    Reply,
    Request,
    SourcesReport,
    TopicsRequest,
    unseal,
)
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable, DyncalError, InvalidInput, MalformedMessage, PublishRefused
from dyncal.domain.time import NS_PER_S
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import BrokerSettings
from edge_agent import declared
from edge_agent.commissioning import documents, listening
from edge_agent.commissioning.kept import Commissioned, with_sources
from edge_agent.roster import Roster
from edge_agent.settings import EdgeSection, EdgeSettings
from edge_agent.source_settings import ServerSettings
from edge_agent.sources import Connect, Sources

REQUEST_AGE_S: Final = 60.0
"""Age from which on a request is not answered: nobody waits for it any more [s]."""

_AT_ONCE: Final = 2
_MOST_WAITING: Final = 16
_SHOWN: Final = 2000
_REQUEST: Final[Any] = Request  # a union, tagged


class Commissioner:
    """Carries out what comes, one after the other; questions beside it.

    Parameters
    ----------
    born : callable
        Told when the sensors have changed, to publish the birth again.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        address: EdgeAddress,
        kept: Commissioned,
        sources: Sources,
        roster: Roster,
        bus: MessageBus,
        connect: Connect,
        pki: Pki,
        clock: Clock,
        say: Callable[[str, bytes], None],
        born: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._address = address
        self._kept = kept
        self._sources = sources
        self._roster = roster
        self._bus = bus
        self._connect = connect
        self._pki = pki
        self._clock = clock
        self._say = say
        self._born = born
        self._log = logger("edge")
        self._told: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._asked: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    @property
    def topics(self) -> list[str]:
        """What to subscribe to."""
        return [self._address.sources_desired, self._address.requests]

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; False if it is for somebody else. What is too much at once is dropped, and logged."""
        if topic not in self.topics:
            return False
        queue = self._told if topic == self._address.sources_desired else self._asked
        try:
            queue.put_nowait(payload)
        except asyncio.QueueFull:
            self._log.warning("commissioning_overrun", topic=topic)
        return True

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="edge-commissioning")
            for number in range(_AT_ONCE):
                group.create_task(self._answer(), name=f"edge-questions-{number}")

    async def _follow(self) -> None:
        if self._kept.trouble:
            self._report(0, self._kept.trouble)
        while True:
            payload = await self._told.get()
            if payload:
                await self._obey(payload)

    async def _obey(self, payload: bytes) -> None:
        revision = 0
        try:
            message = self._kept.opened(payload)
            revision = message.revision
            section = self._kept.checked(message)
            if revision == self._kept.revision:  # as it comes with every connection
                self._report(revision)
                return
            self._sources.check(section)
            self._kept.keep(payload, revision, section)
        except (InvalidInput, OSError) as error:
            self._report(revision, str(error))
            return
        await self._become(section)
        self._log.info("commissioned", revision=revision, sensors=len(self._roster.configs))
        self._report(revision)

    async def _become(self, section: EdgeSection) -> None:
        wanted = {c.sensor.id: c for c in declared.stream_configs(with_sources(self._settings, section))}
        own = {sensor.sensor for sensor in self._settings.edge.all_sensors()}
        present = {config.sensor.id: config for config in self._roster.configs if config.sensor.id not in own}
        await self._sources.close_all_but(section)
        self._roster.let_go(name for name, config in present.items() if wanted.get(name) != config)
        await self._roster.take_up(config for name, config in wanted.items() if present.get(name) != config)
        await self._sources.open_commissioned(section, self._roster.commissioned)
        self._born()

    def _report(self, revision: int, reason: str = "") -> None:
        if reason:
            self._log.warning("not_commissioned", revision=revision, reason=reason)
        outcome: Final = "rejected" if reason else "applied"
        report = SourcesReport(VERSION, revision, outcome, self._kept.revision, self._clock.now(), reason[:_SHOWN])
        self._say(self._address.sources_reported, codec.to_json(report))

    # Questions

    async def _answer(self) -> None:
        while True:
            payload = await self._asked.get()
            try:
                request = unseal(payload, self._address.requests, _REQUEST, self._kept.verifier)
            except MalformedMessage as error:
                self._log.warning("request_refused", error=str(error))
                await self._decline(payload, str(error))
                continue
            if abs(self._clock.now() - request.at_ns) > REQUEST_AGE_S * NS_PER_S:
                self._log.warning("request_too_old", id=request.id)
                continue
            try:
                reply = await self._reply(request)
            except (DyncalError, ValueError) as error:
                reply = Reply(VERSION, request.id, error=str(error)[:_SHOWN])
            except Exception as error:  # noqa: BLE001  # whatever a server or a device says, the agent goes on
                self._log.error("not_understood", id=request.id, exc_info=error)
                reply = Reply(VERSION, request.id, error=f"not understood: {type(error).__name__}: {error}"[:_SHOWN])
            await self._send(reply)

    async def _decline(self, payload: bytes, why: str) -> None:
        """Answer what somebody trusted has asked in words of a later version; others hear nothing."""
        try:
            asked = unseal(payload, self._address.requests, AnyRequest, self._kept.verifier)
        except MalformedMessage:
            return
        if abs(self._clock.now() - asked.at_ns) <= REQUEST_AGE_S * NS_PER_S:
            said = f"this edge, of version {dyncal.__version__}, does not understand the question: {why}"
            await self._send(Reply(VERSION, asked.id, error=said[:_SHOWN]))

    async def _send(self, reply: Reply) -> None:
        with contextlib.suppress(BusUnavailable):  # whoever asked asks again
            try:
                await self._bus.publish(self._address.replies, codec.to_json(reply))
            except PublishRefused as error:
                said = f"too much to be told at once, look further below or say more of the filter: {error}"
                await self._bus.publish(self._address.replies, codec.to_json(Reply(VERSION, reply.id, error=said)))

    async def _reply(self, request: BrowseRequest | TopicsRequest) -> Reply:
        if isinstance(request, BrowseRequest):
            opcua_client.load()
            from edge_agent.commissioning import looking  # noqa: PLC0415  # OPC UA, which an edge of MQTT does without

            server = documents.read(ServerSettings, request.server, self._settings)
            nodes, more = await looking.browse(server, self._pki, request.node)
            return Reply(VERSION, request.id, nodes=nodes, more=more)
        broker = self._settings.broker
        if request.broker is not None:
            broker = documents.read(BrokerSettings, request.broker, self._settings)
        name = f"dyncal-edge-{self._settings.site}-{self._settings.edge.name}-look-{secrets.token_hex(4)}"
        async with self._connect(broker, name, will=None, clean=True) as bus:
            topics, more = await listening.topics(bus, request.filter, request.seconds)
        return Reply(VERSION, request.id, topics=topics, more=more)
