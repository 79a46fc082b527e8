"""The alarm engine: the whole life cycle of all alarms, without I/O and without a clock.

What is due by time alone is done at the very instant at which it is due, before the event that brings a later instant
is dealt with: however seldom it is told the time, its future is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from msgspec.structs import replace

from dyncal.alarms import commands, life
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.book import AlarmBook, Due
from dyncal.alarms.definitions import DEFAULTS, Definition
from dyncal.alarms.events import (
    ENGINE,
    Answered,
    Changed,
    Command,
    Completed,
    Defined,
    DefinitionPut,
    Effect,
    Event,
    FloodBegan,
    FloodEnded,
    Kept,
    Ordered,
    Refusal,
    Reported,
    Tick,
)
from dyncal.alarms.flood import Flood, FloodSettings, FloodWatch
from dyncal.domain.alarms import AlarmEvent, AlarmKind, Annunciation, Condition
from dyncal.domain.time import InstantNs, duration

BACK_NS: Final = duration(600.0)


@dataclass(frozen=True, slots=True)
class EngineState:
    """All that an engine needs to go on as if nothing had been."""

    now_ns: InstantNs = InstantNs(0)
    number: int = 0
    recent: tuple[InstantNs, ...] = ()
    flood: Flood | None = None
    alarms: tuple[Alarm, ...] = ()
    definitions: tuple[tuple[AlarmKind, Definition], ...] = ()


class AlarmEngine:
    """`handle` is to be called from one thread at a time. Instants that go back by 10 min at most count as the last."""

    def __init__(self, settings: FloodSettings | None = None, state: EngineState | None = None) -> None:
        state = state or EngineState()
        self._book = AlarmBook(state.alarms)
        self._watch = FloodWatch(settings or FloodSettings(), state.recent, state.flood)
        self._changed: dict[AlarmKind, Definition] = dict(state.definitions)
        self._now: InstantNs = state.now_ns
        self._number = state.number
        self._suppressing = self._kinds_that_suppress()
        self._effects: list[Effect] = []

    @property
    def alarms(self) -> AlarmBook:
        """All alarms."""
        return self._book

    @property
    def number(self) -> int:
        """Of the newest change."""
        return self._number

    @property
    def now_ns(self) -> InstantNs:
        """The latest instant that it was told."""
        return self._now

    @property
    def flood(self) -> Flood | None:
        """The flood that is on."""
        return self._watch.flood

    @property
    def definitions(self) -> Mapping[AlarmKind, Definition]:
        """The definition of every kind."""
        return {**DEFAULTS, **self._changed}

    @property
    def recent(self) -> tuple[InstantNs, ...]:
        """The last annunciations, as many as decide on floods."""
        return self._watch.recent

    def state(self) -> EngineState:
        """Return all that an engine needs to go on from here."""
        alarms = tuple(sorted(self._book, key=lambda alarm: alarm.id))
        return EngineState(
            self._now, self._number, self._watch.recent, self.flood, alarms, tuple(sorted(self._changed.items()))
        )

    def globals(self) -> EngineState:
        """Return what it knows beside its alarms and definitions."""
        return EngineState(self._now, self._number, self._watch.recent, self.flood)

    def next_ns(self) -> InstantNs | None:
        """Return when something is due; None where nothing is."""
        due = self._next()
        return None if due is None else due.at_ns

    def handle(self, event: Event) -> list[Effect]:
        """Take in what happened; return what follows, in order."""
        if self.was_ahead(event.now_ns):
            self._set_back(event.now_ns)
        now = InstantNs(max(event.now_ns, self._now))
        self._pass(now)
        match event:
            case Reported():
                self._report(event.condition, event.reporter)
            case Completed():
                self._complete(event)
            case Ordered():
                self._order(event.command)
            case Defined():
                self._define(event)
            case Tick():
                pass
            case _:
                assert_never(event)
        self._pass(now)
        effects, self._effects = self._effects, []
        return effects

    def was_ahead(self, now_ns: int) -> bool:
        """Tell whether the clock has been set back: it is what went before that was wrong."""
        return now_ns < self._now - BACK_NS

    def _set_back(self, now_ns: InstantNs) -> None:
        ahead_ns, self._now = self._now - now_ns, now_ns
        self._watch.set_back(now_ns)
        for alarm in list(self._book):
            after = life.set_back(alarm, now_ns, ahead_ns)
            if after != alarm:
                self._keep(after)

    # What is due by time -----------------------------------------------------------------------------------------

    def _next(self) -> Due | None:
        due, ends_ns = self._book.next_due(), self._watch.ends_ns
        if ends_ns is not None and (due is None or ends_ns <= due.at_ns):
            return Due(ends_ns, "", "flood")
        return due

    def _pass(self, now_ns: InstantNs) -> None:
        while (due := self._next()) is not None and due.at_ns <= now_ns:
            self._now = InstantNs(max(due.at_ns, self._now))
            self._fall_due(due)
        self._now = now_ns

    def _fall_due(self, due: Due) -> None:
        if due.what == "flood":
            self._effects.append(FloodEnded(self._watch.end(self._now)))
            return
        alarm = self._book.get(due.id)
        assert alarm is not None  # noqa: S101 - the book has just said so
        if due.what == "due_ns":
            self._follow(alarm)
        elif due.what == "re_alarm_ns":
            again = replace(alarm, acknowledged=False, re_alarm_ns=None)
            self._say(again, AlarmEvent.RE_ALARMED, ENGINE, "", tell=True)
        else:
            self._end_aside(replace(alarm, shelved_until_ns=None), AlarmEvent.SHELVING_ENDED, ENGINE, "")

    def _follow(self, alarm: Alarm) -> None:
        """Let an alarm follow its condition, and those of the same edge that it suppresses follow it."""
        if alarm.holds:
            after = life.raised(alarm, self._now)
            self._say(after, AlarmEvent.RAISED, alarm.reporter, after.cause, tell=not after.set_aside)
        else:
            self._say(life.cleared(alarm, self._now), AlarmEvent.CLEARED, alarm.reporter, "")
        if alarm.kind not in self._suppressing:
            return
        for id_ in self._book.beside(alarm):
            other = self._book.get(id_)
            if other is not None and alarm.kind in other.definition.suppressed_by:
                self._suppress_by_design(other, f"{alarm.id} is {'active' if alarm.holds else 'gone'}")

    # What is told ------------------------------------------------------------------------------------------------

    def _report(self, condition: Condition, reporter: str) -> None:
        before = self._book.get(condition.id)
        known = before or Alarm(condition, self._changed.get(condition.kind, DEFAULTS[condition.kind]))
        moved = known.found.edge != condition.edge and condition.holds
        after = replace(life.found(known, condition, self._now), reporter=reporter)
        if after == before:
            return
        if after.active and after.found != known.found:
            self._say(after, AlarmEvent.UPDATED, reporter, after.cause)
        else:
            self._keep(after)
        if before is None or moved:
            self._suppress_by_design(after, "its edge")

    def _complete(self, event: Completed) -> None:
        kinds, holding = frozenset(event.kinds), frozenset(event.holding)
        since = InstantNs(min(event.said_ns, self._now))
        gone = [
            alarm
            for alarm in self._book
            if alarm.holds
            and alarm.kind in kinds
            and alarm.reporter in (event.reporter, "")  # what others found is theirs to end
            and alarm.id not in holding
            and alarm.holds_ns <= since
        ]
        for alarm in sorted(gone, key=lambda a: a.id):
            self._keep(life.due(replace(alarm, holds=False, holds_ns=since), self._now))

    def _order(self, command: Command) -> None:
        alarm = self._book.get(command.alarm)
        if alarm is None:
            self._effects.append(Answered(command.alarm, Refusal.UNKNOWN_ALARM))
            return
        outcome = commands.carry_out(alarm, command, self._now)
        if isinstance(outcome, commands.Refused):
            self._effects.append(Answered(command.alarm, outcome.why, outcome.detail))
            return
        if alarm.set_aside and not outcome.alarm.set_aside:
            self._end_aside(outcome.alarm, outcome.event, command.actor, command.reason)
        else:
            self._say(outcome.alarm, outcome.event, command.actor, command.reason)
        self._effects.append(Answered(command.alarm))

    def _define(self, event: Defined) -> None:
        self._changed[event.kind] = event.definition
        self._suppressing = self._kinds_that_suppress()
        self._effects.append(DefinitionPut(event.kind, event.definition, event.actor, event.reason, self._now))
        for alarm in sorted((a for a in self._book if a.kind is event.kind), key=lambda a: a.id):
            after = life.due(replace(alarm, definition=event.definition), self._now)
            after = life.waiting(after, self._now)
            if after.number:
                self._say(after, AlarmEvent.REDEFINED, event.actor, event.reason)
            else:
                self._keep(after)
            self._suppress_by_design(after, event.reason)

    def _kinds_that_suppress(self) -> frozenset[AlarmKind]:
        return frozenset(kind for d in self.definitions.values() for kind in d.suppressed_by)

    # What becomes of alarms ----------------------------------------------------------------------------------------

    def _suppress_by_design(self, alarm: Alarm, reason: str) -> None:
        """Make an alarm suppressed by the alarms by which it is to be, and by no others."""
        alarm = self._book.get(alarm.id) or alarm
        design = {kind.value for kind in self._book.suppressors(alarm)}
        rules = {name for name in alarm.suppressed_by if name not in commands.KINDS}
        names = tuple(sorted(rules | design))
        if names == alarm.suppressed_by:
            return
        after = replace(alarm, suppressed_by=names)
        if after.set_aside and not alarm.set_aside:
            after = life.aside(after, ENGINE, reason, self._now)
        if alarm.number == 0 and not alarm.holds:
            self._keep(life.not_aside(after))
        elif len(names) > len(alarm.suppressed_by):
            self._say(after, AlarmEvent.SUPPRESSED, ENGINE, reason)
        elif after.set_aside:
            self._say(after, AlarmEvent.UNSUPPRESSED, ENGINE, reason)
        else:
            self._end_aside(after, AlarmEvent.UNSUPPRESSED, ENGINE, reason)

    def _end_aside(self, alarm: Alarm, event: AlarmEvent, actor: str, reason: str) -> None:
        """Show an alarm again as it stands, where nothing sets it aside any longer."""
        after = life.waiting(life.not_aside(alarm), self._now)
        self._say(after, event, actor, reason, tell=not after.set_aside and life.to_be_told(after))

    def _say(self, alarm: Alarm, event: AlarmEvent, actor: str, reason: str, *, tell: bool = False) -> None:
        """Number a change and take it down; with `tell` operators are told of the alarm by it."""
        self._number += 1
        alarm = replace(alarm, number=self._number, changed_ns=self._now)
        told, began = Annunciation.NONE, False
        if tell:
            told, began = self._watch.annunciate(alarm.priority, self._now)
            alarm = replace(alarm, annunciation=told, annunciated_ns=self._now, raised_number=self._number)
        self._book.put(alarm)
        if began and self._watch.flood is not None:
            self._effects.append(FloodBegan(self._watch.flood))
        self._effects.append(Changed(alarm, event, self._now, actor, reason, told))

    def _keep(self, alarm: Alarm) -> None:
        self._book.put(alarm)
        self._effects.append(Kept(alarm))
