"""What every registry must do when the history of alarms is forgotten: a part of the pytest suite."""

from __future__ import annotations

from typing import Final

from dyncal.domain.alarms import AlarmEvent, AlarmState
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S2, act, make_alarm, put_alarm

NOW: Final = act(1000).at_ns


class RetentionContract:
    """The suite; derive from it together with `dyncal.testing.registry.RegistryContract`."""

    def test_the_oldest_history_is_forgotten_in_steps_and_nothing_else(self, registry: Registry) -> None:
        put_alarm(registry, make_alarm(sensor=S2), act(0))
        for k in range(1, 10):
            state, event = (AlarmState.UNACKNOWLEDGED, AlarmEvent.RAISED)
            if k % 2 == 0:
                state, event = AlarmState.NORMAL, AlarmEvent.CLEARED
            put_alarm(registry, make_alarm(state, k=k), act(k), event)
        stands, trail = registry.alarms(), len(registry.audit())
        assert registry.alarms_forgotten_ns() is None
        before = act(6).at_ns
        assert registry.forget_alarms(before, NOW, limit=4, actor="alarms") == 4
        assert [c.alarm.number for c in registry.alarm_changes()] == [5, 6, 7, 8, 9, 10]
        assert registry.alarms_forgotten_ns() == act(3).at_ns + 1
        assert registry.forget_alarms(before, NOW, limit=4, actor="alarms") == 2
        assert registry.alarms_forgotten_ns() == before
        assert registry.forget_alarms(before, NOW, limit=4, actor="alarms") == 0
        assert [c.alarm.number for c in registry.alarm_changes()] == [7, 8, 9, 10]
        assert len(registry.alarm_figures(InstantNs(0), NOW)) == 4
        assert registry.alarms() == stands
        assert registry.load_alarms()[0].number == 10
        told = registry.audit()[trail:]
        assert [(e.actor, e.action, e.subject) for e in told] == [
            ("alarms", "alarm_history.forgotten", "1 to 4"),
            ("alarms", "alarm_history.forgotten", "5 to 6"),
        ]
        assert registry.verify_audit() is None
        assert registry.forget_alarms(act(3).at_ns, NOW, limit=4, actor="alarms") == 0
        assert registry.alarms_forgotten_ns() == before

    def test_a_change_from_the_future_keeps_none_before_it(self, registry: Registry) -> None:
        put_alarm(registry, make_alarm(), act(0))
        put_alarm(registry, make_alarm(AlarmState.NORMAL, k=2000), act(2000), AlarmEvent.CLEARED)
        put_alarm(registry, make_alarm(k=1), act(1))
        put_alarm(registry, make_alarm(AlarmState.NORMAL, k=9), act(9), AlarmEvent.CLEARED)
        assert registry.forget_alarms(act(5).at_ns, NOW, limit=10, actor="alarms") == 3
        assert [c.alarm.number for c in registry.alarm_changes()] == [4]
        assert registry.alarms_forgotten_ns() == act(5).at_ns

    def test_all_of_it_may_be_forgotten_and_floods_with_it(self, registry: Registry) -> None:
        put_alarm(registry, make_alarm(), act(0))
        assert registry.forget_alarms(act(5).at_ns, NOW, limit=10, actor="alarms") == 1
        assert registry.alarm_changes() == []
        assert put_alarm(registry, make_alarm(AlarmState.NORMAL, k=7), act(7), AlarmEvent.CLEARED).alarm.number == 2
