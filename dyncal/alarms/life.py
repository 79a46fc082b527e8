"""The life cycle of one alarm: what becomes of it, apart from who is told and when."""

from __future__ import annotations

from dataclasses import replace as changed

from msgspec.structs import replace

from dyncal.alarms.alarm import CHATTERING_N, Alarm
from dyncal.domain.alarms import Annunciation, Condition
from dyncal.domain.time import InstantNs


def due(alarm: Alarm, now_ns: InstantNs) -> Alarm:
    """Return the alarm with the instant at which it follows its condition; delays count from when that changed."""
    if alarm.holds == alarm.active:
        return replace(alarm, due_ns=None)
    definition = alarm.definition
    delay = definition.on_delay_ns if alarm.holds else definition.off_delay_ns
    return replace(alarm, due_ns=InstantNs(max(alarm.holds_ns + delay, now_ns)))


def still_holds(alarm: Alarm, condition: Condition) -> bool:
    """Tell whether a condition that is said to be gone is still within the dead band."""
    limit = alarm.found.limit if condition.limit is None else condition.limit
    if not alarm.holds or alarm.definition.dead_band == 0 or condition.value is None or limit is None:
        return False
    return abs(condition.value) > (1 - alarm.definition.dead_band) * abs(limit)


def found(alarm: Alarm, condition: Condition, now_ns: InstantNs) -> Alarm:
    """Return the alarm after a report of its condition."""
    holds = condition.holds or still_holds(alarm, condition)
    if holds != alarm.holds:
        since = InstantNs(min(condition.at_ns, now_ns))
        described = condition if holds else alarm.found
        return due(replace(alarm, found=described, holds=holds, holds_ns=since), now_ns)
    same_since = changed(condition, at_ns=alarm.found.at_ns)
    if condition.holds and same_since != alarm.found:
        return replace(alarm, found=same_since)
    return alarm


def raised(alarm: Alarm, now_ns: InstantNs) -> Alarm:
    """Return the alarm as its condition has held for long enough; nobody has been told yet.

    What was annunciated before and never acknowledged still waits to be: the annunciation stands.
    """
    return replace(
        alarm,
        due_ns=None,
        active=True,
        acknowledged=False,
        latched=alarm.latched or alarm.definition.latching,
        annunciation=Annunciation.NONE if alarm.acknowledged else alarm.annunciation,
        raised_ns=InstantNs(min(alarm.holds_ns, now_ns)),
        cleared_ns=None,
        raises=(*alarm.raises, now_ns)[-CHATTERING_N:],
        n_raised=alarm.n_raised + 1,
    )


def cleared(alarm: Alarm, now_ns: InstantNs) -> Alarm:
    """Return the alarm as its condition has been gone for long enough.

    What nobody was told of nobody has to acknowledge, unless it latched.
    """
    never_told = alarm.annunciation is Annunciation.NONE and not alarm.latched
    return replace(
        alarm,
        due_ns=None,
        active=False,
        re_alarm_ns=None,
        cleared_ns=InstantNs(min(alarm.holds_ns, now_ns)),
        acknowledged=alarm.acknowledged or never_told,
    )


def acknowledged(alarm: Alarm, actor: str, now_ns: InstantNs) -> Alarm:
    """Return the alarm after somebody acknowledged it."""
    after = replace(alarm, acknowledged=True, acknowledged_ns=now_ns, acknowledged_by=actor)
    return waiting(after, now_ns)


def waiting(alarm: Alarm, now_ns: InstantNs) -> Alarm:
    """Return the alarm with the instant of its re-alarm, counted from now: of one that stands and is acknowledged."""
    interval = alarm.definition.re_alarm_ns
    stands = alarm.active and alarm.acknowledged and not alarm.set_aside and interval > 0
    return replace(alarm, re_alarm_ns=InstantNs(now_ns + interval) if stands else None)


def set_back(alarm: Alarm, now_ns: InstantNs, ahead_ns: int) -> Alarm:
    """Return the alarm after a clock that was ahead was set back to `now_ns`: what was to last, lasts no longer."""

    def left(at_ns: InstantNs | None) -> InstantNs | None:
        return None if at_ns is None else InstantNs(max(at_ns - ahead_ns, now_ns))

    after = replace(
        alarm,
        holds_ns=InstantNs(min(alarm.holds_ns, now_ns)),
        raised_ns=None if alarm.raised_ns is None else InstantNs(min(alarm.raised_ns, now_ns)),
        raises=tuple(at_ns for at_ns in alarm.raises if at_ns <= now_ns),
        shelved_until_ns=left(alarm.shelved_until_ns),
        re_alarm_ns=left(alarm.re_alarm_ns),
    )
    return due(after, now_ns)


def to_be_told(alarm: Alarm) -> bool:
    """Tell whether operators have to be told of an alarm that is not set aside any longer."""
    if alarm.acknowledged:
        return False
    return alarm.active or (alarm.latched and alarm.annunciation is Annunciation.NONE)


def aside(alarm: Alarm, actor: str, reason: str, now_ns: InstantNs) -> Alarm:
    """Return the alarm with who set it aside, and no re-alarm meanwhile."""
    return replace(alarm, re_alarm_ns=None, set_aside_ns=now_ns, set_aside_by=actor, set_aside_reason=reason)


def not_aside(alarm: Alarm) -> Alarm:
    """Return the alarm without what was said when it was set aside, where nothing sets it aside any longer."""
    if alarm.set_aside:
        return alarm
    return replace(alarm, set_aside_ns=None, set_aside_by="", set_aside_reason="")
