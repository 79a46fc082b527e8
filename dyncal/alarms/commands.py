"""Commands: whether the state of an alarm allows them, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from dyncal.alarms import life
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.events import Command, Refusal, Verb
from dyncal.domain.alarms import AlarmEvent, AlarmKind, Annunciation
from dyncal.domain.time import NS_PER_S, InstantNs, iso


class Refused(NamedTuple):
    """A command that the state does not allow."""

    why: Refusal
    detail: str = ""


class Done(NamedTuple):
    """What a command makes of an alarm."""

    alarm: Alarm
    event: AlarmEvent


_NEEDS_REASON: Final = frozenset({
    Verb.SHELVE, Verb.SUPPRESS, Verb.TAKE_OUT_OF_SERVICE, Verb.RETURN_TO_SERVICE, Verb.COMMENT
})  # fmt: skip
KINDS: Final = frozenset(kind.value for kind in AlarmKind)
"""What suppresses by design; rules of people have other names."""


def carry_out(alarm: Alarm, command: Command, now_ns: InstantNs) -> Done | Refused:
    """Return the alarm after a command, before anybody is told; or why that cannot be."""
    if command.verb in _NEEDS_REASON and not command.reason.strip():
        return Refused(Refusal.REASON_MISSING, "say why")
    return _CARRY_OUT[command.verb](alarm, command, now_ns)


def _acknowledge(alarm: Alarm, command: Command, now_ns: InstantNs) -> Done | Refused:
    if alarm.out_of_service:
        return Refused(Refusal.OUT_OF_SERVICE)
    if alarm.acknowledged:
        return Refused(Refusal.NOTHING_TO_ACKNOWLEDGE, f"it is {alarm.state}")
    if alarm.annunciation is Annunciation.NONE:
        return Refused(Refusal.NOT_ANNUNCIATED, f"it is {alarm.state}, and nobody was told of it")
    if command.upto is not None and alarm.raised_number > command.upto:
        return Refused(Refusal.RAISED_SINCE, f"by change {alarm.raised_number}, after {command.upto}")
    return Done(life.acknowledged(alarm, command.actor, now_ns), AlarmEvent.ACKNOWLEDGED)


def _reset(alarm: Alarm, _: Command, __: InstantNs) -> Done | Refused:
    if alarm.out_of_service:
        return Refused(Refusal.OUT_OF_SERVICE)
    if not alarm.latched:
        return Refused(Refusal.NOT_LATCHED)
    if alarm.active:
        return Refused(Refusal.STILL_ACTIVE)
    if not alarm.acknowledged:
        return Refused(Refusal.NOT_ACKNOWLEDGED, "acknowledge it first")
    return Done(replace(alarm, latched=False), AlarmEvent.RESET)


def _shelve(alarm: Alarm, command: Command, now_ns: InstantNs) -> Done | Refused:
    longest = alarm.definition.max_shelving_ns
    if alarm.out_of_service:
        return Refused(Refusal.OUT_OF_SERVICE)
    if alarm.shelved_until_ns is not None:
        return Refused(Refusal.ALREADY_SHELVED, f"until {iso(alarm.shelved_until_ns)} by {alarm.set_aside_by}")
    if longest == 0:
        return Refused(Refusal.MAY_NOT_BE_SHELVED, "by its definition")
    if not 0 < command.duration_ns <= longest:
        return Refused(Refusal.TOO_LONG, f"say for how long: more than 0 and at most {longest / NS_PER_S:g} s")
    after = replace(alarm, shelved_until_ns=InstantNs(now_ns + command.duration_ns))
    return Done(life.aside(after, command.actor, command.reason, now_ns), AlarmEvent.SHELVED)


def _suppress(alarm: Alarm, command: Command, now_ns: InstantNs) -> Done | Refused:
    if command.rule in alarm.suppressed_by or command.rule in KINDS:
        return Refused(Refusal.ALREADY_SUPPRESSED, f"{command.rule!r} is in use")
    after = replace(alarm, suppressed_by=tuple(sorted({*alarm.suppressed_by, command.rule})))
    return Done(life.aside(after, command.actor, command.reason, now_ns), AlarmEvent.SUPPRESSED)


def _unsuppress(alarm: Alarm, command: Command, _: InstantNs) -> Done | Refused:
    if command.rule not in alarm.suppressed_by or command.rule in KINDS:
        return Refused(Refusal.NOT_SUPPRESSED, f"not by {command.rule!r}")
    left = tuple(name for name in alarm.suppressed_by if name != command.rule)
    return Done(replace(alarm, suppressed_by=left), AlarmEvent.UNSUPPRESSED)


def _unshelve(alarm: Alarm, _: Command, __: InstantNs) -> Done | Refused:
    if alarm.shelved_until_ns is None:
        return Refused(Refusal.NOT_SHELVED)
    return Done(replace(alarm, shelved_until_ns=None), AlarmEvent.UNSHELVED)


def _take_out(alarm: Alarm, command: Command, now_ns: InstantNs) -> Done | Refused:
    if alarm.out_of_service:
        return Refused(Refusal.ALREADY_OUT_OF_SERVICE, f"by {alarm.set_aside_by}")
    after = replace(alarm, out_of_service=True)
    return Done(life.aside(after, command.actor, command.reason, now_ns), AlarmEvent.TAKEN_OUT_OF_SERVICE)


def _return(alarm: Alarm, _: Command, __: InstantNs) -> Done | Refused:
    if not alarm.out_of_service:
        return Refused(Refusal.NOT_OUT_OF_SERVICE)
    return Done(replace(alarm, out_of_service=False), AlarmEvent.RETURNED_TO_SERVICE)


def _comment(alarm: Alarm, _: Command, __: InstantNs) -> Done | Refused:
    return Done(replace(alarm, n_comments=alarm.n_comments + 1), AlarmEvent.COMMENTED)


_CARRY_OUT: Final[Mapping[Verb, Callable[[Alarm, Command, InstantNs], Done | Refused]]] = {
    Verb.ACKNOWLEDGE: _acknowledge,
    Verb.RESET: _reset,
    Verb.SHELVE: _shelve,
    Verb.UNSHELVE: _unshelve,
    Verb.SUPPRESS: _suppress,
    Verb.UNSUPPRESS: _unsuppress,
    Verb.TAKE_OUT_OF_SERVICE: _take_out,
    Verb.RETURN_TO_SERVICE: _return,
    Verb.COMMENT: _comment,
}
