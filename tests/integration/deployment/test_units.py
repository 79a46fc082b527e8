"""The units of systemd as it reads them, and what it says of their hardening."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.deployment import environments

UNITS = environments.ROOT / "deploy" / "systemd"
# What each may be exposed at most, of 10, by `systemd-analyze security` (252); docs/deployment.md states it.
SCORES = {"dyncal-edge.service": 1.4, "dyncal@.service": 1.1}


@pytest.fixture(params=sorted(SCORES))
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit under the name of its first instance, whose program is there."""
    shipped: str = request.param
    text = (UNITS / shipped).read_text()
    installed = tmp_path / shipped.replace("@", "@ingest")
    installed.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return installed


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environments.bare())


def test_systemd_takes_it(unit: Path) -> None:
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_is_exposed_no_more_than_stated(unit: Path) -> None:
    shipped = unit.name.replace("@ingest", "@")
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= SCORES[shipped]
    stated = (environments.ROOT / "docs" / "deployment.md").read_text()
    assert re.search(rf"`{re.escape(shipped)}`[^|]*\| {re.escape(str(SCORES[shipped]))} ", stated)


def test_calibration_stands_back_for_samples(tmp_path: Path) -> None:
    """By drop-ins that systemd takes; the soak gives its programs the same priorities."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    for unit in tmp_path.glob("*.service"):
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    (tmp_path / "mosquitto.service").write_text("[Service]\nExecStart=/bin/true\n")
    found = {}
    for name in ("dyncal-edge", "dyncal@calibrate", "mosquitto"):
        path = tmp_path / f"{name}.service"
        if not path.exists():
            path.write_text((tmp_path / "dyncal@.service").read_text())
        done = analyze("verify", str(path))
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        dropped = [path, *(tmp_path / f"{path.name}.d").glob("*.conf")]
        found[name] = [line for file in dropped for line in file.read_text().splitlines() if line.startswith("Nice=")]
    assert found == {"dyncal-edge": ["Nice=-5"], "dyncal@calibrate": ["Nice=10"], "mosquitto": ["Nice=-5"]}


def test_the_edge_may_ask_how_good_the_clock_is() -> None:
    """ProtectClock= refuses adjtimex even where it only asks: samples would say that nobody knows."""
    text = (UNITS / "dyncal-edge.service").read_text()
    assert "ProtectClock=no" in text
    assert re.search(r"^SystemCallFilter=adjtimex clock_adjtime$", text, re.MULTILINE)
    assert re.search(r"^CapabilityBoundingSet=$", text, re.MULTILINE)
