"""Births of edges: what an edge says of its sensors, checked before it enters the registry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.edges import VERSION, PairingMessage, SensorMessage, StatusMessage
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId, sensor_id
from dyncal.domain.time import EARLIEST, LATEST, DurationNs

MAX_SENSORS: Final = 10_000
MAX_TEXT: Final = 200
MAX_DT_NS: Final = 86_400_000_000_000

Declared = dict[str, bytes]
"""By sensor, the pairing that its edge declared last, as JSON (`null` for none)."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What an edge declares: its sensors, and the pairings that are new or other than it declared before."""

    sensors: list[Sensor]
    pairings: list[Pairing]
    declared: Declared
    refused: dict[str, str]


def decode_status(payload: bytes) -> StatusMessage:
    """Return a status message, checked for version and bounds. Raises `MalformedMessage`."""
    message = codec.from_json(payload, StatusMessage)
    if message.v != VERSION:
        raise MalformedMessage(f"status of version {message.v}; this program reads {VERSION}")
    if len(message.sensors) > MAX_SENSORS:
        raise MalformedMessage(f"a birth of {len(message.sensors)} sensors; {MAX_SENSORS} are allowed")
    if not EARLIEST <= message.at_ns <= LATEST:
        raise MalformedMessage(f"a status of the instant {message.at_ns}")
    if len(message.version) > MAX_TEXT:
        raise MalformedMessage("a version text that is too long")
    return message


def read_birth(
    message: StatusMessage, site: SiteId, edge: EdgeId, before: Declared, owners: Mapping[SensorId, EdgeId]
) -> Birth:
    """Return what a birth means.

    A pairing enters the registry when its edge declares it first, or otherwise than before; so what people change
    afterwards stands until the edge's configuration changes too.

    Parameters
    ----------
    before : dict of sensor to JSON
        What this edge declared last.
    owners : mapping of sensor to edge
        Sensors that other edges hold: this edge may not take them over.

    Raises
    ------
    MalformedMessage
        If a sensor or a pairing cannot be what it says, or a sensor occurs twice.
    """
    twice = [name for name, n in Counter(item.id for item in message.sensors).items() if n > 1]
    if twice:
        raise MalformedMessage(f"sensor {twice[0][:140]!r} occurs twice")
    sensors: dict[SensorId, Sensor] = {}
    pairings: list[Pairing] = []
    declared: Declared = {}
    refused: dict[str, str] = {}
    try:
        for item in message.sensors:
            sensor = _sensor(item, site, edge)
            if owners.get(sensor.id, edge) != edge:
                refused[sensor.id] = f"belongs to edge {owners[sensor.id]}, which is online"
                continue
            sensors[sensor.id] = sensor
            declared[sensor.id] = msgspec.json.encode(item.pairing)
            if item.pairing is not None:
                pairing = _pairing(sensor.id, item.pairing)
                if before.get(sensor.id) != declared[sensor.id]:
                    pairings.append(pairing)
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
    return Birth(list(sensors.values()), pairings, declared, refused)


def _sensor(item: SensorMessage, site: SiteId, edge: EdgeId) -> Sensor:
    if max(len(item.unit), len(item.label)) > MAX_TEXT:
        raise InvalidData(f"sensor {item.id[:140]!r}: unit and label have at most {MAX_TEXT} characters")
    if not 0 < item.dt_ns <= MAX_DT_NS:
        raise InvalidData(f"sensor {item.id[:140]!r}: dt_ns must lie between 1 and {MAX_DT_NS}, not {item.dt_ns}")
    return Sensor(sensor_id(item.id), site, edge, item.unit, DurationNs(item.dt_ns), item.label)


def _pairing(sensor: SensorId, item: PairingMessage) -> Pairing:
    if len(item.tolerance) > 20 or any(len(name) > MAX_TEXT for name in item.tolerance):
        raise InvalidData(f"pairing of {sensor}: at most 20 tolerances")
    try:
        model = ModelKind(item.model)
    except ValueError as error:
        raise InvalidData(f"pairing of {sensor}: there is no model {item.model[:80]!r}") from error
    if not all(map(math.isfinite, (item.u_reference, item.u_reference_gain, item.u_clock_s))):
        raise InvalidData(f"pairing of {sensor}: uncertainties must be finite")
    return Pairing(
        sensor,
        sensor_id(item.reference),
        model,
        item.u_reference,
        item.u_reference_gain,
        item.u_clock_s,
        item.band_hz,
        item.max_latency_s,
        dict(item.tolerance),
        item.u_reference_noise,
        item.dead_time,
        item.n_poles,
        item.n_zeros,
    )


def encode_declared(declared: Declared) -> bytes:
    """Return the snapshot of what an edge declared."""
    return msgspec.json.encode({sensor: msgspec.Raw(text) for sensor, text in declared.items()})


def decode_declared(snapshot: bytes | None) -> Declared:
    """Return what an edge declared from its snapshot; nothing where there is none or it cannot be read."""
    if snapshot is None:
        return {}
    try:
        raw = msgspec.json.decode(snapshot, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}
    return {sensor: bytes(text) for sensor, text in raw.items()}
