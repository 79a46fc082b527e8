"""Reads devices on MQTT: a persistent session at QoS 1, acknowledged when the samples are in the spool."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from dyncal.domain.errors import BusUnavailable, MalformedMessage
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import Delivery, MessageBus
from edge_agent.aside import Unreadable
from edge_agent.events import DELIVERED_AGAIN_NS, Drain, Event, Kind, Notice, SamplesRead, SourceLost
from edge_agent.readers.mapping import Decoded, decode, sensor_of
from edge_agent.readers.receipts import SharedReceipt
from edge_agent.readers.sink import Sink
from edge_agent.refusals import of_message
from edge_agent.source_settings import MappingSettings, MqttSourceSettings

# Brokers keep few messages in flight (mosquitto 20): with so many held, ask for them to be spooled at once.
_HELD: Final = 10
_NOTHING: Final = Decoded(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint32))
_AT_ONCE: Final = 16  # messages that are spooled with one write: corrected values of the first wait for the last


@dataclass(slots=True)
class _Held:
    """A message that is not acknowledged yet, and whether its samples are in the spool."""

    delivery: Delivery
    done: bool = False


class _Found(NamedTuple):
    """Samples of a sensor in a message; or that it could not be read, by what it is known again."""

    sensor: SensorId
    samples: Decoded
    unreadable: int | None = None


class MqttReader:
    """Maps messages of one broker to samples.

    Messages are acknowledged in the order in which they came (MQTT 3.1.1, 4.6): one whose samples are still under way
    keeps those behind it.
    """

    def __init__(
        self,
        settings: MqttSourceSettings,
        sensors: Mapping[SensorId, Sensor],
        bus: MessageBus,
        sink: Sink,
        clock: Clock,
        name: str,
    ) -> None:
        self._settings = settings
        self._sensors = sensors
        self._bus = bus
        self._sink = sink
        self._clock = clock
        self._name = name
        self._filters = [(mapping.topic.split("/"), mapping) for mapping in settings.mappings]
        self._by_topic: dict[str, list[MappingSettings]] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._trouble = ""
        self._connection = 0
        self._since_ns = InstantNs(0)  # by the present connection
        self.n_messages = 0
        self.n_quarantined = 0
        self._held: deque[_Held] = deque()

    @property
    def n_held(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._held)

    @property
    def name(self) -> str:
        """For logs and health."""
        return self._name

    @property
    def trouble(self) -> str:
        """Empty while the broker answers."""
        return self._trouble if self._bus.connected else "not connected"

    async def run(self) -> None:
        """Read until cancelled or until the bus is closed."""
        await self._subscribe()
        async with asyncio.TaskGroup() as group:
            subscribing = group.create_task(self._keep_subscribed())
            async for together in self._bus.arrivals():
                waiting = iter(together)
                while part := tuple(itertools.islice(waiting, _AT_ONCE)):
                    self._take(part)
                    if len(together) > _AT_ONCE:
                        await asyncio.sleep(0)  # what is made of these goes out before more is taken
            subscribing.cancel()

    def become(self, settings: MqttSourceSettings) -> None:
        """Read these mappings of the same broker from now on; those that were there before go on without a break."""
        self._settings = settings
        self._filters = [(mapping.topic.split("/"), mapping) for mapping in settings.mappings]
        self._by_topic.clear()
        self._changed.set()

    async def _keep_subscribed(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._subscribe()

    async def _subscribe(self) -> None:
        """Have the broker send what there are mappings for, and nothing else."""
        wanted, before = frozenset(mapping.topic for mapping in self._settings.mappings), self._subscribed
        self._subscribed = wanted
        self._trouble = ""
        self._bus.unsubscribe(sorted(before - wanted))
        try:
            await self._bus.subscribe(sorted(wanted - before))
        except BusUnavailable as error:  # a filter is not granted: the others are
            self._trouble = str(error)
            self._sink.notice(Notice(Kind.SOURCE_LOST, self._clock.now(), None, f"{self._name}: {error}"))

    def lost(self) -> None:
        """Take notice that the connection is gone; a session that the broker kept brings what was missed."""
        sensors = tuple({SensorId(m.sensor) for m in self._settings.mappings if m.sensor is not None})
        self._sink.take([SourceLost(sensors, self._clock.now(), GapCause.CONNECTION_LOST)])

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        """Take messages, which go to the spool together."""
        arrival_ns = self._clock.now()
        again = self._again_since(arrival_ns)
        events: list[Event] = []
        for delivery in deliveries:
            self.n_messages += 1
            held = _Held(delivery)
            self._held.append(held)
            found = [] if delivery.retained and not delivery.payload else self._found(delivery, arrival_ns)
            if not found:
                self._done(held)
                continue
            receipt = SharedReceipt(len(found), partial(self._done, held))
            events += [
                SamplesRead(
                    one.sensor,
                    *one.samples,
                    arrival_ns,
                    receipt=receipt,
                    unreadable=one.unreadable,
                    again_since_ns=again,
                )
                for one in found
            ]
        if events:
            self._sink.take(events)
        if self.n_held >= _HELD:
            self._sink.take([Drain(arrival_ns, tuple(self._sensors))])

    def _again_since(self, now: InstantNs) -> InstantNs | None:
        """Return the instant before which came what may come again by this connection; None if it is too old."""
        if self._bus.connections != self._connection:
            self._connection, self._since_ns = self._bus.connections, now
        return self._since_ns if 0 <= now - self._since_ns < DELIVERED_AGAIN_NS else None

    def _found(self, delivery: Delivery, arrival_ns: InstantNs) -> list[_Found]:
        found = []
        mappings = self._mappings(delivery.topic)
        if not mappings:  # the session has a filter of other settings, or of another agent of this name
            detail = f"{self._name}: no mapping is for {delivery.topic[:200]}"
            self._sink.notice(Notice(Kind.INPUT_UNMAPPED, arrival_ns, None, detail))
        for mapping in mappings:
            try:
                found.append(self._read(mapping, delivery, arrival_ns))
            except MalformedMessage as error:
                sensor = self._sensor_of(mapping, delivery.topic)
                self._set_aside(delivery, sensor, str(error))
                if sensor is not None:
                    found.append(_Found(sensor, _NOTHING, of_message(delivery.payload)))
        return found

    def _done(self, held: _Held) -> None:
        held.done = True
        while self._held and self._held[0].done:
            self._held.popleft().delivery.ack()

    def _read(self, mapping: MappingSettings, delivery: Delivery, arrival_ns: InstantNs) -> _Found:
        name = sensor_of(mapping, delivery.topic)
        sensor = self._sensors.get(name)
        if sensor is None:
            raise MalformedMessage(f"sensor {name} is not declared on this edge")
        decoded = decode(mapping, delivery.payload, unit=sensor.unit, dt_ns=sensor.dt_ns, arrival_ns=arrival_ns)
        return _Found(name, decoded)

    def _mappings(self, topic: str) -> list[MappingSettings]:
        known = self._by_topic.get(topic)
        if known is None:
            known = [mapping for levels, mapping in self._filters if matches(levels, topic)]
            if len(self._by_topic) >= 10_000:  # a device that invents topics must not fill the memory
                self._by_topic.clear()
            self._by_topic[topic] = known
        return known

    def _sensor_of(self, mapping: MappingSettings, topic: str) -> SensorId | None:
        """Return the sensor of this edge that a message is of, if one can be told."""
        try:
            name = sensor_of(mapping, topic)
        except MalformedMessage:
            return None
        return name if name in self._sensors else None

    def _set_aside(self, delivery: Delivery, sensor: SensorId | None, reason: str) -> None:
        self.n_quarantined += 1
        self._sink.set_aside(Unreadable(delivery.topic, delivery.payload, reason, self._clock.now()), sensor)


def matches(levels: list[str], topic: str) -> bool:
    """Tell whether a topic filter, cut into levels, matches a topic (MQTT 3.1.1, 4.7)."""
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    given = topic.split("/")
    for position, level in enumerate(levels):
        if level == "#":
            return True
        if position >= len(given) or level not in ("+", given[position]):
            return False
    return len(levels) == len(given)
