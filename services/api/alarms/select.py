"""Which alarms a list shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dyncal.alarms.alarm import Alarm
from dyncal.domain.alarms import AlarmKind, AlarmState, Priority, Scope


@dataclass(frozen=True, slots=True)
class Selection:
    """What all have to be; what is empty, or None, asks for nothing. `words` must all be in id or cause."""

    states: frozenset[AlarmState] = frozenset()
    priorities: frozenset[Priority] = frozenset()
    kinds: frozenset[AlarmKind] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    sensor: str = ""
    source: str = ""
    active: bool | None = None
    standing: bool = False
    words: Sequence[str] = ()

    def takes(self, alarm: Alarm) -> bool:
        """Tell whether an alarm is among them."""
        found = alarm.found
        if self.source and found.source != self.source:
            return False
        if self.sensor and alarm.sensor != self.sensor:
            return False
        if self.active is not None and alarm.active != self.active:
            return False
        for chosen, value in (
            (self.priorities, alarm.definition.priority),
            (self.kinds, found.kind),
            (self.scopes, found.kind.scope if self.scopes else None),
        ):
            if chosen and value not in chosen:
                return False
        return self._state(alarm) and self._words(alarm)

    def _state(self, alarm: Alarm) -> bool:
        if not (self.states or self.standing):
            return True
        state = alarm.state
        return (not self.states or state in self.states) and not (self.standing and state is AlarmState.NORMAL)

    def _words(self, alarm: Alarm) -> bool:
        if not self.words:
            return True
        text = f"{alarm.id} {alarm.cause}".lower()
        return all(word in text for word in self.words)


EVERYTHING: Final = Selection()


def counts(alarms: Iterable[Alarm]) -> tuple[dict[AlarmState, int], dict[Priority, int]]:
    """Return how many alarms are in each state, and how many that are shown wait to be acknowledged, by priority."""
    states: Counter[AlarmState] = Counter()
    open_: Counter[Priority] = Counter(dict.fromkeys(Priority, 0))
    for alarm in alarms:
        states[alarm.state] += 1
        open_[alarm.definition.priority] += not (alarm.acknowledged or alarm.set_aside)
    return dict(states), dict(open_)
