"""The packets of which there are many, PUBLISH and PUBACK at QoS 1, read and written without a word to paho.

Sans-I/O. The formats are those of MQTT 5.0, 3.3 and 3.4, and of MQTT 3.1.1, which has no properties. Everything else is
paho's: what is not understood here is passed on as it came, and paho says what is wrong with it.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_PUBLISH: Final = 0x32  # at QoS 1
_PUBLISH_MASK: Final = 0xF6  # all but DUP and RETAIN
_RETAIN: Final = 0x01
_PUBACK: Final = 0x40
_MORE: Final = 0x80  # in a byte of a size: another follows
_SIZE_BYTES: Final = 4

MAX_BYTES: Final = (1 << 7 * _SIZE_BYTES) + _SIZE_BYTES
"""Most bytes that a packet of MQTT can have."""


class Publish(NamedTuple):
    """A PUBLISH at QoS 1; the topic is UTF-8, or should be."""

    topic: bytes
    payload: bytes
    mid: int
    retain: bool


class Puback(NamedTuple):
    """A PUBACK; a reason of 0x80 and more is a refusal."""

    mid: int
    reason: int


class Other(NamedTuple):
    """The bytes of any other packet, or of one that is not understood."""

    packet: bytes


Packet = Publish | Puback | Other


class Splitter:
    """Cuts what arrives into packets; `with_properties` tells that it is MQTT 5."""

    def __init__(self, *, with_properties: bool) -> None:
        self._with_properties = with_properties
        self._rest = bytearray()  # of a packet that is not complete
        self._needed = 0  # bytes of it, as far as is known

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that `data` completes; to be iterated to the end."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, end = 0, len(data)
        while at < end:
            body, stop = _extent(data, at)
            if stop > end:
                self._rest += data[at:]
                self._needed = stop - at
                return
            if data[at] & _PUBLISH_MASK == _PUBLISH:
                yield self._publish(data, at, body, stop)
            elif data[at] == _PUBACK and stop - body >= 2:
                yield Puback(data[body] << 8 | data[body + 1], data[body + 2] if stop - body > 2 else 0)
            else:
                yield Other(data[at:stop])
            at = stop

    def _publish(self, data: bytes, at: int, body: int, stop: int) -> Packet:
        start = body + 2
        after = start + (data[body] << 8 | data[body + 1]) if stop - body >= 2 else stop
        payload = after + 2
        if self._with_properties and payload < stop:
            payload = payload + 1 if data[payload] == 0 else _extent(data, payload - 1)[1]
        # a topic that is only an alias is never granted, and so is an error
        if start >= after or payload > stop or after + 2 + self._with_properties > stop:
            return Other(data[at:stop])
        return Publish(
            data[start:after], data[payload:stop], data[after] << 8 | data[after + 1], bool(data[at] & _RETAIN)
        )


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Return where what follows a byte and a size begins and ends; its end lies behind `data` while it is unknown."""
    size = shift = 0
    for place in range(at + 1, at + 1 + _SIZE_BYTES):
        if place >= len(data):
            return place, len(data) + 1
        byte = data[place]
        size |= (byte & 0x7F) << shift
        if byte < _MORE:
            return place + 1, place + 1 + size
        shift += 7
    return place + 2, place + 2  # a size of more bytes is no size: paho is to see it


def publish(topic: str, payload: bytes, mid: int, *, retain: bool, with_properties: bool) -> bytes:
    """Return a PUBLISH at QoS 1. Raises `ValueError` for a topic that none can have."""
    name = _topic(topic)
    size = len(name) + 2 + with_properties + len(payload)
    head = b"%c%b%b%c%c" % (_PUBLISH | retain, _size(size), name, mid >> 8, mid & 0xFF)
    return b"%b\0%b" % (head, payload) if with_properties else head + payload


def puback(mid: int) -> bytes:
    """Return a PUBACK that says that all is well."""
    return struct.pack("!BBH", _PUBACK, 2, mid)


@functools.lru_cache(maxsize=8192)  # few topics, and many messages on each
def _topic(topic: str) -> bytes:
    name = topic.encode()
    if not 1 <= len(name) <= 0xFFFF or "+" in topic or "#" in topic or "\0" in topic:
        raise ValueError(f"{topic[:100]!r} is no topic")
    return struct.pack("!H", len(name)) + name


def _size(n: int) -> bytes:
    """Return a size as MQTT writes it: seven bits a byte, the lowest first."""
    if n >= 1 << 7 * _SIZE_BYTES:
        raise ValueError(f"{n} bytes are more than a packet of MQTT can have")
    found = bytearray()
    while n >= _MORE:
        found.append(n & ~_MORE & 0xFF | _MORE)
        n >>= 7
    found.append(n)
    return bytes(found)
