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

from dyncal.adapters.authority import Authority, Purpose
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings

START_TIMEOUT_S = 10.0
DEPLOY = Path(__file__).resolve().parents[1] / "deploy" / "mosquitto"
BASE = """
per_listener_settings false
user root
listener {port} {address}
max_inflight_messages 1000
max_queued_messages 100000
max_queued_bytes 268435456
set_tcp_nodelay true
persistence false
"""


@dataclass
class Mosquitto:
    """A broker that a test can stop, kill and start again on the same port."""

    directory: Path
    extra: str = "allow_anonymous true"
    port: int = 0
    address: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start, and return when it answers."""
        assert self.process is None
        self.port = self.port or free_port()
        config = self.directory / "mosquitto.conf"
        config.write_text(self.configuration())
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert program is not None, "mosquitto is not installed: apt-get install mosquitto"
        with (self.directory / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection((self.address, self.port), timeout=0.2):
                    return
            except OSError:
                time.sleep(0.02)
        text = (self.directory / "mosquitto.log").read_text()
        self.stop()
        raise AssertionError(f"mosquitto does not answer on {self.port}: {text[-2000:]}")

    def configuration(self) -> str:
        """Return what its file says."""
        return BASE.format(port=self.port, address=self.address) + self.extra + "\n"

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


@dataclass
class SecureMosquitto(Mosquitto):
    """One as deploy/mosquitto sets it up, for a site: TLS alone, and each name in a certificate has its own topics."""

    site: str = "plant"

    def prepare(self) -> Authority:
        """Make its authority and its own certificate; return the authority, for those of clients."""
        now = SystemClock().now()
        authority = Authority.make(self.directory / "authority", "test authority", now, 30)
        broker = authority.issue("broker", Purpose.BROKER, now, 30, [self.address, "localhost"])
        for file in (authority.ca_file, authority.crl_file, *broker):
            shutil.copy(file, self.directory)
        rules = (DEPLOY / "access.conf").read_text().replace("/plant/", f"/{self.site}/")
        (self.directory / "access.conf").write_text(rules)
        return authority

    def configuration(self) -> str:
        shipped = (DEPLOY / "mosquitto.conf").read_text()
        for there, here in (
            ("listener 8883", f"listener {self.port} {self.address}"),
            ("/etc/mosquitto/dyncal/", f"{self.directory}/"),
            ("/var/lib/mosquitto/", f"{self.directory}/"),
        ):
            assert there in shipped
            shipped = shipped.replace(there, here)
        return f"user root\n{shipped}"

    def settings(self, authority: Authority, name: str, purpose: Purpose) -> BrokerSettings:
        """Return how a client of that name, with a new certificate, reaches it."""
        issued = authority.issue(name, purpose, SystemClock().now(), 30)
        return BrokerSettings(
            host=self.address, port=self.port, ca_file=authority.ca_file,
            cert_file=issued.cert_file, key_file=issued.key_file,
        )  # fmt: skip


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker that lets everybody in; the test has the marker ``mosquitto``."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
