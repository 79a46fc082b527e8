"""The embedded service as a process: starts, serves, and stops in time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dyncal.runtime.ports import free_port

START_S = 40.0


def test_starts_serves_and_stops_within_five_seconds(tmp_path: Path) -> None:
    broker, http = free_port(), free_port()
    config = tmp_path / "dyncal.toml"
    config.write_text(
        f'data_dir = "{tmp_path}/var"\n[broker]\nport = {broker}\n[api]\nport = {http}\naccess.mode = "open"\n'
    )
    command = [sys.executable, "-m", "dyncal", "run", "embedded", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert until_ready(f"http://127.0.0.1:{http}/readyz")["ready"] is True
            doctor = subprocess.run(
                [sys.executable, "-m", "dyncal", "doctor", "--config", str(config)],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert doctor.returncode == 0, doctor.stdout + doctor.stderr
            assert "takes and delivers messages" in doctor.stdout
        finally:
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            out, err = process.communicate(timeout=20)
        assert time.monotonic() - started < 5.0
    assert (process.returncode, out) == (0, ""), err
    assert "Traceback" not in err, err
    assert "stopped" in err


def until_ready(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
