"""The order of what a link writes, on a broker of a few bytes."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from dyncal.adapters.mqtt.client import LinkOptions
from dyncal.adapters.mqtt.link import Link

CONNACK = b"\x20\x03\x00\x00\x00"  # of MQTT 5
SUBSCRIBE, PUBLISH, PUBACK, DISCONNECT = 0x82, 0x32, 0x40, 0xE0


class Listening:
    """Notes why the link went down."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def link_down(self, _link: Link, reason: str) -> None:
        self.reasons.append(reason)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Busy:
    """Subscribes and publishes as soon as the link is up, and ends it when a message has come."""

    def __init__(self) -> None:
        self.delivered: list[Any] = []

    def link_up(self, link: Link) -> None:
        link.subscribe(["t"])
        link.publish("t", b"x" * 1000, retain=False)

    def link_delivered(self, link: Link, deliveries: list[Any]) -> None:
        self.delivered += deliveries
        for delivery in deliveries:
            delivery.ack()
        link.end()

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def serve(server: socket.socket, found: list[int]) -> None:
    """Accept, let the client subscribe and publish, deliver a message, and note the first bytes of what comes."""
    with server.accept()[0] as client:
        stream = client.makefile("rb")
        while head := stream.read(1):
            size = shift = 0
            while True:
                byte = stream.read(1)[0]
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            stream.read(size)
            found.append(head[0])
            if head[0] == 0x10:
                client.sendall(CONNACK)
            elif head[0] == PUBLISH:
                client.sendall(b"\x32\x07\x00\x01t\x00\x07\x00y")


def test_subscribe_goes_before_what_is_published_after_it_and_disconnect_is_the_last() -> None:
    found: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = threading.Thread(target=serve, args=(server, found))
        broker.start()
        port = server.getsockname()[1]
        events = Busy()
        Link(LinkOptions("127.0.0.1", port, "a", clean=True, keepalive_s=60), "5", events).run()
        broker.join(5)
    assert found == [0x10, SUBSCRIBE, PUBLISH, PUBACK, DISCONNECT]
    assert [delivery.payload for delivery in events.delivered] == [b"y"]


def answer(server: socket.socket, more: bytes, *, close: bool) -> None:
    """Accept, say CONNACK and more, and wait for the client to go, unless it is left first."""
    with server.accept()[0] as client:
        client.recv(1000)
        client.sendall(CONNACK + more)
        while not close and client.recv(1000):
            pass


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (b"\xe0\x02\x8b\x00", "broker says: Server shutting down"),
        (b"\xe0\x00", "broker says"),
        (b"\xff\x00", "protocol"),
        (b"\x32\xff\xff\xff\xff\x01", "protocol"),
        (b"\x20\x00", ""),
    ],
)
def test_whatever_a_broker_says_a_link_ends_with_a_reason(more: bytes, reason: str) -> None:
    events = Listening()
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = threading.Thread(target=answer, args=(server, more), kwargs={"close": False})
        broker.start()
        Link(LinkOptions("127.0.0.1", server.getsockname()[1], "a", clean=True, keepalive_s=60), "5", events).run()
        broker.join(5)
    assert reason.lower() in events.reasons[0].lower()


def test_a_broker_that_just_goes_ends_the_link() -> None:
    events = Listening()
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = threading.Thread(target=answer, args=(server, b"\x32\x50\x00"), kwargs={"close": True})
        broker.start()
        Link(LinkOptions("127.0.0.1", server.getsockname()[1], "a", clean=True, keepalive_s=60), "5", events).run()
        broker.join(5)
    assert "lost" in events.reasons[0]
