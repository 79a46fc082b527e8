"""Alarms: what operators and third parties are told, in the terms of ISA-18.2 / IEC 62682."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


class AlarmState(enum.StrEnum):
    """States of the alarm life cycle."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"


class AlarmKind(enum.StrEnum):
    """What an alarm is about."""

    DRIFT = "drift"
    OUT_OF_TOLERANCE = "out_of_tolerance"
    REFERENCE_LOST = "reference_lost"
    CORRECTION_REVERTED = "correction_reverted"


class Priority(enum.StrEnum):
    """Priority of an alarm."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of one kind for one sensor, as it stands.

    Attributes
    ----------
    raised_ns : int
        Instant at which the condition was detected last.
    changed_ns : int
        Instant of the last change of `state`.
    parameter : str
        The parameter concerned, where one is.
    value, u, limit : float, optional
        What was found, its standard uncertainty, and the limit that it crossed.
    cause, response : str
        For the operator.
    """

    sensor: SensorId
    kind: AlarmKind
    state: AlarmState
    priority: Priority
    raised_ns: InstantNs
    changed_ns: InstantNs
    parameter: str = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: str = ""
    response: str = ""

    @property
    def id(self) -> str:
        """Identity: one alarm for each sensor, kind and parameter."""
        return ":".join(part for part in (self.sensor, self.kind, self.parameter) if part)

    @property
    def active(self) -> bool:
        """True while the condition holds."""
        return self.state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
