"""The alarm engine in single cases; all cases together are in tests/property/alarms."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS, Definition
from dyncal.alarms.engine import AlarmEngine
from dyncal.alarms.events import (
    Answered,
    Changed,
    Command,
    Completed,
    Defined,
    Effect,
    FloodBegan,
    FloodEnded,
    Ordered,
    Refusal,
    Reported,
    Tick,
    Verb,
)
from dyncal.alarms.flood import FloodSettings
from dyncal.alarms.stored import dump, load_alarm, load_state
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Condition, Priority
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, duration

DRIFT = AlarmKind.DRIFT


class Case:
    """An engine that is told of seconds."""

    def __init__(self, kind: AlarmKind = DRIFT, **definition: Any) -> None:
        self.engine, self.kind = AlarmEngine(), kind
        if definition:
            self.engine.handle(Defined(kind, replace(DEFAULTS[kind], **definition), "me", "test", InstantNs(0)))

    def report(
        self, s: float, source: str = "a", *, holds: bool = True, kind: AlarmKind | None = None, **found: Any
    ) -> list[Effect]:
        at = InstantNs(duration(s))
        condition = Condition(SiteId("p"), source, kind or self.kind, holds, at, found.pop("edge", "e"), **found)
        return self.engine.handle(Reported(condition, "r", at))

    def tick(self, s: float) -> list[Effect]:
        return self.engine.handle(Tick(InstantNs(duration(s))))

    def order(self, s: float, verb: Verb, source: str = "a", **more: Any) -> Refusal | None:
        command = Command(verb, f"{source}:{self.kind}", "me", more.pop("reason", "why"), **more)
        effects = self.engine.handle(Ordered(command, InstantNs(duration(s))))
        (answer,) = (e for e in effects if isinstance(e, Answered))
        return answer.refusal

    def alarm(self, source: str = "a", kind: AlarmKind | None = None) -> Alarm:
        found = self.engine.alarms.get(f"{source}:{kind or self.kind}")
        assert found is not None
        return found


def said(effects: list[Effect]) -> list[tuple[float, AlarmEvent, Annunciation]]:
    return [(e.at_ns / NS_PER_S, e.event, e.annunciated) for e in effects if isinstance(e, Changed)]


def test_delays_count_from_the_condition_and_fall_due_at_their_own_instants() -> None:
    case = Case(on_delay_ns=duration(5), off_delay_ns=duration(3))
    assert said(case.report(0)) == []
    assert said(case.report(4, holds=False)) == []
    case.report(10)
    case.report(17, holds=False)
    assert said(case.tick(100)) == [(20.0, AlarmEvent.CLEARED, Annunciation.NONE)]
    alarm = case.alarm()
    assert (alarm.raised_ns, alarm.cleared_ns) == (10 * NS_PER_S, 17 * NS_PER_S)
    assert alarm.state is AlarmState.RETURNED_UNACKNOWLEDGED


def test_a_value_within_the_dead_band_keeps_the_alarm() -> None:
    case = Case(dead_band=0.1)
    case.report(0, value=-1.2, limit=1.0)
    assert said(case.report(1, holds=False, value=-0.95, limit=1.0)) == []
    assert case.alarm().active
    assert said(case.report(2, holds=False, value=-0.85)) == [(2.0, AlarmEvent.CLEARED, Annunciation.NONE)]
    case.report(2.5, value=1.0, limit=0.5)
    case.report(2.6, holds=False, value=0.45)  # its very end is outside
    assert not case.alarm().active
    case.report(3, value=2.0, limit=1.0)
    case.report(4, holds=False)  # without a value there is no band
    assert not case.alarm().active


def test_a_latched_alarm_waits_for_its_reset() -> None:
    case = Case(latching=True)
    case.report(0)
    assert case.order(1, Verb.RESET) is Refusal.STILL_ACTIVE
    case.report(2, holds=False)
    assert case.alarm().state is AlarmState.LATCHED_UNACKNOWLEDGED
    assert case.order(3, Verb.RESET) is Refusal.NOT_ACKNOWLEDGED
    assert case.order(4, Verb.ACKNOWLEDGE) is None
    assert case.alarm().state is AlarmState.LATCHED_ACKNOWLEDGED
    assert case.order(5, Verb.RESET) is None
    assert case.alarm().state is AlarmState.NORMAL
    assert case.order(6, Verb.RESET) is Refusal.NOT_LATCHED


def test_an_acknowledged_alarm_that_stands_comes_again() -> None:
    case = Case(re_alarm_ns=duration(60))
    case.report(0)
    assert said(case.tick(1000)) == []
    case.order(1000, Verb.ACKNOWLEDGE)
    assert said(case.tick(5000)) == [(1060.0, AlarmEvent.RE_ALARMED, Annunciation.SINGLE)]
    assert case.alarm().state is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize(
    ("before", "holds_after", "acknowledged", "told", "state"),
    [
        (False, True, False, True, AlarmState.UNACKNOWLEDGED),
        (False, False, False, False, AlarmState.NORMAL),
        (True, True, False, True, AlarmState.UNACKNOWLEDGED),
        (True, True, True, False, AlarmState.ACKNOWLEDGED),
        (True, False, False, False, AlarmState.RETURNED_UNACKNOWLEDGED),
        (True, False, True, False, AlarmState.NORMAL),
    ],
)
def test_what_happened_while_it_was_shelved_is_right_when_that_ends(
    before: bool, holds_after: bool, acknowledged: bool, told: bool, state: AlarmState
) -> None:
    case = Case()
    case.report(0, holds=before)
    if acknowledged:
        case.order(1, Verb.ACKNOWLEDGE)
    assert case.order(2, Verb.SHELVE, duration_ns=duration(60)) is None
    assert case.order(2, Verb.SHELVE, duration_ns=duration(60)) is Refusal.ALREADY_SHELVED
    assert case.alarm().state is AlarmState.SHELVED
    if not before:
        case.report(3)
    if not holds_after:
        case.report(4, holds=False)
    ((at, event, annunciated),) = said(case.tick(70))
    assert (at, event) == (62.0, AlarmEvent.SHELVING_ENDED)
    assert annunciated is (Annunciation.SINGLE if told else Annunciation.NONE)
    assert case.alarm().state is state
    assert case.alarm().set_aside_reason == ""


def test_shelving_has_an_end_and_a_reason() -> None:
    case = Case(max_shelving_ns=duration(100))
    case.report(0)
    assert case.order(1, Verb.SHELVE, duration_ns=duration(10), reason=" ") is Refusal.REASON_MISSING
    for span in (0.0, -1.0, 101.0):
        assert case.order(1, Verb.SHELVE, duration_ns=duration(span)) is Refusal.TOO_LONG
    assert Case(max_shelving_ns=DurationNs(0)).order(0, Verb.SHELVE) is Refusal.UNKNOWN_ALARM
    never = Case(max_shelving_ns=DurationNs(0))
    never.report(0)
    assert never.order(1, Verb.SHELVE, duration_ns=duration(1)) is Refusal.MAY_NOT_BE_SHELVED


def test_an_edge_that_is_offline_suppresses_what_hangs_on_it() -> None:
    case = Case(AlarmKind.REFERENCE_LOST)
    case.report(0, "a")
    case.report(0, "far", edge="other")
    changes = case.report(1, "e", kind=AlarmKind.EDGE_OFFLINE) + case.tick(10)
    assert said(changes) == [
        (6.0, AlarmEvent.RAISED, Annunciation.SINGLE),
        (6.0, AlarmEvent.SUPPRESSED, Annunciation.NONE),
    ]
    case.report(11, "b")  # what comes meanwhile is suppressed from the beginning
    assert [case.alarm(s).state for s in ("a", "b", "far")] == ["suppressed", "suppressed", "unacknowledged"]
    assert case.order(12, Verb.UNSUPPRESS, "a", rule="edge_offline") is Refusal.NOT_SUPPRESSED
    assert case.order(12, Verb.SUPPRESS, "a", rule="cleaning") is None
    case.report(20, "a", holds=False)
    case.report(20, "e", holds=False, kind=AlarmKind.EDGE_OFFLINE)
    assert said(case.tick(40)) == [
        (30.0, AlarmEvent.CLEARED, Annunciation.NONE),
        (30.0, AlarmEvent.UNSUPPRESSED, Annunciation.NONE),
        (30.0, AlarmEvent.UNSUPPRESSED, Annunciation.SINGLE),
    ]
    assert [case.alarm(s).state for s in ("a", "b")] == ["suppressed", "unacknowledged"]
    assert case.order(41, Verb.UNSUPPRESS, "a", rule="cleaning") is None
    assert case.alarm("a").state is AlarmState.RETURNED_UNACKNOWLEDGED


def test_a_flood_holds_back_what_is_less_grave_and_ends_by_itself() -> None:
    case = Case()
    began = [case.report(k, f"s{k:02d}") for k in range(11)]
    assert [any(isinstance(e, FloodBegan) for e in effects) for effects in began] == [False] * 10 + [True]
    assert case.alarm("s10").annunciation is Annunciation.HELD_BACK
    assert said(case.report(11, "grave", kind=AlarmKind.OUT_OF_TOLERANCE))[0][2] is Annunciation.SINGLE
    assert case.order(12, Verb.ACKNOWLEDGE, "s10") is None
    (ended,) = (e.flood for e in case.tick(10_000) if isinstance(e, FloodEnded))
    assert (ended.began_ns, ended.ended_ns) == (10 * NS_PER_S, (7 + 600) * NS_PER_S)
    assert (ended.n_alarms, [ended.held(p) for p in Priority]) == (2, [0, 1, 0])
    with pytest.raises(InvalidData):
        FloodSettings(begin=3, end=4)


def test_a_flood_is_over_before_what_falls_due_at_the_instant_of_its_end() -> None:
    case = Case(re_alarm_ns=duration(587))
    for k in range(11):
        case.report(k, f"s{k:02d}")
    case.order(19, Verb.ACKNOWLEDGE, "s00")
    effects = case.tick(1000)  # the fifth from the end, of second 6, leaves the last ten minutes at 606 s
    ends = [e.flood.ended_ns for e in effects if isinstance(e, FloodEnded)]
    assert ends == [606 * NS_PER_S]
    assert said(effects) == [(606.0, AlarmEvent.RE_ALARMED, Annunciation.SINGLE)]


def test_what_began_after_a_list_was_made_is_not_ended_by_it() -> None:
    case = Case()
    case.report(1, "old")
    case.report(5, "new")
    case.engine.handle(Completed("r", {DRIFT}, set(), InstantNs(3 * NS_PER_S), InstantNs(6 * NS_PER_S)))
    assert [case.alarm(s).active for s in ("old", "new")] == [False, True]


def test_a_clock_that_was_far_ahead_holds_nothing_up() -> None:
    case = Case(on_delay_ns=duration(5))
    case.tick(365 * 86_400)
    case.report(100)
    assert said(case.tick(110)) == [(105.0, AlarmEvent.RAISED, Annunciation.SINGLE)]
    case.order(120, Verb.SHELVE, duration_ns=duration(60))
    assert said(case.tick(90)) == []  # a little back is no news
    assert said(case.tick(200)) == [(180.0, AlarmEvent.SHELVING_ENDED, Annunciation.SINGLE)]


def test_what_a_clock_that_was_ahead_put_off_is_not_put_off_for_longer_than_it_says() -> None:
    case, ahead = Case(on_delay_ns=duration(30)), 365 * 86_400
    case.report(ahead, "a")
    case.report(ahead + 60, "b")
    case.tick(ahead + 100)
    case.order(ahead + 100, Verb.SHELVE, "b", duration_ns=duration(3600))
    case.report(ahead + 110, "c")
    case.tick(100)  # the clock is set right
    assert case.alarm("b").shelved_until_ns == InstantNs(duration(100 + 3590))
    assert said(case.tick(200)) == [(130.0, AlarmEvent.RAISED, Annunciation.SINGLE)]
    assert said(case.tick(5000)) == [(3690.0, AlarmEvent.SHELVING_ENDED, Annunciation.SINGLE)]
    case.engine.handle(Completed("r", {DRIFT}, set(), InstantNs(duration(5001)), InstantNs(duration(5002))))
    assert not any(alarm.active for alarm in case.engine.alarms)
    assert not any(alarm.chattering(duration(5003)) for alarm in case.engine.alarms)


def test_a_flood_ends_though_the_clock_was_ahead() -> None:
    case = Case()
    for k in range(12):
        case.report(365 * 86_400 + k, f"s{k}")
    assert case.engine.flood is not None
    case.tick(100)
    assert [type(effect) for effect in case.tick(100 + 600)] == [FloodEnded]
    assert said(case.report(800, "new")) == [(800.0, AlarmEvent.RAISED, Annunciation.SINGLE)]


def test_what_another_program_found_is_not_ended_by_a_list() -> None:
    case = Case()
    case.report(1)
    case.engine.handle(Completed("another", {DRIFT}, set(), InstantNs(3 * NS_PER_S), InstantNs(6 * NS_PER_S)))
    assert case.alarm().active


def test_chattering_and_stale_are_seen() -> None:
    case = Case()
    for s in (0, 20, 40):
        case.report(s)
        case.report(s + 1, holds=False)
    alarm = case.alarm()
    assert alarm.chattering(50 * NS_PER_S)
    assert not alarm.chattering(101 * NS_PER_S)
    case.report(200)
    assert not case.alarm().stale((200 + 86_400) * NS_PER_S)
    assert case.alarm().stale((201 + 86_400) * NS_PER_S)


def test_a_changed_definition_holds_for_what_stands() -> None:
    case = Case()
    case.report(0)
    changed = replace(DEFAULTS[DRIFT], priority=Priority.HIGH, off_delay_ns=duration(10))
    effects = case.engine.handle(Defined(DRIFT, changed, "me", "because", InstantNs(NS_PER_S)))
    assert said(effects) == [(1.0, AlarmEvent.REDEFINED, Annunciation.NONE)]
    case.report(2, holds=False)
    assert (case.alarm().priority, case.alarm().active) == (Priority.HIGH, True)
    with pytest.raises(InvalidData):
        Definition(Priority.LOW, dead_band=float("nan"))
    with pytest.raises(InvalidData):
        Definition(Priority.LOW, on_delay_ns=DurationNs(-1))


def test_stored_state_is_the_same_or_refused() -> None:
    case = Case(latching=True)
    case.report(0, value=0.1 + 0.2, cause="naïve")
    state = case.engine.state()
    assert load_state(dump(state)) == state
    assert load_alarm(dump(case.alarm())) == case.alarm()
    for damaged in (b"", b"\xc1", dump(case.alarm())[:-3], msgspec.msgpack.encode({"found": 1})):
        with pytest.raises(InvalidData):
            load_alarm(damaged)


def test_a_storm_costs_as_much_for_each_alarm_however_many_there_are() -> None:
    case = Case(AlarmKind.REFERENCE_LOST)
    times = []
    for part in range(2):
        started = time.process_time()
        for k in range(5000):
            case.report(part * 5000 + k, f"s{part}-{k}")
        times.append(time.process_time() - started)
    assert times[1] < 4 * times[0] + 0.2
