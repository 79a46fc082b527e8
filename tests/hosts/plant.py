"""A plant of six hosts: three edges with devices of their own, a broker, the services, and their databases."""

from __future__ import annotations

import csv
import io
import json
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dyncal.adapters.authority import Purpose
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.e2e.rig import Process
from tests.hosts.devices import Devices
from tests.hosts.host import Host
from tests.hosts.wire import Link, Wire
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto, SecureMosquitto
from tests.servers_postgresql import Postgres

SITE: Final = "works"
NETWORK: Final = "10.231.0"
EDGES: Final = ("far", "narrow", "cut")
"""What each edge's link is: far away and lossy, narrow, cut off for a while."""
SERVICES: Final = ("ingest", "calibrate", "api")
API_PORT: Final = 8080
MQTT_PORT, SOUTH_PORT, INFLUX_PORT, POSTGRES_PORT = 8883, 1883, 8086, 5432

_SHARED: Final = """
site = "{site}"
data_dir = "{data_dir}"
log.format = "json"
[broker]
host = "{broker}"
port = {port}
ca_file = "{ca}"
cert_file = "{cert}"
key_file = "{key}"
keepalive_s = {keepalive_s}
"""
_SERVICES: Final = """
[store]
kind = "influx"
url = "{influx}"
[registry]
url = "{registry}"
password_file = "{password}"
[calibrate]
min_interval_s = 4.0
review_s = 2.0
[api]
port = {api}
access.mode = "open"
"""
_EDGE: Final = """
[edge]
name = "{name}"
metrics_port = 9101
[[edge.mqtt]]
broker = {{ port = {south} }}
mappings = [
  {{ topic = "devices/{s}", sensor = "{s}", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns", reference = "{s}-ref", model = "first_order", u_reference = 0.05 }},
  {{ topic = "devices/{s}-ref", sensor = "{s}-ref", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns" }},
]
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Trees:
    """Where the code of edges and of services is, if not here: another version of dyncal, to be mixed with this."""

    edges: Path | None = None
    services: Path | None = None


class Edge:
    """An edge's host: its devices, their broker, and the agent."""

    def __init__(self, plant: Plant, name: str, address: str, tree: Path | None) -> None:
        self.name, self.sensor = name, f"TM-{name}"
        self.host = Host(name, address)
        self.link = Link()
        self.directory = plant.directory / name
        self.directory.mkdir()
        self.south = Mosquitto(self.directory / "south", port=SOUTH_PORT)
        self.south.directory.mkdir()
        config = self.directory / "dyncal.toml"
        config.write_text(
            plant.shared(name, Purpose.EDGE, self.directory) + _EDGE.format(name=name, south=SOUTH_PORT, s=self.sensor)
        )
        self.agent = program("edge", config, self.directory, tree)
        self.devices = Devices(self.sensor, SOUTH_PORT, plant.seconds, seed=EDGES.index(name))

    def metric(self, name: str) -> dict[str, float]:
        """Return the values of a metric of the agent by their labels."""
        text = self.host.do(_get, "http://127.0.0.1:9101/metrics").decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {key.removeprefix(name): float(value) for key, _, value in lines if key.partition("{")[0] == name}


class Plant:
    """The hosts and what runs on them; within `tests.hosts.host.contained` alone.

    Parameters
    ----------
    seconds : float
        For how long the devices can send.
    """

    def __init__(self, directory: Path, seconds: float, *, keepalive_s: int, trees: Trees = Trees()) -> None:
        self.directory, self.seconds, self._keepalive_s = directory, seconds, keepalive_s
        self.wire = Wire()
        self.databases, self.middle, self.services = (
            Host(name, f"{NETWORK}.{k}") for k, name in enumerate(("databases", "broker", "services"), 1)
        )
        self.links = {host.name: Link() for host in (self.databases, self.middle, self.services)}
        for host in (self.databases, self.middle, self.services):
            self.wire.attach(host.address, host.fd, self.links[host.name])
        self.influx = Influxd(directory / "influx", port=INFLUX_PORT, address=self.databases.address)
        self.postgres = Postgres(directory / "postgres", port=POSTGRES_PORT, address=self.databases.address)
        broker = directory / "broker"
        broker.mkdir()
        self.broker = SecureMosquitto(broker, port=MQTT_PORT, address=self.middle.address, site=SITE)
        self._authority = self.broker.prepare()
        self.postgres.make()
        self.programs = {name: self._service(name, trees.services) for name in SERVICES}
        self.edges = {name: Edge(self, name, f"{NETWORK}.{k}", trees.edges) for k, name in enumerate(EDGES, 11)}
        for edge in self.edges.values():
            self.wire.attach(edge.host.address, edge.host.fd, edge.link)

    def shared(self, name: str, purpose: Purpose, data_dir: Path) -> str:
        """Return the part of a program's settings that all have, with a certificate of its own."""
        client = self.broker.settings(self._authority, name, purpose)
        return _SHARED.format(
            site=SITE, data_dir=data_dir / "var", broker=client.host, port=client.port, ca=client.ca_file,
            cert=client.cert_file, key=client.key_file, keepalive_s=self._keepalive_s,
        )  # fmt: skip

    def _service(self, name: str, tree: Path | None) -> Process:
        config = self.directory / f"{name}.toml"
        config.write_text(
            self.shared(f"dyncal-{name}", Purpose.SERVICE, self.directory / "services")
            + _SERVICES.format(
                influx=self.influx.url, registry=self.postgres.url(password=False), api=API_PORT,
                password=self.postgres.directory / "password",
            )
        )  # fmt: skip
        return program(name, config, self.directory, tree)

    def start(self) -> None:
        """Start servers and services."""
        self.databases.do(self.influx.start)
        self.databases.do(self.postgres.start)
        self.middle.do(self.broker.start)
        for process in self.programs.values():
            self.services.do(process.start)
        for edge in self.edges.values():
            edge.host.do(edge.south.start)

    def skew(self, name: str, off_s: float) -> None:
        """Have an edge's clock be wrong, before it is started."""
        edge = self.edges[name]
        edge.agent.command = command_of("edge", edge.directory / "dyncal.toml", None, off_s)

    def upgrade_edges(self) -> None:
        """End each agent, and go on with this tree's on what it has left."""
        for edge in self.edges.values():
            edge.agent.must_stop()
            edge.agent.command = command_of("edge", edge.directory / "dyncal.toml", None)
            edge.host.do(edge.agent.start)

    def upgrade_services(self) -> None:
        """End all services, and go on with this tree's on what they have left."""
        for process in self.programs.values():
            process.must_stop()
        for name, process in self.programs.items():
            process.command = command_of(name, self.directory / f"{name}.toml", None)
            self.services.do(process.start)

    def start_agent(self, edge: Edge) -> None:
        """Start an edge's agent; it is brought the public key of the site first, by hand as it were."""
        trusted = edge.directory / "var" / "keys" / "trusted"
        trusted.mkdir(parents=True, exist_ok=True)
        for file in (self.directory / "services" / "var" / "keys" / "trusted").glob("*.pem"):
            (trusted / file.name).write_bytes(file.read_bytes())
        edge.host.do(edge.agent.start)

    @property
    def has_key(self) -> bool:
        """Whether calibrate has made the key that signs."""
        return any((self.directory / "services" / "var" / "keys" / "trusted").glob("*.pem"))

    def get(self, path: str) -> Any:
        """Return JSON of the HTTP interface; None while it does not answer."""
        try:
            return json.loads(self.services.do(_get, f"http://127.0.0.1:{API_PORT}{path}"))
        except OSError:
            return None

    def rows(self, sensor: str, field: str) -> tuple[Int64Array, FloatArray]:
        """Return instants and values of a sensor's field as InfluxDB itself lists them."""
        asked = {"db": "dyncal", "epoch": "ns", "q": f"SELECT {field} FROM samples WHERE sensor='{sensor}'"}
        url = f"{self.influx.url}/query?{urllib.parse.urlencode(asked)}"
        lines = list(csv.reader(io.StringIO(self.databases.do(_get, url, "application/csv").decode())))[1:]
        t_ns, value = (np.array([line[k] for line in lines]) for k in (2, 3))
        return t_ns.astype(np.int64), value.astype(np.float64)

    def must_live(self) -> None:
        """See that no program has ended by itself."""
        for process in (*self.programs.values(), *(edge.agent for edge in self.edges.values())):
            assert process.alive, f"{process.name} has ended: {process.said()}"

    def close(self) -> None:
        """End everything."""
        for process in (*self.programs.values(), *(edge.agent for edge in self.edges.values())):
            process.close()
        for stop in (self.broker.stop, self.influx.stop, self.postgres.stop):
            stop(kill=True)
        for edge in self.edges.values():
            edge.south.stop(kill=True)
        for host in (self.databases, self.middle, self.services, *(edge.host for edge in self.edges.values())):
            host.close()


def program(name: str, config: Path, directory: Path, tree: Path | None) -> Process:
    """Return a program of dyncal, of the code in `tree` if one is given."""
    return Process(name, command_of(name, config, tree), directory / f"{name}.log")


def command_of(name: str, config: Path, tree: Path | None, off_s: float = 0.0) -> list[str]:
    """Return the command that starts a program, of the code in `tree` if one is given, its clock wrong by `off_s`."""
    what = ["dyncal"] if off_s == 0 else ["tests.hosts.skewed", str(off_s)]
    command = [sys.executable, "-m", *what, "run", name, "--config", str(config)]
    if tree is not None:
        command = ["env", "-C", str(tree), f"PYTHONPATH={tree}", *command]
    return command


def _get(url: str, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())
