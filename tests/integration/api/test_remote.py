"""Commands that ask a running service."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.time import InstantNs, iso
from tests.integration.api.plant import Plant, running


async def dyncal(plant: Plant, *words: str) -> tuple[int, str, str]:
    """Run a command; return status, output and complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dyncal", *words, "--url", plant.service.address,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode or 0, out.decode(), err.decode()


async def test_commands_ask_the_service(tmp_path: Path) -> None:
    async with running(2, history_s=40) as plant:
        file = tmp_path / "inventory.csv"
        assert await dyncal(plant, "inventory", "export", "--out", str(file)) == (0, "", "")
        status, out, _ = await dyncal(plant, "inventory", "import", str(file), "--dry-run")
        assert (status, out) == (0, "0 of 4 rows would change\n")
        file.write_text(file.read_text().replace("Suction", "Other").replace(",Cel,", ",K,") + "x\n")
        status, out, err = await dyncal(plant, "inventory", "import", str(file))
        assert (status, out) == (1, "")
        assert f"{file}:6: " in err
        calibration = plant.registry.calibrations(limit=1)[0].id
        page = tmp_path / "report.html"
        assert (await dyncal(plant, "report", calibration, "--out", str(page)))[0] == 0
        assert page.read_bytes().startswith(b"<!doctype html>")
        status, _, err = await dyncal(plant, "report", "nobody")
        assert (status, err) == (1, "404: no calibration nobody\n")


@pytest.mark.timeout(180)
async def test_a_stored_interval_is_calibrated_by_a_command() -> None:
    async with running(1, history_s=60) as plant:
        now = plant.clock.now()
        start, end = iso(InstantNs(now - 50_000_000_000)), iso(InstantNs(now - 2_000_000_000))
        status, out, err = await dyncal(plant, "calibrate", "TT-101", "--from", start, "--to", end)
        assert (status, err.split()[-1]) == (0, "finished"), err
        assert out.split(":")[0].strip() in {str(verdict) for verdict in Verdict}


async def test_a_service_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dyncal", "report", "x", "--url", "http://127.0.0.1:9", stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"http://127.0.0.1:9" in err
    assert b"Traceback" not in err
