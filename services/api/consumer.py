"""What the bus brings: samples to the live hub, conditions to the alarm desk, births to the registry, and so on."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from dyncal.contracts import health as health_contract
from dyncal.contracts import ledgers as ledger_contract
from dyncal.contracts import residuals as residual_contract
from dyncal.contracts import samples as sample_contract
from dyncal.contracts import topics
from dyncal.contracts.edges import StatusMessage
from dyncal.domain.errors import DyncalError, MalformedMessage, Unavailable
from dyncal.domain.samples import GapRecord
from dyncal.domain.sensors import EdgeId, SensorId, SiteId, sensor_id
from dyncal.domain.time import InstantNs, seconds
from dyncal.ports.message_bus import Delivery, MessageBus
from dyncal.ports.records import Act
from dyncal.runtime.logging import logger
from services.api.alarms.sources import OwnConditions
from services.api.births import decode_declared, decode_status, encode_declared, read_birth
from services.api.deps import Deps
from services.api.edges import EdgeStatus
from services.api.health import news

FILTERS: Final = (
    topics.ALL_SAMPLES,
    topics.ALL_STATUS,
    topics.ALL_LEDGERS,
    topics.ALL_CONDITIONS,
    topics.ALL_REPORTERS,
    topics.ALL_HEALTH,
    topics.ALL_REPLIES,
    topics.ALL_SOURCES_REPORTED,
    topics.ALL_RESIDUALS,
    topics.ALL_KEYS,
)
RETRY_S: Final = 1.0
LOG_EVERY: Final = 100

log = logger("api")


class BusConsumer:
    """Consumes one bus. What cannot be used is counted, logged by its first of each hundred, and acknowledged."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._births: asyncio.Queue[tuple[topics.EdgeAddress, StatusMessage, Delivery]] = asyncio.Queue(1000)
        self._n_rejected = 0
        self._own = OwnConditions(deps.desk)
        self._kept = {"health": self._health, "residuals": self._residuals, "keys": self._keys}

    async def run(self, bus: MessageBus) -> None:
        """Consume until cancelled."""
        await bus.subscribe(FILTERS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._register(), name="api-births")
            async for delivery in bus.deliveries():
                await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        kind = _kind(delivery.topic)
        self._deps.metrics.messages.labels(kind).inc()
        try:
            if kind == "status":
                await self._status(delivery)
                return  # acknowledged when it is in the registry
            if kind == "samples":
                await self._sample(delivery)
            elif kind == "ledger" and delivery.payload:
                self._ledger(delivery)
            elif kind == "conditions":
                await self._deps.clerk.condition(delivery.topic, delivery.payload, retained=delivery.retained)
            elif kind == "reporters":
                await self._deps.clerk.holding(delivery.payload, retained=delivery.retained)
            elif kind in self._kept:
                self._kept[kind](delivery)
            elif kind == "commissioning":
                await self._deps.commissioning.take(delivery.topic, delivery.payload)
            elif kind == "unknown":
                self._reject(kind, delivery.topic, MalformedMessage("nothing that this service reads"))
        except MalformedMessage as error:
            self._reject(kind, delivery.topic, error)
        except Exception as error:  # noqa: BLE001  # one hostile message must not end the live page for all
            self._reject(kind, delivery.topic, MalformedMessage(repr(error)))
        delivery.ack()

    async def _sample(self, delivery: Delivery) -> None:
        address = topics.parse(delivery.topic)
        record = sample_contract.decode(delivery.payload)
        if (record.sensor, record.edge) != (address.sensor, address.address.edge):
            raise MalformedMessage(f"a record of {record.edge}/{record.sensor} on the topic of another")
        if not self._deps.hub.record(record):
            raise MalformedMessage("there are more sensors than this service keeps")
        site, edge, now = address.address.site, record.edge, self._deps.clock.now()
        if not isinstance(record, GapRecord) and not record.replayed:
            self._deps.metrics.lag_s.set(seconds(now - record.arrival_ns))
        own = self._own
        found = (
            own.gap(site, edge, record, now)
            if isinstance(record, GapRecord)
            else own.block(site, edge, record.sensor, now)
        )
        await self._deps.clerk.feed(found)

    def _residuals(self, delivery: Delivery) -> None:
        edge = topics.parse(delivery.topic).address.edge
        _, found = residual_contract.decode(delivery.payload)
        if not self._deps.residuals.put(edge, found, InstantNs(self._deps.clock.now())):
            raise MalformedMessage("there are more sensors than this service keeps")

    def _ledger(self, delivery: Delivery) -> None:
        edge = topics.parse(delivery.topic).address.edge
        if not self._deps.ledgers.put(edge, *ledger_contract.decode(delivery.payload)):
            raise MalformedMessage("there are more edges than this service keeps")

    def _keys(self, delivery: Delivery) -> None:
        self._deps.keys.put(SiteId(delivery.topic.split("/")[2]), delivery.payload)

    def _health(self, delivery: Delivery) -> None:
        sensor = sensor_id(delivery.topic.split("/")[-2])
        if not delivery.payload:
            self._deps.health.drop(sensor)
            return
        said, before = health_contract.decode(delivery.payload), self._deps.health.of(sensor)
        if said.sensor != sensor:
            raise MalformedMessage(f"health of {said.sensor} on the topic of another")
        if not self._deps.health.put(said):
            raise MalformedMessage("there are more sensors than this service keeps")
        if news(before, said):
            self._deps.hub.announce("health", delivery.payload, sensor)

    async def _status(self, delivery: Delivery) -> None:
        address = topics.parse(delivery.topic).address
        if not delivery.payload:  # an edge that was taken away
            gone = self._own.gone(address.site, address.edge, InstantNs(self._deps.clock.now()))
            await self._deps.clerk.feed(gone)
            delivery.ack()
            return
        message = decode_status(delivery.payload)
        known = self._deps.edges.get(address.edge)
        online = message.state == "online"
        now = self._deps.clock.now()
        status = EdgeStatus(
            edge=address.edge,
            site=address.site,
            online=online,
            since_ns=known.since_ns
            if known is not None and known.online == online
            else InstantNs(message.at_ns or now),
            version=message.version or (known.version if known else ""),
            u_clock_ns=message.u_clock_ns,
            n_sensors=len(message.sensors) or (known.n_sensors if known else 0),
            clock=message.clock,
            stamped=frozenset(sensor.id for sensor in message.sensors if sensor.own_clock),
        )
        if not self._deps.edges.put(status):
            raise MalformedMessage("there are more edges than this service keeps")
        await self._deps.clerk.feed(self._own.edge(status, InstantNs(now)))
        if known is None or known.online != online:
            body = {"edge": address.edge, "online": online, "since_ns": status.since_ns}
            self._deps.hub.announce("edge", msgspec.json.encode(body))
        if online:
            await self._births.put((address, message, delivery))
        else:
            delivery.ack()

    async def _register(self) -> None:
        """Put births into the registry, one after the other; wait for a registry that is away."""
        while True:
            address, message, delivery = await self._births.get()
            while True:
                try:
                    await asyncio.to_thread(self._put, address, message)
                except Unavailable as error:
                    log.warning("registry_unavailable", error=str(error))
                    await asyncio.sleep(error.retry_after_s or RETRY_S)
                    continue
                except DyncalError as error:
                    self._reject("status", delivery.topic, error)
                break
            delivery.ack()

    def _put(self, address: topics.EdgeAddress, message: StatusMessage) -> None:
        registry, now = self._deps.registry, self._deps.clock.now()
        key = f"api.declared.{address.edge}"
        before = decode_declared(registry.load_snapshot(key))
        birth = read_birth(message, address.site, address.edge, before, self._owners(address.edge))
        act = Act(f"edge:{address.edge}", InstantNs(now), "birth")
        if birth.sensors:
            with self._deps.changing:
                registry.put_sensors(birth.sensors, birth.pairings, act)
        if birth.declared != before:
            registry.save_snapshot(key, encode_declared(birth.declared), InstantNs(now))
        for sensor, why in list(birth.refused.items())[:20]:
            log.warning("sensor_refused", edge=address.edge, sensor=sensor, reason=why)
        if birth.refused:
            self._deps.metrics.rejected.labels("sensor").inc(len(birth.refused))

    def _owners(self, edge: EdgeId) -> dict[SensorId, EdgeId]:
        """Return the sensors of other edges that are online."""
        edges = self._deps.edges
        sensors = self._deps.catalogue.get().sensors.values()
        return {s.id: s.edge for s in sensors if s.edge != edge and edges.online(s.edge)}

    def _reject(self, kind: str, topic: str, error: DyncalError) -> None:
        self._deps.metrics.rejected.labels(kind).inc()
        if self._n_rejected % LOG_EVERY == 0:
            log.warning("message_rejected", topic=topic[:300], error=str(error)[:500], n_so_far=self._n_rejected)
        self._n_rejected += 1


def _kind(topic: str) -> str:
    """Return the kind of a topic, or ``unknown`` for what a broker should not have brought."""
    match topic.split("/"):
        case [_, _, _, "conditions", _, _]:
            return "conditions"
        case [_, _, _, "reporters", _]:
            return "reporters"
        case [_, _, _, "sensors", _, "health"]:
            return "health"
        case [_, _, _, "keys"]:
            return "keys"
        case [_, _, _, _, "status"]:
            return "status"
        case [_, _, _, _, ("ledger" | "residuals") as kind]:
            return kind
        case [_, _, _, _, "replies"] | [_, _, _, _, "sources", "reported"]:
            return "commissioning"
        case [_, _, _, _, "samples", _]:
            return "samples"
        case _:
            return "unknown"
