"""How alarms of a kind behave, and what dyncal takes for right where nobody said otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dyncal.domain.alarms import AlarmKind, Priority
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import DurationNs, duration

_NONE: Final = DurationNs(0)
_SHIFT: Final = duration(8 * 3600.0)


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a kind of alarms, in the terms of ISA-18.2.

    Attributes
    ----------
    on_delay_ns, off_delay_ns : int
        For how long a condition has to hold, or to be gone, before the alarm follows.
    dead_band : float
        Share of the limit by which a value that is told has to fall below it before the condition counts as gone.
    latching : bool
        An alarm that cleared stays until it is reset.
    re_alarm_ns : int
        After how long an acknowledged alarm that still stands is annunciated again; 0: never.
    max_shelving_ns : int
        Longest time of shelving; 0: it may not be shelved.
    suppressed_by : tuple of AlarmKind
        Kinds of alarms which, while they are active for the same edge, suppress this one.
    cause, consequence, response : str
        For the operator; cause and response where the finding names none.
    """

    priority: Priority
    alarm_class: str = ""
    on_delay_ns: DurationNs = _NONE
    off_delay_ns: DurationNs = _NONE
    dead_band: float = 0.0
    latching: bool = False
    re_alarm_ns: DurationNs = _NONE
    max_shelving_ns: DurationNs = _SHIFT
    suppressed_by: tuple[AlarmKind, ...] = ()
    cause: str = ""
    consequence: str = ""
    response: str = ""

    def __post_init__(self) -> None:
        """Check the numbers. Raises `InvalidData`."""
        if min(self.on_delay_ns, self.off_delay_ns, self.re_alarm_ns, self.max_shelving_ns) < 0:
            raise InvalidData("times of an alarm's definition must not be negative")
        if not (math.isfinite(self.dead_band) and 0 <= self.dead_band < 1):
            raise InvalidData(f"dead band must be in [0, 1), not {self.dead_band}")


_OFFLINE: Final = (AlarmKind.EDGE_OFFLINE,)

DEFAULTS: Final[Mapping[AlarmKind, Definition]] = MappingProxyType({
    AlarmKind.DRIFT: Definition(
        Priority.MEDIUM,
        "instrument",
        consequence="The transfer function of this sensor is moving; left alone it leaves its tolerance.",
        response="Plan an inspection; the correction follows the change and stays valid meanwhile.",
    ),
    AlarmKind.OUT_OF_TOLERANCE: Definition(
        Priority.HIGH,
        "instrument",
        consequence="What was measured since the change may not conform.",
        response="Inspect or replace the sensor; judge what was measured since the change.",
    ),
    AlarmKind.REFERENCE_LOST: Definition(
        Priority.LOW,
        "instrument",
        suppressed_by=_OFFLINE,
        consequence="Drift of this sensor cannot be told.",
        response="Restore the reference; the last coefficient set stays in force, drift cannot be watched meanwhile.",
    ),
    AlarmKind.CORRECTION_REVERTED: Definition(
        Priority.MEDIUM,
        "instrument",
        consequence="The edge corrects with older coefficients.",
        response="Check sensor and reference; a new set follows once one is better.",
    ),
    AlarmKind.SOURCE_SILENT: Definition(
        Priority.MEDIUM,
        "delivery",
        on_delay_ns=duration(30.0),  # the broker needs that long to find that the edge is gone, which says it all
        suppressed_by=_OFFLINE,
        cause="no values come from this source, though its edge is online",
        consequence="What this sensor measures is not known.",
        response="Look after the sensor, its server and its wiring.",
    ),
    AlarmKind.RECORDS_LOST: Definition(
        Priority.LOW,
        "delivery",
        off_delay_ns=duration(60.0),
        consequence="The record of this sensor has a hole that nothing will fill.",
        response="See the loss ledger for how many and why.",
    ),
    AlarmKind.EDGE_OFFLINE: Definition(
        Priority.HIGH,
        "delivery",
        on_delay_ns=duration(5.0),
        off_delay_ns=duration(10.0),  # its sensors are heard of first
        cause="the edge, or the way to it, is down",
        consequence="No values of its sensors; its spool keeps them until it is back.",
        response="Restore power or network of the edge.",
    ),
    AlarmKind.CLOCK_DOUBTFUL: Definition(
        Priority.MEDIUM,
        "delivery",
        on_delay_ns=duration(60.0),  # a time service takes that long after a start
        off_delay_ns=duration(30.0),
        suppressed_by=_OFFLINE,
        cause="nothing says that the clock of the edge is right",
        consequence="Instants of the sensors that it stamps may be wrong; the uncertainty of their values is widened.",
        response="Restore time synchronisation (NTP, PTP) on the edge's machine.",
    ),
    AlarmKind.SPOOL_FILLING: Definition(
        Priority.HIGH,
        "delivery",
        consequence="When the spool is full, the oldest records are given up.",
        response="Restore the store or the network before it is full.",
    ),
    AlarmKind.STORE_FAILING: Definition(
        Priority.HIGH,
        "system",
        on_delay_ns=duration(5.0),
        consequence="Nothing is stored; edges spool meanwhile.",
        response="Restore the time-series store.",
    ),
    AlarmKind.RELEASE_WAITS: Definition(
        Priority.LOW,
        "release",
        on_delay_ns=duration(60.0),  # who has put the policy is often there to approve
        consequence="The correction stays as it was, though a better one was verified.",
        response="An engineer looks at as found, as left and residuals, and approves or rejects the set.",
    ),
    AlarmKind.RELEASE_EXPIRES: Definition(
        Priority.MEDIUM,
        "release",
        consequence="Nobody can release the set once its time is over; it is rejected, and another has to be verified.",
        response="An engineer approves or rejects the set now.",
    ),
    AlarmKind.ROLLOUT_PAUSED: Definition(
        Priority.MEDIUM,
        "release",
        cause="a stage did not pass, or somebody paused it",
        consequence="Some sensors run new sets, others the earlier ones, until somebody decides.",
        response="An engineer looks at the rollout's stage, and resumes it, accepts the stage, or aborts.",
    ),
    AlarmKind.ROLLOUT_ABORTED: Definition(
        Priority.HIGH,
        "release",
        consequence="Sensors that got new sets go back; what they corrected meanwhile may not conform.",
        response="Find out why on the rollout's page before its sets are released again; see to sensors not yet back.",
    ),
})  # fmt: skip
"""By kind; every kind has one."""
