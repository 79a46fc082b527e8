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
from dyncal.domain.errors import InvalidSetting, StoreUnavailable
from dyncal.domain.sensors import SensorId
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
