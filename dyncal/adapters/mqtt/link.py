"""One connection to the broker.

Each connection has a paho client of its own: nothing of a broken one (half-sent packets, message ids, late
acknowledgements) can reach the next. The session, where it is persistent, lives in the broker.

paho connects, subscribes and keeps alive. PUBLISH and PUBACK, of which there are many, go past it, many with one call
of the system (`dyncal.adapters.mqtt.packets`, ADR 0026).
"""

from __future__ import annotations

import functools
import threading
import time
from typing import Any, Final, Protocol, cast

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dyncal.adapters.mqtt import packets
from dyncal.adapters.mqtt.client import CONNECT_TIMEOUT_S, LinkOptions, Protocol_, make_client
from dyncal.adapters.mqtt.delivery import Holding, PahoDelivery
from dyncal.adapters.mqtt.packets import Other, Puback, Publish, Splitter
from dyncal.adapters.mqtt.turning import Turning
from dyncal.adapters.mqtt.wire import Wire
from dyncal.domain.errors import PublishRefused

TRIAL_TIMEOUT_S: Final = 1.5
"""Wait for the answer to a CONNECT of MQTT 5 where 3.1.1 will do as well: some brokers are just silent."""
SESSION_EXPIRY_S: Final = 7 * 24 * 3600
_TICK_S: Final = 0.5
_FIRST_MID: Final = 0x8000  # of our publishes; paho counts from 1, and subscribes seldom
_LAST_MID: Final = 0xFFFF
_TROUBLE: Final = (OSError, ValueError, MQTTException)


class LinkEvents(Protocol):
    """What a link tells; called from its thread, or from the event loop that has taken it over."""

    def link_up(self, link: Link) -> None:
        """The broker has accepted the connection."""

    def link_offered(self, link: Link) -> bool:
        """Tell whether the connection, which is up, will be taken over with `Link.turn_in_loop`."""

    def link_down(self, link: Link, reason: str) -> None:
        """The connection has ended, or could not be made."""

    def link_published(self, link: Link, answers: list[tuple[int, int]]) -> None:
        """The broker has answered publishes: message id and reason (`dyncal.adapters.mqtt.reasons`)."""

    def link_subscribed(self, link: Link, mid: int, refused: list[int]) -> None:
        """The broker has answered a subscription; `refused` are the positions of filters that it does not grant."""

    def link_delivered(self, link: Link, deliveries: list[PahoDelivery]) -> None:
        """Messages have arrived."""

    def link_dropped(self, link: Link, why: str) -> None:
        """A message has arrived and is not taken: never acknowledged, or of QoS 0 and lost."""


class Link:
    """One connection: made, used and ended within `run`."""

    def __init__(self, options: LinkOptions, protocol: Protocol_, events: LinkEvents) -> None:
        self.protocol = protocol
        self.window = options.window
        self.max_packet = packets.MAX_BYTES
        self.session_present = False
        self.was_up = False
        self.try_other_protocol = False
        self._options = options
        self._events = events
        self._ended = threading.Event()
        self._released = threading.Event()  # by the event loop that had taken it over
        self._turning: Turning | None = None
        self._calls = threading.Lock()  # keeps other threads out of paho while its sockets are closed
        self._closed = False
        self._up = False
        self._reason = ""
        self.holding = Holding(options.hold)
        self._client = make_client(options, protocol)
        self._wire: Wire | None = None
        self._splitter = Splitter(with_properties=protocol == "5")
        self._unanswered: set[int] = set()
        self._last_mid = _LAST_MID
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        # Set, it keeps paho from writing in the thread that calls publish() or ack(): only `run` touches the socket.
        self._client.on_socket_register_write = _ignore

    def run(self) -> None:
        """Connect, and serve the connection until it ends or `end` is called; never raises."""
        try:
            self._serve()
        except _TROUBLE as error:
            self._reason = self._reason or (str(error) or type(error).__name__)
        finally:
            self._up = False
            self._ended.set()
            self._close()
            self._events.link_down(self, self._reason or "connection lost")

    def end(self, reason: str = "") -> None:
        """Ask the connection to end, with a word to the broker if it stands."""
        self._reason = self._reason or reason
        self._ended.set()
        with self._calls:
            if not self._closed:
                self._client.disconnect()
                self._wake()

    @property
    def delivered(self) -> int:
        """How many bytes the broker's system has taken."""
        return 0 if self._wire is None else self._wire.delivered

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> tuple[int, int] | None:
        """Queue a publish at QoS 1; return its message id and what `delivered` is when it is there. For one thread.

        None if it cannot be taken.

        Raises
        ------
        PublishRefused
            If the broker has said that it takes no packet of that size: it would end the connection.
        """
        wire = self._wire
        if wire is None or self._closed or len(self._unanswered) >= _LAST_MID - _FIRST_MID:
            return None
        mid = self._next_mid()
        packet = packets.publish(topic, payload, mid, retain=retain, with_properties=self.protocol == "5")
        if len(packet) > self.max_packet:
            raise PublishRefused(f"{len(packet)} bytes, and the broker takes at most {self.max_packet}")
        self._unanswered.add(mid)
        mark = wire.put(packet)
        self._wake()
        return mid, mark

    def _next_mid(self) -> int:
        while True:
            self._last_mid = self._last_mid + 1 if self._last_mid < _LAST_MID else _FIRST_MID
            if self._last_mid not in self._unanswered:
                return self._last_mid

    def subscribe(self, filters: list[str]) -> int | None:
        """Queue a subscription at QoS 1 and return its message id, or None if it cannot be taken."""
        with self._calls:
            if self._closed:
                return None
            code, mid = self._client.subscribe([(item, 1) for item in filters])
            self._wake()
        return mid if code == paho.MQTT_ERR_SUCCESS else None

    def unsubscribe(self, filters: list[str]) -> None:
        """Queue the end of a subscription; the broker's answer is of no interest."""
        with self._calls:
            if not self._closed:
                self._client.unsubscribe(filters)
                self._wake()

    def _serve(self) -> None:
        options, client = self._options, self._client
        if self.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no type here
            properties.ReceiveMaximum = options.receive_maximum
            if not options.clean:
                properties.SessionExpiryInterval = SESSION_EXPIRY_S
            client.connect(
                options.host, options.port, options.keepalive_s, clean_start=options.clean, properties=properties
            )
        else:
            client.connect(options.host, options.port, options.keepalive_s)
        self.try_other_protocol = True  # until the broker answers CONNECT with anything but "not this version"
        patience_s = TRIAL_TIMEOUT_S if (options.protocol, self.protocol) == ("auto", "5") else CONNECT_TIMEOUT_S
        deadline = time.monotonic() + patience_s
        self._wire = wire = cast(Wire, client.socket())
        offered = False
        while self._goes_on:
            ready = wire.wait(_TICK_S, to_write=client.want_write())
            if not self._turn(wire, readable=ready, tick=True):
                return
            if not self._up and time.monotonic() > deadline:
                self._reason = self._reason or f"no answer to CONNECT in {patience_s:g} s"
                return
            if self._up and not offered and not self._ended.is_set():
                offered = True
                if self._events.link_offered(self):
                    self._released.wait()
                    return

    # Taken over by an event loop

    def turn_in_loop(self) -> None:
        """Take the connection over, in the running event loop, for as long as it stands."""
        if self._wire is not None:
            self._turning = Turning(self, self._wire)
            self._turning.begin()

    def turn(self, wire: Wire, *, readable: bool, tick: bool) -> bool:
        """Read and write what there is; False when the connection is over. Never raises."""
        try:
            return self._turn(wire, readable=readable, tick=tick) and self._goes_on
        except _TROUBLE as error:
            self._reason = self._reason or (str(error) or type(error).__name__)
            return False

    def release(self) -> None:
        """Go back to the link's thread, which closes the connection."""
        self._released.set()

    @property
    def _goes_on(self) -> bool:
        return not self._ended.is_set() or bool(self._client.want_write())

    def _turn(self, wire: Wire, *, readable: bool, tick: bool) -> bool:
        """Read and write what there is, paho's packets between ours; False, with the reason, when that is over."""
        client = self._client
        code = paho.MQTT_ERR_NO_CONN if client.socket() is None else paho.MQTT_ERR_SUCCESS  # paho has closed it
        while readable and code == paho.MQTT_ERR_SUCCESS:
            data = wire.read()
            code = client.loop_read() if wire.ended else self._take(wire, data)
            readable = wire.pending_tls
        if code == paho.MQTT_ERR_SUCCESS:
            code = self._write(wire)
        if tick and code == paho.MQTT_ERR_SUCCESS and client.socket() is not None:
            code = client.loop_misc()
        if code != paho.MQTT_ERR_SUCCESS:
            self._reason = self._reason or paho.error_string(code)
            return False
        if self.holding.overflowed and self.holding.empty:
            self.end("taking again what was too much before")
        return True

    def _write(self, wire: Wire) -> MQTTErrorCode:
        """Write paho's packets before ours: a SUBSCRIBE before what is published after it; but DISCONNECT last."""
        client = self._client
        wire.flush(begun=not self._ended.is_set())
        code = client.loop_write() if client.want_write() else paho.MQTT_ERR_SUCCESS
        if not client.want_write() and client.socket() is not None:
            wire.flush()
        return code

    def _take(self, wire: Wire, data: bytes) -> MQTTErrorCode:
        """Tell of what has arrived, in its order."""
        arrived: list[PahoDelivery] = []
        answers: list[tuple[int, int]] = []
        code = paho.MQTT_ERR_SUCCESS
        for packet in self._splitter.feed(data):
            match packet:
                case Publish():
                    delivery = self._delivery(packet.topic, packet.payload, packet.mid, 1, retained=packet.retain)
                    if delivery is not None:
                        arrived.append(delivery)
                case Puback(mid, reason):
                    self._unanswered.discard(mid)
                    answers.append((mid, reason))
                case Other(content):
                    self._tell(arrived, answers)
                    wire.give(content)
                    while wire.pending() and code == paho.MQTT_ERR_SUCCESS:
                        code = self._client.loop_read()
                    if code != paho.MQTT_ERR_SUCCESS:
                        return code
        self._tell(arrived, answers)
        return code

    def _tell(self, arrived: list[PahoDelivery], answers: list[tuple[int, int]]) -> None:
        if arrived:
            self._events.link_delivered(self, arrived.copy())
            arrived.clear()
        if answers:
            self._events.link_published(self, answers.copy())
            answers.clear()

    def _delivery(self, topic: bytes, payload: bytes, mid: int, qos: int, *, retained: bool) -> PahoDelivery | None:
        """Return what a PUBLISH brought; None, and said, where it is not taken."""
        try:
            text = _text(topic)
        except UnicodeDecodeError:
            self._events.link_dropped(self, "topic is not UTF-8")
            self._send_ack(mid, qos)
            return None
        if not self.holding.take(len(payload)):
            self._events.link_dropped(self, "too much unacknowledged")
            return None
        return PahoDelivery(text, payload, mid, qos, retained=retained, acknowledge=self._acknowledge)

    def _acknowledge(self, delivery: PahoDelivery) -> None:
        self.holding.give_back(len(delivery.payload))
        self._send_ack(delivery.mid, delivery.qos)

    def _send_ack(self, mid: int, qos: int) -> None:
        wire = self._wire
        if wire is None or not self._up:
            return
        if qos == 1:
            wire.put(packets.puback(mid))
            self._wake()
        elif qos > 1:  # never asked for, but a broker may
            with self._calls:
                if not self._closed:
                    self._client.ack(mid, qos)
            self._wake()

    def _wake(self) -> None:
        if self._turning is not None:
            self._turning.wake()
        elif self._wire is not None:
            self._wire.wake()

    def _close(self) -> None:
        # Closes all sockets without a word, so that the broker publishes the will of a connection that broke.
        with self._calls:
            self._closed = True
            self._client.reinitialise()

    def _on_connect(
        self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._reason = f"refused: {reason}"
            self.try_other_protocol = reason.getName() == "Unsupported protocol version"
            self._ended.set()
            return
        self._up = self.was_up = True
        self.try_other_protocol = False
        self.session_present = bool(flags.session_present)
        self.window = min(self.window, int(getattr(properties, "ReceiveMaximum", self.window)))
        self.max_packet = int(getattr(properties, "MaximumPacketSize", self.max_packet))
        self._events.link_up(self)

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._reason = self._reason or f"broker says: {reason}"

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        self._events.link_subscribed(self, mid, [i for i, reason in enumerate(reasons) if reason.is_failure])

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        """Take what did not come at QoS 1."""
        topic = message._topic  # noqa: SLF001  # its text raises what `_delivery` is to meet
        payload = bytes(message.payload)
        found = self._delivery(topic, payload, message.mid, message.qos, retained=bool(message.retain))
        if found is not None:
            self._events.link_delivered(self, [found])


@functools.lru_cache(maxsize=8192)  # few topics, and many messages on each
def _text(topic: bytes) -> str:
    return topic.decode()


def _ignore(*_: Any) -> None:
    """Take no notice."""
