"""How the service itself does, and the audit trail backwards."""

from __future__ import annotations

from typing import Literal

from services.api.outlets.standing import OutletState
from services.api.schemas.base import InstantNs, Shape, example
from services.api.schemas.operations import AuditOut, EdgeOut


class StreamsOut(Shape):
    """Live streams."""

    clients: int
    """Open now; one for each browser, however many tabs it has."""
    most_clients: int
    frames: int
    """Frames and events made since the service started."""
    dropped: int
    """Trend frames left out for clients that could not keep up."""
    cut: int
    """Clients cut off as too slow."""


class MessagesOut(Shape):
    """Messages of one kind from the bus, since the service started."""

    kind: str
    taken: int
    rejected: int


class RequestsOut(Shape):
    """HTTP requests since the service started."""

    answered: int
    refused: int
    """Answers with a status of 400 to 499."""
    failed: int
    """Answers with a status of 500 or more."""


class OutletOut(Shape):
    """A way by which a third party is told of alarms."""

    name: str
    way: Literal["webhook", "mail", "opcua"]
    where: str
    """Scheme, host and port."""
    state: OutletState
    """`disabled`: the receiver answered 410 Gone; it is tried again when the service is started again."""
    fault: str
    """What is wrong; '' where nothing is."""
    n_waiting: int
    """Changes taken over from the history that are not delivered yet; at most a window of 1000."""
    n_unread: int
    """Changes in the history that there was no room for yet, wanted or not."""
    oldest_ns: InstantNs | None
    """Since when the oldest of those that wait does."""
    n_delivered: int
    """Since the target was new; the next likewise."""
    n_given_up: int


class SystemOut(Shape):
    """How the service does."""

    model_config = example(
        now_ns=1_769_860_800_000_000_000,
        started_ns=1_769_774_400_000_000_000,
        version="0.1.0",
        api_version="1.5.0",
        ready=True,
        parts={"registry": "", "store": "", "bus": ""},
        edges=[],
        outlets=[
            {
                "name": "cmms",
                "way": "webhook",
                "where": "https://cmms.plant.example",
                "state": "fails",
                "fault": "no answer within 10 s",
                "n_waiting": 3,
                "n_unread": 0,
                "oldest_ns": 1_769_860_700_000_000_000,
                "n_delivered": 4711,
                "n_given_up": 0,
            }
        ],
        sensors=12,
        cpu_s=31.5,
        memory_bytes=180_000_000,
        streams={"clients": 1, "most_clients": 200, "frames": 12_000, "dropped": 0, "cut": 0},
        messages=[{"kind": "samples", "taken": 12_000, "rejected": 0}],
        requests={"answered": 120, "refused": 1, "failed": 0},
    )

    now_ns: InstantNs
    started_ns: InstantNs | None
    """When its process began; null where the system does not say."""
    version: str
    api_version: str
    ready: bool
    parts: dict[str, str]
    """For each thing that it depends on what is wrong ('' when nothing is)."""
    edges: list[EdgeOut]
    outlets: list[OutletOut]
    """Ways by which third parties are told of alarms."""
    sensors: int
    cpu_s: float | None
    """Processor time of its process [s]."""
    memory_bytes: int | None
    """Resident memory of its process."""
    streams: StreamsOut
    messages: list[MessagesOut]
    requests: RequestsOut


class TrailOut(Shape):
    """Entries of the audit trail, newest first."""

    items: list[AuditOut]
    next_cursor: str | None
    """Where older entries follow; null at the beginning of the trail."""


class VerificationOut(Shape):
    """Whether the chain of digests holds."""

    model_config = example(checked_ns=1_769_860_800_000_000_000, first_misfit=None)

    checked_ns: InstantNs
    first_misfit: int | None
    """Number of the first entry that does not fit; null where all do."""
