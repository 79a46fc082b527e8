from __future__ import annotations

import ast
import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from dyncal.adapters.registry import migrations, open_registry
from dyncal.adapters.registry.database import Database
from dyncal.alarms.engine import AlarmEngine
from dyncal.alarms.events import Answered, Changed, Command, Ordered, Verb
from dyncal.domain.errors import StoreRefused
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import AlarmWrite
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import S1, S2, act, make_calibration, make_pairing, make_sensor

OLD = Path(__file__).parent / "registries"


def make_old(version: int, directory: Path) -> None:
    """Lay down a registry that the program of that version wrote."""
    with closing(sqlite3.connect(directory / "registry.sqlite")) as raw:
        raw.executescript((OLD / f"version_{version}.sql").read_text())


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection of the registry's own to an empty database."""
    database = Database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with database.write() as opened:
        yield opened
    database.close()


def test_revisions_are_one_line_in_the_order_of_their_files(connection: sa.Connection) -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config(connection))
    line = [found.revision for found in script.walk_revisions()][::-1]
    assert script.get_heads() == [migrations.REVISIONS[-1]], "two follow the same one: give yours the next number"
    assert line == list(migrations.REVISIONS) == [f"{n:04d}" for n in range(1, len(line) + 1)]


def test_the_tables_that_programs_work_with_are_those_that_revisions_make(connection: sa.Connection) -> None:
    migrations.upgrade(connection)
    command.check(migrations.alembic_config(connection))  # raises where a revision is missing


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_registry_of_each_version_is_brought_up_to_date(version: int, tmp_path: Path) -> None:
    make_old(version, tmp_path)
    for again in (False, True):
        with closing(open_registry(RegistrySettings(), tmp_path)) as registry:
            unstated = {1: {"u_reference_noise": None, "dead_time": False}}.get(version, {})
            assert registry.pairings() == [dataclasses.replace(make_pairing(), **unstated)]  # type: ignore[arg-type]
            assert [registry.sensor(name) for name in (S1, S2)] == [make_sensor(S1), make_sensor(S2)]
            assert registry.calibration("cal-1").detail == make_calibration().detail
            assert registry.coefficient_set("tc-1-1").envelope == b"envelope"
            assert registry.load_snapshot("engine") == b"\x00\xffstate"
            assert registry.verify_audit() is None
            assert f"tables {migrations.REVISIONS[-1]}" in registry.check()
            assert len(registry.audit()) == {1: 14, 2: 11, 3: 8}[version] + again
            assert registry.put_sensors([make_sensor(SensorId("new"))], [], act()) is not again
            assert registry.verify_audit() is None


@pytest.mark.parametrize("version", [1, 2, 3])
def test_tables_brought_up_to_date_are_those_of_an_empty_database(version: int, tmp_path: Path) -> None:
    make_old(version, tmp_path)
    with closing(Database(f"sqlite:///{tmp_path / 'registry.sqlite'}")) as database:
        database.prepare()
        with database.write() as connection:
            command.check(migrations.alembic_config(connection))


def test_alarms_of_version_2_are_taken_over_with_their_history(tmp_path: Path) -> None:
    make_old(2, tmp_path)
    with closing(open_registry(RegistrySettings(), tmp_path)) as again:
        drift, out = again.alarms()
        assert (drift.id, drift.state, drift.raised_ns, drift.n_raised) == ("tc-1:drift", "unacknowledged", 14, 2)
        assert (drift.found.site, drift.found.edge, drift.found.parameter) == ("plant", "edge-1", "gain")
        assert (drift.priority, drift.cause, drift.number, drift.raised_number) == ("high", "fouling", 5, 5)
        assert (out.id, out.state, out.cleared_ns, out.found.site) == (
            "gone:out_of_tolerance", "returned_unacknowledged", 13, "",
        )  # fmt: skip
        assert [c.event for c in again.alarm_changes()] == ["raised", "raised", "acknowledged", "cleared", "raised"]
        state, revision = again.load_alarms()
        assert (state.number, state.now_ns, revision, len(state.alarms)) == (5, 14, 1, 2)
        engine = AlarmEngine(state=state)
        (told, answer) = engine.handle(Ordered(Command(Verb.ACKNOWLEDGE, "tc-1:drift", "me"), InstantNs(20)))
        assert isinstance(told, Changed)
        assert told.alarm.number == 6
        assert answer == Answered("tc-1:drift")
        again.write_alarms(AlarmWrite(revision, engine.state(), [told.alarm], [told]))
        assert again.alarms()[0].state == "acknowledged"
    with closing(open_registry(RegistrySettings(), tmp_path)) as once_more:
        assert once_more.alarms()[0].state == "acknowledged"


def test_a_pairing_that_cannot_be_any_more_is_removed_on_the_way_and_said_so(tmp_path: Path) -> None:
    make_old(1, tmp_path)
    with closing(open_registry(RegistrySettings(), tmp_path)) as again:
        assert [pairing.sensor for pairing in again.pairings()] == ["tc-1"]
        last = again.audit()[-1]
        assert (last.actor, last.action, last.subject) == ("migration", "pairing.remove", "tc-3")
        assert last.at_ns == act(9).at_ns
        assert again.verify_audit() is None
        rational = dataclasses.replace(make_pairing(), model=ModelKind.RATIONAL, n_poles=3, dead_time=True)
        assert again.put_sensors([], [rational], act(1))
        assert again.pairings() == [rational]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE alembic_version SET version_num = '9999'",
        "INSERT INTO alembic_version VALUES ('0001')",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",  # and 4 in schema_version
    ],
)
def test_a_registry_that_this_program_does_not_know_is_refused_and_left_alone(damage: str, tmp_path: Path) -> None:
    open_registry(RegistrySettings(), tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        raw.execute(damage)
        raw.commit()
        before = list(raw.iterdump())
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"up to \d{4}: use a newer dyncal"):
            open_registry(RegistrySettings(), tmp_path)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        assert list(raw.iterdump()) == before


def test_what_fails_on_the_way_leaves_the_registry_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old(1, tmp_path)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        raw.execute("UPDATE alarm_history SET kind = 'no such kind' WHERE number = 5")  # 0003 cannot read it
        raw.commit()
        before = list(raw.iterdump())
    with pytest.raises(ValueError, match="no such kind"):
        open_registry(RegistrySettings(), tmp_path)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        assert list(raw.iterdump()) == before


def test_threads_that_open_old_registries_together_do_not_mix_them_up(tmp_path: Path) -> None:
    def open_one(directory: Path) -> int | None:
        with closing(open_registry(RegistrySettings(), directory)) as registry:
            return registry.verify_audit()

    directories = [tmp_path / name for name in "123"]
    for version, directory in enumerate(directories, 1):
        directory.mkdir()
        make_old(version, directory)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_one, directories * 2)) == [None] * 6


def test_opening_a_registry_that_is_up_to_date_does_without_alembic(tmp_path: Path) -> None:
    open_registry(RegistrySettings(), tmp_path).close()
    program = (
        "import sys; from pathlib import Path; from dyncal.adapters.registry import open_registry; "
        "from dyncal.runtime.settings import RegistrySettings; "
        "open_registry(RegistrySettings(), Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 0


def test_a_revision_stands_on_its_own() -> None:
    """Tables as programs have them now are not those that a revision of the past is about."""
    for file in (migrations.HERE / "versions").glob("r*.py"):
        names = [node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [n for n in names if n and (n.endswith((".schema", "_tables")))], file.name
