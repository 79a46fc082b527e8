"""Edges, audit and health."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from dyncal.contracts.edges import ClockMessage
from dyncal.ports.records import AuditEntry
from services.api.edges import EdgeStatus
from services.api.schemas.base import InstantNs, Shape, example


class ClockOut(Shape):
    """How the clock of an edge stands, as the edge says (docs/clock.md)."""

    model_config = example(
        state="holdover",
        good=False,
        u_ns=2_500_000,
        since_ns=1_769_860_800_000_000_000,
        source="chrony",
        reference="PTP0",
        offset_ns=-350,
        n_stamped=3,
    )

    state: str
    """`synchronised`, `declared`, `degraded`, `holdover` or `unknown`; a later version may say another word."""
    good: bool
    """Whether nobody needs to look after it."""
    u_ns: int
    """Standard uncertainty at the time of its message [ns]."""
    since_ns: InstantNs
    """Since when, by that very clock."""
    source: str
    """Who told it: `ptp`, `chrony`, `ntpd`, `timesyncd`, `kernel`; '' where nobody does."""
    reference: str
    """What that one follows."""
    offset_ns: int | None
    """By how much the clock was ahead [ns]; null where nothing says."""
    n_stamped: int
    """Sensors whose time stamps it makes: these are in doubt with it."""

    @classmethod
    def of(cls, clock: ClockMessage, n_stamped: int) -> Self:
        """Return the shape of a clock."""
        return cls(
            state=clock.state,
            good=clock.good,
            u_ns=clock.u_ns,
            since_ns=clock.since_ns,
            source=clock.source,
            reference=clock.reference,
            offset_ns=clock.offset_ns,
            n_stamped=n_stamped,
        )


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
        clock={
            "state": "holdover",
            "good": False,
            "u_ns": 2_500_000,
            "since_ns": 1_769_860_800_000_000_000,
            "source": "chrony",
            "reference": "PTP0",
            "offset_ns": -350,
            "n_stamped": 3,
        },
    )

    edge: str
    site: str
    online: bool
    since_ns: InstantNs
    version: str
    u_clock_ns: int | None
    """Standard uncertainty of its clock [ns]; null where it does not know it."""
    n_sensors: int
    clock: ClockOut | None
    """Null while it is away, and of edges of before 2026-12 that do not say."""

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
            clock=None if status.clock is None else ClockOut.of(status.clock, len(status.stamped)),
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


class FaultOut(Shape):
    """One of several things that are wrong with a request."""

    where: str
    """Place in the request, or column of the row; '' for the whole."""
    message: str
    line: int | None = None
    """Line of a file, or number of an item, from 1."""


class ProblemOut(BaseModel):
    """An error (RFC 9457). Some kinds say more, in members of their own."""

    model_config = ConfigDict(
        extra="allow",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:dyncal:problem:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no sensor 'TT-999'",
                    "instance": "/v1/sensors/TT-999",
                }
            ]
        },
    )

    type: str
    """What kind of problem: a stable name for programs; `about:blank` where the status says all there is."""
    title: str
    status: int
    detail: str
    """What is wrong with this very request, for people."""
    instance: str = ""
    errors: list[FaultOut] = Field(default_factory=list)
    """Where several things are wrong: each of them."""
