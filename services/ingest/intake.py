"""Reading of what arrives: a record, an edge's birth, or a reason why it is neither."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import msgspec

from dyncal.contracts import codec, samples, topics
from dyncal.contracts.edges import VERSION as STATUS_VERSION
from dyncal.contracts.edges import StatusMessage
from dyncal.contracts.samples import BlockMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.samples import GapRecord
from dyncal.domain.sensors import SensorId, edge_id
from dyncal.ports.ledger import StreamKey

MAX_NUMBER: Final = 2**63 - 1

Numbers = tuple[StreamKey, int, int]

_parse: Final = functools.lru_cache(maxsize=8192)(topics.parse)  # few topics, and many messages on each


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A record that says the same as its topic."""

    address: EdgeAddress
    record: BlockMessage | GapRecord

    @property
    def numbers(self) -> Numbers:
        """The stream of the record and the sequence numbers that it takes."""
        return numbers_of(self.record)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A payload that cannot be a record; `numbers` are those it would have taken, where that much can be read.

    They are committed nevertheless: the payload is kept in quarantine, and sending it again cannot help.
    """

    reason: str
    detail: str
    numbers: Numbers | None = None
    address: EdgeAddress | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """An edge that says it is there; `epoch` is that of its spool, `released` what it has given up as stored."""

    address: EdgeAddress
    epoch: int
    released: tuple[Numbers, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message that needs no action."""


class _Numbered(msgspec.Struct):
    """The part of a record that tells its place in its stream."""

    sensor: str
    edge: str
    epoch: int
    sequence: int
    last_sequence: int | None = None


def read(topic: str, payload: bytes) -> Accepted | Rejected | Birth | Nothing:
    """Return what a message is; never raises."""
    try:
        place = _parse(topic)
    except MalformedMessage as error:
        return Rejected("topic", str(error))
    if place.kind == "status":
        return _status(place.address, payload)
    if place.kind != "samples" or place.sensor is None:
        return Rejected("topic", f"{topic} carries no records")
    try:
        record = samples.decode_packed(payload)
    except MalformedMessage as error:
        return Rejected("malformed", str(error), _numbers(place.address, place.sensor, payload), place.address)
    if (record.edge, record.sensor) != (place.address.edge, place.sensor):
        detail = f"a record of sensor {record.sensor} of edge {record.edge} came on {topic}"
        return Rejected("misaddressed", detail)
    return Accepted(place.address, record)


def numbers_of(record: BlockMessage | GapRecord) -> Numbers:
    """Return the stream of a record and the sequence numbers that it takes."""
    last = record.last_sequence if isinstance(record, GapRecord) else record.sequence
    return StreamKey(record.edge, record.epoch, record.sensor), record.sequence, last


def _status(address: EdgeAddress, payload: bytes) -> Birth | Nothing | Rejected:
    if not payload:
        return Nothing()
    try:
        status = codec.from_json(payload, StatusMessage)
    except MalformedMessage as error:
        return Rejected("status", str(error))
    if status.v != STATUS_VERSION or not 0 <= status.epoch <= MAX_NUMBER:
        return Rejected("status", f"status of version {status.v} and epoch {status.epoch}")
    if status.state != "online":
        return Nothing()
    released = [
        (StreamKey(address.edge, status.epoch, SensorId(sensor)), 0, upto)
        for sensor, upto in status.released.items()
        if 0 <= upto <= MAX_NUMBER
    ]
    return Birth(address, status.epoch, tuple(released))


def _numbers(address: EdgeAddress, sensor: SensorId, payload: bytes) -> Numbers | None:
    try:
        found = codec.unpack(payload, _Numbered)
        edge = edge_id(found.edge)
    except (MalformedMessage, InvalidData):
        return None
    last = found.sequence if found.last_sequence is None else found.last_sequence
    if (edge, found.sensor) != (address.edge, sensor) or not 0 <= found.epoch <= MAX_NUMBER:
        return None
    if not 0 <= found.sequence <= last <= MAX_NUMBER:
        return None
    return StreamKey(edge, found.epoch, sensor), found.sequence, last
