"""The main job end to end: `dyncal demo`, as a new user would run it, judged against simulated truth."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.scenarios.scenario import load_scenario

DURATION_S = 90
LIMIT_S = 360


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dyncal", "demo", *arguments]


async def children_of(data_dir: Path) -> list[str]:
    """Return the processes that were started for this data directory and still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(data_dir) in words and int(entry.parent.name) != os.getpid():
            found.append(words)
    return found


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 60)
async def test_the_demo_passes_every_check_and_says_so_in_one_line(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *demo("--duration", str(DURATION_S), "--headless", "--data-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert out.count(b"\n") == 1, err.decode()[-4000:]
    result: dict[str, Any] = json.loads(out)
    assert result["failed"] == []
    assert result["ok"] is True
    assert process.returncode == 0
    assert await children_of(tmp_path) == []

    # The line is believed only as far as it can be checked against the scenario.
    stations = {s.id: s for s in load_scenario("demo").stations}
    assert set(result["sensors"]) == set(stations)
    for name, sensor in result["sensors"].items():
        station = stations[name]
        assert sensor["n_sets"] >= 1
        assert sensor["gain"] >= 5
        assert sensor["rms_raw"] / sensor["rms_corrected"] == pytest.approx(sensor["gain"])
        assert sensor["n_scored"] >= 0.4 * DURATION_S * station.rate_hz * sensor["covered"]
        assert sensor["blocks"] == sensor["blocks_committed"]
        for delivery in sensor["deliveries"]:
            assert delivery["n_made"] >= 0.5 * DURATION_S * station.rate_hz
        if station.expect.conclusion == "drift":
            assert sensor["n_drift_alarms"] >= 1
            assert 0 <= sensor["drift_delay_s"] < DURATION_S
        if station.expect.conclusion == "healthy":
            assert sensor["n_drift_alarms"] == 0
    assert result["start_to_first_corrected_s"] > 0


async def test_ctrl_c_stops_every_process_and_leaves_status_0(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *demo("--data-dir", str(tmp_path)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(100):
            assert process.stdout is not None
            async for line in process.stdout:
                if b"live page" in line:
                    break
            assert len(await children_of(tmp_path)) >= 3
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4000:]
    assert await children_of(tmp_path) == []


async def test_a_program_that_dies_is_reported_and_the_others_are_stopped(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *demo("--duration", "60", "--headless", "--data-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(100):
            assert process.stderr is not None
            async for line in process.stderr:
                if b"live page" in line:
                    break
            edge = next(p for p in Path("/proc").glob("[0-9]*") if is_edge_of(p, tmp_path))
            os.kill(int(edge.name), signal.SIGKILL)
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    result = json.loads(out)
    assert result["ok"] is False
    assert result["failed"] == ["edge ended by itself with status -9"]
    assert await children_of(tmp_path) == []


def is_edge_of(process: Path, data_dir: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"edge" in words and any(str(data_dir).encode() in word for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--headless"], "--headless needs --duration"),
        (["--scenario", "nowhere"], "cannot read it"),
    ],
)
async def test_wrong_use_is_refused_with_a_reason(arguments: list[str], words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *demo(*arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 2
    assert words in err.decode()
    assert out == b""
