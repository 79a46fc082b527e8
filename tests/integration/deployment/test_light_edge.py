"""An edge as `pip install dyncal[edge]` gives it: what it pulls, what it takes to start, and what it takes to run."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
import urllib.request
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.signing import Ed25519Signer, trust
from dyncal.contracts import samples as wire
from dyncal.contracts.coefficients import canonical, seal
from dyncal.contracts.edges import CommittedMessage
from dyncal.contracts.topics import EdgeAddress, parse
from dyncal.correction.smoother.design import design_smoother
from dyncal.domain.coefficients import Correction
from dyncal.domain.errors import DyncalError
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import DurationNs
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from tests.e2e.rig import Process
from tests.integration.deployment import environments
from tests.integration.edge_agent.plant import Plant
from tests.servers_mosquitto import Mosquitto
from tests.unit.correction.examples import ALL
from tests.unit.edge_agent.helpers import T0, coefficient_set

HEAVY = {
    "scipy", "numba", "llvmlite", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "influxdb-client",
    "pyarrow", "lxml", "matplotlib", "amqtt", "httpx",
}  # fmt: skip
IMPORT_S = 0.6
RESIDENT_BYTES = 120e6
GIVEN_BACK_S = 12
N_COMPARED = 1200
AGREES = 1e-12  # of the largest
N_SENSORS = 200
DT_NS = 100_000_000
BLOCK = 512
N_BLOCKS = 17  # more than an edge remembers of a sensor
EDGE = EdgeAddress(SiteId("plant"), EdgeId("edge1"))
SENSORS = [SensorId(f"TT-{k}") for k in range(N_SENSORS)]
ON_MQTT, ON_OPCUA = SENSORS[::2], SENSORS[1::2]

IMPORTING = """
import sys, time
began = time.process_time()
import edge_agent.settings, edge_agent.service, dyncal.runtime.program
"""

READING_OPCUA = """
from dyncal.adapters.opcua import client
client.load()
import edge_agent.readers.opcua
"""

SAYING = """
print(time.process_time() - began, *sorted({name.partition(".")[0] for name in sys.modules}))
"""

CORRECTING = """
from pathlib import Path
import numpy as np
from dyncal import kernels
from dyncal.contracts.coefficients import open_set
from dyncal.correction.forms import corrector_of
for file in Path(directory).glob("*.json"):
    chosen = open_set(file.read_text())
    corrector = corrector_of(chosen.correction, chosen.parameters, chosen.id)
    with np.load(file.with_suffix(".npz")) as given:
        t_ns, raw = given["t_ns"], given["raw"]
    spans, low = [], 0
    for n in (1, 2, 63, 64, 65, 1, 300, raw.size):
        spans += [corrector.process(t_ns[low : low + n], raw[low : low + n])]
        low += n
    value, u = (np.concatenate([getattr(span, part) for span in spans if span is not None]) for part in ("value", "u"))
    np.savez(file.with_suffix(f".{suffix}.npz"), value=value, u=u, numba=kernels.HAVE_NUMBA)
"""

# As the unit has it (MemoryDenyWriteExecute=); kernels before Linux 6.3 know no such thing, and go on.
CONFINED = """
import ctypes, runpy, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
runpy.run_module("edge_agent", run_name="__main__")
"""

CONFIG = """
site = "plant"
data_dir = "{home}"
[broker]
port = {port}
[edge]
name = "edge1"
metrics_port = {metrics}
[[edge.mqtt]]
mappings = [
{mappings}]
[[edge.opcua]]
url = "{url}"
nodes = [
{nodes}]
"""
MAPPING = (
    '  {{ topic = "devices/{0}/data", sensor = "{0}", unit = "Cel", dt_s = 0.1, '
    'time_at = "/time", time_format = "ns" }},\n'
)
NODE = '  {{ sensor = "{0}", node = "ns=2;s={0}", unit = "Cel", dt_s = 0.1, array = true }},\n'


def test_it_pulls_nothing_heavy(light: Path) -> None:
    found = environments.installed(light)
    assert {"dyncal", "asyncua", "paho-mqtt", "numpy"} <= found
    assert not found & HEAVY


@pytest.mark.parametrize("more", ["", READING_OPCUA], ids=["mqtt", "opcua"])
def test_it_is_imported_in_time(light: Path, more: str) -> None:
    """In processor time, which others on the machine lengthen, so that the shortest of some counts."""
    seconds = math.inf
    for _ in range(10):
        said = environments.run(str(light), "-c", IMPORTING + more + SAYING).split()
        assert not ({name.replace("-", "_") for name in HEAVY} | {"rich", "typer"}) & set(said)
        assert bool(more) == ("asyncua" in said), "an edge whose devices speak MQTT has no use for it"
        seconds = min(seconds, float(said[0]))
        if seconds <= IMPORT_S:
            return
    pytest.fail(f"importing the edge agent takes {seconds:.2f} s of processor time")


def test_it_corrects_as_with_compiled_kernels(light: Path, tmp_path: Path) -> None:
    """By the same signed text and the same blocks: filters and smoothers of all the examples of sensors."""
    rng = np.random.default_rng(5)
    for name, case in ALL.items():
        raw = np.cumsum(rng.normal(size=N_COMPARED)) * case.noise_std
        corrections: dict[str, Correction] = {"filter": case.design().filter}
        with contextlib.suppress(DyncalError):  # not every example has one
            made = design_smoother(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)
            corrections["smoother"] = made.correction
        for kind, correction in corrections.items():
            chosen = dataclasses.replace(coefficient_set(), correction=correction, parameters=case.parameters)
            (tmp_path / f"{name}-{kind}.json").write_bytes(canonical(chosen))
            np.savez(tmp_path / f"{name}-{kind}.npz", t_ns=T0 + case.dt_ns * np.arange(N_COMPARED), raw=raw)
    exec(compile(CORRECTING, "correcting", "exec"), {"directory": tmp_path, "suffix": "compiled"})
    environments.run(str(light), "-c", f"directory, suffix = {str(tmp_path)!r}, 'plain'\n{CORRECTING}")
    files = sorted(tmp_path.glob("*.plain.npz"))
    assert len(files) >= 2 * len(ALL) - 2
    for file in files:
        with np.load(file) as plain, np.load(str(file).replace("plain", "compiled")) as compiled:
            assert bool(compiled["numba"])
            assert not bool(plain["numba"])
            for part in ("value", "u"):
                wanted = compiled[part]
                allowed = AGREES * np.nanmax(np.abs(wanted))
                np.testing.assert_allclose(plain[part], wanted, rtol=0, atol=allowed)


@pytest.mark.mosquitto
@pytest.mark.timeout(180)
async def test_two_hundred_sensors_fit(light: Path, mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Each with a signed set that runs, and with all the past that an edge remembers; memory cannot be run.

    Half of them are arrays of an OPC UA server: what its client takes comes on top of what MQTT does.
    """
    metrics, plant = free_port(), Plant(free_port())
    config = tmp_path / "dyncal.toml"
    config.write_text(
        CONFIG.format(
            home=tmp_path / "var", port=mosquitto.port, metrics=metrics, mappings="".join(map(MAPPING.format, ON_MQTT)),
            url=plant.url, nodes="".join(map(NODE.format, ON_OPCUA)),
        )
    )  # fmt: skip
    await plant.start(**{name: [20.0] for name in ON_OPCUA})
    edge = Process("edge", [str(light), "-c", CONFINED, "--config", str(config)], tmp_path / "edge.log")
    try:
        async with (
            open_bus(BrokerSettings(port=mosquitto.port), "test", clean=True) as bus,
            asyncio.TaskGroup() as group,
        ):
            await bus.wait_connected()
            storing = group.create_task(commit(bus))
            await sets(bus, tmp_path / "var" / "keys" / "trusted")
            edge.start()
            await reached(edge, metrics, 'dyncal_edge_sets_total{outcome="applied"}', N_SENSORS)
            await feed(bus, plant, edge, metrics)
            used = resident(edge)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GIVEN_BACK_S):  # what bursts have left is given back now and then
                    while used > RESIDENT_BYTES:
                        await asyncio.sleep(0.5)
                        used = resident(edge)
            storing.cancel()
        assert used <= RESIDENT_BYTES, f"{used / 1e6:.1f} MB"
        edge.must_stop()
    finally:
        edge.close()
        await plant.stop()


async def sets(bus: MessageBus, trusted: Path) -> None:
    """Publish a signed set for each sensor, retained, as `calibrate` does."""
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    trust(signer.public, trusted)
    for name in SENSORS:
        signed = seal(coefficient_set(sensor=name, dt=DurationNs(DT_NS)), signer)
        await bus.publish(EDGE.desired(name), signed, retain=True)


async def feed(bus: MessageBus, plant: Plant, edge: Process, metrics: int) -> None:
    """Have each sensor deliver what it read in the last quarter of an hour, block by block."""
    t0 = SystemClock().now() - N_BLOCKS * BLOCK * DT_NS
    values = (20 + np.sin(np.arange(BLOCK) / 40)).tolist()
    for number in range(N_BLOCKS):
        first = t0 + number * BLOCK * DT_NS
        message = json.dumps({"time": first, "value": values}).encode()
        for name in ON_MQTT:
            await bus.publish(f"devices/{name}/data", message)
        for name in ON_OPCUA:
            await plant.write(name, values, first + (BLOCK - 1) * DT_NS)
        await reached(edge, metrics, "dyncal_edge_samples_read_total", (number + 1) * BLOCK * N_SENSORS)


async def commit(bus: MessageBus) -> None:
    """Say of everything that it is in the store, as `ingest` does."""
    await bus.subscribe([EDGE.samples(SensorId("+"))])
    upto: dict[str, int] = {}
    async for delivery in bus.deliveries():
        delivery.ack()
        record = wire.decode(delivery.payload)
        assert isinstance(record, SampleBlock), record
        upto[str(parse(delivery.topic).sensor)] = record.sequence
        if len(upto) == N_SENSORS:
            said = CommittedMessage(1, record.epoch, SystemClock().now(), upto)
            await bus.publish(EDGE.committed, msgspec.json.encode(said), retain=True)
            upto = {}


async def reached(edge: Process, port: int, metric: str, wanted: float) -> None:
    """Return when the sum of a metric of the edge is that much."""
    found = 0.0
    async with asyncio.timeout(100):
        while found < wanted:
            await asyncio.sleep(0.2)
            assert edge.alive, edge.said()
            found = await asyncio.to_thread(total, port, metric)


def total(port: int, metric: str) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # not there yet
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(metric))


def resident(edge: Process) -> float:
    """Return the resident memory of a program [bytes]."""
    assert edge.popen is not None
    status = Path(f"/proc/{edge.popen.pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return float(kib) * 1024
