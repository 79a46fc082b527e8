"""The registry on a real PostgreSQL: what the contract suite does not say."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from pydantic import SecretStr

from dyncal.adapters import backup
from dyncal.adapters.registry import migrations, open_registry
from dyncal.adapters.registry.alone import Alone
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.offline import examine_trail
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import Conflict, StoreUnavailable, Unavailable
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import S1, act, make_sensor, make_set
from tests.servers_postgresql import Postgres

pytestmark = pytest.mark.postgresql
OLD = Path(__file__).parents[2] / "unit" / "adapters" / "registries"


@pytest.fixture
def name(postgres: Postgres) -> str:
    """Name of an empty database."""
    return postgres.make_database()


def test_neither_side_waits_for_long_for_one_that_is_gone_without_a_word(postgres: Postgres, name: str) -> None:
    with closing(Database(postgres.url(name))) as database, database.write() as connection:
        for setting, value in (("tcp_keepalives_idle", "10"), ("tcp_user_timeout", "15000")):
            assert connection.exec_driver_sql(f"SHOW {setting}").scalar_one() == value
        raw = connection.connection.dbapi_connection
        assert raw is not None
        with socket.socket(fileno=os.dup(raw.fileno())) as ours:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000


def test_what_the_url_says_of_connections_counts(postgres: Postgres, name: str) -> None:
    url = postgres.url(name) + "?keepalives_idle=77&connect_timeout=3"
    with closing(Database(url)) as database, database.read() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        with socket.socket(fileno=os.dup(raw.fileno())) as ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_registry_of_each_version_is_brought_up_to_date(
    version: int, postgres: Postgres, name: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as raw:
        raw.executescript((OLD / f"version_{version}.sql").read_text())
    old = sa.create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
    with closing(Database(postgres.url(name))) as database, database.write() as connection, old.connect() as source:
        migrations.upgrade(connection, f"{version:04d}")
        tables = sa.MetaData()
        tables.reflect(source)
        for table in tables.sorted_tables:
            connection.execute(sa.text(f"DELETE FROM {table.name}"))
            rows = [dict(row._mapping) for row in source.execute(sa.select(table))]
            if rows:
                connection.execute(sa.insert(table), rows)
        connection.execute(sa.text("DROP TABLE alembic_version"))
    old.dispose()
    with closing(open_registry(RegistrySettings(url=postgres.url(name)), tmp_path)) as registry:
        assert registry.verify_audit() is None
        assert registry.coefficient_set("tc-1-1").envelope == b"envelope"
        assert len(registry.pairings()) == 1
        assert len(registry.audit()) == {1: 14, 2: 11, 3: 8}[version]
        assert registry.alarms()[0].id == "tc-1:drift"


def test_the_tables_that_programs_work_with_are_those_that_revisions_make(postgres: Postgres, name: str) -> None:
    with closing(Database(postgres.url(name))) as database:
        database.prepare()
        with database.write() as connection:
            command.check(migrations.alembic_config(connection))


def test_the_password_comes_from_a_file_and_is_shown_nowhere(postgres: Postgres, name: str, tmp_path: Path) -> None:
    url = postgres.url(name, password=False)
    with pytest.raises(StoreUnavailable, match="password"):
        open_registry(RegistrySettings(url=url), tmp_path)
    secret = tmp_path / "password"
    secret.write_text(postgres.password + "\n")
    for settings in (
        RegistrySettings(url=url, password_file=secret),
        RegistrySettings(url=url, password=SecretStr(postgres.password)),
    ):
        with closing(open_registry(settings, tmp_path)) as registry:
            assert registry.check().startswith("postgresql 1")
            assert postgres.password not in registry.check()
    secret.write_text("wrong")
    with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
        open_registry(RegistrySettings(url=url, password_file=secret), tmp_path)
    assert "wrong" not in str(caught.value)


def test_a_server_that_was_gone_is_used_again(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> None:
    name = postgres.make_database()
    with closing(open_registry(RegistrySettings(url=postgres.url(name)), Path("var"))) as registry:
        registry.put_sensors([make_sensor()], [], act())
        postgres.stop(kill=True)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                registry.sensors()
        postgres.start()
        assert registry.sensor(S1) == make_sensor()
        assert registry.put_sensors([make_sensor(unit="K")], [], act(1))
        assert registry.verify_audit() is None


def test_who_cannot_get_the_lock_says_so_instead_of_waiting_for_ever(
    postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dyncal.adapters.registry.database._BUSY_MS", 200)
    with closing(Database(postgres.url(name))) as first, closing(Database(postgres.url(name))) as second:
        with first.write(), pytest.raises(StoreUnavailable, match="lock timeout"), second.write():
            pass
        with second.write():
            pass


def test_a_back_up_is_made_by_the_tools_of_postgresql_and_put_back(postgres: Postgres, tmp_path: Path) -> None:
    url, other = (postgres.url(postgres.make_database()) for _ in range(2))
    home = tmp_path / "var"
    with closing(open_registry(RegistrySettings(url=url), home)) as registry:
        registry.put_sensors([make_sensor()], [], act())
        registry.add_set(make_set(7), b"seven", SetState.PUBLISHED, act(1))
        (home / "keys").mkdir(parents=True)
        (home / "keys" / "some.pem").write_text("a key")
        backup.make(home, url, tmp_path / "kept", act(2).at_ns, site="plant", version="1")
        registry.put_sensors([make_sensor(unit="K")], [], act(3))
    assert postgres.password not in (tmp_path / "kept" / backup.MANIFEST).read_text()
    with pytest.raises(Conflict, match="another kind"):
        backup.restore(tmp_path / "kept", tmp_path / "new", None, act(4).at_ns)
    for into, where in ((other, tmp_path / "new"), (url, tmp_path / "in place")):
        backup.restore(tmp_path / "kept", where, into, act(5).at_ns)
        with closing(open_registry(RegistrySettings(url=into), where)) as registry:
            assert registry.sensor(S1) == make_sensor()
            assert registry.coefficient_set("tc-1-7").envelope == b"seven"
            assert registry.last_sequence(S1) == 7 + 3
            assert registry.audit()[-1].action == "registry.restore"
            assert registry.verify_audit() is None
        assert (where / "keys" / "some.pem").read_text() == "a key"
    gone = postgres.url("nobody")
    with pytest.raises(StoreUnavailable, match="pg_dump") as caught:
        backup.make(home, gone, tmp_path / "none", act(6).at_ns, site="plant", version="1")
    assert postgres.password not in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_an_audit_trail_is_verified_where_it_lies(postgres: Postgres, name: str) -> None:
    with closing(open_registry(RegistrySettings(url=postgres.url(name)), Path("var"))) as registry:
        for k in range(20):
            registry.put_sensors([make_sensor(unit=f"u{k}")], [], act(k))
    assert examine_trail(postgres.url(name)).n_entries == 20
    engine = sa.create_engine(postgres.url(name))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET actor = 'nobody' WHERE number = 7"))
    engine.dispose()
    assert examine_trail(postgres.url(name)).faults == ("entry 7 does not fit: it is not what its digest says",)
    with pytest.raises(StoreUnavailable) as caught:
        examine_trail(postgres.url("nobody"))
    assert postgres.password not in str(caught.value)


WRITER = """
import sys
from pathlib import Path
from dyncal.adapters.registry import open_registry
from dyncal.domain.sensors import SensorId
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import act, make_sensor
registry = open_registry(RegistrySettings(url=sys.argv[1]), Path("var"))
for k in range(20):
    registry.put_sensors([make_sensor(SensorId("s" + sys.argv[2]), unit=str(k))], [], act(k))
registry.close()
"""


def test_processes_that_start_together_make_one_registry(postgres: Postgres, name: str) -> None:
    url = postgres.url(name)
    children = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(k)]) for k in range(3)]
    assert [child.wait(90) for child in children] == [0, 0, 0]
    with closing(open_registry(RegistrySettings(url=url), Path("var"))) as registry:
        assert len(registry.audit()) == 60
        assert registry.verify_audit() is None


def test_one_service_works_on_a_registry_and_takes_it_up_again_where_the_server_was_away(
    postgres: Postgres, name: str, tmp_path: Path
) -> None:
    settings = RegistrySettings(url=postgres.url(name))

    def cut() -> None:
        with closing(sa.create_engine(postgres.url(name), poolclass=sa.NullPool).connect()) as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            connection.execute(sa.text(others))

    with closing(Alone(settings, tmp_path / "a", "api", "another API service")) as first:
        with pytest.raises(Unavailable, match="another API service works on it"):
            Alone(settings, tmp_path / "b", "api", "another API service")
        cut()
        first.renew()
        with pytest.raises(Unavailable):
            Alone(settings, tmp_path / "b", "api", "another API service")
        cut()
        with closing(Alone(settings, tmp_path / "b", "api", "another API service")):
            for _ in range(2):
                with pytest.raises(Unavailable, match="works on it"):
                    first.renew()
        first.renew()
