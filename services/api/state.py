"""The state of a sensor for people: one word after NAMUR NE 107, and why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from dyncal.domain import quality
from dyncal.domain.alarms import Alarm, AlarmKind
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import NS_PER_S, InstantNs
from services.api.frames import Latest

STALE_INTERVALS: Final = 20
STALE_LEAST_NS: Final = 5 * NS_PER_S


class SensorState(enum.StrEnum):
    """NE 107, and two of our own: `learning` (no coefficients yet) and `reference` (calibrates others)."""

    NORMAL = "normal"
    REFERENCE = "reference"
    LEARNING = "learning"
    MAINTENANCE_REQUIRED = "maintenance_required"
    OUT_OF_SPECIFICATION = "out_of_specification"
    CHECK_FUNCTION = "check_function"
    FAILURE = "failure"


class Standing(NamedTuple):
    """A state and its reason."""

    state: SensorState
    detail: str


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
) -> Standing:
    """Return how a sensor stands: the gravest of what applies.

    `alarms` are those of this sensor that are active. What cannot be told is never called normal.
    """
    if latest is None or latest.raw_t_ns < 0:
        return Standing(SensorState.FAILURE, "no value has ever arrived")
    if edge_online is False:
        return Standing(SensorState.FAILURE, f"edge {sensor.edge} is offline")
    if now - latest.raw_t_ns > stale_after_ns(sensor):
        return Standing(SensorState.FAILURE, "values have stopped")
    if latest.quality & quality.BAD:
        return Standing(SensorState.FAILURE, f"the source reports bad quality (0x{latest.quality:08X})")
    kinds = {alarm.kind for alarm in alarms}
    if AlarmKind.OUT_OF_TOLERANCE in kinds:
        return Standing(SensorState.OUT_OF_SPECIFICATION, "out of tolerance")
    if AlarmKind.DRIFT in kinds:
        names = sorted({alarm.parameter for alarm in alarms if alarm.kind is AlarmKind.DRIFT and alarm.parameter})
        return Standing(SensorState.MAINTENANCE_REQUIRED, "drift" + (f" of {', '.join(names)}" if names else ""))
    if AlarmKind.CORRECTION_REVERTED in kinds:
        return Standing(SensorState.CHECK_FUNCTION, "the edge went back to earlier coefficients")
    if AlarmKind.REFERENCE_LOST in kinds:
        return Standing(SensorState.CHECK_FUNCTION, "the reference is lost: drift cannot be told")
    if has_set:
        return Standing(SensorState.NORMAL, "")
    if is_reference:
        return Standing(SensorState.REFERENCE, "")
    if paired:
        return Standing(SensorState.LEARNING, "no coefficients yet: values are uncorrected")
    return Standing(SensorState.LEARNING, "has no reference: values are uncorrected")
