"""`dyncal replay`, as a command: its result, its end by Ctrl-C, and what it leaves where a source is damaged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.cli.app import app
from dyncal.domain.time import duration
from simulators.recordings.simulated import record_scenario
from simulators.replay.results import RESULT_FILE, load
from simulators.replay.simulated import T0
from tests.unit.simulators.replay.scenarios import small

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "small.csv"
    record_scenario(small(), file, duration(4.0), T0)
    return file


def test_a_result_as_json_and_in_files(recording: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["replay", str(recording), "--json", "--out", str(tmp_path), "--gather", "1"])
    assert done.exit_code == 0, done.output
    effects = json.loads(done.stdout)
    assert effects["complete"] is True
    assert load(tmp_path).digest == effects["digest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corrected", RESULT_FILE]
    same = RUNNER.invoke(app, ["replay", "diff", str(tmp_path), str(tmp_path / RESULT_FILE)])
    assert (same.exit_code, same.stdout) == (0, "no difference\n")


def test_a_sensor_without_a_set_is_told_with_the_reason(recording: Path) -> None:
    done = RUNNER.invoke(app, ["replay", str(recording), "--gather", "1"])
    assert done.exit_code == 0, done.output
    assert "  T1: no set: learning" in done.stdout  # of four seconds
    assert "P1: no set" not in done.stdout


def test_a_damaged_recording_is_named_and_leaves_an_older_result_alone(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert RUNNER.invoke(app, ["replay", str(recording), "--json", "--out", str(out)]).exit_code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    damaged = tmp_path / recording.name
    damaged.with_suffix(".toml").write_bytes(recording.with_suffix(".toml").read_bytes())
    lines = recording.read_text().splitlines(keepends=True)
    lines[500] = lines[500].replace(",", ";", 1)
    damaged.write_text("".join(lines))
    failed = RUNNER.invoke(app, ["replay", str(damaged), "--out", str(out)])
    assert failed.exit_code == 1
    assert f"{damaged}: line 501" in failed.stderr.replace("\n", "")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    nothing = RUNNER.invoke(app, ["replay", str(damaged), "--out", str(tmp_path / "fresh")])
    assert nothing.exit_code == 1
    assert not [path for path in (tmp_path / "fresh").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--speed", "fast"], "--speed cannot be 'fast'"),
        (["demo", "--loop"], "live broker"),
        (["demo", "--from", "yesterday"], "--from"),
        (["demo", "--speed", "1", "--broker", "here"], "--broker cannot be 'here'"),
        (["demo", "--sensors", "X"], "there is no sensor X"),
    ],
)
def test_what_cannot_be_asked(arguments: list[str], said: str) -> None:
    failed = RUNNER.invoke(app, ["replay", *arguments])
    assert failed.exit_code == 2
    assert said in failed.stderr


def test_an_interrupt_leaves_a_result_that_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dyncal", "replay", "healthy-thermocouple", "--duration", "1000000"]
    command += ["--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / ".corrected.part").is_dir() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    effects = load(tmp_path)
    assert not effects.complete
    assert effects.to_ns >= effects.from_ns
