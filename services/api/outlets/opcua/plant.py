"""What the nodes of sensors show, out of what the service has in memory anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dyncal.alarms.alarm import Alarm
from dyncal.domain.sensors import EdgeId, Sensor, SensorId
from services.api.catalogue import ActiveSet, Catalogue
from services.api.deps import Deps
from services.api.frames import Latest
from services.api.state import Standing, stale_after_ns, standing


class Plant(Protocol):
    """The plant as it stands; all but `refresh` is out of memory."""

    site: str
    sensors: Mapping[SensorId, Sensor]
    edges: Mapping[EdgeId, Sequence[Sensor]]

    def refresh(self) -> bool:
        """Look at sensors, sets and alarms; return whether there are other sensors or sets. Blocks.

        Raises `Unavailable`.
        """
        ...

    def latest(self, sensor: Sensor) -> Latest | None:
        """Return the newest values of a sensor that came by."""
        ...

    def standing(self, sensor: Sensor) -> Standing:
        """Return how a sensor stands."""
        ...

    def stale(self, sensor: Sensor, t_ns: int) -> bool:
        """Tell whether a value of the instant `t_ns` no longer counts as live."""
        ...

    def active(self, sensor: Sensor) -> ActiveSet | None:
        """Return the coefficient set that a sensor runs."""
        ...


class ServicePlant:
    """`Plant` over what a service knows."""

    def __init__(self, site: str, deps: Deps) -> None:
        self.site = site
        self.sensors: Mapping[SensorId, Sensor] = {}
        self.edges: Mapping[EdgeId, Sequence[Sensor]] = {}
        self._deps = deps
        self._alarms: Mapping[SensorId, Sequence[Alarm]] = {}
        self._catalogue = Catalogue({}, {}, {}, {})

    def refresh(self) -> bool:
        """Read the registry where it has changed; return whether it has. Blocks. Raises `Unavailable`."""
        catalogue, self._alarms = self._deps.catalogue.get(), self._deps.desk.active()
        if catalogue is self._catalogue:
            return False
        edges: dict[EdgeId, list[Sensor]] = {}
        for sensor in catalogue.sensors.values():
            edges.setdefault(sensor.edge, []).append(sensor)
        self._catalogue, self.sensors, self.edges = catalogue, catalogue.sensors, edges
        return True

    def latest(self, sensor: Sensor) -> Latest | None:
        """Return the newest values of a sensor that came by."""
        return self._deps.hub.latest(sensor.id)

    def standing(self, sensor: Sensor) -> Standing:
        """Return how a sensor stands."""
        id_, catalogue = sensor.id, self._catalogue
        return standing(
            sensor,
            self._deps.hub.latest(id_),
            edge_online=self._deps.edges.online(sensor.edge),
            paired=id_ in catalogue.pairings,
            is_reference=bool(catalogue.reference_of.get(id_)),
            has_set=id_ in catalogue.active,
            alarms=self._alarms.get(id_, ()),
            now=self._deps.clock.now(),
            health=self._deps.health.of(id_),
            doubt=self._deps.edges.doubt(sensor),
        )

    def stale(self, sensor: Sensor, t_ns: int) -> bool:
        """Tell whether a value of the instant `t_ns` no longer counts as live."""
        return self._deps.clock.now() - t_ns > stale_after_ns(sensor)

    def active(self, sensor: Sensor) -> ActiveSet | None:
        """Return the coefficient set that a sensor runs."""
        return self._catalogue.active.get(sensor.id)
