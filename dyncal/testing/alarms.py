"""The contract of every alarm registry: subclass it beside `RegistryContract`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dyncal.alarms.definitions import DEFAULTS
from dyncal.alarms.engine import AlarmEngine, EngineState
from dyncal.alarms.events import Changed, DefinitionPut, FloodBegan, FloodEnded, Kept, Reported
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Condition
from dyncal.domain.errors import Conflict
from dyncal.domain.sensors import SiteId
from dyncal.ports.registry import AlarmAnswer, AlarmWrite, ChangeFilter, Registry
from dyncal.testing.registry import S1, S2, act, make_alarm, put_alarm


class AlarmRegistryContract:
    """The suite; needs the fixture `registry` of `RegistryContract`."""

    def test_alarms_stand_once_and_their_changes_are_kept(self, registry: Registry) -> None:
        changes = [
            put_alarm(registry, make_alarm(), act()),
            put_alarm(registry, make_alarm(k=1, sensor=S2), act(1)),
            put_alarm(registry, make_alarm(AlarmState.NORMAL, k=2), act(2, "done"), AlarmEvent.CLEARED),
        ]
        assert registry.alarms() == [changes[2].alarm, changes[1].alarm]
        assert registry.alarms(active_only=True) == [changes[1].alarm]
        assert registry.alarm_history() == changes[::-1]
        assert registry.alarm_history(ChangeFilter(source=S1)) == [changes[2], changes[0]]
        assert registry.alarm_history(ChangeFilter(alarm=f"{S2}:drift")) == [changes[1]]
        assert registry.alarm_history(ChangeFilter(events=(AlarmEvent.CLEARED,))) == [changes[2]]
        assert registry.alarm_history(ChangeFilter(from_ns=act(1).at_ns, to_ns=act(2).at_ns)) == [changes[1]]
        assert registry.alarm_history(before=3, limit=1) == [changes[1]]
        assert registry.alarm_changes(after=1) == changes[1:]
        assert registry.alarm_changes(limit=1) == changes[:1]
        figures = registry.alarm_figures(act(1).at_ns, act(3).at_ns)
        assert [(f.alarm, f.event, f.annunciated) for f in figures] == [
            (f"{S2}:drift", AlarmEvent.RAISED, Annunciation.SINGLE),
            (f"{S1}:drift", AlarmEvent.CLEARED, Annunciation.NONE),
        ]

    def test_an_alarm_engine_goes_on_where_it_was(self, registry: Registry) -> None:
        assert registry.load_alarms() == (EngineState(), 0)
        engine = AlarmEngine()
        revision = 0
        for k in range(30):
            at = act(k).at_ns
            condition = Condition(SiteId("plant"), f"s{k % 12:02d}", AlarmKind.REFERENCE_LOST, k < 24, at, "edge-1")
            effects = engine.handle(Reported(condition, "tester", at))
            changes = [e for e in effects if isinstance(e, Changed)]
            kept = {e.alarm.id: e.alarm for e in effects if isinstance(e, Changed | Kept)}
            floods = [e.flood for e in effects if isinstance(e, FloodBegan | FloodEnded)]
            revision = registry.write_alarms(AlarmWrite(revision, engine.state(), [*kept.values()], changes, floods))
        assert engine.flood is not None
        assert registry.load_alarms() == (engine.state(), revision)
        assert registry.alarm_floods(act(0).at_ns, act(100).at_ns)[0].began_ns == engine.flood.began_ns
        assert registry.alarm_floods(act(0).at_ns, act(5).at_ns) == []
        assert registry.verify_audit() is None

    def test_only_one_writes_alarms(self, registry: Registry) -> None:
        change = put_alarm(registry, make_alarm(), act())
        state, revision = registry.load_alarms()
        for stale in (0, revision - 1, revision + 1):
            with pytest.raises(Conflict):
                registry.write_alarms(AlarmWrite(stale, state, [make_alarm(AlarmState.NORMAL)]))
        assert registry.alarms() == [change.alarm]

    def test_definitions_and_answers_are_kept(self, registry: Registry) -> None:
        assert (registry.alarm_definitions(), registry.alarm_answer("k")) == ({}, None)
        definition = replace(DEFAULTS[AlarmKind.DRIFT], latching=True)
        put = DefinitionPut(AlarmKind.DRIFT, definition, "tester", "because", act(1).at_ns)
        first = AlarmAnswer("k", act(1).at_ns, "d", b"{}")
        registry.write_alarms(AlarmWrite(0, EngineState(), definitions=[put], answers=[first]))
        assert registry.alarm_definitions() == {AlarmKind.DRIFT: (definition, act(1).at_ns)}
        assert registry.load_alarms()[0].definitions == ((AlarmKind.DRIFT, definition),)
        assert registry.alarm_answer("k") == first
        entry = registry.audit()[-1]
        assert (entry.action, entry.subject, entry.reason) == ("alarm_definition.put", "drift", "because")
        later = AlarmAnswer("l", act(100_000).at_ns, "d", b"{}")
        registry.write_alarms(AlarmWrite(1, EngineState(), answers=[later]))
        assert (registry.alarm_answer("k"), registry.alarm_answer("l")) == (None, later)
