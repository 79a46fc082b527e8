"""The state of a sensor for people: one word after NAMUR NE 107, and why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from dyncal.alarms.alarm import Alarm
from dyncal.domain import quality
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.health import Cause, SensorHealth, Watch
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import NS_PER_S, InstantNs
from services.api.edges import Doubt
from services.api.frames import Latest
from services.api.health import unknown_since

STALE_INTERVALS: Final = 20
STALE_LEAST_NS: Final = 5 * NS_PER_S


_CAUSES: Final = {
    Cause.SENSOR: "the sensor has changed",
    Cause.REFERENCE: "its reference has changed",
    Cause.PROCESS: "goes with the process",
    Cause.SENSOR_OR_REFERENCE: "the sensor or its reference has changed",
    Cause.CANNOT_TELL: "what has changed cannot be told",
}


class SensorState(enum.StrEnum):
    """NE 107, and three of our own.

    `learning`: no coefficients yet, or too few data since; `reference`: calibrates others; `cannot_tell`: there are
    coefficients, and nothing says whether they still hold.
    """

    NORMAL = "normal"
    REFERENCE = "reference"
    LEARNING = "learning"
    CANNOT_TELL = "cannot_tell"
    MAINTENANCE_REQUIRED = "maintenance_required"
    OUT_OF_SPECIFICATION = "out_of_specification"
    CHECK_FUNCTION = "check_function"
    FAILURE = "failure"


class Standing(NamedTuple):
    """A state, its reason, and since when it stands where that is known."""

    state: SensorState
    detail: str
    since_ns: InstantNs | None = None


def stale_after_ns(sensor: Sensor) -> int:
    """Return the age at which the values of `sensor` no longer count as live [ns]."""
    return max(STALE_INTERVALS * sensor.dt_ns, STALE_LEAST_NS)


def standing(
    sensor: Sensor,
    latest: Latest | None,
    *,
    edge_online: bool | None,
    paired: bool,
    is_reference: bool,
    has_set: bool,
    alarms: Sequence[Alarm],
    now: InstantNs,
    health: SensorHealth | None = None,
    doubt: Doubt | None = None,
) -> Standing:
    """Return how a sensor stands: the gravest of what applies.

    `alarms` are those of this sensor that are active, `health` what calibration said last, `doubt` what is wrong with
    the clock of its time stamps. What cannot be told is never called normal.
    """
    if latest is None or latest.raw_t_ns < 0:
        return Standing(SensorState.FAILURE, "no value has ever arrived")
    if edge_online is False:
        return Standing(SensorState.FAILURE, f"edge {sensor.edge} is offline")
    if now - latest.raw_t_ns > stale_after_ns(sensor):
        return Standing(SensorState.FAILURE, "values have stopped")
    if latest.quality & quality.BAD:
        return Standing(SensorState.FAILURE, f"the source reports bad quality (0x{latest.quality:08X})")
    if doubt is not None:
        return Standing(SensorState.CHECK_FUNCTION, doubt.why, doubt.since_ns)
    found = _found(alarms, health)
    if found is not None:
        return found
    if has_set:
        return _corrected(health, now)
    if is_reference:
        return Standing(SensorState.REFERENCE, "")
    if paired:
        return Standing(SensorState.LEARNING, "no coefficients yet: values are uncorrected")
    return Standing(SensorState.LEARNING, "has no reference: values are uncorrected")


def _found(alarms: Sequence[Alarm], health: SensorHealth | None) -> Standing | None:
    """Return what alarms, or calibration itself, say is wrong; None where nothing is."""
    kinds = {alarm.kind for alarm in alarms}
    if AlarmKind.OUT_OF_TOLERANCE in kinds:
        return Standing(SensorState.OUT_OF_SPECIFICATION, "out of tolerance")
    drifts = health is not None and health.watch is Watch.DRIFT
    if AlarmKind.DRIFT in kinds and health is not None and health.watch is Watch.CANNOT_TELL:
        return Standing(SensorState.MAINTENANCE_REQUIRED, health.reason, health.since_ns)  # they contradict each other
    if drifts or AlarmKind.DRIFT in kinds:
        names = {a.found.parameter for a in alarms if a.kind is AlarmKind.DRIFT and a.found.parameter}
        since = None
        if drifts and health is not None:
            names |= {health.parameter} - {""}
            since = health.since_ns
        detail = "drift" + (f" of {', '.join(sorted(names))}" if names else "") + _cause(health)
        return Standing(SensorState.MAINTENANCE_REQUIRED, detail, since)
    if AlarmKind.CORRECTION_REVERTED in kinds:
        return Standing(SensorState.CHECK_FUNCTION, "the edge went back to earlier coefficients")
    if AlarmKind.REFERENCE_LOST in kinds:
        return Standing(SensorState.CHECK_FUNCTION, "the reference is lost: drift cannot be told")
    return None


def _cause(health: SensorHealth | None) -> str:
    told = None if health is None else health.attribution
    return "" if told is None else f": {_CAUSES[told.cause]}"


def _corrected(health: SensorHealth | None, now: InstantNs) -> Standing:
    """Return how a sensor with coefficients stands of which nothing is known to be wrong."""
    unknown = unknown_since(health, now)
    if unknown is not None:
        return Standing(SensorState.CANNOT_TELL, unknown[1], unknown[0])
    if health is not None and health.watch is Watch.LEARNING:
        return Standing(SensorState.LEARNING, "has coefficients; too few data yet to tell whether it drifts")
    return Standing(SensorState.NORMAL, "", None if health is None else health.since_ns)
