"""The registry on a SQL database: one transaction for each call, each change with its line of the audit trail."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dyncal.adapters.registry import alarms, audit, calibrations, counters, desired, orders, sensors, sets, snapshots
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.sql_access import SqlAccess
from dyncal.adapters.registry.sql_audit import SqlAudit
from dyncal.adapters.registry.sql_holds import SqlHolds
from dyncal.adapters.registry.sql_jobs import SqlJobs
from dyncal.adapters.registry.sql_laboratory import SqlLaboratory
from dyncal.adapters.registry.sql_lifecycle import SqlLifecycle
from dyncal.adapters.registry.sql_retention import SqlRetention
from dyncal.adapters.registry.sql_rollouts import SqlRollouts
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed
from dyncal.alarms.flood import Flood
from dyncal.alarms.kpis import Figure
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.calibration import Calibration
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.errors import Conflict
from dyncal.domain.orders import Answer
from dyncal.domain.sensors import Pairing, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.records import Act, SetRecord
from dyncal.ports.registry import EVERY, AlarmAnswer, AlarmWrite, ChangeFilter


class SqlRegistry(SqlLifecycle, SqlAccess, SqlAudit, SqlRollouts, SqlLaboratory, SqlJobs, SqlRetention, SqlHolds):
    """`dyncal.ports.registry.Registry` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put_sensors(self, sensors_: Sequence[Sensor], pairings: Sequence[Pairing], act: Act) -> bool:
        """Add or replace in one transaction; return whether anything changed."""
        with self._db.write() as connection:
            return sensors.put(connection, sensors_, pairings, act)

    def remove_pairing(self, sensor: SensorId, act: Act) -> None:
        """Remove the pairing of a sensor. Raises `NotFound`."""
        with self._db.write() as connection:
            sensors.remove_pairing(connection, sensor, act)

    def sensors(self) -> list[Sensor]:
        """Return all sensors in order of id."""
        with self._db.read() as connection:
            return sensors.every_sensor(connection)

    def sensor(self, sensor: SensorId) -> Sensor:
        """Return one sensor. Raises `NotFound`."""
        with self._db.read() as connection:
            return sensors.sensor(connection, sensor)

    def pairings(self) -> list[Pairing]:
        """Return all pairings in order of sensor."""
        with self._db.read() as connection:
            return sensors.every_pairing(connection)

    def revision(self) -> int:
        """Return a number that grows with every change of sensors or pairings."""
        with self._db.read() as connection:
            return counters.value(connection, "sensors")

    def add_calibration(self, calibration: Calibration, act: Act) -> None:
        """Add one. Raises `Conflict` if its id is taken by another."""
        with self._db.write() as connection:
            calibrations.add(connection, calibration, act)

    def calibrations(
        self,
        sensor: SensorId | None = None,
        *,
        before: InstantNs | None = None,
        before_id: str = "",
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[Calibration]:
        """Return calibrations with (fitted_at_ns, id) < (before, before_id), newest first, equal ones by falling id."""
        with self._db.read() as connection:
            return calibrations.several(connection, sensor, before, before_id, limit, reach)

    def calibration(self, calibration_id: str) -> Calibration:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return calibrations.one(connection, calibration_id)

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
        """Add a set that is in `state`, after it was in the `earlier` ones. Raises `Conflict`."""
        with self._db.write() as connection:
            sets.add(connection, coefficients, envelope, state, act, earlier)
            if answer is not None:
                orders.settle(connection, answer)

    def set_state(
        self, set_id: str, state: SetState, act: Act, *, envelope: bytes | None = None, answer: Answer | None = None
    ) -> None:
        """Move a set to `state`. Raises `NotFound`, `Conflict`."""
        with self._db.write() as connection:
            sets.set_state(connection, set_id, state, act, envelope)
            if answer is not None:
                orders.settle(connection, answer)

    def coefficient_set(self, set_id: str) -> SetRecord:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return sets.one(connection, set_id)

    def sets(
        self,
        sensor: SensorId | None = None,
        *,
        state: SetState | None = None,
        after: tuple[SensorId, int] | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[SetRecord]:
        """Return sets, newest sequence first within a sensor, sensors in order."""
        with self._db.read() as connection:
            return sets.several(connection, sensor, state, after, limit, reach)

    def desired_set(self, sensor: SensorId) -> SetRecord | None:
        """Return the newest set that is published or active: what the edge should run."""
        with self._db.read() as connection:
            return sets.desired(connection, sensor)

    def desired_ids(self) -> dict[SensorId, str]:
        """Return, for each sensor that has one, the id of its desired set."""
        with self._db.read() as connection:
            return desired.ids(connection)

    def envelopes(self, set_ids: Collection[str]) -> dict[str, bytes]:
        """Return the exact envelopes of sets by id; those that are not there are left out."""
        with self._db.read() as connection:
            return desired.envelopes(connection, set_ids)

    def last_sequence(self, sensor: SensorId) -> int:
        """Return the largest sequence that any set of this sensor has had, or 0."""
        with self._db.read() as connection:
            return sets.last_sequence(connection, sensor)

    def sets_revision(self) -> int:
        """Return a number that grows with every change of sets."""
        with self._db.read() as connection:
            return counters.value(connection, "sets")

    def load_alarms(self) -> tuple[EngineState, int]:
        """Return all that an alarm engine needs to go on, and the revision."""
        with self._db.read() as connection:
            return alarms.load(connection)

    def write_alarms(self, write: AlarmWrite) -> int:
        """Write in one transaction; return the new revision. Raises `Conflict` if `write.revision` is not the present.

        Answers older than a day before the newest of `write` are forgotten.
        """
        with self._db.write() as connection:
            return alarms.write(connection, write)

    def alarms(self, *, active_only: bool = False, limit: int = 100_000) -> list[Alarm]:
        """Return alarms that ever changed, last changed first."""
        with self._db.read() as connection:
            return alarms.standing(connection, active_only, limit)

    def alarm_history(
        self, only: ChangeFilter = EVERY, *, before: int | None = None, limit: int = 1000
    ) -> list[Changed]:
        """Return changes with number < before, newest first."""
        with self._db.read() as connection:
            return alarms.history(connection, only, before, limit)

    def alarm_changes(self, *, after: int = 0, limit: int = 1000) -> list[Changed]:
        """Return changes with number > after, oldest first."""
        with self._db.read() as connection:
            return alarms.changes(connection, after, limit)

    def alarm_figures(self, from_ns: InstantNs, to_ns: InstantNs) -> list[Figure]:
        """Return what figures of performance are made of, oldest first: changes in [from, to)."""
        with self._db.read() as connection:
            return alarms.figures(connection, from_ns, to_ns)

    def alarm_floods(self, from_ns: InstantNs, to_ns: InstantNs) -> list[Flood]:
        """Return floods that overlap [from, to), oldest first."""
        with self._db.read() as connection:
            return alarms.floods(connection, from_ns, to_ns)

    def alarm_definitions(self) -> dict[AlarmKind, tuple[Definition, InstantNs]]:
        """Return the definitions that somebody changed, and when."""
        with self._db.read() as connection:
            return alarms.definitions(connection)

    def alarm_answer(self, key: str) -> AlarmAnswer | None:
        """Return the answer that was given under a key, if it is kept."""
        with self._db.read() as connection:
            return alarms.answer(connection, key)

    def save_snapshot(self, key: str, content: bytes, at_ns: InstantNs) -> None:
        """Replace the snapshot of that name; not audited."""
        with self._db.write() as connection:
            snapshots.save(connection, key, content, at_ns)

    def put_snapshot(self, key: str, content: bytes, before: bytes | None, act: Act, action: str) -> None:
        """Replace the snapshot of that name, and enter it into the audit trail. Raises `Conflict`."""
        with self._db.write() as connection:
            audit.append(connection, act, action, key)  # first: it holds off other writers
            if snapshots.load(connection, key) != before:
                raise Conflict(f"{key} has changed since it was read")
            snapshots.save(connection, key, content, act.at_ns)

    def load_snapshot(self, key: str) -> bytes | None:
        """Return it, or None."""
        with self._db.read() as connection:
            return snapshots.load(connection, key)

    def check(self) -> str:
        """Return a line that names the database and its version. Raises `StoreUnavailable`."""
        return self._db.describe()

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        self._db.close()
