"""How late samples are in a browser while many watch, and how quick the console is with ten thousand sensors.

``python -m tests.benchmarks.bench_console``: mosquitto, the API service, the source, fifty clients of the live stream
and Chromium are processes of one machine. Each client watches the trend of one sensor and the newest values of all, as
a console does. An age is that of a sample: from its own instant to its arrival, the 50 ms for which its source gathers
a block included.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.contracts import samples as wire
from dyncal.contracts.edges import SensorMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from tests.benchmarks.bench_backlog import cpu_s
from tests.e2e.console.browser import chromium, watched
from tests.e2e.console.quickness import filters_ms, first_rows_ms, sorts_ms
from tests.e2e.console.thousands import N, thousands
from tests.evidence import Figure, table
from tests.servers_mosquitto import Mosquitto

CLOCK: Final = SystemClock()
ADDRESS: Final = EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
SENSORS: Final = tuple(SensorId(f"B{k:02d}") for k in range(25))
DT: Final = DurationNs(5_000_000)
PER_BLOCK: Final = 10
CLIENTS: Final = 50
WARM_S: Final = 6.0
MEASURED_S: Final = 30.0
SENT_S: Final = WARM_S + MEASURED_S + 25.0
ROUNDS: Final = 5

# Ages of samples as the page gets them from the worker that it shares with other tabs, and at the next frame drawn.
LISTEN: Final = """
window.ages = [];
window.drawn = [];
const Shared = window.SharedWorker;
window.SharedWorker = class extends Shared {
  constructor(...given) {
    super(...given);
    this.port.addEventListener('message', ({ data }) => {
      if (data.kind !== 'event' || data.name !== 'samples') return;
      const now = Date.now();
      const of = each => each.raw ? each.raw.offset_ns.map(offset => (each.raw.t0_ns + offset) / 1e6) : [];
      const instants = data.data.series.flatMap(of);
      window.ages.push(...instants.map(t => now - t));
      requestAnimationFrame(() => { const then = Date.now(); window.drawn.push(...instants.map(t => then - t)); });
    });
  }
};
"""


def now_s() -> float:
    """Return the time since 1970 [s]."""
    return CLOCK.now() / 1e9


def source(port: int, seconds: float) -> None:
    """Publish blocks of all sensors as their last samples are taken, for so long."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="source")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    born = StatusMessage(
        1,
        "online",
        InstantNs(CLOCK.now()),
        "bench",
        1,
        1000,
        [SensorMessage(s, "Cel", DT, "", None) for s in SENSORS],
    )
    client.publish(ADDRESS.status, msgspec.json.encode(born), qos=1, retain=True)
    length = PER_BLOCK * DT
    k, last = CLOCK.now() // length + 1, CLOCK.now() // length + int(seconds * NS_PER_S / length)
    while k < last:
        end = (k + 1) * length
        time.sleep(max(0.0, (end - CLOCK.now()) / 1e9))
        axis = UniformAxis(InstantNs(end - length + DT), DT, PER_BLOCK)
        values, u = np.sin(axis.t_ns / 1e9), np.full(PER_BLOCK, 0.01)
        for sensor in SENSORS:
            span = CorrectedSpan(axis, values, u, "set-1")
            block = SampleBlock(
                sensor, ADDRESS.edge, 1, k, axis, values, quality.good(PER_BLOCK), InstantNs(end), corrected=span
            )
            client.publish(ADDRESS.samples(sensor), wire.encode(block), qos=1)
        k += 1
    client.loop_stop()


class _Raw(msgspec.Struct):
    t0_ns: int
    offset_ns: list[int]


class _Series(msgspec.Struct):
    raw: _Raw | None


class _Frame(msgspec.Struct):
    series: list[_Series]


def clients(port: int, n: int, until_s: float) -> None:
    """Hold `n` streams open until that instant; print ages [ms] after the warm-up, and lost frames."""
    sys.stdout.write(json.dumps(asyncio.run(_clients(port, n, until_s))))


async def _clients(port: int, n: int, until_s: float) -> dict[str, object]:
    ages: list[float] = []
    found = await asyncio.gather(*(_client(port, k, until_s, ages) for k in range(n)))
    return {"ages": ages, "lagged": sum(found)}


async def _client(port: int, k: int, until_s: float, ages: list[float]) -> int:
    sensor = SENSORS[k % len(SENSORS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    query = f"/v1/stream?events=samples,values,alarm,edge,registry,backfill&trend={sensor}"
    writer.write(f"GET {query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
    lagged, event = 0, b""
    with suppress(asyncio.IncompleteReadError):
        while now_s() < until_s:
            line = await reader.readuntil(b"\n")
            if line.startswith(b"event: "):
                event = line[7:].strip()
                lagged += event == b"lagged"
            elif line.startswith(b"data: ") and event == b"samples" and now_s() > until_s - MEASURED_S:
                now = CLOCK.now()
                raw = msgspec.json.decode(line[6:], type=_Frame).series[0].raw
                if raw is not None:
                    ages += [(now - raw.t0_ns - offset) / 1e6 for offset in raw.offset_ns]
    writer.close()
    return lagged


@contextmanager
def started(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run this Python with `arguments`; end it afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(10)


def ready(port: int) -> None:
    """Return when the service answers that it is ready and knows the sensors."""
    for _ in range(300):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/sensors", timeout=2) as answer:
            if json.load(answer)["n_total"] == len(SENSORS):
                return
        time.sleep(0.1)
    raise TimeoutError("the API service does not come up")


def live() -> list[Figure]:
    """Measure the ages of samples at fifty clients and in a browser, at 5 000 samples a second."""
    directory = Path(tempfile.mkdtemp())
    broker, port = Mosquitto(directory), free_port()
    config = directory / "api.toml"
    here = "tests.benchmarks.bench_console"
    try:
        broker.start()
        config.write_text(
            f'site = "plant"\ndata_dir = "{directory / "data"}"\n[broker]\nport = {broker.port}\n[api]\n'
            f'port = {port}\naccess.mode = "open"\n'
        )
        with (
            started("-m", "services.api", "--config", str(config), log=directory / "api.log") as api,
            started("-m", here, "source", str(broker.port), str(SENT_S), log=directory / "source.log"),
        ):
            ready(port)
            until_s = now_s() + WARM_S + MEASURED_S
            with started(
                "-m", here, "clients", str(port), str(CLIENTS), str(until_s), log=directory / "clients.json"
            ) as watching:
                before = cpu_s(api.pid)
                ages, drawn = asyncio.run(browse(port, until_s))
                spent = (cpu_s(api.pid) - before) / (WARM_S + MEASURED_S)
                watching.wait(20)
            said = json.loads((directory / "clients.json").read_text())
    finally:
        with suppress(OSError):
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    others = np.array(said["ages"])
    inf = np.inf
    return [
        Figure(
            "age of a sample in the browser's page, 50 %", float(np.quantile(ages, 0.5)), 0, 100, ages.size, unit="ms"
        ),
        Figure(
            "age of a sample in the browser's page, 99 %", float(np.quantile(ages, 0.99)), 0, 300, ages.size, unit="ms"
        ),
        Figure(
            "age at the browser's next frame, 99 %", float(np.quantile(drawn, 0.99)), -inf, inf, drawn.size, unit="ms"
        ),
        Figure(
            "age of a sample at fifty clients, 50 %", float(np.quantile(others, 0.5)), 0, 100, others.size, unit="ms"
        ),
        Figure(
            "age of a sample at fifty clients, 99 %", float(np.quantile(others, 0.99)), 0, 300, others.size, unit="ms"
        ),
        Figure("frames left out for slow clients", float(said["lagged"]), 0, 0, others.size),
        Figure("processor of the API service", spent, -inf, inf, others.size, unit="%"),
    ]


async def browse(port: int, until_s: float) -> tuple[np.typing.NDArray[np.float64], np.typing.NDArray[np.float64]]:
    """Watch one sensor in a browser until that instant; return ages of its samples on arrival and when drawn [ms]."""
    async with chromium() as browser:
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        await context.add_init_script(LISTEN)
        async with watched(context, f"http://127.0.0.1:{port}", f"/sensors/{SENSORS[0]}") as page:
            await page.locator(".link.up").wait_for()
            await asyncio.sleep(max(0.0, until_s - MEASURED_S - now_s()))
            await page.evaluate("() => { window.ages.length = 0; window.drawn.length = 0 }")
            await asyncio.sleep(max(0.0, until_s - now_s()))
            found = (
                np.array(await page.evaluate("() => window.ages")),
                np.array(await page.evaluate("() => window.drawn")),
            )
        await context.close()
    return found


async def console() -> list[Figure]:
    """Measure first load and table with ten thousand sensors."""
    loads, filters, sorts = [], [], []
    async with thousands() as service, chromium() as browser:
        for _ in range(ROUNDS):
            async with watched(browser, service.address) as page:
                loads.append(await first_rows_ms(page))
                await page.locator(".link.up").wait_for()
                await page.wait_for_timeout(3500)
                filters += await filters_ms(page)
                sorts += await sorts_ms(page)
    return [
        Figure("first load to rows in the table, median", float(np.median(loads)), 0, 1000, len(loads), unit="ms"),
        Figure("filter, event to picture, median", float(np.median(filters)), 0, 50, len(filters), unit="ms"),
        Figure(
            "filter, event to picture, 95 %",
            float(np.quantile(filters, 0.95)),
            -np.inf,
            np.inf,
            len(filters),
            unit="ms",
        ),
        Figure("sort, event to picture, median", float(np.median(sorts)), 0, 50, len(sorts), unit="ms"),
        Figure("sort, event to picture, 95 %", float(np.quantile(sorts, 0.95)), -np.inf, np.inf, len(sorts), unit="ms"),
    ]


def sections() -> dict[str, list[Figure]]:
    """Measure both."""
    return {
        f"Console: source to browser, {len(SENSORS) * NS_PER_S // DT} samples/s, {CLIENTS} clients": live(),
        f"Console: {N} sensors": asyncio.run(console()),
    }


def main() -> int:
    """Print the tables, or be the source or the clients of a measurement."""
    match sys.argv[1:]:
        case ["source", port, seconds]:
            source(int(port), float(seconds))
        case ["clients", port, n, until_s]:
            clients(int(port), int(n), float(until_s))
        case _:
            for name, figures in sections().items():
                sys.stdout.write("\n".join([name, *table(figures), ""]))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
