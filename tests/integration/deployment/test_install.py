"""The edge's installation script, staged below a directory: what is there after it ran, ran again, and was undone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.deployment import environments

SCRIPT = environments.ROOT / "deploy" / "edge" / "install.sh"
OURS = ("dyncal", "services", "edge_agent", "simulators")


def run(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script below `root`, without fetching the packages that the wheel asks for: another test does that."""
    command = [str(SCRIPT), "--root", str(root), *arguments]
    given = environments.bare() | {"PIP_NO_DEPS": "1"} | more
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given)


@pytest.fixture
def site(light: Path, tmp_path: Path) -> str:
    """A directory with what the wheel asks for."""
    found = environments.run(str(light), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    directory = tmp_path / "site"
    directory.mkdir()
    for path in Path(found).iterdir():
        if not path.name.startswith(OURS):
            (directory / path.name).symlink_to(path)
    return str(directory)


@pytest.mark.timeout(280)
def test_it_installs_upgrades_and_removes(tmp_path: Path, site: str, wheel: Path) -> None:
    root = tmp_path / "root"
    opt, etc, state = root / "opt/dyncal-edge", root / "etc/dyncal", root / "var/lib/dyncal-edge"

    done = run(root, "--package", str(wheel), PYTHONPATH=site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (opt / "current").readlink() == Path("release-1")
    assert (root / "etc/systemd/system/dyncal-edge.service").is_file()
    assert [(etc / "edge").stat().st_mode & 0o777, state.stat().st_mode & 0o777] == [0o700, 0o700]
    assert (etc / "edge.toml").stat().st_mode & 0o007 == 0

    (etc / "edge.toml").write_text('site = "works"\n[edge]\nname = "line1"\n')
    (state / "spool").write_text("kept")
    (opt / "release-0").mkdir()  # of long ago
    done = run(root, "--package", str(wheel), PYTHONPATH=site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(opt / name).readlink() for name in ("previous", "current")] == [Path("release-1"), Path("release-2")]
    assert sorted(path.name for path in opt.glob("release-*")) == ["release-1", "release-2"]
    assert "works" in (etc / "edge.toml").read_text()
    assert (opt / "edge.toml.example").is_file()

    broken = run(root, "--package", str(wheel))  # without what it asks for
    assert broken.returncode != 0
    assert "does not start" in broken.stderr
    (etc / "edge.toml").write_text("[edge]\nnme = 'line1'\n")
    refused = run(root, "--package", str(wheel), PYTHONPATH=site)
    assert refused.returncode != 0
    assert "nme" in refused.stderr
    assert (opt / "current").readlink() == Path("release-2")
    assert sorted(path.name for path in opt.glob("release-*")) == ["release-1", "release-2"]

    done = run(root, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert not opt.exists()
    assert (state / "spool").read_text() == "kept"
    assert (etc / "edge.toml").is_file()
    assert run(root, "--uninstall", "--purge").returncode == 0
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.timeout(120)
def test_a_full_disk_leaves_no_half_of_the_settings(tmp_path: Path, site: str, wheel: Path) -> None:
    """What is there counts as the plant's own, and would never be written again; by name and version, from an index."""
    root, bin_ = tmp_path / "root", tmp_path / "bin"
    bin_.mkdir()
    full = 'case "$*" in *dyncal/edge.toml*) eval ": >\\${$#}"; echo "No space left on device" >&2; exit 1 ;; esac'
    (bin_ / "install").write_text(f'#!/bin/sh\n{full}\nexec /usr/bin/install "$@"\n')
    (bin_ / "install").chmod(0o755)
    named = ("--package", f"dyncal=={wheel.name.split('-')[1]}")
    index = {"PYTHONPATH": site, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    failed = run(root, *named, **index, PATH=f"{bin_}:{os.environ['PATH']}")
    assert failed.returncode != 0
    assert "No space left" in failed.stderr
    assert not (root / "etc/dyncal/edge.toml").exists()
    assert list((root / "opt/dyncal-edge").glob("release-*")) == []
    done = run(root, *named, **index)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "etc/dyncal/edge.toml").read_bytes() == (SCRIPT.parent / "edge.toml").read_bytes()

    refused = run(root, "--package", "dyncal==0.0.0a0", **index)
    assert refused.returncode != 0
    assert "nothing has changed" in refused.stderr
    assert (root / "opt/dyncal-edge/current").readlink() == Path("release-1")


@pytest.mark.parametrize("arguments", [["--pakage", "x"], ["--package"], []])
def test_what_it_does_not_understand_it_says(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode != 0
    assert "install.sh:" in done.stderr
    assert not (tmp_path / "opt/dyncal-edge/current").exists()
