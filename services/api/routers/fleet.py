"""For the console's overview: all sensors in one answer, and how they drift. Read only."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from dyncal.domain.sensors import Sensor
from services.api.deps import Deps, DepsOf
from services.api.schemas.fleet import DriftTrendsOut, FleetOut
from services.api.state import stale_after_ns, standing
from services.api.views import alarms_by_sensor, latest_of

router = APIRouter(prefix="/v1", tags=["console"])

_COLUMNS = tuple(name for name in FleetOut.model_fields if name != "now_ns")


@router.get("/fleet", response_model=FleetOut)
def fleet(deps: DepsOf) -> Response:
    """Return all sensors, in columns, with how they stand: `/v1/sensors` for tables of thousands of rows."""
    catalogue = deps.catalogue.get()
    alarms, now = alarms_by_sensor(deps), deps.clock.now()
    rows = []
    for sensor in catalogue.sensors.values():
        latest = latest_of(deps, sensor.id)
        active, pairing = catalogue.active.get(sensor.id), catalogue.pairings.get(sensor.id)
        used_by, mine = catalogue.reference_of.get(sensor.id, ()), alarms.get(sensor.id, ())
        online = deps.edges.online(sensor.edge)
        stands = standing(
            sensor,
            latest,
            edge_online=online,
            paired=pairing is not None,
            is_reference=bool(used_by),
            has_set=active is not None,
            alarms=mine,
            now=now,
            health=deps.health.of(sensor.id),
        )
        rows.append(
            (
                *_declared(sensor),
                stands.state,
                stands.detail,
                online,
                stale_after_ns(sensor) / 1e9,
                *((None, None) if pairing is None else (pairing.reference, pairing.model)),
                used_by,
                *(_NOTHING if latest is None else latest.columns()),
                *(
                    (None,) * 5
                    if active is None
                    else (active.id, active.sequence, active.since_ns, active.band_hz, active.latency_ns / 1e9)
                ),
                [alarm.id for alarm in mine],
            )
        )
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    return _answer({"now_ns": now, **dict(zip(_COLUMNS, columns, strict=True))})


_NOTHING = (None, None, 0, None, None, None, None)


def _declared(sensor: Sensor) -> tuple[str, str, str, str, str, int]:
    return sensor.id, sensor.site, sensor.edge, sensor.unit, sensor.label, sensor.dt_ns


@router.get("/drift-trends", response_model=DriftTrendsOut)
def drift_trends(deps: DepsOf) -> Response:
    """Return how the sensors have moved over their last accepted calibrations."""
    found = [(sensor, trend) for sensor, trend in trends(deps) if math.isfinite(trend.change)]
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


def trends(deps: Deps) -> Any:
    """Return sensors with their trends, in order of id."""
    return sorted(deps.trends.read(deps.registry).items())


def _answer(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
