"""Real programs over mutual TLS, each with its own certificate, while the key that signs is changed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dyncal.adapters.authority import Purpose
from dyncal.adapters.keyring import signer_of
from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.signing import Ed25519Signer
from dyncal.contracts.coefficients import decode_report, open_set, read_envelope, seal
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.runtime.settings import BrokerSettings
from tests.e2e.rig import Process, Rig, until
from tests.servers_mosquitto import SecureMosquitto

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(280)]

EDGE = EdgeAddress(SiteId("works"), EdgeId("line1"))
FIRST, SECOND = SensorId("TM-1"), SensorId("TM-2")

SCENARIO = """
name = "{sensor}"
title = "One sensor"
seed = 7

[[stations]]
id = "{sensor}"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = {{ gain = 1.0, tau_s = 0.3 }}
rate_hz = 50
block = 5
measurand = {{ mean = 60.0, rms = 4.0, band_hz = 2.0 }}
converter = {{ noise = 0.03 }}
reference = {{ converter = {{ noise = 0.1 }} }}
pairing = {{ u_reference = 0.05 }}
"""

CONFIG = """
site = "works"
data_dir = "{data_dir}"
[broker]
port = {north}
ca_file = "{ca}"
[ingest]
metrics_port = {ingest_metrics}
[calibrate]
min_interval_s = 4.0
review_s = 2.0
metrics_port = {calibrate_metrics}
[api]
port = {api}
[edge]
name = "line1"
metrics_port = {edge_metrics}
[[edge.mqtt]]
broker = {{ port = {south} }}
mappings = [
  {{ topic = "devices/TM-1/data", sensor = "TM-1", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns", reference = "TM-1-ref", model = "first_order", u_reference = 0.05 }},
  {{ topic = "devices/TM-1-ref/data", sensor = "TM-1-ref", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns" }},
  {{ topic = "devices/TM-2/data", sensor = "TM-2", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns", reference = "TM-2-ref", model = "first_order", u_reference = 0.05 }},
  {{ topic = "devices/TM-2-ref/data", sensor = "TM-2-ref", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns" }},
]
"""  # noqa: E501


class SecureRig(Rig):
    """A plant whose broker lets nobody in without a certificate; the edge keeps its files apart."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, CONFIG, ca=directory / "north" / "ca.pem")
        north = SecureMosquitto(directory / "north", port=self.north.port, site=EDGE.site)
        self.north, self._authority = north, north.prepare()
        self.edge_home = directory / "edge"
        for name, program in self.programs.items():
            mine = (EDGE.edge, Purpose.EDGE) if name == "edge" else (f"dyncal-{name}", Purpose.SERVICE)
            settings = north.settings(self._authority, *mine)
            given = [f"DYNCAL_BROKER__{part}={getattr(settings, part.lower())}" for part in ("CERT_FILE", "KEY_FILE")]
            given += [f"DYNCAL_DATA_DIR={self.edge_home}"] if name == "edge" else []
            program.command = ["env", *given, *program.command]

    @property
    def keys(self) -> Path:
        return self.directory / "var" / "keys"

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dyncal", *arguments, "--config", str(self.config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, name: str) -> BrokerSettings:
        assert isinstance(self.north, SecureMosquitto)
        return self.north.settings(self._authority, name, Purpose.SERVICE)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SecureRig]:
    rig = SecureRig(tmp_path)
    with ExitStack() as stack:
        stack.callback(rig.close)
        yield rig


def simulate(rig: SecureRig, sensor: str, stack: ExitStack) -> None:
    scenario = rig.directory / f"{sensor}.toml"
    scenario.write_text(SCENARIO.format(sensor=sensor))
    ports = ["--opcua-port", "0", "--mqtt-port", str(rig.south.port)]
    process = Process(
        sensor, [sys.executable, "-m", "simulators", str(scenario), *ports], rig.directory / f"{sensor}.log", pipe=True
    )
    stack.callback(process.close)
    process.start()
    process.line(30)


def reported(rig: SecureRig, sensor: SensorId, wanted: Callable[[Report], bool], seconds: float) -> Report:
    """Return the first report of a sensor that is wanted, the retained one too."""

    async def wait() -> Report:
        async with open_bus(rig.client("dyncal-reader"), "test-reports", clean=True) as bus:
            await bus.wait_connected()
            await bus.subscribe([EDGE.reported(sensor)])
            async with asyncio.timeout(seconds):
                async for delivery in bus.deliveries():
                    delivery.ack()
                    report = decode_report(delivery.payload)
                    if wanted(report):
                        return report
        raise AssertionError("the bus has ended")

    return asyncio.run(wait())


def desired(rig: SecureRig, sensor: SensorId) -> bytes:
    async def wait() -> bytes:
        async with open_bus(rig.client("dyncal-reader"), "test-desired", clean=True) as bus:
            await bus.wait_connected()
            await bus.subscribe([EDGE.desired(sensor)])
            async with asyncio.timeout(10):
                async for delivery in bus.deliveries():
                    delivery.ack()
                    return delivery.payload
        raise AssertionError("the bus has ended")

    return asyncio.run(wait())


def offer(rig: SecureRig, sensor: SensorId, payload: bytes) -> None:
    """Publish a set as whoever has taken over calibrate's place on the bus."""

    async def publish() -> None:
        async with open_bus(rig.client("dyncal-calibrate"), "test-offers", clean=True) as bus:
            await bus.wait_connected()
            await bus.publish(EDGE.desired(sensor), payload)

    asyncio.run(publish())


def applied(report: Report) -> bool:
    return report.outcome is Outcome.APPLIED


def applied_after(before: Report) -> Callable[[Report], bool]:
    return lambda report: applied(report) and report.at_ns > before.at_ns


def key_of(rig: SecureRig, sensor: SensorId) -> str:
    return read_envelope(desired(rig, sensor)).key_id


def test_a_key_is_changed_while_programs_work_over_mutual_tls(rig: SecureRig) -> None:
    with ExitStack() as stack:
        rig.north.start()
        rig.south.start()
        simulate(rig, FIRST, stack)
        rig.programs["calibrate"].start()
        until("calibrate has made its key", lambda: list((rig.keys / "trusted").glob("*.pem")), 60)
        shutil.copytree(rig.keys / "trusted", rig.edge_home / "keys" / "trusted")  # by hand, as an installer would
        old = Ed25519Signer(signer_of(rig.keys / "signing.pem")._private)
        for name in ("ingest", "api", "edge"):
            rig.programs[name].start()
        first = reported(rig, FIRST, applied, 90)
        assert key_of(rig, FIRST) == old.key_id
        until("the interface has the bus", lambda: (rig.get("/readyz") or {}).get("parts", {}).get("bus") == "", 30)

        new = rig.command("keys", "rotate").split()[0]
        trusted = rig.edge_home / "keys" / "trusted"
        until("the edge pins the next key", lambda: (trusted / f"{new}.pem").exists(), 20)
        rig.command("keys", "activate")
        until("calibrate signs with it", lambda: new in rig.programs["calibrate"].log.read_text(), 20)
        time.sleep(1.5)
        simulate(rig, SECOND, stack)
        second = reported(rig, SECOND, applied, 90)
        assert key_of(rig, SECOND) == new

        rig.command("keys", "retire")
        until("the edge lays the old key aside", lambda: not (trusted / f"{old.key_id}.pem").exists(), 20)
        listed = {key["key_id"]: key for key in json.loads(rig.command("keys", "list", "--json"))}
        assert (listed[old.key_id]["state"], listed[old.key_id]["desired_sets"]) == ("retired", 1)
        assert (listed[new]["state"], listed[new]["private_part_here"]) == ("current", True)

        # What a thief of the old key makes is refused; what runs goes on, after a restart too.
        forged = open_set(read_envelope(desired(rig, SECOND)).set.encode())
        offer(rig, SECOND, seal(replace(forged, id="forged", sequence=forged.sequence + 1), old))
        refused = reported(rig, SECOND, lambda report: report.outcome is Outcome.REJECTED, 20)
        assert refused.reason.startswith("signature"), refused
        rig.programs["edge"].must_stop()
        rig.programs["edge"].start()
        for sensor, report in ((FIRST, first), (SECOND, second)):
            again = reported(rig, sensor, applied_after(report), 60)
            assert again.set_id == report.set_id

        assert "fit" in rig.command("audit", "verify")
        for program in rig.programs.values():
            program.must_stop()
        verified = rig.command("audit", "verify")
        assert "signed up to entry" in verified
        assert "; 0 entries since are not yet" in verified
