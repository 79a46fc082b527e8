"""Kernels that were compiled when dyncal was installed serve a user who may not write there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dyncal.kernels import HAVE_NUMBA, bring

SOURCE = """
from dyncal.kernels import kernel, warm_up

@kernel("f8(f8)")
def twice(x):
    return 2 * x

if __name__ != "__main__":
    found = warm_up(__name__)
    print(found.n_kernels, found.n_compiled)
"""


def compiled(folder: Path, **environment: str) -> str:
    """Return how many kernels a new process has, and how many of them it had to compile."""
    told = subprocess.run(  # our own words
        [sys.executable, "-c", "import one"],
        cwd=folder,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


@pytest.mark.skipif(not HAVE_NUMBA, reason="nothing is compiled")
def test_what_was_compiled_beside_the_source_is_not_compiled_again_for_another_user(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE)
    assert compiled(tmp_path) == "1 1"
    elsewhere = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}  # where numba looks for a user who may not write beside it
    assert compiled(tmp_path, **elsewhere) == "1 0"


@pytest.mark.skipif(not HAVE_NUMBA, reason="nothing is compiled")
def test_where_nothing_can_be_kept_kernels_work_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE)
    (tmp_path / "__pycache__").write_text("no directory")
    assert compiled(tmp_path, XDG_CACHE_HOME="/dev/null", HOME="/dev/null") == "1 1"  # at each start


def test_only_what_is_newer_is_copied_and_nothing_is_left_half(tmp_path: Path) -> None:
    shipped, place = tmp_path / "shipped", tmp_path / "place"
    shipped.mkdir()
    place.mkdir()
    for name, text in (("a.nbi", "new"), ("a.1.nbc", "new"), ("b.nbi", "old"), ("a.pyc", "no kernel")):
        (shipped / name).write_text(text)
        os.utime(shipped / name, ns=(10, 10))
    (place / "a.nbi").write_text("old")
    os.utime(place / "a.nbi", ns=(9, 9))
    (place / "b.nbi").write_text("made here since")
    bring(shipped, place)
    assert {file.name: file.read_text() for file in place.iterdir()} == {
        "a.nbi": "new",
        "a.1.nbc": "new",
        "b.nbi": "made here since",
    }


def test_a_place_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.nbi").write_text("compiled")
    (tmp_path / "file").write_text("")
    bring(tmp_path, tmp_path / "file" / "below")
