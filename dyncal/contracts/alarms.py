"""Alarms on the wire, for third parties: JSON, retained."""

from __future__ import annotations

from typing import Final

import msgspec

from dyncal.alarms.alarm import Alarm
from dyncal.contracts import codec
from dyncal.contracts.fields import Count, Instant, Name, Text, Trace
from dyncal.domain.alarms import AlarmKind, AlarmState, Annunciation, Priority, Scope, alarm_id
from dyncal.domain.errors import MalformedMessage

_READS: Final = (1, 2, 3, 4)
_VERSION: Final = 2
_NEWER_KINDS: Final = {
    AlarmKind.RELEASE_WAITS: 3,
    AlarmKind.RELEASE_EXPIRES: 3,
    AlarmKind.ROLLOUT_PAUSED: 3,
    AlarmKind.ROLLOUT_ABORTED: 3,
    AlarmKind.CLOCK_DOUBTFUL: 4,
}
"""The version that first has a kind, where it is not `_VERSION`."""


class AlarmMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one alarm (docs/alarms.md).

    Version 1 had `sensor` always, and the four states of an alarm that is not set aside. `sensor` is left out where the
    source is none; of two messages of an alarm the one with the higher `number` is newer. Version 3 has four kinds
    more, and rollouts as sources; version 4 has `clock_doubtful`. A message bears the lowest version that has its kind:
    who reads version 2 goes on doing so, and sets aside what it cannot know.
    """

    v: int
    id: Text
    kind: AlarmKind
    state: AlarmState
    priority: Priority
    changed_ns: Instant
    raised_ns: Instant | None = None
    sensor: Name | None = None
    source: Name | None = None
    scope: Scope = Scope.SENSOR
    active: bool = False
    acknowledged: bool = False
    latched: bool = False
    annunciation: Annunciation = Annunciation.NONE
    alarm_class: Text = ""
    parameter: Text = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: Text = ""
    consequence: Text = ""
    response: Text = ""
    cleared_ns: Instant | None = None
    acknowledged_ns: Instant | None = None
    acknowledged_by: Text = ""
    shelved_until_ns: Instant | None = None
    suppressed_by: tuple[Text, ...] = ()
    out_of_service: bool = False
    set_aside_by: Text = ""
    set_aside_reason: Text = ""
    number: Count = 0
    trace: Trace = ""


def message_of(alarm: Alarm) -> AlarmMessage:
    """Return what is said of an alarm."""
    return AlarmMessage(
        v=_NEWER_KINDS.get(alarm.kind, _VERSION),
        id=alarm.id,
        kind=alarm.kind,
        state=alarm.state,
        priority=alarm.priority,
        changed_ns=alarm.changed_ns,
        raised_ns=alarm.raised_ns,
        sensor=alarm.sensor,
        source=alarm.found.source,
        scope=alarm.kind.scope,
        active=alarm.active,
        acknowledged=alarm.acknowledged,
        latched=alarm.latched,
        annunciation=alarm.annunciation,
        alarm_class=alarm.definition.alarm_class,
        parameter=alarm.found.parameter,
        value=alarm.found.value,
        u=alarm.found.u,
        limit=alarm.found.limit,
        cause=alarm.cause,
        consequence=alarm.definition.consequence,
        response=alarm.response,
        cleared_ns=alarm.cleared_ns,
        acknowledged_ns=alarm.acknowledged_ns,
        acknowledged_by=alarm.acknowledged_by,
        shelved_until_ns=alarm.shelved_until_ns,
        suppressed_by=alarm.suppressed_by,
        out_of_service=alarm.out_of_service,
        set_aside_by=alarm.set_aside_by,
        set_aside_reason=alarm.set_aside_reason,
        number=alarm.number,
        trace=alarm.found.trace,
    )


def encode(alarm: Alarm) -> bytes:
    """Return the JSON of an alarm."""
    return codec.to_json(message_of(alarm))


def decode(payload: bytes) -> AlarmMessage:
    """Return the message of a JSON payload, with its source in version 1 too. Raises `MalformedMessage`."""
    m = codec.from_json(payload, AlarmMessage)
    if m.v not in _READS:
        raise MalformedMessage(f"alarm of version {m.v}; this program reads {_READS}")
    source = m.source or m.sensor
    if source is None or (m.raised_ns is None and m.v == 1):
        raise MalformedMessage("an alarm needs a source, and of version 1 the instant of its raise")
    identity = alarm_id(source, m.kind)
    if m.id != identity and not (m.v == 1 and m.parameter and m.id == f"{identity}:{m.parameter}"):
        raise MalformedMessage(f"alarm calls itself {m.id[:200]!r} and is {identity[:200]!r}")
    return msgspec.structs.replace(m, source=source)
