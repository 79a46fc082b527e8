from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.registry.offline import examine_trail
from dyncal.adapters.signing import TrustedKeys
from dyncal.domain.errors import InvalidSetting, StoreUnavailable
from tests import trails
from tests.trails import Trail

N = 300


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    return Trail(tmp_path_factory.mktemp("trail"), N)


def test_a_whole_trail_is_found_whole_and_not_changed(trail: Trail) -> None:
    before = trail.file.read_bytes()
    for file in (trail.file, trail.export):
        found = trail.examine(file)
        assert (found.n_entries, found.number, found.faults, len(found.checkpoints)) == (N, N, (), 10)
    assert trail.file.read_bytes() == before


@pytest.mark.parametrize("seed", range(120))
def test_one_byte_of_one_value_changed_is_found(trail: Trail, tmp_path: Path, seed: int) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(trail.file, copy)
    before = trails.content(copy)
    what = trails.change_value(copy, np.random.default_rng(seed))
    assert trails.content(copy) == before or trail.examine(copy).faults, what


@pytest.mark.parametrize("seed", range(150))
def test_one_byte_of_the_database_changed_is_found_or_changes_nothing(
    trail: Trail, tmp_path: Path, seed: int
) -> None:  # fmt: skip
    copy = tmp_path / "copy.sqlite"
    shutil.copy(trail.file, copy)
    before = trails.content(copy)
    what = trails.change_byte(copy, np.random.default_rng(seed))
    found = trail.examine(copy)
    assert found.faults or trails.content(copy) == before, what


@pytest.mark.parametrize("seed", range(60))
def test_one_byte_of_an_export_changed_is_found(trail: Trail, tmp_path: Path, seed: int) -> None:
    copy = tmp_path / "copy.jsonl"
    shutil.copy(trail.export, copy)
    what = trails.change_byte(copy, np.random.default_rng(seed))
    assert trail.examine(copy).faults, what


def _write_anew(file: Path, n: int) -> None:
    """Do what somebody with the database alone can: cut the trail, and make all that is left fit."""
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("DELETE FROM audit WHERE number > ?", (n,))
        raw.execute("DELETE FROM audit_checkpoints WHERE number > ?", (n,))
        raw.execute("UPDATE audit_head SET number = ?, digest = (SELECT digest FROM audit WHERE number = ?)", (n, n))
        raw.commit()


def test_a_trail_cut_with_all_that_is_in_the_database_is_found_by_what_is_kept_elsewhere(
    trail: Trail, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(trail.file, copy)
    whole = trail.examine(copy)
    _write_anew(copy, 100)
    assert trail.examine(copy).faults == ()  # nothing in it says that there was more
    by_checkpoints = examine_trail(str(copy), trail.verifier, kept=whole.checkpoints)
    assert by_checkpoints.faults == ("entry 101 does not fit: the trail was cut: entry 120 was there once",)
    by_head = examine_trail(str(copy), trail.verifier, heads={whole.number: whole.digest})
    assert by_head.faults == ("entry 101 does not fit: the trail was cut: entry 300 was there once",)


def test_a_checkpoint_that_somebody_else_signed_does_not_count(trail: Trail, tmp_path: Path) -> None:
    other = Trail(tmp_path / "other", 50)
    found = other.examine(trail.file)
    assert len(found.faults) == 10
    assert all("not signed by a key that is trusted here" in fault for fault in found.faults)
    assert found.checkpoints == ()
    kept = examine_trail(str(trail.file), trail.verifier, kept=other.examine(other.file).checkpoints)
    assert any("a checkpoint that was kept" in fault for fault in kept.faults)
    assert examine_trail(str(trail.file), None).faults == ()


def test_what_is_no_trail_is_said_so(trail: Trail, tmp_path: Path) -> None:
    nobody = TrustedKeys()
    with pytest.raises(StoreUnavailable, match="nothing"):
        examine_trail(str(tmp_path / "nothing"), nobody)
    with pytest.raises(InvalidSetting):
        examine_trail("klingon://x/y", nobody)
    empty = tmp_path / "empty"
    empty.touch()
    assert "cannot be read" in examine_trail(str(empty), nobody).faults[0]
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as raw:
        raw.execute("CREATE TABLE t (x)")
    assert "no audit trail" in examine_trail(str(tmp_path / "other.sqlite"), nobody).faults[0]
