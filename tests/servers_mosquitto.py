"""A mosquitto broker of one's own, on a free port of loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dyncal.runtime.ports import free_port

START_TIMEOUT_S = 10.0
BASE = """
per_listener_settings false
user root
listener {port} 127.0.0.1
max_inflight_messages 1000
max_queued_messages 100000
persistence false
"""


@dataclass
class Mosquitto:
    """A broker that a test can stop, kill and start again on the same port."""

    directory: Path
    extra: str = "allow_anonymous true"
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start, and return when it answers."""
        assert self.process is None
        self.port = self.port or free_port()
        config = self.directory / "mosquitto.conf"
        config.write_text(BASE.format(port=self.port) + self.extra + "\n")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert program is not None, "mosquitto is not installed: apt-get install mosquitto"
        with (self.directory / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
                    return
            except OSError:
                time.sleep(0.02)
        text = (self.directory / "mosquitto.log").read_text()
        self.stop()
        raise AssertionError(f"mosquitto does not answer on {self.port}: {text[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """End it; `kill` leaves it no time to say goodbye."""
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
            self.process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker that lets everybody in; the test has the marker ``mosquitto``."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
