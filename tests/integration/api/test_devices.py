"""The documented clients for devices, in plain Python and around curl, against the service."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from dyncal.runtime.ports import free_port
from tests.integration.api.plant import EDGE, running

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "device"
COMMANDS = {
    "python": [sys.executable, "-W", "error", "-I", str(EXAMPLES / "poll.py")],
    "curl": ["sh", str(EXAMPLES / "poll.sh")],
}


def test_the_whole_client_is_thirty_lines() -> None:
    assert len((EXAMPLES / "poll.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_device_has_each_new_set_within_a_second(name: str, tmp_path: Path) -> None:
    if name == "curl" and shutil.which("curl") is None:
        pytest.fail("curl is not there")
    port, file = free_port(), tmp_path / "coefficients.json"
    address = f"http://127.0.0.1:{port}"
    device = await asyncio.create_subprocess_exec(
        *COMMANDS[name], address, EDGE, str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        await asyncio.sleep(1)  # it begins before there is anybody to answer, and goes on trying
        assert device.returncode is None
        async with running(2, port=port, history_s=5) as plant:
            await until(file, "TT-101.1", 15)
            for k in (2, 3):
                await asyncio.sleep(0.5)
                plant.calibrate(plant.channels[0])
                waited_s = await until(file, f"TT-101.{k}", 5)
                assert waited_s < 1.0
            assert device.returncode is None
    finally:
        device.kill()
        output = (await device.communicate())[0].decode()
    assert output.count(f"{file} is now") >= 3, output


async def until(file: Path, set_id: str, timeout_s: float) -> float:
    """Return after how many seconds the file has the set, whole."""
    begun = time.monotonic()
    while time.monotonic() < begun + timeout_s:
        if file.exists():
            document = json.loads(file.read_text())
            if any(json.loads(envelope["set"])["id"] == set_id for envelope in document["sets"]):
                return time.monotonic() - begun
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{set_id} is not in {file.name}")
