"""What is said of a sensor: how far it can be trusted, since when, and when that is said again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Final

from dyncal.domain.health import SensorHealth
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import InstantNs
from services.calibrate.events import PutHealth

_MISSED: Final = 3  # times that it may be said late, or not, before it does not hold any more


class HealthDesk:
    """Says how a sensor stands: at once where that is another thing than before, and again every `interval_ns`."""

    def __init__(self, sensor: Sensor, interval_ns: int) -> None:
        self._sensor, self._interval_ns = sensor, interval_ns
        self._said: SensorHealth | None = None

    def repeat(self) -> None:
        """Say it again at the next occasion: the broker may have lost it."""
        self._said = None

    def tell(self, health: SensorHealth) -> Iterator[PutHealth]:
        """Say how the sensor stands, where that is worth it; how long it holds is filled in here."""
        said = self._said
        late = said is None or not 0 <= health.at_ns - said.at_ns < self._interval_ns
        if late or said is None or _essence(said) != _essence(health):
            until = InstantNs(health.at_ns + _MISSED * self._interval_ns)
            self._said = dataclasses.replace(health, holds_until_ns=until)
            yield PutHealth(self._sensor.site, self._sensor.id, self._said)


def _essence(health: SensorHealth) -> tuple[object, ...]:
    """Return what is worth saying at once."""
    told = health.attribution
    verdicts = tuple((part.parameter, part.verdict) for part in health.conformity)
    return health.watch, health.reason, health.parameter, None if told is None else told.cause, verdicts


def number(value: float) -> float | None:
    """Return a number as it may go out: None where it is not finite."""
    return value if math.isfinite(value) else None
