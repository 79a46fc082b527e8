"""Alarms as JSON: the very fields of `services.api.schemas.alarms`, for pages of a thousand and for the stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.events import Changed
from dyncal.alarms.flood import Flood
from dyncal.domain.alarms import AlarmKind, Priority
from dyncal.domain.time import InstantNs, duration, seconds
from services.api.schemas.alarms import DefinitionBody
from services.api.schemas.base import number


def of_alarm(alarm: Alarm, now_ns: int) -> dict[str, Any]:
    """Return the fields of `AlarmOut`."""
    found = alarm.found
    return {
        "id": alarm.id,
        "site": found.site,
        "source": found.source,
        "scope": found.kind.scope,
        "sensor": alarm.sensor or "",
        "kind": found.kind,
        "alarm_class": alarm.definition.alarm_class,
        "priority": alarm.priority,
        "state": alarm.state,
        "active": alarm.active,
        "acknowledged": alarm.acknowledged,
        "latched": alarm.latched,
        "annunciation": alarm.annunciation,
        "chattering": alarm.chattering(now_ns),
        "stale": alarm.stale(now_ns),
        "raised_ns": alarm.raised_ns,
        "cleared_ns": alarm.cleared_ns,
        "changed_ns": alarm.changed_ns,
        "acknowledged_ns": alarm.acknowledged_ns,
        "acknowledged_by": alarm.acknowledged_by,
        "shelved_until_ns": alarm.shelved_until_ns,
        "suppressed_by": alarm.suppressed_by,
        "out_of_service": alarm.out_of_service,
        "set_aside_ns": alarm.set_aside_ns,
        "set_aside_by": alarm.set_aside_by,
        "set_aside_reason": alarm.set_aside_reason,
        "parameter": found.parameter,
        "value": number(found.value),
        "u": number(found.u),
        "limit": number(found.limit),
        "cause": alarm.cause,
        "consequence": alarm.definition.consequence,
        "response": alarm.response,
        "n_raised": alarm.n_raised,
        "n_comments": alarm.n_comments,
        "number": alarm.number,
        "trace": found.trace,
    }


def of_change(change: Changed) -> dict[str, Any]:
    """Return the fields of `AlarmChangeOut`."""
    return {
        **of_alarm(change.alarm, change.at_ns),
        "event": change.event,
        "at_ns": change.at_ns,
        "actor": change.actor,
        "reason": change.reason,
        "annunciated": change.annunciated,
    }


def of_flood(flood: Flood) -> dict[str, Any]:
    """Return the fields of `FloodOut`."""
    return {
        "active": flood.ended_ns is None,
        "began_ns": flood.began_ns,
        "ended_ns": flood.ended_ns,
        "n_alarms": flood.n_alarms,
        "n_held_back": {priority: flood.held(priority) for priority in Priority},
    }


def of_definition(kind: AlarmKind, definition: Definition, changed_ns: InstantNs | None) -> dict[str, Any]:
    """Return the fields of `DefinitionOut`."""
    return {
        **body_of(definition),
        "kind": kind,
        "scope": kind.scope,
        "changed_ns": changed_ns,
    }


def body_of(definition: Definition) -> dict[str, Any]:
    """Return the fields of `DefinitionBody`."""
    return {
        "priority": definition.priority,
        "alarm_class": definition.alarm_class,
        "on_delay_s": seconds(definition.on_delay_ns),
        "off_delay_s": seconds(definition.off_delay_ns),
        "dead_band": definition.dead_band,
        "latching": definition.latching,
        "re_alarm_s": seconds(definition.re_alarm_ns),
        "max_shelving_s": seconds(definition.max_shelving_ns),
        "suppressed_by": list(definition.suppressed_by),
        "cause": definition.cause,
        "consequence": definition.consequence,
        "response": definition.response,
    }


def definition_of(body: DefinitionBody) -> Definition:
    """Return the definition that a body states."""
    return Definition(
        priority=body.priority,
        alarm_class=body.alarm_class,
        on_delay_ns=duration(body.on_delay_s),
        off_delay_ns=duration(body.off_delay_s),
        dead_band=body.dead_band,
        latching=body.latching,
        re_alarm_ns=duration(body.re_alarm_s),
        max_shelving_ns=duration(body.max_shelving_s),
        suppressed_by=tuple(sorted(set(body.suppressed_by))),
        cause=body.cause,
        consequence=body.consequence,
        response=body.response,
    )


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the JSON of a shape."""
    return msgspec.json.encode(fields)
