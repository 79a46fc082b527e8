"""Edge agent, ingest, two brokers and InfluxDB, each a process of its own, that sensors of a plan are read through."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

from dyncal.adapters.ledger import SqliteLedger
from dyncal.domain.accounts import Account
from dyncal.runtime.ports import free_port
from services.ingest.service import LEDGER_FILE
from tests.e2e.rig import Rig, until
from tests.outages.devices import Plan
from tests.servers_mosquitto import Mosquitto

VICTIMS: Final = ("edge", "broker", "ingest", "influxd")

START_S: Final = 150.0  # kernels may have to be compiled first

_CONFIG: Final = """
site = "works"
data_dir = "{{data_dir}}"
[broker]
port = {{north}}
[store]
kind = "influx"
url = "{{influx}}"
[ingest]
metrics_port = {{ingest_metrics}}
[edge]
name = "line1"
metrics_port = {{edge_metrics}}
spool = {{{{ commit_timeout_s = 3.0 }}}}
[[edge.mqtt]]
broker = {{{{ port = {{south}} }}}}
mappings = [
{mappings}]
"""
_MAPPING: Final = (
    '  {{{{ topic = "devices/{sensor}", sensor = "{sensor}", unit = "1", dt_s = {dt_s}, time_at = "/time", '
    'time_format = "ns" }}}},\n'
)


class Plant(Rig):
    """The programs and servers between the devices of a plan and InfluxDB; the devices' broker is never a victim.

    `bridged`: ingest has a broker of its own, `far`, and somebody else takes messages from one broker to the other.
    """

    def __init__(self, directory: Path, plan: Plan, *, bridged: bool = False) -> None:
        mappings = "".join(_MAPPING.format(sensor=name, dt_s=plan.dt_ns / 1e9) for name in plan.sensors)
        super().__init__(directory, _CONFIG.format(mappings=mappings))
        self.far = Mosquitto(directory / "far") if bridged else None
        if self.far is not None:
            self._give_ingest_a_broker_of_its_own(self.far)

    def _give_ingest_a_broker_of_its_own(self, broker: Mosquitto) -> None:
        broker.directory.mkdir()
        broker.port = free_port()
        config = self.directory / "ingest.toml"
        config.write_text(self.config.read_text().replace(f"port = {self.north.port}", f"port = {broker.port}"))
        self.programs["ingest"].command[-1] = str(config)

    @property
    def spool_disk(self) -> Path:
        """Where the agent keeps its spool."""
        return self.directory / "var" / "edge"

    def start(self) -> None:
        """Start everything; return when the agent reads."""
        self.start_servers()
        if self.far is not None:
            self.far.start()
        for name in ("ingest", "edge"):
            self.programs[name].start()
        until("the agent reads from the devices' broker", self._reads, START_S)

    def _reads(self) -> bool:
        with contextlib.suppress(OSError):
            return any(self.metric("edge", "dyncal_edge_source_up").values())
        return False

    def kill(self, victim: str, down_s: float) -> None:
        """End a program or server as a power cut would, and start it again after a while."""
        if victim in self.programs:
            self.programs[victim].kill()
            time.sleep(down_s)
            self.programs[victim].start()
            return
        server = self.north if victim == "broker" else self.influx
        server.stop(kill=True)
        time.sleep(down_s)
        server.start()

    def ledger(self) -> Account:
        """End ingest, and return the account of all sensors."""
        self.programs["ingest"].must_stop()
        ledger = SqliteLedger(self.directory / "var" / LEDGER_FILE)
        try:
            return sum(ledger.accounts().values(), Account())
        finally:
            ledger.close()

    def close(self) -> None:
        """End everything."""
        super().close()
        if self.far is not None:
            self.far.stop(kill=True)

    def must_live(self) -> None:
        """See that no program has ended by itself."""
        for name in ("ingest", "edge"):
            assert self.programs[name].alive, f"{name} has ended: {self.programs[name].said()}"
