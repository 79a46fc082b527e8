"""An MQTT broker and its clients without a network, for tests: QoS 1, retained messages, wills, cuts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from dyncal.domain.errors import BusUnavailable
from dyncal.ports.message_bus import Delivery, Will


class Published(NamedTuple):
    """A message that the broker has taken over."""

    topic: str
    payload: bytes
    retain: bool


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a topic filter with ``+`` and ``#`` matches a topic (MQTT 3.1.1, 4.7)."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, given = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(given) or level not in ("+", given[position]):
            return False
    return len(wanted) == len(given)


@dataclass(slots=True)
class FakeDelivery:
    """One message that arrived, as `dyncal.ports.message_bus.Delivery`."""

    topic: str
    payload: bytes
    retained: bool
    _number: int
    _connection: int
    _bus: FakeMessageBus

    @property
    def acknowledged(self) -> bool:
        """True if the broker does not hold the message for this client any more."""
        return self._number not in self._bus.session.unacknowledged

    def ack(self) -> None:
        """Let the broker forget the message; without effect after the connection that it came by has broken."""
        if self._bus.connected and self._connection == self._bus.connections:
            self._bus.session.unacknowledged.pop(self._number, None)


@dataclass(slots=True)
class _Session:
    filters: dict[str, None] = field(default_factory=dict)
    unacknowledged: dict[int, tuple[Published, bool]] = field(default_factory=dict)
    bus: FakeMessageBus | None = None


class FakeMessageBus:
    """A client of a `FakeBroker`, as `dyncal.ports.message_bus.MessageBus`; enter it (``async with``) to connect."""

    def __init__(self, broker: FakeBroker, client_id: str, *, will: Will | None = None, clean: bool = False) -> None:
        self.client_id = client_id
        self.will = will
        self.clean = clean
        self.session = _Session()
        self.connections = 0
        self._broker = broker
        self._filters: dict[str, None] = {}
        self._arrived: asyncio.Queue[FakeDelivery | None] = asyncio.Queue()
        self._up = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._broker._enter(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take leave of the broker, without a will, and end `deliveries`; idempotent."""
        if not self._closed:
            self._closed = True
            self._broker._leave(self)
            self._arrived.put_nowait(None)

    @property
    def connected(self) -> bool:
        """True while not cut."""
        return self._up.is_set()

    async def wait_connected(self) -> None:
        """Return when connected."""
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish. Raises `BusUnavailable` while cut."""
        await asyncio.sleep(0)
        if not self.connected:
            raise BusUnavailable(f"{self.client_id} is cut off from the fake broker")
        self._broker.publish(topic, payload, retain=retain)

    def post(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Publish at the next turn of the loop; what is returned raises `BusUnavailable` if it is cut then."""
        return asyncio.ensure_future(self.publish(topic, payload, retain=retain))

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Add topic filters, now and after every reconnection."""
        self._filters.update(dict.fromkeys(filters))
        if self.connected:
            self._broker._subscribe(self.session, list(filters))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Take topic filters back."""
        for item in filters:
            self._filters.pop(item, None)
            self.session.filters.pop(item, None)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives until the bus is closed; one consumer only."""
        while (delivery := await self._arrived.get()) is not None:
            yield delivery

    async def arrivals(self) -> AsyncIterator[Sequence[Delivery]]:
        """Iterate as `deliveries` does, one message at a time."""
        async for delivery in self.deliveries():
            yield [delivery]

    # Called by the broker.

    def _connected(self, session: _Session) -> list[str]:
        self.session = session
        self.connections += 1
        self._up.set()
        return list(self._filters)

    def _cut(self) -> None:
        self._up.clear()

    def _arrive(self, number: int, message: Published, *, retained: bool) -> None:
        self._arrived.put_nowait(FakeDelivery(message.topic, message.payload, retained, number, self.connections, self))


class FakeBroker:
    """Routes messages between the `FakeMessageBus`es that were made with it; all in one event loop.

    Attributes
    ----------
    log : list of Published
        Every message taken over, in order; a test may look at it and clear it.
    retained : dict of topic to payload
    """

    def __init__(self) -> None:
        self.log: list[Published] = []
        self.retained: dict[str, bytes] = {}
        self._buses: dict[str, FakeMessageBus] = {}
        self._sessions: dict[str, _Session] = {}
        self._numbers = itertools.count(1)
        self._cut_off: set[str] = set()
        self._all_cut_off = False

    def bus(self, client_id: str, *, will: Will | None = None, clean: bool = False) -> FakeMessageBus:
        """Return a client; enter it (``async with``) to connect."""
        return FakeMessageBus(self, client_id, will=will, clean=clean)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Take over a message and deliver it, now or when its receiver is back."""
        message = Published(topic, bytes(payload), retain)
        self.log.append(message)
        if retain and payload:
            self.retained[topic] = message.payload
        elif retain:
            self.retained.pop(topic, None)
        for session in list(self._sessions.values()):
            if any(matches(item, topic) for item in session.filters):
                self._deliver(session, message, retained=False)

    def published(self, topic_filter: str) -> list[bytes]:
        """Return the payloads taken over so far on the topics that match, in order."""
        return [message.payload for message in self.log if matches(topic_filter, message.topic)]

    def unacknowledged(self, client_id: str) -> int:
        """Return how many messages the broker holds for a client: unacknowledged, or waiting for its return."""
        session = self._sessions.get(client_id)
        return 0 if session is None else len(session.unacknowledged)

    def cut(self, client_id: str | None = None) -> None:
        """Break the connection of one client, or of all, until `restore`; their wills are published."""
        if client_id is None:
            self._all_cut_off = True
        else:
            self._cut_off.add(client_id)
        wills = [self._break(bus) for bus in list(self._buses.values()) if bus.connected and self._is_cut(bus)]
        for will in wills:
            if will is not None:
                self.publish(will.topic, will.payload, retain=will.retain)

    def restore(self, client_id: str | None = None) -> None:
        """Let one client, or all, come back: at once, and they get again what they had not acknowledged."""
        if client_id is None:
            self._all_cut_off = False
            self._cut_off.clear()
        else:
            self._cut_off.discard(client_id)
        for bus in list(self._buses.values()):
            if not bus.connected and not self._is_cut(bus):
                self._connect(bus)

    def _is_cut(self, bus: FakeMessageBus) -> bool:
        return self._all_cut_off or bus.client_id in self._cut_off

    def _enter(self, bus: FakeMessageBus) -> None:
        old = self._buses.get(bus.client_id)
        if old is not None and old.connected:
            self._break(old)
        self._buses[bus.client_id] = bus
        if not self._is_cut(bus):
            self._connect(bus)

    def _leave(self, bus: FakeMessageBus) -> None:
        if self._buses.get(bus.client_id) is bus:
            del self._buses[bus.client_id]
        if bus.connected:
            self._break(bus)

    def _connect(self, bus: FakeMessageBus) -> None:
        if bus.clean:
            self._sessions.pop(bus.client_id, None)
        session = self._sessions.setdefault(bus.client_id, _Session())
        session.bus = bus
        filters = bus._connected(session)
        for number, (message, retained) in list(session.unacknowledged.items()):
            bus._arrive(number, message, retained=retained)
        self._subscribe(session, filters)

    def _break(self, bus: FakeMessageBus) -> Will | None:
        bus._cut()
        bus.session.bus = None
        if bus.clean:
            self._sessions.pop(bus.client_id, None)
        return bus.will

    def _subscribe(self, session: _Session, filters: list[str]) -> None:
        session.filters.update(dict.fromkeys(filters))
        for topic, payload in list(self.retained.items()):
            if any(matches(item, topic) for item in filters):
                self._deliver(session, Published(topic, payload, retain=True), retained=True)

    def _deliver(self, session: _Session, message: Published, *, retained: bool) -> None:
        number = next(self._numbers)
        session.unacknowledged[number] = (message, retained)
        if session.bus is not None:
            session.bus._arrive(number, message, retained=retained)
