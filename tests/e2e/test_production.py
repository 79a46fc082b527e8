"""Each program alone against a real broker, InfluxDB and OPC UA server; each killed, and nothing lost or made up."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dyncal.adapters.mqtt import open_bus
from dyncal.contracts.coefficients import decode_report
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings
from tests.e2e.rig import PROGRAMS, Process, Rig, sse, until
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto

pytestmark = [pytest.mark.mosquitto, pytest.mark.influxdb]

SENSORS = ("TC-1", "TM-2", "AC-3")
DT_NS = {"TC-1": 20_000_000, "TM-2": 20_000_000, "AC-3": 1_000_000}
LAG_S = 30.0
START_NS = 25_000_000_000

SCENARIO = """
name = "production"
title = "Three sensors, one on each kind of surface"
seed = 7

[[stations]]
id = "TC-1"
unit = "Cel"
surface = "opcua"
model = "first_order"
parameters = { gain = 1.0, tau_s = 0.4 }
rate_hz = 50
measurand = { mean = 180.0, rms = 6.0, band_hz = 1.5 }
converter = { noise = 0.03, resolution = 0.001 }
reference = { converter = { noise = 0.1 } }
pairing = { u_reference = 0.05 }

[[stations]]
id = "TM-2"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = { gain = 1.0, tau_s = 0.3 }
rate_hz = 50
block = 5
measurand = { mean = 60.0, rms = 4.0, band_hz = 2.0 }
converter = { noise = 0.03 }
reference = { converter = { noise = 0.1 } }
pairing = { u_reference = 0.05 }

[[stations]]
id = "AC-3"
unit = "m/s2"
surface = "opcua"
model = "second_order"
parameters = { gain = 1.0, damping = 0.05, f0_hz = 120.0 }
rate_hz = 1000
block = 100
measurand = { rms = 3.0, band_hz = 150.0 }
converter = { noise = 0.01 }
reference = { converter = { noise = 0.03 } }
pairing = { u_reference = 0.01 }
"""

CONFIG = """
site = "works"
data_dir = "{data_dir}"
[broker]
port = {north}
[store]
kind = "influx"
url = "{influx}"
[ingest]
metrics_port = {ingest_metrics}
[calibrate]
min_interval_s = 4.0
review_s = 2.0
metrics_port = {calibrate_metrics}
[api]
port = {api}
access.mode = "open"
[edge]
name = "line1"
metrics_port = {edge_metrics}
spool = {{ commit_timeout_s = 3.0 }}
[[edge.opcua]]
url = "opc.tcp://127.0.0.1:{opcua}"
nodes = [
  {{ sensor = "TC-1", node = "ns=2;s=TC-1", unit = "Cel", dt_s = 0.02, reference = "TC-1-ref", model = "first_order", u_reference = 0.05 }},
  {{ sensor = "TC-1-ref", node = "ns=2;s=TC-1-ref", unit = "Cel", dt_s = 0.02 }},
  {{ sensor = "AC-3", node = "ns=2;s=AC-3", unit = "m/s2", dt_s = 0.001, array = true, reference = "AC-3-ref", model = "second_order", u_reference = 0.01 }},
  {{ sensor = "AC-3-ref", node = "ns=2;s=AC-3-ref", unit = "m/s2", dt_s = 0.001, array = true }},
]
[[edge.mqtt]]
broker = {{ port = {south} }}
mappings = [
  {{ topic = "devices/TM-2/data", sensor = "TM-2", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns", reference = "TM-2-ref", model = "first_order", u_reference = 0.05 }},
  {{ topic = "devices/TM-2-ref/data", sensor = "TM-2-ref", unit = "Cel", dt_s = 0.02, time_at = "/time", time_format = "ns" }},
]
"""  # noqa: E501


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, CONFIG)
    try:
        yield rig
    finally:
        rig.close()


@pytest.fixture
def simulators(rig: Rig, tmp_path: Path) -> Iterator[Process]:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO)
    ports = ["--opcua-port", str(rig.opcua_port), "--mqtt-port", str(rig.south.port)]
    process = Process(
        "simulators",
        [sys.executable, "-m", "simulators", str(scenario), *ports],
        tmp_path / "simulators.log",
        pipe=True,
    )
    try:
        yield process
    finally:
        process.close()


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_nothing_is_lost_or_made_up_whatever_is_killed(rig: Rig, simulators: Process) -> None:
    rig.start_servers()
    simulators.start()
    started = json.loads(simulators.line(30))
    for program in rig.programs.values():
        program.start()
    for sensor in SENSORS:
        until(f"{sensor} is corrected in InfluxDB", lambda s=sensor: rig.count("corrected", s) > 50, 60)  # type: ignore[misc]
    _sets_are_applied_as_reported(rig)
    _the_interface_shows_them(rig)

    for victim in ("ingest", "broker", "influxd", "edge", "calibrate", "api"):
        _kill_and_restart(rig, victim)
        _corrected_flows(rig, victim)

    _every_program_stops_in_time_under_load(rig)
    _corrected_flows(rig, "SIGTERM of all")

    simulators.terminate()
    made = json.loads(simulators.line(5))["generated"]
    for sensor in (name for s in SENSORS for name in (s, f"{s}-ref")):
        _accounted_for(rig, sensor, started["t0_ns"], made[sensor], may_miss=not sensor.startswith("TM-2"))
    for program in rig.programs.values():
        program.must_stop()


def _sets_are_applied_as_reported(rig: Rig) -> None:
    reports = asyncio.run(_reported(rig))
    in_store = {sensor: {row[1] for row in _sets_in_store(rig, sensor)} for sensor in SENSORS}
    for sensor in SENSORS:
        report = reports[sensor]
        assert report.outcome == "applied", report
        assert in_store[sensor], f"no set in the rows of {sensor}"


def _sets_in_store(rig: Rig, sensor: str) -> list[list[Any]]:
    return rig.query(f"SELECT distinct(\"set\") FROM samples WHERE sensor='{sensor}'")


async def _reported(rig: Rig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with open_bus(BrokerSettings(port=rig.north.port), "test-reports", clean=True) as bus:
        await bus.wait_connected()
        await bus.subscribe(["dyncal/v1/works/line1/coefficients/+/reported"])
        async with asyncio.timeout(10):
            async for delivery in bus.deliveries():
                report = decode_report(delivery.payload)
                delivery.ack()
                found[report.sensor] = report
                if len(found) == len(SENSORS):
                    return found
    raise AssertionError(f"only {sorted(found)} have reported")


def _the_interface_shows_them(rig: Rig) -> None:
    assert rig.get("/readyz") == {"ready": True, "parts": {"registry": "", "store": "", "bus": ""}}
    for sensor in SENSORS:
        shown = until(f"{sensor} runs a set", lambda s=sensor: _active(rig, s), 10)  # type: ignore[misc]
        assert shown["latest"]["corrected"] is not None
        assert shown["edge_online"] is True
        assert rig.get(f"/v1/coefficient-sets/{shown['active_set']['id']}")["state"] == "active"
        assert rig.get(f"/v1/calibrations?sensor={sensor}")["items"][0]["verdict"]
    with sse(f"{rig.api}/v1/stream?trend=TC-1") as following:
        for _ in range(5):
            frame = following("samples", 10)
            assert [series["sensor"] for series in frame["series"]] == ["TC-1"]


def _active(rig: Rig, sensor: str) -> Any:
    shown = rig.get(f"/v1/sensors/{sensor}")
    return shown if shown is not None and shown["active_set"] is not None else None


def _kill_and_restart(rig: Rig, victim: str) -> None:
    if victim in rig.programs:
        rig.programs[victim].kill()
        time.sleep(1.5)
        rig.programs[victim].start()
        return
    server: Mosquitto | Influxd = rig.north if victim == "broker" else rig.influx
    server.stop(kill=True)
    time.sleep(1.5)
    for name, program in rig.programs.items():
        assert program.alive, f"{name} ended when {victim} was killed: {program.said()}"
    server.start()


def _corrected_flows(rig: Rig, after: str) -> None:
    restarted_ns = SystemClock().now()
    until(f"the interface is ready after {after}", lambda: (rig.get("/readyz") or {}).get("ready"), LAG_S)
    for sensor in SENSORS:
        until(
            f"corrected values of {sensor} flow again after {after}",
            lambda s=sensor: rig.newest("corrected", s) > restarted_ns,  # type: ignore[misc]
            LAG_S,
        )


def _every_program_stops_in_time_under_load(rig: Rig) -> None:
    with sse(f"{rig.api}/v1/stream?events=samples,values") as following:
        following("samples", 10)
        reader = threading.Thread(target=_read_on, args=(following,))
        reader.start()
        try:
            rig.programs["api"].must_stop()
        finally:
            reader.join(10)
    for name in ("calibrate", "ingest", "edge"):
        rig.programs[name].must_stop()
    for name in PROGRAMS:
        rig.programs[name].start()


def _read_on(following: Any) -> None:
    """Read until the server ends the stream."""
    try:
        while True:
            following("samples", 1)
    except (AssertionError, OSError):
        return


def _accounted_for(rig: Rig, sensor: str, t0_ns: int, n_made: int, *, may_miss: bool) -> None:
    """See every sample since the edge first read in InfluxDB; what may be missing, within recorded gaps."""
    dt_ns = DT_NS[sensor.removesuffix("-ref")]
    made = [t0_ns + k * dt_ns for k in range(n_made)]
    until(f"the last sample of {sensor}", lambda: rig.newest("raw", sensor) == made[-1], 20)
    kept = [int(row[0]) for row in rig.query(f"SELECT raw FROM samples WHERE sensor='{sensor}'")]
    assert set(kept) <= set(made), f"{sensor}: {len(set(kept) - set(made))} samples that nobody made"
    assert made.index(kept[0]) * dt_ns < START_NS
    holes = [(a, b) for a, b in itertools.pairwise(kept) if b - a > dt_ns]
    if not may_miss:
        assert holes == [], f"{sensor}: {sum((b - a) // dt_ns - 1 for a, b in holes)} of {n_made} samples are missing"
        return
    gaps = [(int(row[0]), int(row[1])) for row in rig.query(f"SELECT before_ns FROM gaps WHERE sensor='{sensor}'")]
    silent = [hole for hole in holes if not any(a <= hole[0] and hole[1] <= b for a, b in gaps)]
    assert silent == [], f"{sensor}: holes that no gap covers; gaps are {gaps}"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_whose_peers_are_absent_waits_and_stops_in_time(rig: Rig, name: str) -> None:
    program = rig.programs[name]
    program.start()
    until("it has said something", program.said, 30)
    time.sleep(3)
    assert program.alive, program.said()
    program.must_stop()
