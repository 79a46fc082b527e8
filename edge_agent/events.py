"""What the agent is told and what it wants done: the whole interface between the engine and its shell."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from dyncal.domain.coefficients import Report
from dyncal.domain.quality import UInt32Array
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import FloatArray, GapCause, Record
from dyncal.domain.sensors import Pairing, Sensor, SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array

DELIVERED_AGAIN_NS: Final = 30_000_000_000
"""For so long after a start, or a new connection, what comes may be delivered again [ns]."""

# Events -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class SamplesRead:
    """A reader had samples of one sensor, in the order in which they came.

    Attributes
    ----------
    t_ns : int64, shape (n,)
        Source instants, as they came: in any order, doubles and nonsense included.
    raw : float64, shape (n,)
    codes : uint32, shape (n,)
        OPC UA status codes.
    arrival_ns : int
        Instant at which the reader had them.
    server_ns : int, optional
        Instant that the server gave the last one.
    receipt : hashable, optional
        Handed back in `Release` once every sample is in a record that was appended, or was found not to belong in one.
    from_history : bool
        Whether they were read from a source's memory: however old they are, they are no fault then.
    unreadable : int, optional
        That there was more, nobody knows how much, that could not be read (a gap stands for it), and what that message
        is known by.
    again_since_ns : int, optional
        That the source may deliver again what came before this instant, not having heard that it was taken.
    """

    sensor: SensorId
    t_ns: Int64Array
    raw: FloatArray
    codes: UInt32Array
    arrival_ns: InstantNs
    server_ns: InstantNs | None = None
    receipt: Hashable | None = None
    from_history: bool = False
    unreadable: int | None = None
    again_since_ns: InstantNs | None = None


@dataclass(frozen=True, slots=True)
class SourceLost:
    """The connection over which these sensors are read is gone: what is missing until they are heard again has a cause.

    `cause` is what the next gap of each sensor is put down to.
    """

    sensors: tuple[SensorId, ...]
    at_ns: InstantNs
    cause: GapCause = GapCause.CONNECTION_LOST


@dataclass(frozen=True, slots=True)
class DesiredSet:
    """A signed envelope for a sensor arrived: from the bus, from a pull, or from the disk at start."""

    sensor: SensorId
    envelope: bytes
    at_ns: InstantNs


@dataclass(frozen=True, slots=True)
class ShadowSet:
    """A signed envelope of a set that is to run beside the one in force; empty: none is."""

    sensor: SensorId
    envelope: bytes
    at_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Committed:
    """The store has everything of `epoch` up to these sequences; ingest has listened since `since_ns`, 0 if unknown.

    `said_ns` is when ingest said so, by its own clock; 0 if unknown.
    """

    epoch: int
    upto: Mapping[SensorId, int]
    at_ns: InstantNs
    since_ns: int = 0
    said_ns: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time goes on. Sent a few times in a flush interval."""

    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Drain:
    """Cut whatever is pending, of all sensors or of some: at the end, or where a source waits for its receipts."""

    now_ns: InstantNs
    sensors: tuple[SensorId, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClockTold:
    """The clock of this machine has the standard uncertainty `u_ns` from now on [ns]."""

    u_ns: DurationNs
    at_ns: InstantNs


Event = SamplesRead | SourceLost | DesiredSet | ShadowSet | Committed | Tick | Drain | ClockTold

# Effects ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Put the record into the spool, then publish it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Release:
    """Acknowledge the inputs: their samples are in records that were appended before."""

    receipts: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Refuse:
    """Put samples that belong in no record into quarantine; a gap that was appended before stands for them."""

    sensor: SensorId
    t_ns: Int64Array
    raw: FloatArray
    codes: UInt32Array
    why: str
    at_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Keep:
    """Replace what is kept on disk of a sensor's sets, and the highest sequence ever applied."""

    sensor: SensorId
    content: bytes
    highest: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Publish what was done with a set."""

    report: Report


@dataclass(frozen=True, slots=True)
class TellResiduals:
    """Publish what was found of the sets that run."""

    found: tuple[ResidualReport, ...]
    at_ns: InstantNs


class Kind(enum.StrEnum):
    """Kinds of event that the edge publishes; stable, for machines."""

    CLOCK_DOUBTFUL = "clock_doubtful"
    CLOCK_GOOD = "clock_good"
    CLOCK_STEP = "clock_step"
    DESIRED_SET_IGNORED = "desired_set_ignored"
    DRAINED_LATE = "drained_late"
    INPUT_QUARANTINED = "input_quarantined"
    INPUT_UNMAPPED = "input_unmapped"
    NODE_FAILED = "node_failed"
    NOT_COMMITTED = "not_committed"
    OVERFLOW = "overflow"
    PUBLISH_REFUSED = "publish_refused"
    REVISED = "revised"
    SAMPLES_REFUSED = "samples_refused"
    SEQUENCE_JUMPED = "sequence_jumped"
    SET_APPLIED = "set_applied"
    SET_REJECTED = "set_rejected"
    SET_REVERTED = "set_reverted"
    SOURCE_CONNECTED = "source_connected"
    SOURCE_LOST = "source_lost"
    SOURCE_SILENT = "source_silent"
    SPOOL_CAPPED = "spool_capped"
    SPOOL_DAMAGED = "spool_damaged"
    SPOOL_FAILED = "spool_failed"
    SPOOL_RECOVERED = "spool_recovered"


GOOD_NEWS: Final = frozenset(
    {Kind.CLOCK_GOOD, Kind.REVISED, Kind.SET_APPLIED, Kind.SOURCE_CONNECTED, Kind.SPOOL_RECOVERED}
)
"""Kinds that ask nobody to look; all others are warnings."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Publish, log and count that something happened."""

    kind: Kind
    at_ns: InstantNs
    sensor: SensorId | None = None
    detail: str = ""


Effect = Append | Release | Refuse | Keep | Tell | TellResiduals | Notice

# What the engine is made with -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What the agent knows of one sensor.

    Attributes
    ----------
    gap_after_ns : int
        Interval between two samples from which on some are missing [ns].
    silent_after_ns : int
        Silence after which a notice says so [ns].
    u_t_ns : int
        Standard uncertainty of the time stamps, as declared [ns].
    own_clock : bool
        Whether this machine's clock makes the time stamps, whose uncertainty is theirs then, beside the declared one.
    """

    sensor: Sensor
    gap_after_ns: DurationNs
    silent_after_ns: DurationNs
    u_t_ns: DurationNs = DurationNs(0)
    pairing: Pairing | None = None
    own_clock: bool = False


@dataclass(frozen=True, slots=True)
class StreamStart:
    """Where a sensor's records go on after a restart: the next sequence, and the newest instant that is spooled."""

    next_sequence: int = 0
    last_t_ns: InstantNs | None = None


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """Limits that hold for every sensor."""

    flush_ns: DurationNs = DurationNs(100_000_000)
    block_samples: int = 4096
    max_skew_ns: DurationNs = DurationNs(86_400 * 1_000_000_000)
    history_samples: int = 4096
    late_before_step: int = 50
    residuals_ns: DurationNs = DurationNs(5_000_000_000)
