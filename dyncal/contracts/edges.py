"""What edges say of themselves and what they are told of their records: JSON."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

VERSION: Final = 1


class PairingMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reference of a sensor, as `dyncal.domain.sensors.Pairing`."""

    reference: str
    model: str
    u_reference: float = 0.0
    u_reference_gain: float = 0.0
    u_clock_s: float = 0.0
    band_hz: float | None = None
    max_latency_s: float | None = None
    tolerance: dict[str, float] = {}


class SensorMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sensor that an edge reads."""

    id: str
    unit: str
    dt_ns: int
    label: str = ""
    pairing: PairingMessage | None = None


class StatusMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Birth (``online``) or last will (``offline``), retained.

    `u_clock_ns` is the standard uncertainty of the edge's clock; None where it does not know it.
    """

    v: int
    state: Literal["online", "offline"]
    at_ns: int = 0
    version: str = ""
    epoch: int = 0
    u_clock_ns: int | None = None
    sensors: list[SensorMessage] = []


class CommittedMessage(msgspec.Struct, frozen=True):
    """Watermarks, retained: all records of `epoch` up to and with `upto[sensor]` are in the store."""

    v: int
    epoch: int
    at_ns: int
    upto: dict[str, int]


class EventMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that the people who run the edge may want to know; `kind` is stable and machine-readable."""

    v: int
    at_ns: int
    kind: str
    sensor: str = ""
    detail: str = ""
