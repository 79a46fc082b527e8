"""What edges are to read beside what their files say: kept, signed, sent; what they say of it; questions to them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dyncal.contracts import codec, topics
from dyncal.contracts.commissioning import (
    VERSION,
    BrowseRequest,
    Reply,
    SourcesMessage,
    SourcesReport,
    TopicsRequest,
    seal,
)
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable, Conflict, DyncalError, NotFound, Unavailable
from dyncal.domain.sensors import EdgeId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.ports.records import Act
from dyncal.ports.registry import Registry
from dyncal.ports.signing import Signer
from dyncal.runtime.logging import logger
from services.api.edges import EdgeDirectory

ANSWER_S: Final = 30.0
"""Time that an edge has to answer, beside what it listens [s]."""

REPORT_S: Final = 5.0
"""Wait for an edge to say what it did with its sources [s]."""

REPEAT_S: Final = 5.0
MAX_REPORTS: Final = 5000
_KEY: Final = "sources."

log = logger("api")


@dataclass(frozen=True, slots=True)
class EdgeSources:
    """What an edge is to read, and what it said of it last; `reported` None where it has said nothing."""

    address: EdgeAddress
    revision: int = 0
    at_ns: InstantNs = InstantNs(0)
    opcua: list[dict[str, Any]] = field(default_factory=list)
    mqtt: list[dict[str, Any]] = field(default_factory=list)
    reported: SourcesReport | None = None


class CommissioningDesk:
    """Keeps what each edge is to read in the registry, and talks to edges.

    Parameters
    ----------
    edges : EdgeDirectory
        Those that have said that they are there.
    """

    def __init__(self, registry: Registry, edges: EdgeDirectory, clock: Clock) -> None:
        self._registry = registry
        self._edges = edges
        self._clock = clock
        self._open_signer: Callable[[], Signer] | None = None
        self._bus: MessageBus | None = None
        self._asked: dict[str, asyncio.Future[Reply]] = {}
        self._reports: dict[EdgeAddress, SourcesReport] = {}
        self._said: dict[EdgeId, SourcesMessage | None] = {}
        self._reported = asyncio.Condition()

    async def run(self, bus: MessageBus, signer: Callable[[], Signer]) -> None:
        """Speak to edges, signed, by a bus whose messages are given to `take`; until cancelled.

        The key is opened, or made, when there is something to say for the first time.
        What an edge is to read is said again where it does not say that it has heard it: a broker may have lost it.
        """
        self._bus, self._open_signer = bus, signer
        try:
            while True:
                await asyncio.sleep(REPEAT_S)
                for status in self._edges.all():
                    if status.online:
                        try:
                            await self._repeat(EdgeAddress(status.site, status.edge))
                        except DyncalError as error:  # the registry, or the key: nothing else must stop for it
                            log.warning("sources_not_told_again", edge=status.edge, error=str(error))
        finally:
            self._bus = None

    async def ask(self, edge: EdgeId, request: BrowseRequest | TopicsRequest, patience_s: float = ANSWER_S) -> Reply:
        """Return what an edge found.

        Raises
        ------
        NotFound
            If there is no such edge.
        Unavailable
            If it is offline, or does not answer in time.
        """
        address = self._address(edge)
        if not self._edges.online(edge):
            raise Unavailable(f"edge {edge} is offline")
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[request.id] = answer
        try:
            await self._publish(address.requests, request, retain=False)
            async with asyncio.timeout(patience_s):
                return await answer
        except TimeoutError as error:
            why = "is it of this version, and does it trust the key of this service?"
            raise Unavailable(f"edge {edge} does not answer within {patience_s:g} s: {why}") from error
        finally:
            del self._asked[request.id]

    def sources(self, edge: EdgeId) -> EdgeSources:
        """Return what an edge is to read. Raises `NotFound` if there is no such edge."""
        address = self._address(edge)
        said = self._load(edge)[1]
        reported = self._reports.get(address)
        if said is None:
            return EdgeSources(address, reported=reported)
        return EdgeSources(address, said.revision, InstantNs(said.at_ns), said.opcua, said.mqtt, reported)

    async def put(
        self, edge: EdgeId, seen: int, opcua: list[dict[str, Any]], mqtt: list[dict[str, Any]], act: Act
    ) -> EdgeSources:
        """Have an edge read this from now on; return how it stands when the edge has said so, or after a while.

        Raises
        ------
        NotFound
            If there is no such edge.
        Conflict
            If the revision is not the `seen` one any more.
        Unavailable
            If the broker cannot be had: it is kept, and the edge is told later.
        """
        address = self._address(edge)
        before, said = await asyncio.to_thread(self._load, edge)
        revision = 0 if said is None else said.revision
        if revision != seen:
            raise Conflict(f"what edge {edge} reads has been changed: revision {revision}, not {seen}")
        # An edge may know a revision that this registry has lost: the next one is above both.
        known = self._reports.get(address)
        revision = max(revision, 0 if known is None else known.running) + 1
        message = SourcesMessage(VERSION, revision, act.at_ns, opcua, mqtt)
        await asyncio.to_thread(
            self._registry.put_snapshot, _KEY + edge, codec.to_json(message), before, act, "sources.set"
        )
        self._said[edge] = message
        await self._publish(address.sources_desired, message, retain=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_S), self._reported:
                await self._reported.wait_for(lambda: self._revision_reported(address) >= revision)
        return await asyncio.to_thread(self.sources, edge)

    def new_id(self) -> str:
        """Return a name for a question."""
        return uuid.uuid4().hex

    async def take(self, topic: str, payload: bytes) -> None:
        """Take what an edge says. Raises `MalformedMessage`."""
        place = topics.parse(topic)
        if place.kind == "replies":
            reply = codec.from_json(payload, Reply)
            waiting = self._asked.get(reply.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)
        elif place.kind == "sources_reported" and payload:
            report = codec.from_json(payload, SourcesReport)
            if place.address in self._reports or len(self._reports) < MAX_REPORTS:
                self._reports[place.address] = report
            async with self._reported:
                self._reported.notify_all()

    async def _repeat(self, address: EdgeAddress) -> None:
        if address.edge not in self._said:
            self._said[address.edge] = (await asyncio.to_thread(self._load, address.edge))[1]
        said = self._said[address.edge]
        if said is None or self._revision_reported(address) >= said.revision:
            return
        await self._publish(address.sources_desired, said, retain=True)

    def _revision_reported(self, address: EdgeAddress) -> int:
        report = self._reports.get(address)
        return -1 if report is None else report.revision

    async def _publish(self, topic: str, message: msgspec.Struct, *, retain: bool) -> None:
        if self._bus is None or self._open_signer is None:
            raise BusUnavailable("the broker does not answer")
        signer = await asyncio.to_thread(self._open_signer)  # each time: the key may have been changed
        await self._bus.publish(topic, seal(message, topic, signer), retain=retain)

    def _address(self, edge: EdgeId) -> EdgeAddress:
        status = self._edges.get(edge)
        if status is None:
            raise NotFound(f"there is no edge {edge!r}")
        return EdgeAddress(status.site, status.edge)

    def _load(self, edge: EdgeId) -> tuple[bytes | None, SourcesMessage | None]:
        content = self._registry.load_snapshot(_KEY + edge)
        return content, None if content is None else codec.from_json(content, SourcesMessage)
