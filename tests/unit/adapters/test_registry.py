from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dyncal.adapters.registry import SqlRegistry, open_registry
from dyncal.alarms.engine import AlarmEngine
from dyncal.alarms.events import Answered, Changed, Command, Ordered, Verb
from dyncal.domain.errors import InvalidSetting, StoreRefused, StoreUnavailable
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import AlarmWrite
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import act, make_alarm, make_pairing, make_sensor, put_alarm

WRITER = """
import sys
from pathlib import Path
from dyncal.adapters.registry import open_registry
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import act, make_alarm, put_alarm
registry = open_registry(RegistrySettings(), Path(sys.argv[1]))
for k in range(20):
    put_alarm(registry, make_alarm(k=k, sensor=SensorId("s" + sys.argv[2])), act(k))
registry.close()
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    opened = open_registry(RegistrySettings(), tmp_path)
    yield opened
    opened.close()


def test_processes_that_start_together_make_one_registry(tmp_path: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(k)]) for k in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    with closing(open_registry(RegistrySettings(), tmp_path)) as registry:
        assert len(registry.audit()) == 60
        assert registry.verify_audit() is None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE audit SET reason = 'tesu' WHERE number = 3", 3),
        ("UPDATE audit SET at_ns = at_ns + 1 WHERE number = 1", 1),
        ("UPDATE audit SET actor = 'x' || actor, action = substr(action, 2) WHERE number = 2", 2),
        ("UPDATE audit SET digest = '0' || substr(digest, 2) WHERE number = 4 AND digest NOT LIKE '0%'", 4),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 5", 5),
        ("UPDATE audit SET number = 9 WHERE number = 5", 5),
        ("DELETE FROM audit_head", 6),
    ],
)
def test_a_trail_that_was_touched_does_not_fit(
    registry: SqlRegistry, tmp_path: Path, damage: str, expected: int
) -> None:
    for k in range(5):
        put_alarm(registry, make_alarm(k=k), act(k))
    assert registry.verify_audit() is None
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        assert raw.execute(damage).rowcount == 1
        raw.commit()
    assert registry.verify_audit() == expected


def test_tables_of_another_version_are_refused_by_name(registry: SqlRegistry, tmp_path: Path) -> None:
    registry.close()
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        raw.execute("UPDATE schema_version SET version = 99")
        raw.commit()
    with pytest.raises(StoreRefused, match=r"version \[99\].*use a newer dyncal"):
        open_registry(RegistrySettings(), tmp_path)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match=r"registry\.sqlite"):
        open_registry(RegistrySettings(), tmp_path)


def test_a_directory_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="data_dir"):
        open_registry(RegistrySettings(), tmp_path / "file" / "var")


@pytest.mark.parametrize("url", ["nonsense", "klingon://x/y", "postgresql+nodriver://x/y"])
def test_a_url_that_names_no_database_is_a_setting_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"registry\.url"):
        open_registry(RegistrySettings(url=url), tmp_path)


def test_check_names_the_database(registry: SqlRegistry, tmp_path: Path) -> None:
    line = registry.check()
    assert line.startswith("sqlite 3.")
    assert str(tmp_path) in line


def test_a_birth_of_ten_thousand_sensors_is_taken_in_seconds(registry: SqlRegistry) -> None:
    names = [SensorId(f"s{k:05d}") for k in range(10_000)]
    sensors = [make_sensor(name) for name in names]
    pairings = [dataclasses.replace(make_pairing(), sensor=name, reference=SensorId("ref")) for name in names]
    started = time.process_time()
    assert registry.put_sensors(sensors, pairings, act())
    born = time.process_time()
    assert not registry.put_sensors(sensors, pairings, act(1))
    again = time.process_time()
    assert born - started <= 5
    assert again - born <= 1
    assert len(registry.sensors()) == len(registry.pairings()) == 10_000
    assert len(registry.audit(limit=30_000)) == 20_000


_OF_ALARMS = (
    "sensor VARCHAR(128) NOT NULL, kind VARCHAR(32) NOT NULL, state VARCHAR(32) NOT NULL, "
    "priority VARCHAR(16) NOT NULL, "
    "raised_ns BIGINT NOT NULL, changed_ns BIGINT NOT NULL, parameter TEXT NOT NULL, value DOUBLE, u DOUBLE, "
    '"limit" DOUBLE, cause TEXT NOT NULL, response TEXT NOT NULL'
)


def _as_of_version_2(file: Path, *changes: tuple[object, ...]) -> None:
    """Put the alarms' tables back to what they were; `changes` are rows of their history."""
    with closing(sqlite3.connect(file)) as raw:
        for table in ("states", "changes", "definitions", "floods", "answers", "desk"):
            raw.execute(f"DROP TABLE alarm_{table}")
        raw.execute(f"CREATE TABLE alarms (id VARCHAR(400) PRIMARY KEY, {_OF_ALARMS})")
        raw.execute(f"CREATE TABLE alarm_history (number INTEGER PRIMARY KEY, {_OF_ALARMS})")
        for change in changes:
            raw.execute(f"INSERT INTO alarm_history VALUES ({', '.join('?' * 13)})", change)
        raw.execute("UPDATE schema_version SET version = 2")
        raw.commit()


def test_alarms_of_version_2_are_taken_over_with_their_history(registry: SqlRegistry, tmp_path: Path) -> None:
    registry.put_sensors([make_sensor()], [], act())
    registry.close()

    def row(
        n: int, sensor: str, kind: str, state: str, raised: int, changed: int, parameter: str
    ) -> tuple[object, ...]:
        return (n, sensor, kind, state, "high", raised, changed, parameter, 0.1, None, 0.05, "fouling", "inspect")

    _as_of_version_2(
        tmp_path / "registry.sqlite",
        row(1, "tc-1", "drift", "unacknowledged", 10, 10, "tau_s"),
        row(2, "gone", "out_of_tolerance", "unacknowledged", 11, 11, "gain"),
        row(3, "tc-1", "drift", "acknowledged", 10, 12, "tau_s"),
        row(4, "gone", "out_of_tolerance", "returned_unacknowledged", 11, 13, "gain"),
        row(7, "tc-1", "drift", "unacknowledged", 14, 14, "gain"),
    )
    with closing(open_registry(RegistrySettings(), tmp_path)) as again:
        drift, out = again.alarms()
        assert (drift.id, drift.state, drift.raised_ns, drift.n_raised) == ("tc-1:drift", "unacknowledged", 14, 2)
        assert (drift.found.site, drift.found.edge, drift.found.parameter) == ("plant", "edge-1", "gain")
        assert (drift.priority, drift.cause, drift.number, drift.raised_number) == ("high", "fouling", 7, 7)
        assert (out.id, out.state, out.cleared_ns, out.found.site) == (
            "gone:out_of_tolerance", "returned_unacknowledged", 13, "",
        )  # fmt: skip
        assert [c.event for c in again.alarm_changes()] == ["raised", "raised", "acknowledged", "cleared", "raised"]
        state, revision = again.load_alarms()
        assert (state.number, state.now_ns, revision, len(state.alarms)) == (7, 14, 1, 2)
        engine = AlarmEngine(state=state)
        (told, answer) = engine.handle(Ordered(Command(Verb.ACKNOWLEDGE, "tc-1:drift", "me"), InstantNs(20)))
        assert isinstance(told, Changed)
        assert told.alarm.number == 8
        assert answer == Answered("tc-1:drift")
        again.write_alarms(AlarmWrite(revision, engine.state(), [told.alarm], [told]))
        assert again.alarms()[0].state == "acknowledged"
    with closing(open_registry(RegistrySettings(), tmp_path)) as once_more:
        assert once_more.alarms()[0].state == "acknowledged"


def _as_of_version_1(file: Path) -> None:
    _as_of_version_2(file)
    with closing(sqlite3.connect(file)) as raw:
        for column in ("u_reference_noise", "dead_time", "n_poles", "n_zeros"):
            raw.execute(f"ALTER TABLE pairings DROP COLUMN {column}")
        raw.execute("UPDATE schema_version SET version = 1")
        raw.commit()


def test_tables_of_version_1_are_brought_up_to_date(registry: SqlRegistry, tmp_path: Path) -> None:
    registry.put_sensors([make_sensor()], [make_pairing()], act())
    registry.close()
    _as_of_version_1(tmp_path / "registry.sqlite")
    with closing(open_registry(RegistrySettings(), tmp_path)) as again:
        assert again.pairings() == [dataclasses.replace(make_pairing(), u_reference_noise=None, dead_time=False)]
        rational = dataclasses.replace(make_pairing(), model=ModelKind.RATIONAL, n_poles=3, dead_time=True)
        assert again.put_sensors([], [rational], act(1))
        assert again.pairings() == [rational]
    with closing(open_registry(RegistrySettings(), tmp_path)) as once_more:
        assert once_more.pairings() == [rational]


def test_a_pairing_that_cannot_be_any_more_is_removed_on_the_way_and_said_so(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    registry.put_sensors([make_sensor()], [make_pairing()], act(7))
    registry.close()
    _as_of_version_1(tmp_path / "registry.sqlite")
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        raw.execute("UPDATE pairings SET model = 'static'")
        raw.commit()
    with closing(open_registry(RegistrySettings(), tmp_path)) as again:
        assert again.pairings() == []
        last = again.audit()[-1]
        assert (last.actor, last.action, last.at_ns) == ("migration", "pairing.remove", act(7).at_ns)
        assert again.verify_audit() is None
