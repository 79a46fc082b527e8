"""An alarm as it stands: all that is known of it, and what follows from that alone."""

from __future__ import annotations

from typing import Final

import msgspec

from dyncal.alarms.definitions import Definition
from dyncal.domain.alarms import AlarmKind, AlarmState, Annunciation, Condition, Priority, Scope
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, duration

CHATTERING_N: Final = 3
CHATTERING_NS: Final = duration(60.0)
STALE_NS: Final = duration(24 * 3600.0)


class Alarm(msgspec.Struct, frozen=True):
    """One kind of one source.

    Attributes
    ----------
    found : Condition
        What was found last of those that held; the first report where none ever held.
    holds, holds_ns : bool, int
        Whether the condition holds, before delays, and since when.
    due_ns : int, optional
        When `active` will follow `holds`; None where they agree.
    active : bool
        Whether the condition holds, after delays.
    acknowledged : bool
        False while somebody has to acknowledge it.
    latched : bool
        True from the raise of a latching alarm until its reset.
    annunciation, annunciated_ns
        How and when operators were told of what is to be acknowledged.
    re_alarm_ns : int, optional
        When it is annunciated again.
    suppressed_by : tuple of str
        Names of rules and kinds of alarms that suppress it, in order.
    set_aside_ns, set_aside_by, set_aside_reason
        Since when it is shelved, suppressed or out of service, by whom and why.
    raises : tuple of int
        The last raises.
    number, changed_ns : int
        Of its last change; 0 before the first.
    raised_number : int
        Of the change by which it was annunciated last.
    """

    found: Condition
    definition: Definition
    reporter: str = ""
    holds: bool = False
    holds_ns: InstantNs = InstantNs(0)
    due_ns: InstantNs | None = None
    active: bool = False
    acknowledged: bool = True
    latched: bool = False
    annunciation: Annunciation = Annunciation.NONE
    annunciated_ns: InstantNs | None = None
    re_alarm_ns: InstantNs | None = None
    raised_ns: InstantNs | None = None
    cleared_ns: InstantNs | None = None
    acknowledged_ns: InstantNs | None = None
    acknowledged_by: str = ""
    shelved_until_ns: InstantNs | None = None
    suppressed_by: tuple[str, ...] = ()
    out_of_service: bool = False
    set_aside_ns: InstantNs | None = None
    set_aside_by: str = ""
    set_aside_reason: str = ""
    raises: tuple[InstantNs, ...] = ()
    n_raised: int = 0
    n_comments: int = 0
    number: int = 0
    changed_ns: InstantNs = InstantNs(0)
    raised_number: int = 0

    @property
    def id(self) -> str:
        """Identity: one alarm for each source and kind."""
        return self.found.id

    @property
    def kind(self) -> AlarmKind:
        """What it is about."""
        return self.found.kind

    @property
    def sensor(self) -> SensorId | None:
        """The sensor that it is about, if it is about one."""
        return SensorId(self.found.source) if self.found.kind.scope is Scope.SENSOR else None

    @property
    def priority(self) -> Priority:
        """Its priority."""
        return self.definition.priority

    @property
    def cause(self) -> str:
        """What was found to be the cause, or what usually is."""
        return self.found.cause or self.definition.cause

    @property
    def response(self) -> str:
        """What the operator is to do."""
        return self.found.response or self.definition.response

    @property
    def set_aside(self) -> bool:
        """True while it is shelved, suppressed or out of service."""
        return self.out_of_service or bool(self.suppressed_by) or self.shelved_until_ns is not None

    @property
    def underneath(self) -> AlarmState:
        """Where it stands, whether set aside or not."""
        if self.active:
            return AlarmState.ACKNOWLEDGED if self.acknowledged else AlarmState.UNACKNOWLEDGED
        if self.latched:
            return AlarmState.LATCHED_ACKNOWLEDGED if self.acknowledged else AlarmState.LATCHED_UNACKNOWLEDGED
        return AlarmState.NORMAL if self.acknowledged else AlarmState.RETURNED_UNACKNOWLEDGED

    @property
    def state(self) -> AlarmState:
        """What is shown."""
        if self.out_of_service:
            return AlarmState.OUT_OF_SERVICE
        if self.suppressed_by:
            return AlarmState.SUPPRESSED
        return self.underneath if self.shelved_until_ns is None else AlarmState.SHELVED

    def chattering(self, now_ns: int) -> bool:
        """Tell whether it was raised three times within a minute, the last within the last minute."""
        r = self.raises[-CHATTERING_N:]
        return len(r) == CHATTERING_N and r[-1] - r[0] < CHATTERING_NS and now_ns - r[-1] < CHATTERING_NS

    def stale(self, now_ns: int) -> bool:
        """Tell whether it has been active for more than 24 h."""
        return self.active and self.raised_ns is not None and now_ns - self.raised_ns > STALE_NS
