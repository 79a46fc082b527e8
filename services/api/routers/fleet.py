"""For the console's overview: all sensors in one answer, and how they drift. Read only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response

from dyncal.domain.sensors import Sensor
from services.api.access.scope import Reader, reaches
from services.api.deps import Deps, DepsOf
from services.api.frames import Latest
from services.api.schemas.fleet import DriftTrendsOut, FleetOut
from services.api.state import SensorState, Standing, stale_after_ns, standing
from services.api.views import alarms_by_sensor, latest_of

router = APIRouter(prefix="/v1", tags=["console"])


@router.get("/fleet", response_model=FleetOut)
def fleet(deps: DepsOf, reader: Reader) -> Response:
    """Return all sensors, in columns, with how they stand: `/v1/sensors` for tables of thousands of rows."""
    catalogue = deps.catalogue.get()
    alarms, now = alarms_by_sensor(deps), deps.clock.now()
    sensors = [s for s in catalogue.sensors.values() if not reader.confined or reader.reaches(s.id, s.edge)]
    # Column by column: a tuple for each of thousands of rows costs twice the time, and wakes the garbage collector.
    latest, n_unread = _latest(deps, sensors)
    active = [catalogue.active.get(sensor.id) for sensor in sensors]
    pairings = [catalogue.pairings.get(sensor.id) for sensor in sensors]
    online = [deps.edges.online(sensor.edge) for sensor in sensors]
    stands = [
        _UNREAD
        if found is None
        else standing(
            sensor,
            found,
            edge_online=edge,
            paired=pairing is not None,
            is_reference=sensor.id in catalogue.reference_of,
            has_set=record is not None,
            alarms=alarms.get(sensor.id, ()),
            now=now,
            health=deps.health.of(sensor.id),
            doubt=deps.edges.doubt(sensor),
        )
        for sensor, found, edge, pairing, record in zip(sensors, latest, online, pairings, active, strict=True)
    ]
    values = [found or _NOTHING for found in latest]
    return _answer(
        {
            "now_ns": now,
            "n_unread": n_unread,
            "id": [s.id for s in sensors],
            "site": [s.site for s in sensors],
            "edge": [s.edge for s in sensors],
            "unit": [s.unit for s in sensors],
            "label": [s.label for s in sensors],
            "dt_ns": [s.dt_ns for s in sensors],
            "state": [s.state for s in stands],
            "state_detail": [s.detail for s in stands],
            "state_since_ns": [s.since_ns for s in stands],
            "edge_online": online,
            "stale_after_s": [stale_after_ns(s) / 1e9 for s in sensors],
            "reference": [p and p.reference for p in pairings],
            "model": [p and p.model for p in pairings],
            "reference_of": [catalogue.reference_of.get(s.id, ()) for s in sensors],
            "t_ns": [_known(found.raw_t_ns) for found in values],
            "raw": [found.raw for found in values],  # what is not finite is null in JSON
            "quality": [found.quality for found in values],
            "corrected_t_ns": [_known(found.corrected_t_ns) for found in values],
            "corrected": [found.corrected for found in values],
            "u": [found.u for found in values],
            "set_id": [found.set_id or None for found in values],
            "active_id": [a and a.id for a in active],
            "active_sequence": [a and a.sequence for a in active],
            "active_since_ns": [a and a.since_ns for a in active],
            "active_band_hz": [a and a.band_hz for a in active],
            "active_latency_s": [a and a.latency_ns / 1e9 for a in active],
            "alarms": [[alarm.id for alarm in alarms.get(s.id, ())] for s in sensors],
        }
    )


READ_S: Final = 0.3
"""Time for which one request asks the store for last values that it does not know; the next one goes on."""

_NOTHING: Final = Latest()
_UNREAD: Final = Standing(SensorState.CANNOT_TELL, "its last value has not been read yet")


def _latest(deps: Deps, sensors: Sequence[Sensor]) -> tuple[list[Latest | None], int]:
    """Return the newest values of sensors, None of those that there was no time to ask the store for; and their count.

    After a restart nothing is known of a sensor until it speaks, and a store takes up to milliseconds for each.
    """
    until_s = deps.clock.monotonic_s() + READ_S
    found: list[Latest | None] = []
    n_unread = 0
    for sensor in sensors:
        latest = deps.hub.latest(sensor.id)
        if latest is None and deps.clock.monotonic_s() < until_s:
            latest = latest_of(deps, sensor.id) or _NOTHING
        n_unread += latest is None
        found.append(latest)
    return found, n_unread


def _known(t_ns: int) -> int | None:
    return t_ns if t_ns >= 0 else None


@router.get("/drift-trends", response_model=DriftTrendsOut)
def drift_trends(deps: DepsOf, reader: Reader) -> Response:
    """Return how the sensors have moved over their last accepted calibrations."""
    trends = sorted(deps.trends.read(deps.registry).items())
    catalogue = deps.catalogue.get()
    finite = [(sensor, trend) for sensor, trend in trends if math.isfinite(trend.change)]
    found = [(sensor, trend) for sensor, trend in finite if reaches(reader, catalogue, sensor)]
    return _answer(
        {
            "sensor": [sensor for sensor, _ in found],
            "parameter": [trend.parameter for _, trend in found],
            "change": [trend.change for _, trend in found],
            "u": [trend.u for _, trend in found],
            "since_ns": [trend.since_ns for _, trend in found],
            "to_ns": [trend.to_ns for _, trend in found],
            "points": [trend.points for _, trend in found],
        }
    )


def _answer(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
