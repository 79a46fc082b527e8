"""The registry: everything that is not a time series, with an audit trail of who did what and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed, DefinitionPut
from dyncal.alarms.flood import Flood
from dyncal.alarms.kpis import Figure
from dyncal.domain.alarms import AlarmEvent, AlarmKind
from dyncal.domain.calibration import Calibration
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.orders import Answer
from dyncal.domain.sensors import Pairing, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import AccessRegistry, Reach
from dyncal.ports.holds import HoldRegistry
from dyncal.ports.jobs import JobRegistry
from dyncal.ports.laboratory import LaboratoryRegistry
from dyncal.ports.lifecycle import LifecycleRegistry, OrderRegistry
from dyncal.ports.records import Act, AuditEntry, SetRecord
from dyncal.ports.retention import AlarmRetention
from dyncal.ports.rollouts import RolloutRegistry
from dyncal.ports.trail import CheckpointRegistry


class SensorRegistry(Protocol):
    """Sensors and pairings; written by the API service."""

    def put_sensors(self, sensors: Sequence[Sensor], pairings: Sequence[Pairing], act: Act) -> bool:
        """Add or replace in one transaction; return whether anything changed (if not, nothing is audited)."""
        ...

    def remove_pairing(self, sensor: SensorId, act: Act) -> None:
        """Remove the pairing of a sensor. Raises `NotFound`."""
        ...

    def sensors(self) -> list[Sensor]:
        """Return all sensors in order of id."""
        ...

    def sensor(self, sensor: SensorId) -> Sensor:
        """Return one sensor. Raises `NotFound`."""
        ...

    def pairings(self) -> list[Pairing]:
        """Return all pairings in order of sensor."""
        ...

    def revision(self) -> int:
        """Return a number that grows with every change of sensors or pairings."""
        ...


class CalibrationRegistry(Protocol):
    """Calibrations and coefficient sets; written by the calibration service."""

    def add_calibration(self, calibration: Calibration, act: Act) -> None:
        """Add one. Raises `Conflict` if its id is taken by another."""
        ...

    def calibrations(
        self,
        sensor: SensorId | None = None,
        *,
        before: InstantNs | None = None,
        before_id: str = "",
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[Calibration]:
        """Return calibrations with (fitted_at_ns, id) < (before, before_id), newest first, equal ones by falling id.

        Only those of sensors within `reach`, where one is given.
        """
        ...

    def calibration(self, calibration_id: str) -> Calibration:
        """Return one. Raises `NotFound`."""
        ...

    def add_set(
        self,
        coefficients: CoefficientSet,
        envelope: bytes,
        state: SetState,
        act: Act,
        *,
        earlier: Sequence[tuple[SetState, Act]] = (),
        answer: Answer | None = None,
    ) -> None:
        """Add a set that is in `state`, after it was in the `earlier` ones; answer the order that asked for it.

        One that is published rejects the sensor's verified sets with a lower sequence: no edge would take them.

        Raises
        ------
        Conflict
            If its id, or its sequence for that sensor, is taken, or the order is answered already; `IllegalMove`.
        """
        ...

    def set_state(
        self, set_id: str, state: SetState, act: Act, *, envelope: bytes | None = None, answer: Answer | None = None
    ) -> None:
        """Move a set to `state`, with an `envelope` where it is signed for that; answer the order that asked for it.

        Making one active supersedes the one that was; publishing one rejects verified ones with a lower sequence.

        Raises
        ------
        NotFound
            If there is no such set.
        Conflict
            If the order is answered already; `IllegalMove` if there is no such move.
        """
        ...

    def coefficient_set(self, set_id: str) -> SetRecord:
        """Return one. Raises `NotFound`."""
        ...

    def sets(
        self,
        sensor: SensorId | None = None,
        *,
        state: SetState | None = None,
        after: tuple[SensorId, int] | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[SetRecord]:
        """Return sets, newest sequence first within a sensor, sensors in order; of those within `reach`.

        Only those that come behind the sensor and sequence `after`, where these are given.
        """
        ...

    def desired_set(self, sensor: SensorId) -> SetRecord | None:
        """Return the newest set that is published or active: what the edge should run."""
        ...

    def desired_ids(self) -> dict[SensorId, str]:
        """Return, for each sensor that has one, the id of its desired set."""
        ...

    def envelopes(self, set_ids: Collection[str]) -> dict[str, bytes]:
        """Return the exact envelopes of sets by id; those that are not there are left out."""
        ...

    def last_sequence(self, sensor: SensorId) -> int:
        """Return the largest sequence that any set of this sensor has had, or 0."""
        ...

    def sets_revision(self) -> int:
        """Return a number that grows with every change of sets."""
        ...


@dataclass(frozen=True, slots=True)
class AlarmAnswer:
    """The answer to a command that its caller gave a key: `digest` of what was asked, and the answer's bytes."""

    key: str
    at_ns: InstantNs
    digest: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class AlarmWrite:
    """What an alarm engine's events made of the alarms: written as a whole or not at all.

    Attributes
    ----------
    revision : int
        Of the registry's alarms as the writer knows them.
    state : EngineState
        What the engine knows beside its alarms and definitions; those of it are not looked at.
    kept : sequence of Alarm
        Alarms as they stand, each at most once; all that `changes` are about among them.
    changes : sequence of Changed
        For history and, but for mere updates, the audit trail.
    floods : sequence of Flood
        Floods that began, or ended.
    """

    revision: int
    state: EngineState
    kept: Sequence[Alarm] = ()
    changes: Sequence[Changed] = ()
    floods: Sequence[Flood] = ()
    definitions: Sequence[DefinitionPut] = ()
    answers: Sequence[AlarmAnswer] = ()


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes of alarms: of an alarm or a source, of some events, from and to (exclusive) an instant.

    With `reach` only those whose source is a sensor within it, or is called as one of its edges.
    """

    alarm: str = ""
    source: str = ""
    events: tuple[AlarmEvent, ...] = ()
    from_ns: int | None = None
    to_ns: int | None = None
    reach: Reach | None = None


EVERY: Final = ChangeFilter()
"""All changes."""


class AlarmRegistry(Protocol):
    """Alarms as they stand, their definitions and their history; written by the API service alone."""

    def load_alarms(self) -> tuple[EngineState, int]:
        """Return all that an alarm engine needs to go on, and the revision."""
        ...

    def write_alarms(self, write: AlarmWrite) -> int:
        """Write in one transaction; return the new revision. Raises `Conflict` if `write.revision` is not the present.

        Answers older than a day before the newest of `write` are forgotten.
        """
        ...

    def alarms(self, *, active_only: bool = False, limit: int = 100_000) -> list[Alarm]:
        """Return alarms that ever changed, last changed first."""
        ...

    def alarm_history(
        self, only: ChangeFilter = EVERY, *, before: int | None = None, limit: int = 1000
    ) -> list[Changed]:
        """Return changes with number < before, newest first."""
        ...

    def alarm_changes(self, *, after: int = 0, limit: int = 1000) -> list[Changed]:
        """Return changes with number > after, oldest first."""
        ...

    def alarm_figures(self, from_ns: InstantNs, to_ns: InstantNs) -> list[Figure]:
        """Return what figures of performance are made of, oldest first: changes in [from, to)."""
        ...

    def alarm_floods(self, from_ns: InstantNs, to_ns: InstantNs) -> list[Flood]:
        """Return floods that overlap [from, to), oldest first."""
        ...

    def alarm_definitions(self) -> dict[AlarmKind, tuple[Definition, InstantNs]]:
        """Return the definitions that somebody changed, and when."""
        ...

    def alarm_answer(self, key: str) -> AlarmAnswer | None:
        """Return the answer that was given under a key, if it is kept."""
        ...


class SnapshotRegistry(Protocol):
    """State that a service writes for itself, to go on where it was."""

    def save_snapshot(self, key: str, content: bytes, at_ns: InstantNs) -> None:
        """Replace the snapshot of that name; not audited."""
        ...

    def put_snapshot(self, key: str, content: bytes, before: bytes | None, act: Act, action: str) -> None:
        """Replace the snapshot of that name, which must be as the caller has seen it, and audit that.

        Raises
        ------
        Conflict
            If it is not `before` (None: it is not there).
        """
        ...

    def load_snapshot(self, key: str) -> bytes | None:
        """Return it, or None."""
        ...


class AuditTrail(Protocol):
    """The hash-chained record of every change."""

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Return entries with number > after, oldest first."""
        ...

    def verify_audit(self) -> int | None:
        """Return the number of the first entry that does not fit the chain, or None when all do."""
        ...


class Registry(
    SensorRegistry,
    CalibrationRegistry,
    LaboratoryRegistry,
    JobRegistry,
    LifecycleRegistry,
    OrderRegistry,
    AlarmRegistry,
    AlarmRetention,
    HoldRegistry,
    AccessRegistry,
    RolloutRegistry,
    SnapshotRegistry,
    AuditTrail,
    CheckpointRegistry,
    Protocol,
):
    """All roles of the registry. Methods block and are safe to call from several threads and processes."""

    def check(self) -> str:
        """Return a line that names the database and its version. Raises `StoreUnavailable`."""
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        ...
