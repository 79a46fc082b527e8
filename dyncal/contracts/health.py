"""What calibration says of a sensor, on the wire: JSON, retained."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dyncal.contracts import codec
from dyncal.contracts.fields import Instant, Name, NotNegative, Positive, Text
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.health import Attribution, Cause, Conformance, Outlook, ParameterConformity, SensorHealth, Watch
from dyncal.domain.sensors import sensor_id
from dyncal.domain.time import InstantNs

VERSION: Final = 1

_MOST: Final = 64  # parameters of one sensor
Probability = Annotated[float, Meta(ge=0, le=1)]


class AttributionPart(msgspec.Struct, frozen=True):
    """As `dyncal.domain.health.Attribution`."""

    cause: Cause
    sensor: Probability
    reference: Probability
    process: Probability
    nothing: Probability


class ConformityPart(msgspec.Struct, frozen=True):
    """As `dyncal.domain.health.ParameterConformity`."""

    parameter: Text
    change: float
    u: NotNegative
    tolerance: Positive
    p_within: Probability
    verdict: Conformance


class OutlookPart(msgspec.Struct, frozen=True):
    """As `dyncal.domain.health.Outlook`."""

    parameter: Text
    early_ns: Instant | None
    likely_ns: Instant | None
    late_ns: Instant | None
    rate_per_day: float
    u_rate_per_day: NotNegative


class HealthMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What calibration says of one sensor, as `dyncal.domain.health.SensorHealth`."""

    v: int
    sensor: Name
    at_ns: Instant
    holds_until_ns: Instant
    watch: Watch
    since_ns: Instant
    informed_ns: Instant | None = None
    reason: Text = ""
    parameter: Text = ""
    change: float | None = None
    u_change: NotNegative | None = None
    attribution: AttributionPart | None = None
    conformity: Annotated[tuple[ConformityPart, ...], Meta(max_length=_MOST)] = ()
    outlook: Annotated[tuple[OutlookPart, ...], Meta(max_length=_MOST)] = ()


def encode(health: SensorHealth) -> bytes:
    """Return the JSON of what calibration says of a sensor; its numbers must be finite."""
    told = health.attribution
    return codec.to_json(
        HealthMessage(
            v=VERSION,
            sensor=health.sensor,
            at_ns=health.at_ns,
            holds_until_ns=health.holds_until_ns,
            watch=health.watch,
            since_ns=health.since_ns,
            informed_ns=health.informed_ns,
            reason=health.reason,
            parameter=health.parameter,
            change=health.change,
            u_change=health.u_change,
            attribution=None if told is None else AttributionPart(**_fields(told)),
            conformity=tuple(ConformityPart(**_fields(part)) for part in health.conformity),
            outlook=tuple(OutlookPart(**_fields(part)) for part in health.outlook),
        )
    )


def decode(payload: bytes) -> SensorHealth:
    """Return what a JSON payload says. Raises `MalformedMessage`."""
    m = codec.from_json(payload, HealthMessage)
    if m.v != VERSION:
        raise MalformedMessage(f"health of version {m.v}; this program reads {VERSION}")
    try:
        sensor = sensor_id(m.sensor)
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
    return SensorHealth(
        sensor=sensor,
        at_ns=InstantNs(m.at_ns),
        holds_until_ns=InstantNs(m.holds_until_ns),
        watch=m.watch,
        since_ns=InstantNs(m.since_ns),
        informed_ns=None if m.informed_ns is None else InstantNs(m.informed_ns),
        reason=m.reason,
        parameter=m.parameter,
        change=m.change,
        u_change=m.u_change,
        attribution=None if m.attribution is None else Attribution(**msgspec.structs.asdict(m.attribution)),
        conformity=tuple(ParameterConformity(**msgspec.structs.asdict(part)) for part in m.conformity),
        outlook=tuple(Outlook(**msgspec.structs.asdict(part)) for part in m.outlook),
    )


def _fields(part: Attribution | ParameterConformity | Outlook) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}
