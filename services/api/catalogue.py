"""Sensors, pairings and active sets as they stand, read again only when the registry has changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Registry

MAX_SETS: Final = 100_000


@dataclass(frozen=True, slots=True)
class ActiveSet:
    """The set that a sensor runs, and since when."""

    id: str
    sequence: int
    since_ns: InstantNs
    band_hz: float
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A consistent picture of the registry's sensors."""

    sensors: Mapping[SensorId, Sensor]
    pairings: Mapping[SensorId, Pairing]
    reference_of: Mapping[SensorId, tuple[SensorId, ...]]
    active: Mapping[SensorId, ActiveSet]

    def sensor(self, sensor: str) -> Sensor:
        """Return one sensor. Raises `NotFound`."""
        found = self.sensors.get(SensorId(sensor))
        if found is None:
            raise NotFound(f"there is no sensor {sensor[:140]!r}")
        return found

    def of_edge(self, edge: EdgeId) -> list[Sensor]:
        """Return the sensors of an edge, in order of id."""
        return [sensor for sensor in self.sensors.values() if sensor.edge == edge]


class CatalogueCache:
    """The catalogue of the newest revision. Blocks; safe to call from several threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._revision = (-1, -1)
        self._catalogue = Catalogue({}, {}, {}, {})

    def get(self) -> Catalogue:
        """Return the present catalogue."""
        revision = (self._registry.revision(), self._registry.sets_revision())
        with self._lock:
            if revision != self._revision:
                # A change between the two reads shows in the next revision, and is read then.
                self._catalogue = _read(self._registry)
                self._revision = revision
            return self._catalogue


def _read(registry: Registry) -> Catalogue:
    pairings = {pairing.sensor: pairing for pairing in registry.pairings()}
    users: dict[SensorId, list[SensorId]] = {}
    for pairing in pairings.values():
        users.setdefault(pairing.reference, []).append(pairing.sensor)
    active = {
        record.coefficients.sensor: ActiveSet(
            record.coefficients.id,
            record.coefficients.sequence,
            record.changed_ns,
            record.coefficients.correction.band_hz,
            record.coefficients.correction.latency_ns,
        )
        for record in registry.sets(state=SetState.ACTIVE, limit=MAX_SETS)
    }
    sensors = {sensor.id: sensor for sensor in registry.sensors()}
    return Catalogue(sensors, pairings, {key: tuple(value) for key, value in users.items()}, active)
