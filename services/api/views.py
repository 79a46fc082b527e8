"""Pictures of sensors for people, put together from registry, live values, edges and alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from dyncal.alarms.alarm import Alarm
from dyncal.domain.errors import Unavailable
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import Sensor, SensorId
from services.api.catalogue import Catalogue
from services.api.deps import Deps
from services.api.frames import Latest
from services.api.schemas.sensors import SensorOut
from services.api.state import stale_after_ns, standing


def alarms_by_sensor(deps: Deps) -> Mapping[SensorId, list[Alarm]]:
    """Return the active alarms of each sensor that has any. Blocks."""
    return deps.desk.active()


def views(deps: Deps, catalogue: Catalogue, sensors: Iterable[Sensor], *, ask_store: bool = True) -> list[SensorOut]:
    """Return how each of `sensors` stands. Blocks: the store is asked for those of which nothing came by live."""
    alarms = alarms_by_sensor(deps)
    now = deps.clock.now()
    shapes = []
    for sensor in sensors:
        latest = latest_of(deps, sensor.id) if ask_store else deps.hub.latest(sensor.id)
        mine = list(alarms.get(sensor.id, ()))
        online = deps.edges.online(sensor.edge)
        pairing, active = catalogue.pairings.get(sensor.id), catalogue.active.get(sensor.id)
        reference_of = catalogue.reference_of.get(sensor.id, ())
        health = deps.health.of(sensor.id)
        stands = standing(
            sensor,
            latest,
            edge_online=online,
            paired=pairing is not None,
            is_reference=bool(reference_of),
            has_set=active is not None,
            alarms=mine,
            now=now,
            health=health,
            doubt=deps.edges.doubt(sensor),
        )
        shapes.append(
            SensorOut.of(
                sensor,
                stands,
                edge_online=online,
                stale_after_ns=stale_after_ns(sensor),
                pairing=pairing,
                reference_of=reference_of,
                latest=latest,
                active=active,
                alarms=mine,
                now=now,
                health=health,
            )
        )
    return shapes


def latest_of(deps: Deps, sensor: SensorId) -> Latest | None:
    """Return the newest values that came by; the store is asked, once, for a sensor of which none did. Blocks."""
    latest = deps.hub.latest(sensor)
    return latest if latest is not None else _stored(deps, sensor)


def _stored(deps: Deps, sensor: SensorId) -> Latest | None:
    try:
        latest = of_series(deps.store.latest(sensor))
    except Unavailable:
        return None
    deps.hub.remember(sensor, latest)
    return latest


def of_series(series: SampleSeries) -> Latest:
    """Return the newest values of a series."""
    latest = Latest()
    with_raw = np.flatnonzero(~np.isnan(series.raw))
    if with_raw.size:
        k = int(with_raw[-1])
        latest.raw_t_ns, latest.raw = int(series.t_ns[k]), float(series.raw[k])
        latest.quality = int(series.quality[k])
    with_corrected = np.flatnonzero(~np.isnan(series.corrected))
    if with_corrected.size:
        k = int(with_corrected[-1])
        latest.corrected_t_ns = int(series.t_ns[k])
        latest.corrected, latest.u = float(series.corrected[k]), float(series.u[k])
        index = int(series.set_index[k])
        latest.set_id = series.set_ids[index] if index >= 0 else ""
    return latest
