"""The alarms of one sensor, at most one of a kind at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dyncal.domain.alarms import Alarm, AlarmKind
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act
from services.calibrate import alarms
from services.calibrate.events import ACTOR, PutAlarm


class AlarmBoard:
    """Raises and clears a sensor's alarms; says nothing where nothing changes."""

    def __init__(self, sensor: Sensor, standing: Iterable[Alarm] = ()) -> None:
        self._sensor = sensor
        self._alarms: dict[AlarmKind, Alarm] = {}
        for alarm in sorted(standing, key=lambda a: a.changed_ns):
            self._alarms[alarm.kind] = alarm

    def standing(self) -> list[Alarm]:
        """Return the alarms as they stand."""
        return list(self._alarms.values())

    def raise_(self, found: Alarm) -> Iterator[PutAlarm]:
        """Say that a condition holds: `found` is the alarm that it raises, where none of its kind stands."""
        alarm = alarms.raised(self._alarms.get(found.kind), found)
        if alarm is not None:
            yield self._put(alarm, alarm.changed_ns)

    def clear(self, kind: AlarmKind, now_ns: InstantNs) -> Iterator[PutAlarm]:
        """Say that a condition is gone."""
        alarm = alarms.cleared(self._alarms.get(kind), now_ns)
        if alarm is not None:
            yield self._put(alarm, now_ns)

    def adopt(self, seen: Alarm, now_ns: InstantNs) -> Iterator[PutAlarm]:
        """Take over an acknowledgement from the registry."""
        ours = self._alarms.get(seen.kind)
        after = None if ours is None else alarms.acknowledged(ours, seen)
        if after is not None:
            yield self._put(after, now_ns, known=True)

    def repeat(self, now_ns: InstantNs) -> Iterator[PutAlarm]:
        """Publish all again."""
        for alarm in self.standing():
            yield self._put(alarm, now_ns, known=True)

    def _put(self, alarm: Alarm, now_ns: InstantNs, *, known: bool = False) -> PutAlarm:
        self._alarms[alarm.kind] = alarm
        return PutAlarm(self._sensor.site, alarm, Act(ACTOR, now_ns, alarm.cause), known)
