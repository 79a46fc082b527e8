"""Alarms on the wire, for third parties: JSON, retained."""

from __future__ import annotations

from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.fields import Instant, Name, Text
from dyncal.domain.alarms import Alarm, AlarmKind, AlarmState, Priority
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import sensor_id
from dyncal.domain.time import InstantNs

VERSION: Final = 1


class AlarmMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one alarm, as `dyncal.domain.alarms.Alarm`."""

    v: int
    id: Text
    sensor: Name
    kind: AlarmKind
    state: AlarmState
    priority: Priority
    raised_ns: Instant
    changed_ns: Instant
    parameter: Text = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: Text = ""
    response: Text = ""


def encode(alarm: Alarm) -> bytes:
    """Return the JSON of an alarm."""
    return codec.to_json(
        AlarmMessage(
            v=VERSION,
            id=alarm.id,
            sensor=alarm.sensor,
            kind=alarm.kind,
            state=alarm.state,
            priority=alarm.priority,
            raised_ns=alarm.raised_ns,
            changed_ns=alarm.changed_ns,
            parameter=alarm.parameter,
            value=alarm.value,
            u=alarm.u,
            limit=alarm.limit,
            cause=alarm.cause,
            response=alarm.response,
        )
    )


def decode(payload: bytes) -> Alarm:
    """Return the alarm of a JSON payload. Raises `MalformedMessage`."""
    m = codec.from_json(payload, AlarmMessage)
    if m.v != VERSION:
        raise MalformedMessage(f"alarm of version {m.v}; this program reads {VERSION}")
    try:
        sensor = sensor_id(m.sensor)
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
    alarm = Alarm(
        sensor=sensor,
        kind=m.kind,
        state=m.state,
        priority=m.priority,
        raised_ns=InstantNs(m.raised_ns),
        changed_ns=InstantNs(m.changed_ns),
        parameter=m.parameter,
        value=m.value,
        u=m.u,
        limit=m.limit,
        cause=m.cause,
        response=m.response,
    )
    if alarm.id != m.id:
        raise MalformedMessage(f"alarm calls itself {m.id[:200]!r} and is {alarm.id[:200]!r}")
    return alarm
