"""Alarms: what operators and third parties are told, in the terms of ISA-18.2 / IEC 62682."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs


class AlarmState(enum.StrEnum):
    """States of the alarm life cycle, as they are shown (ISA-18.2, IEC 62682).

    The last three stand in for one of the others, which goes on underneath.
    """

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class AlarmKind(enum.StrEnum):
    """What an alarm is about."""

    DRIFT = "drift"
    OUT_OF_TOLERANCE = "out_of_tolerance"
    REFERENCE_LOST = "reference_lost"
    CORRECTION_REVERTED = "correction_reverted"
    SOURCE_SILENT = "source_silent"
    RECORDS_LOST = "records_lost"
    EDGE_OFFLINE = "edge_offline"
    CLOCK_DOUBTFUL = "clock_doubtful"
    SPOOL_FILLING = "spool_filling"
    STORE_FAILING = "store_failing"
    RELEASE_WAITS = "release_waits"
    RELEASE_EXPIRES = "release_expires"
    ROLLOUT_PAUSED = "rollout_paused"
    ROLLOUT_ABORTED = "rollout_aborted"

    @property
    def scope(self) -> Scope:
        """What the sources of such alarms are."""
        return _SCOPES.get(self, Scope.SENSOR)


class Scope(enum.StrEnum):
    """What the source of an alarm is."""

    SENSOR = "sensor"
    EDGE = "edge"
    SERVICE = "service"
    ROLLOUT = "rollout"


_SCOPES: Final = {
    AlarmKind.EDGE_OFFLINE: Scope.EDGE,
    AlarmKind.CLOCK_DOUBTFUL: Scope.EDGE,
    AlarmKind.SPOOL_FILLING: Scope.EDGE,
    AlarmKind.STORE_FAILING: Scope.SERVICE,
    AlarmKind.ROLLOUT_PAUSED: Scope.ROLLOUT,
    AlarmKind.ROLLOUT_ABORTED: Scope.ROLLOUT,
}


class Priority(enum.StrEnum):
    """Priority of an alarm: consequence and time to respond, not what is broken."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """The higher, the graver: 0, 1, 2."""
        return _RANKS[self]


_RANKS: Final = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}


class Annunciation(enum.StrEnum):
    """How operators were told of what stands."""

    NONE = "none"
    SINGLE = "single"
    HELD_BACK = "held_back"
    """Counted and listed, but not called out one by one: there was a flood."""


class AlarmEvent(enum.StrEnum):
    """What happened to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    UPDATED = "updated"
    RE_ALARMED = "re_alarmed"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SHELVING_ENDED = "shelving_ended"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    TAKEN_OUT_OF_SERVICE = "taken_out_of_service"
    RETURNED_TO_SERVICE = "returned_to_service"
    COMMENTED = "commented"
    REDEFINED = "redefined"


def alarm_id(source: str, kind: AlarmKind) -> str:
    """Return the identity of an alarm: one for each source and kind."""
    return f"{source}:{kind}"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a program found to hold, or to hold no longer, of one source: what alarms are made of.

    Attributes
    ----------
    source : str
        A sensor, an edge, a service or a rollout, as `kind.scope` says.
    at_ns : int
        Since when it is as `holds` says, by the clock of who found it.
    edge : str
        The edge on which the condition hangs ('' if on none): an alarm of that edge may suppress this one by design.
    parameter : str
        The parameter concerned, where one is.
    value, u, limit : float, optional
        What was found, its standard uncertainty, and the limit that it crossed.
    cause, response : str
        For the operator; '' leaves it to the definition of the kind.
    trace : str
        Trace id of the newest block of samples when it began (`dyncal.domain.traces`); '' where there is none.
    """

    site: SiteId
    source: str
    kind: AlarmKind
    holds: bool
    at_ns: InstantNs
    edge: str = ""
    parameter: str = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: str = ""
    response: str = ""
    trace: str = ""

    @property
    def id(self) -> str:
        """Identity of the alarm that it raises."""
        return alarm_id(self.source, self.kind)
