"""What the calibration engine is told, and what it wants done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.alarms import Condition
from dyncal.domain.calibration import Calibration
from dyncal.domain.coefficients import CoefficientSet, Report, SetState
from dyncal.domain.health import SensorHealth
from dyncal.domain.lifecycle import ReleasePolicy
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import FloatArray, Record
from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.records import Act

ACTOR: Final = "calibrate"
"""Who acts, in the audit trail."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordArrived:
    """A block or a gap came in, live or replayed by an edge.

    `held`: more has come already. The samples are kept, and dealt with by `Proceed`, all of a sensor in one go and the
    estimators of all sensors in one step.
    """

    record: Record
    now_ns: InstantNs
    held: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SeriesRead:
    """Samples of one sensor were read from the store, to make up for an absence.

    `t_ns` int64 strictly increasing, `raw` float64, `quality` uint32, all of shape (n,). `held` as for `RecordArrived`.
    """

    sensor: SensorId
    t_ns: Int64Array
    raw: FloatArray
    quality: npt.NDArray[np.uint32]
    now_ns: InstantNs
    held: bool = False


@dataclass(frozen=True, slots=True)
class Proceed:
    """Deal with the samples of one sensor that were held, the one whose came first."""

    now_ns: InstantNs


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the registry knows of a sensor: where an engine that starts begins."""

    last_sequence: int = 0
    desired: CoefficientSet | None = None
    waiting: CoefficientSet | None = None
    waiting_since_ns: InstantNs = InstantNs(0)
    waiting_why: str = ""
    policy: ReleasePolicy | None = None
    anchor: CoefficientSet | None = None
    conditions: tuple[Condition, ...] = ()
    snapshot: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PairingsChanged:
    """These are all sensors and pairings now; `known` has an entry for every pairing that is new to the engine."""

    sensors: tuple[Sensor, ...]
    pairings: tuple[Pairing, ...]
    now_ns: InstantNs
    known: Mapping[SensorId, Known] = field(default_factory=dict)
    policies: Mapping[SensorId, Governed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Governed:
    """The policy of a sensor, and the set that a person released last, where there is one."""

    policy: ReleasePolicy
    anchor: CoefficientSet | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Somebody releases a set that waits; `order` is the order that says so, if one does."""

    sensor: SensorId
    set_id: str
    act: Act
    order: str = ""


@dataclass(frozen=True, slots=True)
class Decline:
    """Somebody rejects a set that waits."""

    sensor: SensorId
    set_id: str
    act: Act
    order: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Somebody goes back to an earlier set; only if `instead_of` is in force, where that is given."""

    sensor: SensorId
    to: CoefficientSet
    act: Act
    order: str = ""
    instead_of: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SetReported:
    """The edge at `address` said what it did with a set; `running` is the other one that it runs, where it is known."""

    address: EdgeAddress
    report: Report
    now_ns: InstantNs
    running: CoefficientSet | None = None


@dataclass(frozen=True, slots=True)
class ResidualsFound:
    """The edge at `address` said what it found of its sets since it last did."""

    address: EdgeAddress
    found: tuple[ResidualReport, ...]
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class EdgeSeen:
    """An edge went online or offline."""

    edge: EdgeId
    online: bool
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker is there (again): what it may not have must be said again."""

    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Samples of any sensor were passed over until now: that none came says nothing."""

    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Forget:
    """The registry contradicts what the engine thinks of a sensor: it begins anew with the next `PairingsChanged`."""

    sensor: SensorId
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Stopping:
    """The program ends: keep what is worth keeping."""

    now_ns: InstantNs


Event = (
    RecordArrived
    | SeriesRead
    | Proceed
    | PairingsChanged
    | Release
    | Decline
    | Restore
    | SetReported
    | ResidualsFound
    | EdgeSeen
    | Connected
    | PassedOver
    | Forget
    | Tick
    | Stopping
)


@dataclass(frozen=True, slots=True, eq=False)
class AddCalibration:
    """Keep a calibration in the registry."""

    calibration: Calibration
    act: Act


@dataclass(frozen=True, slots=True, eq=False)
class AddSet:
    """Keep a set in the registry; one that is `PUBLISHED` is signed, and then sent to its edge, retained.

    `earlier`: the states that it was in before; `order`: the order that is carried out so.
    """

    address: EdgeAddress
    coefficients: CoefficientSet
    state: SetState
    act: Act
    earlier: tuple[tuple[SetState, Act], ...] = ()
    order: str = ""


@dataclass(frozen=True, slots=True)
class MoveSet:
    """Move a set of this sensor to another state, unless it is there already.

    To `PUBLISHED`: it is signed, and then sent to its edge at `address`. `order`: the order that is carried out so.
    """

    sensor: SensorId
    set_id: str
    state: SetState
    act: Act
    address: EdgeAddress | None = None
    order: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What somebody wanted of a set cannot be; `order` is answered so, where it was one."""

    order: str
    sensor: SensorId
    set_id: str
    why: str


@dataclass(frozen=True, slots=True)
class SendDesired:
    """Send again, retained, the set that the edge should run."""

    address: EdgeAddress
    sensor: SensorId


@dataclass(frozen=True, slots=True)
class SendShadow:
    """Send, retained, the set that is to run at the edge beside the one in force; '' ends it."""

    address: EdgeAddress
    sensor: SensorId
    set_id: str


@dataclass(frozen=True, slots=True)
class PutCondition:
    """Publish, retained, that a condition began or ended; `again`: it has been said before."""

    condition: Condition
    again: bool = False


@dataclass(frozen=True, slots=True)
class PutHolding:
    """Publish, retained, the ids of all conditions that hold: all others have ended."""

    holding: tuple[str, ...]
    said_ns: InstantNs


@dataclass(frozen=True, slots=True)
class PutHealth:
    """Publish how a sensor stands, retained; None takes it away: the sensor is not calibrated any more."""

    site: SiteId
    sensor: SensorId
    health: SensorHealth | None


@dataclass(frozen=True, slots=True)
class SaveSnapshot:
    """Keep the state of a sensor's tracker."""

    key: str
    content: bytes
    at_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Note:
    """Something to count and to log; `kind` is stable and machine-readable."""

    kind: str
    sensor: str = ""
    detail: str = ""


Effect = (
    AddCalibration
    | AddSet
    | MoveSet
    | Refused
    | SendDesired
    | SendShadow
    | PutCondition
    | PutHolding
    | PutHealth
    | SaveSnapshot
    | Note
)
