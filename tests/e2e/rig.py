"""A plant as in production: two brokers, InfluxDB, simulated sensors, and each program a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dyncal.runtime.ports import free_port
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto

T = TypeVar("T")

PROGRAMS = ("ingest", "calibrate", "api", "edge")
STOP_LIMIT_S = 5.0


def environment() -> dict[str, str]:
    """Return the environment without settings of other plants, and with one thread for each BLAS."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DYNCAL_")}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def until(what: str, check: Callable[[], T | None], seconds: float) -> T:
    """Return the first answer of `check` that is true; fail with the last one when `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}; the last answer was {found!r}"
        time.sleep(0.2)


@dataclass
class Process:
    """One program; its words go to a file."""

    name: str
    command: list[str]
    log: Path
    pipe: bool = False
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        assert self.popen is None or self.popen.poll() is not None
        with self.log.open("ab") as log:
            out: Any = subprocess.PIPE if self.pipe else log
            self.popen = subprocess.Popen(self.command, stdout=out, stderr=log, env=environment())

    @property
    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.popen is not None
        self.popen.kill()
        self.popen.wait(5)

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit status and how long it took [s]."""
        assert self.popen is not None
        assert self.alive, f"{self.name} has ended by itself: {self.said()}"
        began = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        status = self.popen.wait(10)
        return status, time.monotonic() - began

    def must_stop(self) -> None:
        """Send SIGTERM, and see it end with 0 in time."""
        status, seconds = self.terminate()
        assert status == 0, f"{self.name} ended with {status}: {self.said()}"
        assert seconds < STOP_LIMIT_S, f"{self.name} took {seconds:.2f} s: {self.said()}"

    def line(self, seconds: float) -> str:
        """Return the next line of its standard output."""
        assert self.popen is not None
        assert self.popen.stdout is not None
        ready, _, _ = select.select([self.popen.stdout], [], [], seconds)
        assert ready, f"{self.name} said nothing in {seconds:g} s: {self.said()}"
        return self.popen.stdout.readline().decode()

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def close(self) -> None:
        if self.alive:
            self.kill()
        if self.popen is not None and self.popen.stdout is not None:
            self.popen.stdout.close()


class Rig:
    """Files, ports and processes below one directory. `content` is the configuration that all programs read."""

    def __init__(self, directory: Path, content: str, **places: object) -> None:
        self.directory = directory
        self.north, self.south = Mosquitto(_made(directory / "north")), Mosquitto(_made(directory / "south"))
        self.influx = Influxd(directory / "influx")
        self.north.port, self.south.port, self.influx.port = free_port(), free_port(), free_port()
        self.opcua_port, self.api_port = free_port(), free_port()
        self.metrics = {name: free_port() for name in ("ingest", "calibrate", "edge")} | {"api": self.api_port}
        self.config = directory / "dyncal.toml"
        ports = {f"{name}_metrics": port for name, port in self.metrics.items()}
        self.config.write_text(
            content.format(
                data_dir=directory / "var", north=self.north.port, south=self.south.port, influx=self.influx.url,
                opcua=self.opcua_port, api=self.api_port, **ports, **places,
            )
        )  # fmt: skip
        self.programs = {
            name: Process(
                name,
                [sys.executable, "-m", "dyncal", "run", name, "--config", str(self.config)],
                directory / f"{name}.log",
            )
            for name in PROGRAMS
        }

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def start_servers(self) -> None:
        self.north.start()
        self.south.start()
        self.influx.start()

    def close(self) -> None:
        for program in self.programs.values():
            program.close()
        for server in (self.north, self.south, self.influx):
            server.stop(kill=True)

    def get(self, path: str) -> Any:
        """Return JSON of the HTTP interface; None while it does not answer."""
        with contextlib.suppress(OSError), urllib.request.urlopen(self.api + path, timeout=5) as answer:
            return json.loads(answer.read())
        return None

    def metric(self, program: str, name: str) -> dict[str, float]:
        """Return the values of a metric by their labels, as Prometheus writes them."""
        url = f"http://127.0.0.1:{self.metrics[program]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            key, _, value = line.rpartition(" ")
            if key == name or key.startswith(name + "{"):
                found[key.removeprefix(name)] = float(value)
        return found

    def query(self, text: str) -> list[list[Any]]:
        """Ask InfluxDB itself; return the rows of the first series, empty while it does not answer."""
        parameters = urllib.parse.urlencode({"db": "dyncal", "q": text, "epoch": "ns"})
        try:
            with urllib.request.urlopen(f"{self.influx.url}/query?{parameters}", timeout=10) as answer:
                result = json.loads(answer.read())["results"][0]
        except OSError:
            return []
        assert "error" not in result or "database not found" in result["error"], result
        return result["series"][0]["values"] if "series" in result else []

    def count(self, field_name: str, sensor: str) -> int:
        rows = self.query(f"SELECT count({field_name}) FROM samples WHERE sensor='{sensor}'")
        return int(rows[0][1]) if rows else 0

    def newest(self, field_name: str, sensor: str) -> int:
        rows = self.query(f"SELECT last({field_name}) FROM samples WHERE sensor='{sensor}'")
        return int(rows[0][0]) if rows else 0


@contextlib.contextmanager
def sse(url: str) -> Iterator[Callable[[str, float], Any]]:
    """Open a stream of server-sent events; yields a function that returns the data of the next event of a name."""
    with urllib.request.urlopen(url, timeout=20) as answer:

        def following(name: str, seconds: float) -> Any:
            deadline, event = time.monotonic() + seconds, ""
            while time.monotonic() < deadline:
                line = answer.readline().decode().rstrip("\n")
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == name:
                    return json.loads(line.removeprefix("data: "))
            raise AssertionError(f"no event {name!r} within {seconds:g} s")

        yield following


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
