"""A plant that nobody has described to dyncal: from a server's address to a fit within a minute, over HTTP."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dyncal.runtime.ports import free_port
from tests.e2e.rig import Process, until
from tests.servers_mosquitto import Mosquitto

FIT_S = 60.0
START_S = 120.0
CONFIG = """
site = "works"
data_dir = "{data_dir}"
[broker]
port = {mqtt}
[edge]
name = "line1"
[api]
port = {api}
access.mode = "open"
"""
PICKED = ("TC-101", "TC-101-ref")


class Works:
    """All programs, as far as a new user has configured them: where the broker is, and what the edge is called."""

    def __init__(self, directory: Path) -> None:
        self.broker = Mosquitto(directory)
        self.opcua, self.port = free_port(), free_port()
        self.broker.start()
        config = directory / "dyncal.toml"
        config.write_text(CONFIG.format(data_dir=directory / "var", mqtt=self.broker.port, api=self.port))
        dyncal = [sys.executable, "-m", "dyncal"]
        devices = ["simulate", "demo", "--opcua-port", str(self.opcua), "--mqtt-port", str(self.broker.port)]
        commands = {name: ["run", name, "--config", str(config)] for name in ("ingest", "calibrate", "api", "edge")}
        self.programs = [
            Process(name, [*dyncal, *command], directory / f"{name}.log")
            for name, command in (commands | {"simulate": devices}).items()
        ]

    def start(self) -> None:
        for program in self.programs:
            program.start()

    def close(self) -> None:
        for program in self.programs:
            program.close()
        self.broker.stop(kill=True)

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and JSON of an answer; (0, None) while nobody answers."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1{path}",
            body,
            {"Content-Type": "application/json", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, None


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    works = Works(tmp_path)
    try:
        works.start()
        yield works
    finally:
        works.close()


def variables(works: Works, server: dict[str, Any], node: str = "", depth: int = 4) -> Iterator[dict[str, Any]]:
    """Yield what can be a sensor, as a person unfolds it: objects below objects."""
    status, found = works.ask("POST", "/edges/line1/browse", {"server": server, "node": node})
    assert status == 200, found
    for each in found["nodes"]:
        if each["variable"] and each["numeric"]:
            yield each
        elif not each["variable"] and depth and each["name"] not in ("Server", "Aliases", "Locations"):
            yield from variables(works, server, each["node"], depth - 1)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_from_an_address_to_a_fit_within_a_minute(works: Works) -> None:
    until("the edge is there", lambda: _online(works), START_S)
    server = {"url": f"opc.tcp://127.0.0.1:{works.opcua}"}
    until("the plant is there", lambda: works.ask("POST", "/edges/line1/browse", {"server": server})[0] == 200, START_S)
    found = {each["name"]: each for each in variables(works, server)}
    assert set(PICKED) <= set(found), sorted(found)
    nodes = [{"sensor": name, "node": found[name]["node"], "unit": "Cel", "dt_s": 0.02} for name in PICKED]
    nodes[0] |= {"reference": PICKED[1], "model": "first_order", "u_reference": 0.05}
    began = time.monotonic()
    status, put = works.ask("PUT", "/edges/line1/sources", {"opcua": [{**server, "nodes": nodes}]})
    assert status == 200
    assert put["reported"]["outcome"] == "applied", put
    fitted = until("a fit is in force", lambda: _corrected(works, PICKED[0]), START_S)
    took_s = time.monotonic() - began
    sys.stdout.write(f"\nfrom the last click to corrected values: {took_s:.1f} s\n")
    assert took_s < FIT_S
    calibration = works.ask("GET", f"/calibrations?sensor={PICKED[0]}&limit=1")[1]["items"][0]
    values = dict(zip(calibration["parameters"]["names"], calibration["parameters"]["values"], strict=True))
    u = dict(zip(calibration["parameters"]["names"], calibration["parameters"]["u"], strict=True))
    assert abs(values["tau_s"] - 0.7) < 4 * u["tau_s"]
    assert fitted["latest"]["u"] > 0


def _online(works: Works) -> bool:
    status, found = works.ask("GET", "/edges")
    return status == 200 and any(edge["online"] for edge in found["items"])


def _corrected(works: Works, sensor: str) -> Any:
    status, found = works.ask("GET", f"/sensors/{sensor}")
    if status != 200 or not found["active_set"] or not found["latest"]:
        return None
    return found if found["latest"]["corrected"] is not None else None
