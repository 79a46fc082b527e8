"""Alarms, edges, audit and health."""

from __future__ import annotations

from typing import Self

from dyncal.domain.alarms import Alarm, AlarmKind, AlarmState, Priority
from dyncal.ports.registry import AuditEntry
from services.api.edges import EdgeStatus
from services.api.schemas.base import InstantNs, Shape, example, number


class AlarmOut(Shape):
    """An alarm as it stands, or stood after a change."""

    model_config = example(
        id="TT-101:drift:tau_s",
        sensor="TT-101",
        kind="drift",
        state="unacknowledged",
        priority="medium",
        active=True,
        raised_ns=1_769_860_800_000_000_000,
        changed_ns=1_769_860_800_000_000_000,
        parameter="tau_s",
        value=0.55,
        u=0.004,
        limit=0.525,
        cause="The sensor has become slower.",
        response="Inspect for fouling.",
    )

    id: str
    sensor: str
    kind: AlarmKind
    state: AlarmState
    priority: Priority
    active: bool
    """True while the condition holds."""
    raised_ns: InstantNs
    changed_ns: InstantNs
    parameter: str
    value: float | None
    u: float | None
    limit: float | None
    cause: str
    response: str

    @classmethod
    def of(cls, alarm: Alarm) -> Self:
        """Return the shape of an alarm."""
        return cls(
            id=alarm.id,
            sensor=alarm.sensor,
            kind=alarm.kind,
            state=alarm.state,
            priority=alarm.priority,
            active=alarm.active,
            raised_ns=alarm.raised_ns,
            changed_ns=alarm.changed_ns,
            parameter=alarm.parameter,
            value=number(alarm.value),
            u=number(alarm.u),
            limit=number(alarm.limit),
            cause=alarm.cause,
            response=alarm.response,
        )


class AlarmList(Shape):
    """Alarms, newest change first."""

    now_ns: InstantNs
    items: list[AlarmOut]


class EdgeOut(Shape):
    """An edge as it last spoke."""

    model_config = example(
        edge="edge-1",
        site="plant",
        online=True,
        since_ns=1_769_860_800_000_000_000,
        version="0.1.0",
        u_clock_ns=50_000,
        n_sensors=12,
    )

    edge: str
    site: str
    online: bool
    since_ns: InstantNs
    version: str
    u_clock_ns: int | None
    """Standard uncertainty of its clock [ns]; null where it does not know it."""
    n_sensors: int

    @classmethod
    def of(cls, status: EdgeStatus) -> Self:
        """Return the shape of an edge."""
        return cls(
            edge=status.edge,
            site=status.site,
            online=status.online,
            since_ns=status.since_ns,
            version=status.version,
            u_clock_ns=status.u_clock_ns,
            n_sensors=status.n_sensors,
        )


class EdgeList(Shape):
    """Edges in order of name."""

    items: list[EdgeOut]


class AuditOut(Shape):
    """One line of the audit trail."""

    number: int
    at_ns: InstantNs
    actor: str
    action: str
    subject: str
    reason: str
    digest: str
    """Hash over this line and the digest of the one before."""

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Return the shape of an entry."""
        return cls(
            number=entry.number,
            at_ns=entry.at_ns,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            reason=entry.reason,
            digest=entry.digest,
        )


class AuditPage(Shape):
    """Entries of the audit trail, oldest first."""

    items: list[AuditOut]
    next_cursor: str | None


class HealthOut(Shape):
    """Whether the service does its work, and for each thing it depends on what is wrong ('' when nothing is)."""

    model_config = example(ready=True, parts={"registry": "", "store": "", "bus": ""})

    ready: bool
    parts: dict[str, str]


class ProblemOut(Shape):
    """An error (RFC 9457)."""

    model_config = example(
        type="urn:dyncal:problem:not-found",
        title="Not Found",
        status=404,
        detail="there is no sensor 'TT-999'",
        instance="/v1/sensors/TT-999",
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
