"""PUBLISH and PUBACK against paho's own reading of them, cut anywhere, and whatever else may come."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.adapters.mqtt import packets
from dyncal.adapters.mqtt.packets import Other, Packet, Puback, Publish, Splitter

PINGRESP = b"\xd0\x00"


def split(parts: Iterable[bytes], *, v5: bool = True) -> list[Packet]:
    splitter = Splitter(with_properties=v5)
    return [packet for part in parts for packet in splitter.feed(part)]


def of_paho(topic: str, payload: bytes, mid: int, *, retain: bool, v5: bool) -> bytes:
    """Return the packet that paho makes of it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if v5 else paho.MQTTv311)
    client._sock = object()  # type: ignore[assignment]  # it asks only whether there is one
    client._send_publish(mid, topic.encode(), payload, qos=1, retain=retain)
    (packet,) = client._out_packet
    client._sock = None
    return bytes(packet["packet"])


@pytest.mark.parametrize("v5", [True, False])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 70_000])
def test_a_publish_is_what_paho_makes_of_it_and_comes_back(size: int, v5: bool) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    for retain in (False, True):
        made = packets.publish("plant/ö", payload, 40_000, retain=retain, with_properties=v5)
        assert made == of_paho("plant/ö", payload, 40_000, retain=retain, v5=v5)
        assert split([made], v5=v5) == [Publish("plant/ö".encode(), payload, 40_000, retain)]


@pytest.mark.parametrize("v5", [True, False])
def test_packets_are_the_same_however_they_are_cut(v5: bool) -> None:
    rng = np.random.default_rng(1)
    sent: list[Packet] = []
    stream = b""
    for k in range(60):
        kind = rng.integers(4)
        if kind == 0:
            sent.append(Puback(k + 1, 0))
            stream += packets.puback(k + 1)
        elif kind == 1:
            sent.append(Other(PINGRESP))
            stream += PINGRESP
        else:
            payload = rng.bytes(int(rng.choice([0, 5, 200, 3000])))
            sent.append(Publish(b"t/1", payload, k + 1, bool(k % 2)))
            stream += packets.publish("t/1", payload, k + 1, retain=bool(k % 2), with_properties=v5)
    assert split([stream], v5=v5) == sent
    assert split([stream[k : k + 1] for k in range(len(stream))], v5=v5) == sent
    for _ in range(20):
        cuts = sorted(rng.choice(len(stream), 15, replace=False).tolist())
        parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert split(parts, v5=v5) == sent


def test_properties_are_passed_over() -> None:
    properties = b"\x26\x00\x01a" + b"\x00\xc8" + b"b" * 200  # a user property
    body = b"\x00\x01t" + b"\x00\x07" + b"\xce\x01" + properties + b"payload"
    packet = b"\x32" + packets._size(len(body)) + body
    assert len(properties) == 0xCE
    assert split([packet]) == [Publish(b"t", b"payload", 7, retain=False)]


def test_reasons_of_a_puback() -> None:
    assert split([b"\x40\x03\x00\x05\x87", b"\x40\x04\x00\x06\x10\x00", b"\x40\x02\x00\x07"]) == [
        Puback(5, 0x87),
        Puback(6, 0x10),
        Puback(7, 0),
    ]


@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\x06\x00\x01t\x00ab",  # QoS 0
        b"\x34\x06\x00\x01t\x00\x07\x00",  # QoS 2
        b"\x36\x06\x00\x01t\x00\x07\x00",  # QoS 3, which there is not
        b"\x32\x05\x00\x00\x00\x07\x00",  # a topic alias, which is never granted
        b"\x32\x05\x00\x01t\x00\x07",  # no properties
        b"\x32\x06\x00\x01t\x00\x07\x05",  # more properties than there is packet
        b"\x32\x06\x00\x01t\x00\x07\xff",  # a size of properties that does not end
        b"\x32\x04\x00\x09t\x00",  # a topic longer than the packet
        b"\x32\x01\x00",
        b"\x32\x00",
        b"\x40\x01\x00",  # half a packet id
        b"\x32\xff\xff\xff\xff\x01",  # a size of five bytes
    ],
)
def test_what_is_not_understood_is_passed_on_as_it_came(packet: bytes) -> None:
    assert split([packet]) == [Other(packet)]
    assert split([packet[k : k + 1] for k in range(len(packet))]) == [Other(packet)]
    assert split([packet + PINGRESP]) == [Other(packet), Other(PINGRESP)]


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b", "x" * 65_536])
def test_a_topic_that_none_can_have_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="is no topic"):
        packets.publish(topic, b"", 1, retain=False, with_properties=True)


def test_nothing_is_larger_than_a_packet_can_be() -> None:
    with pytest.raises(ValueError, match="more than a packet"):
        packets._size(1 << 28)


@pytest.mark.parametrize("v5", [True, False])
def test_nonsense_is_cut_into_something_and_nothing_is_lost_of_it(v5: bool) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3000):
        stream = bytes([int(rng.choice([0x32, 0x33, 0x3A, 0x40, 0xD0])), int(rng.integers(0, 40))]) + rng.bytes(60)
        whole = split([stream], v5=v5)
        at = int(rng.integers(1, len(stream)))
        assert split([stream[:at], stream[at:]], v5=v5) == whole
