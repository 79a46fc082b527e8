"""The alarms with what is needed to find them: by edge, and by when something is due."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dyncal.alarms.alarm import Alarm
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs

Edge = tuple[SiteId, str]


class Due(NamedTuple):
    """Something is due: `what` is the name of the field of the alarm that says so. Ordered, whatever was put first."""

    at_ns: InstantNs
    id: str
    what: str


TIMERS = ("due_ns", "re_alarm_ns", "shelved_until_ns")


class AlarmBook:
    """Alarms by id, each as it was put last; an alarm is never taken away."""

    def __init__(self, alarms: Iterable[Alarm] = ()) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._heap: list[Due] = []
        self._of_edge: dict[Edge, set[str]] = {}
        self._active: dict[tuple[Edge, AlarmKind], set[str]] = {}
        for alarm in alarms:
            self.put(alarm)

    def get(self, id_: str) -> Alarm | None:
        """Return one alarm."""
        return self._alarms.get(id_)

    def __iter__(self) -> Iterator[Alarm]:
        """Iterate over all alarms."""
        return iter(self._alarms.values())

    def __len__(self) -> int:
        return len(self._alarms)

    def put(self, alarm: Alarm) -> None:
        """Add or replace an alarm."""
        before = self._alarms.get(alarm.id)
        self._alarms[alarm.id] = alarm
        for what in TIMERS:
            at_ns = getattr(alarm, what)
            if at_ns is not None and (before is None or getattr(before, what) != at_ns):
                heapq.heappush(self._heap, Due(at_ns, alarm.id, what))
        if before is not None and (before.active, before.found) == (alarm.active, alarm.found):
            return
        if before is not None and before.found.edge:
            self._of_edge[_edge(before)].discard(alarm.id)
            self._active.get((_edge(before), alarm.kind), set()).discard(alarm.id)
        if alarm.found.edge:
            self._of_edge.setdefault(_edge(alarm), set()).add(alarm.id)
            if alarm.active:
                self._active.setdefault((_edge(alarm), alarm.kind), set()).add(alarm.id)

    def suppressors(self, alarm: Alarm) -> frozenset[AlarmKind]:
        """Return the kinds of other alarms by which an alarm is to be suppressed now."""
        if not (alarm.found.edge and alarm.definition.suppressed_by):
            return frozenset()
        edge, itself = _edge(alarm), {alarm.id}
        return frozenset(k for k in alarm.definition.suppressed_by if self._active.get((edge, k), set()) - itself)

    def beside(self, alarm: Alarm) -> list[str]:
        """Return the ids of the other alarms of the same edge, in order."""
        if not alarm.found.edge:
            return []
        return sorted(self._of_edge.get(_edge(alarm), set()) - {alarm.id})

    def next_due(self) -> Due | None:
        """Return what is due first."""
        while self._heap:
            due = self._heap[0]
            alarm = self._alarms.get(due.id)
            if alarm is not None and getattr(alarm, due.what) == due.at_ns:
                return due
            heapq.heappop(self._heap)
        return None


def _edge(alarm: Alarm) -> Edge:
    return alarm.found.site, alarm.found.edge
