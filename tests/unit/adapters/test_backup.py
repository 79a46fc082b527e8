from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters import backup
from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import Conflict, InvalidData, NotFound
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from dyncal.testing.access import make_session, make_user
from dyncal.testing.registry import S1, act, make_sensor, make_set
from tests import trails

NOW = InstantNs(1_760_000_000_000_000_000)
LATER = InstantNs(NOW + 90 * NS_PER_S)

WRITER = """
import sys
from pathlib import Path
from dyncal.adapters.registry import open_registry
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import act, make_sensor
registry = open_registry(RegistrySettings(), Path(sys.argv[1]))
for k in range(100_000):
    registry.put_sensors([make_sensor(unit=f"u{k}")], [], act(k))
    print(k + 1, flush=True)
"""


def make(data_dir: Path, destination: Path, *, samples: bool = True) -> backup.Manifest:
    return backup.make(data_dir, None, destination, NOW, site="plant", version="1", samples=samples)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A data directory with something of everything."""
    home = tmp_path / "var"
    with closing(open_registry(RegistrySettings(), home)) as registry:
        registry.put_sensors([make_sensor()], [], act())
        registry.add_set(make_set(7), b"seven", SetState.PUBLISHED, act(1))
    open_signer(SigningSettings(), home)
    for name in ("samples.sqlite", "ingest-ledger.sqlite"):
        with closing(sqlite3.connect(home / name)) as raw:
            raw.execute("CREATE TABLE t (x)")
            raw.execute("INSERT INTO t VALUES (?)", (name,))
            raw.commit()
    for name in (
        "edge/line1/coefficients/tc-1.json",
        "edge/line1/spool/000.seg",
        "api.lock",
        "audit/checkpoints.jsonl",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    return home


def content(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}


def test_what_was_kept_comes_back_on_another_machine(plant: Path, tmp_path: Path) -> None:
    before = plant / "keys" / "signing.pem"
    manifest = make(plant, tmp_path / "kept")
    names = {file.path for file in manifest.files}
    assert {
        "data/registry.sqlite",
        "data/samples.sqlite",
        "data/ingest-ledger.sqlite",
        "data/keys/signing.pem",
    } <= names
    assert {"data/edge/line1/coefficients/tc-1.json", "data/audit/checkpoints.jsonl"} <= names
    assert not [name for name in names if "spool" in name or name.endswith((".lock", "-wal", "-shm"))]
    home = tmp_path / "new" / "var"
    backup.restore(tmp_path / "kept", home, None, LATER)
    assert (home / "keys" / "signing.pem").read_bytes() == before.read_bytes()
    assert (home / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600
    signer = open_signer(SigningSettings(), home)
    assert open_verifier(SigningSettings(), home).verify(signer.key_id, b"x", signer.sign(b"x"))
    with closing(open_registry(RegistrySettings(), home)) as registry:
        assert registry.sensor(S1) == make_sensor()
        assert registry.coefficient_set("tc-1-7").envelope == b"seven"
        assert registry.verify_audit() is None
        last = registry.audit()[-1]
        assert (last.actor, last.action, last.at_ns) == ("restore", "registry.restore", LATER)
        assert "2025-10-09T08:53:20." in last.reason
        # edges may have applied sets that were made since: they refuse what is not numbered above them
        assert registry.last_sequence(S1) == 7 + 90
    with closing(sqlite3.connect(home / "samples.sqlite")) as raw:
        assert raw.execute("SELECT x FROM t").fetchall() == [("samples.sqlite",)]


def test_a_back_up_is_for_its_owner_alone(plant: Path, tmp_path: Path) -> None:
    make(plant, tmp_path / "kept")
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_samples_can_be_left_out(plant: Path, tmp_path: Path) -> None:
    assert "data/samples.sqlite" not in {file.path for file in make(plant, tmp_path / "kept", samples=False).files}


def test_it_is_of_one_instant_while_programs_write_and_die(tmp_path: Path) -> None:
    home = tmp_path / "var"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(home)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        said = [int(writer.stdout.readline()) for _ in range(20)]
        make(home, tmp_path / "kept")
        assert writer.poll() is None
        with pytest.raises(Conflict, match="in use"):
            backup.restore(tmp_path / "kept", home, None, LATER, replace=True)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    backup.restore(tmp_path / "kept", home, None, LATER, replace=True)
    with closing(open_registry(RegistrySettings(), home)) as registry:
        assert registry.verify_audit() is None
        trail = registry.audit()
        assert len(trail) > said[-1]
        assert registry.sensor(S1).unit == f"u{len(trail) - 2}"  # the last one is of the restoring


def test_what_was_there_is_moved_aside_and_only_if_so_said(plant: Path, tmp_path: Path) -> None:
    make(plant, tmp_path / "kept")
    before = content(plant)
    with pytest.raises(Conflict, match="not empty"):
        backup.restore(tmp_path / "kept", plant, None, LATER)
    assert content(plant) == before
    backup.restore(tmp_path / "kept", plant, None, LATER, replace=True)
    (aside,) = plant.glob("before-restore-*")
    assert content(aside) == before
    assert not any("before-restore" in file.path for file in make(plant, tmp_path / "again").files)


@pytest.mark.parametrize("seed", range(40))
def test_a_back_up_with_any_byte_changed_is_refused_and_nothing_touched(
    plant: Path, tmp_path: Path, seed: int
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    make(plant, tmp_path / "kept")
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file() and path.stat().st_size]
    chosen = files[int(rng.integers(len(files)))]
    what = trails.change_byte(chosen, rng)
    home = tmp_path / "new"
    try:
        manifest, _ = backup.check(tmp_path / "kept")
    except (InvalidData, NotFound):
        with pytest.raises((InvalidData, NotFound)):
            backup.restore(tmp_path / "kept", home, None, LATER)
        assert not home.exists()
    else:  # words of the manifest that nothing depends on
        assert chosen.name == backup.MANIFEST, what
        assert len(manifest.files) == len(files) - 1


def test_a_back_up_that_is_not_whole_is_none(plant: Path, tmp_path: Path) -> None:
    make(plant, tmp_path / "kept")
    with pytest.raises(Conflict, match="already"):
        make(plant, tmp_path / "kept")
    (tmp_path / "kept" / "data" / "samples.sqlite").unlink()
    with pytest.raises(InvalidData, match=r"samples\.sqlite"):
        backup.check(tmp_path / "kept")
    with pytest.raises(NotFound):
        backup.check(tmp_path)
    with pytest.raises(NotFound, match="nothing to keep"):
        make(tmp_path / "nowhere", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "data/../../outside"])
def test_a_back_up_writes_nowhere_else(plant: Path, tmp_path: Path, path: str) -> None:
    make(plant, tmp_path / "kept")
    manifest = json.loads((tmp_path / "kept" / backup.MANIFEST).read_text())
    manifest["files"][0]["path"] = path
    (tmp_path / "kept" / backup.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InvalidData):
        backup.restore(tmp_path / "kept", tmp_path / "new", None, LATER)
    assert not (tmp_path / "new").exists()


def test_what_fails_leaves_nothing_behind(plant: Path, tmp_path: Path) -> None:
    (plant / "samples.sqlite").write_bytes(b"SQLite format 3\0" + b"damaged" * 1000)
    with pytest.raises(Exception, match=r"samples\.sqlite"):
        make(plant, tmp_path / "kept")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var"]


def test_an_open_database_is_known_and_one_left_by_a_death_is_not(tmp_path: Path) -> None:
    registry = open_registry(RegistrySettings(), tmp_path)
    registry.sensors()
    code = "import sys; from pathlib import Path; from dyncal.adapters.backup import in_use; "
    program = [sys.executable, "-c", code + "sys.exit(in_use(Path(sys.argv[1])))", str(tmp_path / "registry.sqlite")]
    assert subprocess.run(program, check=False).returncode == 1
    registry.close()
    assert subprocess.run(program, check=False).returncode == 0
    dead = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert dead.stdout is not None
    dead.stdout.readline()
    dead.kill()
    dead.wait()
    dead.stdout.close()
    time.sleep(0.05)
    assert (tmp_path / "registry.sqlite-shm").exists()
    assert subprocess.run(program, check=False).returncode == 0


@pytest.fixture(autouse=True)
def _tidy(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path / "var", ignore_errors=True)


def test_sessions_that_were_ended_since_are_not_open_again(plant: Path, tmp_path: Path) -> None:
    with closing(open_registry(RegistrySettings(), plant)) as registry:
        registry.add_user(make_user(), act())
        registry.open_session(make_session(), act(), most=5)
        before = registry.access_revision()
    make(plant, tmp_path / "kept")
    backup.restore(tmp_path / "kept", tmp_path / "new", None, LATER)
    with closing(open_registry(RegistrySettings(), tmp_path / "new")) as registry:
        assert registry.sessions() == []
        assert [user.name for user in registry.users()] == ["anna"]
        assert registry.access_revision() > before
        assert registry.verify_audit() is None
