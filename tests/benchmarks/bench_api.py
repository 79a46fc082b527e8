"""Coefficient documents over HTTP: how many edges one worker serves, and how soon a published set is applied.

``python -m tests.benchmarks.bench_api``: the API service is a process of its own, one uvicorn worker over the registry
of 500 edges with a sensor and a signed set each; who asks is another process, on raw sockets.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.contracts import coefficients as contract
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, Parameters, Provenance, SetState
from dyncal.domain.sensors import EdgeId, ModelKind, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.records import Act
from dyncal.ports.signing import Signer
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from edge_agent.acceptance import Policy, examine
from services.api.service import ApiService
from services.api.settings import ApiSection, ApiSettings
from tests.benchmarks.bench_backlog import cpu_s
from tests.evidence import Figure, table

CLOCK: Final = SystemClock()
EDGES: Final = 500
CONNECTIONS: Final = 16
MEASURED_S: Final = 8.0
RATE_HZ: Final = 500.0
ROUNDS: Final = 2
ASKED: Final = 50
"""Edges that the first two measurements ask about; each document is made once, by the long way."""
DT: Final = DurationNs(100_000_000)
HERE: Final = "tests.benchmarks.bench_api"


def sensor_of(k: int) -> Sensor:
    """Return the only sensor of edge `k`."""
    return Sensor(SensorId(f"s-{k}"), SiteId("plant"), EdgeId(f"edge-{k}"), "Cel", DT)


def set_of(k: int, sequence: int) -> CoefficientSet:
    """Return a set that an edge accepts: a first-order sensor's inverse, of sixteen taps."""
    sensor, now = sensor_of(k).id, InstantNs(CLOCK.now())
    fir = np.zeros(16)
    fir[:2] = 6.0, -5.0
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.0, 0.5]), np.diag([1e-6, 1e-4]))
    return CoefficientSet(
        f"{sensor}.{sequence}",
        sensor,
        sequence,
        None,
        parameters,
        CorrectionFilter(DT, fir, np.zeros((0, 6)), 0, np.zeros((2, 5)), 0.1, 0.01, 1.0),
        (0.9, 1.1),
        now,
        Provenance(f"cal-{sensor}", SensorId("ref"), now, now, now, 100),
        residual_limit=1.0,
    )


def publish(folder: Path, signer: Signer, sequence: int, edges: range) -> list[float]:
    """Publish a new set for each edge; return the instants at which each was in the registry [s]."""
    instants = []
    with closing(open_registry(RegistrySettings(), folder)) as registry:
        for k in edges:
            made = set_of(k, sequence)
            act = Act("calibrate", InstantNs(CLOCK.now()))
            registry.add_set(made, contract.seal(made, signer), SetState.PUBLISHED, act)
            instants.append(CLOCK.now() / 1e9)
    return instants


async def serve(folder: Path, port: int) -> None:
    """Serve until killed."""
    section = ApiSection.model_validate(
        {"port": port, "access": {"mode": "open", "requests_hz": 1e6, "requests_burst": 1e7}}
    )
    broker, store = FakeBroker(), MemorySampleStore()
    service = ApiService(
        ApiSettings(site="plant", data_dir=folder, api=section),
        CLOCK,
        registry=lambda: open_registry(RegistrySettings(), folder),
        store=lambda: store,
        bus=lambda: broker.bus("api", clean=True),
    )
    await service.run(asyncio.Event())


@contextmanager
def serving() -> Iterator[tuple[Path, int, int, Signer]]:
    """Run the service over a registry with a set for every edge; yield folder, port, process and signer."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        signer = open_signer(SigningSettings(), folder)
        with closing(open_registry(RegistrySettings(), folder)) as registry:
            registry.put_sensors([sensor_of(k) for k in range(EDGES)], [], Act("api", InstantNs(CLOCK.now())))
        publish(folder, signer, 1, range(EDGES))
        process = subprocess.Popen([sys.executable, "-m", HERE, "serve", name, str(port)], stdout=subprocess.DEVNULL)
        try:
            _up(port)
            yield folder, port, process.pid, signer
        finally:
            process.terminate()
            process.wait(10)


def _up(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(1)
            return
        time.sleep(0.1)
    raise TimeoutError("the API service does not come up")


def question(edge: int, tag: str, more: str = "") -> bytes:
    """Return a request for the document of an edge."""
    head = f"GET /v1/edges/edge-{edge}/coefficients HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-None-Match: {tag}\r\n{more}\r\n"
    return head.encode()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    """Return status, tag and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.split("\r\n")[1:-2])}
    body = await reader.readexactly(int(fields.get("content-length", 0))) if " 304 " not in head[:20] else b""
    return int(head[9:12]), fields["etag"], body


async def tags_of(port: int) -> list[str]:
    """Return the tags of the documents that are asked for, in order of edge."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    tags = []
    for k in range(ASKED):
        writer.write(question(k, '"none"'))
        tags.append((await answer_of(reader))[1])
    writer.close()
    return tags


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it was answered, one edge after the other."""

    def __init__(self, questions: list[bytes], first: int) -> None:
        self.questions, self.k, self.n, self.wrong = questions, first, 0, 0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.k = (self.k + 1) % len(self.questions)
        self.transport.write(self.questions[self.k])

    def data_received(self, data: bytes) -> None:
        """Take an answer: a 304 comes in one piece."""
        self.n += 1
        self.wrong += not (data.startswith(b"HTTP/1.1 304") and data.endswith(b"\r\n\r\n"))
        if not self.stopped:
            self._ask()


async def flood(port: int) -> dict[str, float]:
    """Ask without a pause on a few connections; return how many were answered, how many wrongly, and the time."""
    questions = [question(k, tag) for k, tag in enumerate(await tags_of(port))]
    loop = asyncio.get_running_loop()
    asking = [Asking(questions, 31 * c) for c in range(CONNECTIONS)]
    begun = time.perf_counter()
    for one in asking:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(MEASURED_S)
    n, wrong, spent = sum(a.n for a in asking), sum(a.wrong for a in asking), time.perf_counter() - begun
    for one in asking:
        one.stopped = True
        one.transport.close()
    return {"n": n, "wrong": wrong, "seconds": spent}


async def steady(port: int) -> list[float]:
    """Ask at a steady rate, whoever is still waiting; return the times from when each was due to its answer [s]."""
    questions = [question(k, tag) for k, tag in enumerate(await tags_of(port))]
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    times: list[float] = []

    async def one(k: int, due: float) -> None:
        streams = await free.get()
        streams[1].write(questions[k % ASKED])
        status, _, _ = await answer_of(streams[0])
        assert status == 304
        times.append(time.perf_counter() - due)
        free.put_nowait(streams)

    begun = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for k in range(int(RATE_HZ * MEASURED_S)):
            due = begun + k / RATE_HZ
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(k, due))
    return times


async def wait_all(port: int, folder: Path, sequence: int) -> list[float]:
    """Hold a long-poll for each edge until its set is `sequence`; return the instants at which each had accepted it."""
    verifier = open_verifier(SigningSettings(), folder)
    n_waiting = 0

    async def edge(k: int) -> float:
        nonlocal n_waiting
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(question(k, '"none"'))
        _, tag, _ = await answer_of(reader)
        n_waiting += 1
        if n_waiting == EDGES:
            sys.stdout.write("waiting\n")
            sys.stdout.flush()
        while True:
            writer.write(question(k, tag, "Prefer: wait=60\r\n"))
            _, tag, body = await answer_of(reader)
            if body:
                (envelope,) = json.loads(body)["sets"]
                found = examine(json.dumps(envelope).encode(), sensor_of(k), Policy(verifier))
                if found.sequence == sequence:
                    writer.close()
                    return CLOCK.now() / 1e9

    return list(await asyncio.gather(*(edge(k) for k in range(EDGES))))


def ask(what: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a part of this module in a process of its own."""
    command = [sys.executable, "-m", HERE, what, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def sections() -> dict[str, list[Figure]]:
    """Measure."""
    inf, figures = np.inf, []
    with serving() as (folder, port, pid, signer):
        before = cpu_s(pid)
        found = json.loads(ask("flood", port).communicate(timeout=100)[0])
        spent = cpu_s(pid) - before
        n = int(found["n"])
        figures += [
            Figure("304 a second from one worker, 16 connections", n / found["seconds"], 10_000, inf, n, unit="1/s"),
            Figure("304 for each second of its processor", n / spent, -inf, inf, n, unit="1/s"),
            Figure("answers that were wrong", found["wrong"], 0, 0, n),
        ]
        times = np.array(json.loads(ask("steady", port).communicate(timeout=100)[0])) * 1e3
        figures += [
            Figure(
                "time of an answer at 500 a second, 50 %", float(np.quantile(times, 0.5)), 0, inf, times.size, unit="ms"
            ),
            Figure(
                "time of an answer at 500 a second, 99 %", float(np.quantile(times, 0.99)), 0, 20, times.size, unit="ms"
            ),
        ]
        delays = np.concatenate([_round(folder, port, signer, 2 + r) for r in range(ROUNDS)]) * 1e3
        what = "publish to accepted after a long-poll, 500 edges"
        figures += [
            Figure(f"{what}, 50 %", float(np.quantile(delays, 0.5)), 0, inf, delays.size, unit="ms"),
            Figure(f"{what}, 99 %", float(np.quantile(delays, 0.99)), 0, 1000, delays.size, unit="ms"),
        ]
    return {"Coefficient documents over HTTP": figures}


def _round(folder: Path, port: int, signer: Signer, sequence: int) -> np.typing.NDArray[np.float64]:
    waiting = ask("wait", port, folder, sequence)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waiting\n"
    time.sleep(2)  # until all have asked
    published = publish(folder, signer, sequence, range(EDGES))
    accepted = json.loads(waiting.communicate(timeout=100)[0])
    return np.asarray(np.array(accepted) - np.array(published), np.float64)


def main() -> int:
    """Run a part of the measurement in this process, or all of it."""
    what, *given = sys.argv[1:] or [""]
    match what:
        case "serve":
            asyncio.run(serve(Path(given[0]), int(given[1])))
        case "flood":
            sys.stdout.write(json.dumps(asyncio.run(flood(int(given[0])))))
        case "steady":
            sys.stdout.write(json.dumps(asyncio.run(steady(int(given[0])))))
        case "wait":
            sys.stdout.write(json.dumps(asyncio.run(wait_all(int(given[0]), Path(given[1]), int(given[2])))))
        case _:
            made = sections()
            for section, figures in made.items():
                sys.stdout.write(f"{section}\n" + "\n".join(table(figures)) + "\n")
            return 0 if all(figure.reached for figures in made.values() for figure in figures) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
