"""The program alone, as it runs in production."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers_mosquitto import Mosquitto


@pytest.mark.mosquitto
def test_it_starts_and_ends_by_sigterm(mosquitto: Mosquitto, tmp_path: Path) -> None:
    config = tmp_path / "dyncal.toml"
    config.write_text(
        f'data_dir = "{tmp_path / "var"}"\n[broker]\nport = {mosquitto.port}\n[ingest]\nlinger_s = 0.02\n'
    )
    command = [sys.executable, "-m", "services.ingest", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    seen = [process.stderr.readline() for _ in range(2)]
    assert any("connected" in line for line in seen), seen
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(10) == 0, rest
    assert time.monotonic() - started < 5
    assert "stopped" in rest


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    config = tmp_path / "dyncal.toml"
    config.write_text("[ingest]\nbatch_records = 0\n")
    command = [sys.executable, "-m", "services.ingest", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "ingest.batch_records = 0" in done.stderr
    assert str(config) in done.stderr
