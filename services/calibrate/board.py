"""The conditions of one sensor, at most one of a kind at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.time import InstantNs
from services.calibrate.events import PutCondition


class ConditionBoard:
    """Says when a condition begins and ends; says nothing where nothing changes."""

    def __init__(self, known: Iterable[Condition] = ()) -> None:
        self._known: dict[AlarmKind, Condition] = {condition.kind: condition for condition in known}

    def known(self) -> tuple[Condition, ...]:
        """Return all conditions that ever held, as they are."""
        return tuple(self._known.values())

    def holding(self) -> list[Condition]:
        """Return those that hold."""
        return [condition for condition in self._known.values() if condition.holds]

    def restore(self, known: Iterable[Condition]) -> None:
        """Take these for all that is known."""
        self._known = {condition.kind: condition for condition in known}

    def begin(self, found: Condition) -> Iterator[PutCondition]:
        """Say that a condition holds, where it did not."""
        known = self._known.get(found.kind)
        if known is None or not known.holds:
            yield self._put(found)

    def explain(self, found: Condition) -> Iterator[PutCondition]:
        """Say more of a condition that holds, where that is new."""
        known = self._known.get(found.kind)
        if known is not None and known.holds and known != found:
            yield self._put(found)

    def holds(self, kind: AlarmKind) -> Condition | None:
        """Return a condition that holds."""
        known = self._known.get(kind)
        return known if known is not None and known.holds else None

    def end(self, kind: AlarmKind, now_ns: InstantNs) -> Iterator[PutCondition]:
        """Say that a condition is gone, where it held."""
        known = self._known.get(kind)
        if known is not None and known.holds:
            yield self._put(dataclasses.replace(known, holds=False, at_ns=now_ns, value=None, u=None))

    def end_all(self, now_ns: InstantNs) -> Iterator[PutCondition]:
        """Say that nothing holds any longer: the sensor is not followed any more."""
        for condition in self.holding():
            yield from self.end(condition.kind, now_ns)

    def repeat(self) -> Iterator[PutCondition]:
        """Say all again."""
        for condition in self._known.values():
            yield PutCondition(condition, again=True)

    def _put(self, condition: Condition) -> PutCondition:
        self._known[condition.kind] = condition
        return PutCondition(condition)
