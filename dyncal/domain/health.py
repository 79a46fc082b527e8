"""How far a sensor can be trusted, and since when: what its calibration says of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


class Watch(enum.StrEnum):
    """What the watch for drift can say."""

    LEARNING = "learning"
    IN_CONTROL = "in_control"
    DRIFT = "drift"
    CANNOT_TELL = "cannot_tell"


class Cause(enum.StrEnum):
    """What has changed where a pair of sensor and reference has."""

    SENSOR = "sensor"
    REFERENCE = "reference"
    PROCESS = "process"
    SENSOR_OR_REFERENCE = "sensor_or_reference"
    CANNOT_TELL = "cannot_tell"


class Conformance(enum.StrEnum):
    """Outcome of a decision rule with guard bands (JCGM 106:2012, 8.3)."""

    CONFORMS = "conforms"
    UNDECIDED = "undecided"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Attribution:
    """What has changed, and the posterior probabilities of each possibility; they add up to 1."""

    cause: Cause
    sensor: float
    reference: float
    process: float
    nothing: float


@dataclass(frozen=True, slots=True)
class ParameterConformity:
    """One parameter against its tolerance.

    `change` against the first calibration, its standard uncertainty `u` and `tolerance` are relative; `p_within` is the
    probability that the true change lies within the tolerance.
    """

    parameter: str
    change: float
    u: float
    tolerance: float
    p_within: float
    verdict: Conformance


@dataclass(frozen=True, slots=True)
class Outlook:
    """When one parameter leaves its tolerance: median and ends of the 95 % interval; None: never, on present evidence.

    `late_ns` alone is None where it may also never do so. `rate_per_day` is the relative change a day, with `u_rate`.
    """

    parameter: str
    early_ns: InstantNs | None
    likely_ns: InstantNs | None
    late_ns: InstantNs | None
    rate_per_day: float
    u_rate_per_day: float


@dataclass(frozen=True, slots=True)
class SensorHealth:
    """What calibration says of a sensor at an instant.

    Attributes
    ----------
    at_ns, holds_until_ns : int
        When it was said, and until when it holds unless it is said again: after that nothing is known.
    watch : Watch
    since_ns : int
        Since when `watch` stands; for a drift, the likeliest instant of the change.
    informed_ns : int, optional
        Last instant at which the data said anything of the sensor's dynamics; None: never.
    reason : str
        For people: why `watch` stands.
    parameter : str
        For a drift, the parameter that has changed most clearly.
    change, u_change : float, optional
        By how much, relative, with its standard uncertainty.
    attribution : Attribution, optional
    conformity : tuple of ParameterConformity
        Empty before there is a calibration to judge by.
    outlook : tuple of Outlook
    """

    sensor: SensorId
    at_ns: InstantNs
    holds_until_ns: InstantNs
    watch: Watch
    since_ns: InstantNs
    informed_ns: InstantNs | None = None
    reason: str = ""
    parameter: str = ""
    change: float | None = None
    u_change: float | None = None
    attribution: Attribution | None = None
    conformity: tuple[ParameterConformity, ...] = ()
    outlook: tuple[Outlook, ...] = ()
