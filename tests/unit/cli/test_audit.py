from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.cli import app
from tests.trails import Trail

runner = CliRunner()


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    return Trail(tmp_path_factory.mktemp("trail"), 200)


def arguments(trail: Trail, *more: str) -> list[str]:
    return ["audit", "verify", "--trusted", str(trail.file.parent / "trusted"), *more]


def test_verify_says_how_far_the_trail_is_whole_and_signed(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for source in (trail.file, trail.export):
        done = runner.invoke(app, arguments(trail, str(source)))
        assert done.exit_code == 0, done.output
        assert "200 entries fit" in done.output
        assert "signed up to entry 200" in done.output
    unchecked = runner.invoke(app, ["audit", "verify", str(trail.file)])
    assert unchecked.exit_code == 0
    assert "no key is trusted here" in unchecked.output


def test_verify_ends_with_1_and_the_entry_where_it_is_not(trail: Trail, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(trail.file, copy)
    with closing(sqlite3.connect(copy)) as raw:
        raw.execute("UPDATE audit SET actor = 'nobody' WHERE number = 77")
        raw.commit()
    done = runner.invoke(app, arguments(trail, str(copy), "--json"))
    assert done.exit_code == 1
    said = json.loads(done.output)
    assert not said["whole"]
    assert said["faults"] == ["entry 77 does not fit: it is not what its digest says"]
    assert said["n_entries"] == 76


def test_verify_knows_what_was_noted_elsewhere(trail: Trail) -> None:
    head = trail.examine(trail.file)
    good = runner.invoke(app, arguments(trail, str(trail.file), "--head", f"{head.number}:{head.digest}"))
    assert good.exit_code == 0, good.output
    for bad in (f"201:{head.digest}", f"200:{'0' * 64}"):
        assert runner.invoke(app, arguments(trail, str(trail.file), "--head", bad)).exit_code == 1
    assert runner.invoke(app, arguments(trail, str(trail.file), "--head", "no")).exit_code == 2


def test_what_cannot_be_looked_at_ends_with_2(trail: Trail, tmp_path: Path) -> None:
    for source in ("nothing", "klingon://x/y"):
        assert runner.invoke(app, arguments(trail, source)).exit_code == 2
    missing = runner.invoke(app, arguments(trail, str(trail.file), "--checkpoints", str(tmp_path / "no")))
    assert missing.exit_code == 2


def test_the_registry_of_the_settings_is_exported_and_verified(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNCAL_DATA_DIR", str(tmp_path))
    shutil.copy(trail.file, tmp_path / "registry.sqlite")
    out = tmp_path / "trail.jsonl"
    assert runner.invoke(app, ["audit", "export", "--out", str(out)]).exit_code == 0
    assert out.read_bytes() == trail.export.read_bytes()
    part = tmp_path / "part.jsonl"
    assert runner.invoke(app, ["audit", "export", "--out", str(part), "--after", "150"]).exit_code == 0
    done = runner.invoke(app, arguments(trail, str(part)))
    assert done.exit_code == 0, done.output
    assert "50 entries fit" in done.output
    assert runner.invoke(app, ["audit", "export", "--out", str(part), "--after", "201"]).exit_code == 1
    assert runner.invoke(app, ["audit", "verify"]).exit_code == 0
