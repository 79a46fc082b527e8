"""The registry on a SQL database: one transaction for each call, each change with its line of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from dyncal.adapters.registry import alarms, audit, calibrations, counters, sensors, sets, snapshots
from dyncal.adapters.registry.database import Database
from dyncal.domain.alarms import Alarm
from dyncal.domain.calibration import Calibration
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.errors import Conflict
from dyncal.domain.sensors import Pairing, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act, AuditEntry, SetRecord


class SqlRegistry:
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
        self, sensor: SensorId | None = None, *, before: InstantNs | None = None, before_id: str = "", limit: int = 100
    ) -> list[Calibration]:
        """Return calibrations with (fitted_at_ns, id) < (before, before_id), newest first, equal ones by falling id."""
        with self._db.read() as connection:
            return calibrations.several(connection, sensor, before, before_id, limit)

    def calibration(self, calibration_id: str) -> Calibration:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return calibrations.one(connection, calibration_id)

    def add_set(self, coefficients: CoefficientSet, envelope: bytes, state: SetState, act: Act) -> None:
        """Add a set. Raises `Conflict` if its id, or its sequence for that sensor, is taken."""
        with self._db.write() as connection:
            sets.add(connection, coefficients, envelope, state, act)

    def set_state(self, set_id: str, state: SetState, act: Act) -> None:
        """Move a set to `state`; making one active supersedes the one that was. Raises `NotFound`."""
        with self._db.write() as connection:
            sets.set_state(connection, set_id, state, act)

    def coefficient_set(self, set_id: str) -> SetRecord:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return sets.one(connection, set_id)

    def sets(
        self, sensor: SensorId | None = None, *, state: SetState | None = None, limit: int = 100
    ) -> list[SetRecord]:
        """Return sets, newest sequence first within a sensor, sensors in order."""
        with self._db.read() as connection:
            return sets.several(connection, sensor, state, limit)

    def desired_set(self, sensor: SensorId) -> SetRecord | None:
        """Return the newest set that is published or active: what the edge should run."""
        with self._db.read() as connection:
            return sets.desired(connection, sensor)

    def last_sequence(self, sensor: SensorId) -> int:
        """Return the largest sequence that any set of this sensor has had, or 0."""
        with self._db.read() as connection:
            return sets.last_sequence(connection, sensor)

    def sets_revision(self) -> int:
        """Return a number that grows with every change of sets."""
        with self._db.read() as connection:
            return counters.value(connection, "sets")

    def put_alarm(self, alarm: Alarm, act: Act) -> None:
        """Add or replace an alarm by its id, and keep the change in its history."""
        with self._db.write() as connection:
            alarms.put(connection, alarm, act)

    def alarms(self, *, active_only: bool = False, limit: int = 1000) -> list[Alarm]:
        """Return alarms, last changed first."""
        with self._db.read() as connection:
            return alarms.standing(connection, active_only, limit)

    def alarm_history(self, sensor: SensorId | None = None, *, limit: int = 1000) -> list[Alarm]:
        """Return changes of alarms, newest first."""
        with self._db.read() as connection:
            return alarms.history(connection, sensor, limit)

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

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Return entries with number > after, oldest first."""
        with self._db.read() as connection:
            return audit.entries(connection, after, limit)

    def verify_audit(self) -> int | None:
        """Return the number of the first entry that does not fit the chain, or None when all do."""
        with self._db.read() as connection:
            return audit.first_misfit(connection)

    def check(self) -> str:
        """Return a line that names the database and its version. Raises `StoreUnavailable`."""
        return self._db.describe()

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        self._db.close()
