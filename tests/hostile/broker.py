"""The same offers through a real broker, to the edge's real program: `python -m tests.hostile.sets --broker`.

Beside it runs a second edge on the same devices to which nothing is offered. Each offer is retained, as the sets of
calibrate are; the next one follows once the edge has told what it did with it. Now and then the edge is killed.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import paho.mqtt.client as paho
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.contracts import samples
from dyncal.contracts.coefficients import decode_report, seal
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, SiteId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.runtime.clocks import SystemClock
from tests.hostile.sets import IN_FORCE, KEY, MAKERS, Offer, Result
from tests.servers_mosquitto import Mosquitto
from tests.unit.edge_agent.helpers import DT, SENSOR, TAU_S, coefficient_set

_CLOCK: Final = SystemClock()
OFFERED, LEFT_ALONE = (EdgeAddress(SiteId("plant"), EdgeId(name)) for name in ("edge1", "edge2"))
KILL_EVERY: Final = 997
ANSWER_S: Final = 10.0
START_S: Final = 60.0
_SETTLE_S: Final = 1.0
_CONFIG: Final = """
data_dir = "{data_dir}"
[broker]
port = {port}
[log]
level = "error"
[edge]
name = "{name}"
flush_s = 0.1
[[edge.mqtt]]
[[edge.mqtt.mappings]]
topic = "devices/+"
sensor = "{sensor}"
unit = "Cel"
dt_s = {dt_s}
time_at = "/t"
time_format = "ns"
value_at = "/v"
"""


class Edge:
    """One process of `dyncal run edge` that trusts our key."""

    def __init__(self, directory: Path, address: EdgeAddress, port: int) -> None:
        self.directory = directory / address.edge
        trusted = self.directory / "keys" / "trusted"
        trusted.mkdir(parents=True)
        public = KEY.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (trusted / f"{KEY.key_id}.pem").write_bytes(public)
        self.config = self.directory / "edge.toml"
        fields = {
            "data_dir": self.directory,
            "port": port,
            "name": address.edge,
            "sensor": SENSOR,
            "dt_s": DT / NS_PER_S,
        }
        self.config.write_text(_CONFIG.format(**fields))
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dyncal", "run", "edge", "--config", str(self.config)]
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it, and start it again."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self._started()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


class Devices:
    """A device that publishes a moving value a hundred times a second, and all that the two edges say."""

    def __init__(self, port: int) -> None:
        self.reports: dict[EdgeAddress, queue.SimpleQueue[Report]] = {
            OFFERED: queue.SimpleQueue(), LEFT_ALONE: queue.SimpleQueue()
        }  # fmt: skip
        self.corrected: dict[EdgeId, dict[int, tuple[float, float, str]]] = {OFFERED.edge: {}, LEFT_ALONE.edge: {}}
        self.n_sent = 0
        self._end = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(address.reported(SENSOR), 1) for address in self.reports])
        self._client.subscribe([(address.samples(SENSOR), 1) for address in self.reports])
        self._client.loop_start()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish, retained."""
        self._client.publish(topic, payload, qos=1, retain=True)

    def _heard(self, client: Any, data: Any, message: paho.MQTTMessage) -> None:
        del client, data
        address = next(address for address in self.reports if message.topic.startswith(f"{address.prefix}/"))
        if message.topic.endswith("/reported"):
            self.reports[address].put(decode_report(bytes(message.payload)))
            return
        record = samples.decode(bytes(message.payload))
        span = record.corrected if isinstance(record, SampleBlock) else None
        if span is not None:
            values = zip(span.value.tolist(), span.u.tolist(), strict=True)
            found = ((value, u, span.set_id) for value, u in values)
            self.corrected[address.edge].update(zip(span.axis.t_ns.tolist(), found, strict=True))

    def _feed(self) -> None:
        rng, begun_ns, y = np.random.default_rng(3), _CLOCK.now(), 20.0
        keep = np.exp(-DT / NS_PER_S / TAU_S)
        while not self._end.is_set():
            t_ns = begun_ns + self.n_sent * DT
            self._end.wait(max(0.0, (t_ns - _CLOCK.now()) / NS_PER_S))
            y = keep * y + (1 - keep) * (20 + np.sin(self.n_sent / 40))
            message = {"t": t_ns, "v": y + 0.01 * rng.standard_normal()}
            self._client.publish("devices/1", json.dumps(message).encode(), qos=1)
            self.n_sent += 1

    def close(self) -> None:
        """End it."""
        self._end.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


def offered_through_broker(n: int, seed: int, kill_every: int = KILL_EVERY) -> Result:
    """Offer `n` sets to an edge that corrects a stream; needs mosquitto."""
    rng, result = np.random.default_rng(seed), Result()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Mosquitto(directory, extra="allow_anonymous true\nset_tcp_nodelay true")
        broker.start()
        stack.callback(broker.stop)
        devices = Devices(broker.port)
        stack.callback(devices.close)
        edges = {address: Edge(directory, address, broker.port) for address in devices.reports}
        for edge in edges.values():
            stack.callback(edge.close)
        first = seal(coefficient_set(IN_FORCE, valid_from=InstantNs(_CLOCK.now() - NS_PER_S)), KEY)
        for address, said in devices.reports.items():
            devices.publish(address.desired(SENSOR), first)
            report = said.get(timeout=START_S)
            assert report.outcome is Outcome.APPLIED, report
        begun = {edge: len(found) for edge, found in devices.corrected.items()}
        said = devices.reports[OFFERED]
        for k in range(n):
            offer = MAKERS[int(rng.integers(len(MAKERS)))](rng, InstantNs(_CLOCK.now()))
            devices.publish(OFFERED.desired(SENSOR), offer.payload)
            _judge(offer, said, result)
            if (k + 1) % kill_every == 0:
                edges[OFFERED].kill()
                result.n_restarts += 1
                _resumed(said, result)
        time.sleep(2 * _SETTLE_S)
        result.n_samples = devices.n_sent
        result.same_stream = _same(devices, begun, 2 + result.n_restarts)
    return result


def _judge(offer: Offer, said: queue.SimpleQueue[Report], result: Result) -> None:
    result.offered[offer.kind] += 1
    try:
        report = said.get(timeout=ANSWER_S)
    except queue.Empty:
        result.not_reported.append(offer.kind)
        return
    words = f"{offer.kind}: {report.outcome} {report.reason[:80]}, {report.running} runs"
    if report.outcome is Outcome.APPLIED or not report.running.endswith(f"{IN_FORCE}"):
        result.applied.append(words)
    elif report.outcome is not Outcome.REJECTED or report.reason.split(":")[0] not in offer.reasons:
        result.wrong_reason.append(words)


def _resumed(said: queue.SimpleQueue[Report], result: Result) -> None:
    """Wait for an edge that was killed to go on with the set on its disk, and to refuse once more what is retained."""
    outcomes = [said.get(timeout=START_S).outcome]
    while True:
        try:
            outcomes.append(said.get(timeout=_SETTLE_S).outcome)
        except queue.Empty:
            break
    if outcomes[0] is not Outcome.APPLIED or outcomes.count(Outcome.APPLIED) != 1:
        result.applied.append(f"after a restart: {outcomes}")


def _same(devices: Devices, begun: dict[EdgeId, int], n_starts: int) -> bool:
    """Tell whether both edges have made the same of what both have read, by the set in force alone.

    Values to the last bit; u, which sums up the past, to 1e-12 where one was killed. A first value has no past.
    """
    ours, theirs = devices.corrected[OFFERED.edge], devices.corrected[LEFT_ALONE.edge]
    both = ours.keys() & theirs.keys()
    grown = all(len(devices.corrected[edge]) > n for edge, n in begun.items())
    other = [t for t in both if ours[t] != theirs[t] and not _alike(ours[t], theirs[t])]
    first = all(np.isnan(ours[t][0]) or np.isnan(theirs[t][0]) for t in other)
    return grown and len(both) > len(theirs) // 2 and first and len(other) <= n_starts


def _alike(ours: tuple[float, float, str], theirs: tuple[float, float, str]) -> bool:
    return (ours[0], ours[2]) == (theirs[0], theirs[2]) and bool(np.isclose(ours[1], theirs[1], rtol=1e-12, atol=0))
