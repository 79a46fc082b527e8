"""What calibration said last of each sensor."""

from __future__ import annotations

import threading
from typing import Final

from dyncal.domain.health import SensorHealth, Watch
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

MOST: Final = 100_000


class HealthBook:
    """What calibration said last, bounded in the number of sensors; read from other threads too."""

    def __init__(self, limit: int = MOST) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._said: dict[SensorId, SensorHealth] = {}

    def put(self, health: SensorHealth) -> bool:
        """Take what was said; return False where the book is full and the sensor new to it."""
        with self._lock:
            if health.sensor not in self._said and len(self._said) >= self._limit:
                return False
            self._said[health.sensor] = health
            return True

    def drop(self, sensor: SensorId) -> None:
        """Forget a sensor: it is not calibrated any more."""
        with self._lock:
            self._said.pop(sensor, None)

    def of(self, sensor: SensorId) -> SensorHealth | None:
        """Return what was said of `sensor`; None where nothing was."""
        return self._said.get(sensor)


def news(before: SensorHealth | None, after: SensorHealth) -> bool:
    """Tell whether what is said of a sensor is another thing than before: state, parameter or cause."""
    return before is None or _essence(before) != _essence(after)


def _essence(health: SensorHealth) -> tuple[object, ...]:
    told = health.attribution
    return (
        health.watch,
        health.parameter,
        None if told is None else told.cause,
        tuple((part.parameter, part.verdict) for part in health.conformity),
    )


def unknown_since(health: SensorHealth | None, now: InstantNs) -> tuple[InstantNs | None, str] | None:
    """Return since when nothing can be told of a sensor, and why; None where something can.

    The instant is None where nothing was ever said.
    """
    if health is None:
        return None, "calibration has said nothing of this sensor"
    if now > health.holds_until_ns:
        return health.at_ns, "calibration has fallen silent"
    if health.watch is Watch.CANNOT_TELL:
        return health.since_ns, health.reason
    return None
