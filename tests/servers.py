"""An InfluxDB 1.6.7 of one's own, on free ports of loopback."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from dyncal.runtime.ports import free_port

START_TIMEOUT_S = 20.0
CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
query-log-enabled = false
[coordinator]
[retention]
[monitor]
store-enabled = false
[http]
bind-address = "{address}:{port}"
log-enabled = false
max-body-size = 33554432
auth-enabled = {auth}
[ifql]
enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"""


@dataclass
class Influxd:
    """A server that a test can stop, kill and start again on the same port with the same data."""

    directory: Path
    auth: bool = False
    port: int = 0
    address: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        assert self.process is None
        self.port = self.port or free_port()
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "influxd.log").open("ab") as log:
            self.process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        text = (self.directory / "influxd.log").read_text()
        self.stop(kill=True)
        raise AssertionError(f"influxd does not answer on {self.port}: {text[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """End it; `kill` leaves it no time to put anything in order."""
        if self.process is None:
            return
        (self.process.kill if kill else self.process.terminate)()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None

    def _command(self) -> list[str]:
        config = self.directory / "influxdb.conf"
        auth = str(self.auth).lower()
        ports = {"address": self.address, "port": self.port, "rpc": free_port()}
        config.write_text(CONFIG.format(directory=self.directory, auth=auth, **ports))
        program = shutil.which("influxd", path="/usr/bin:/usr/sbin:/usr/local/bin")
        assert program is not None, "influxd is not installed: apt-get install influxdb"
        return [program, "run", "-config", str(config)]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=0.5) as answer:
                return bool(answer.status == 204)
        except (OSError, urllib.error.URLError):
            return False
