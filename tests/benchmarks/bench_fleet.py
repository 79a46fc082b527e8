"""Ten thousand simulated MQTT devices in one process: ``python -m tests.benchmarks.bench_fleet [--seconds N]``.

Each device publishes 20 samples a second in one message; mosquitto runs beside them. What counts is the processor time
of the simulator for each second of the plant: what is left of a core could carry as many devices again.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from dyncal.runtime.clocks import SystemClock
from simulators.reports import Started, Stopped, read_report
from tests.benchmarks.__main__ import say
from tests.benchmarks.bench_ingest import cpu_s
from tests.evidence import Figure, table
from tests.servers_mosquitto import Mosquitto

DEVICES: Final = 10_000
RATE_HZ: Final = 20
_STATION: Final = """
[[stations]]
id = "D-{k}"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = {{ gain = 1.0, tau_s = 0.5 }}
rate_hz = {rate}
block = {rate}
measurand = {{ mean = 20.0, rms = 1.0, band_hz = 1.0, lines = 16 }}
converter = {{ noise = 0.01 }}
"""


def sections(seconds: float = 30.0) -> dict[str, list[Figure]]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        scenario = Path(name) / "fleet.toml"
        stations = "".join(_STATION.format(k=k, rate=RATE_HZ) for k in range(DEVICES // 2))  # and a reference each
        scenario.write_text(f'name = "fleet"\nseed = 1\n{stations}', encoding="utf-8")
        broker = Mosquitto(Path(name))
        broker.start()
        try:
            stopped, took_s, spent_s, said = _run(scenario, broker.port, seconds)
        finally:
            broker.stop()
    n = sum(stopped.published.values())
    lost = float(sum(stopped.generated.values()) - n + said.count("messages_lost"))
    share = spent_s / took_s
    inf = float("inf")
    return {
        "Simulated MQTT devices in one process": [
            Figure("devices", float(len(stopped.published)), DEVICES, inf, n),
            Figure("samples a second, as declared", n / took_s, 0.97 * DEVICES * RATE_HZ, inf, n),
            Figure("share of a core", share, -inf, 1.0, n, unit="%"),
            Figure("samples a second of a whole core", n / spent_s, 200_000, inf, n),
            Figure("not published", lost, 0.0, 0.0, n),
            Figure("latest publication after it was due [s]", stopped.max_late_s, -inf, inf, n),
        ]
    }


def _run(scenario: Path, port: int, seconds: float) -> tuple[Stopped, float, float, str]:
    """Return the report, the seconds for which it published, its processor time in them, and what it complained of."""
    log = scenario.with_suffix(".log")
    command = [sys.executable, "-m", "simulators", str(scenario), "--opcua-port", "0", "--mqtt-port", str(port)]
    with log.open("wb") as errors:
        process = subprocess.Popen([*command, "--log-level", "warning"], stdout=subprocess.PIPE, stderr=errors)
    assert process.stdout is not None
    try:
        started = read_report(process.stdout.readline())
        assert isinstance(started, Started), log.read_text()
        # Ten thousand devices take a while to be made.
        time.sleep(max(0.0, (started.t0_ns - SystemClock().now()) / 1e9))
        begun, spent = time.monotonic(), cpu_s(process.pid)
        time.sleep(seconds)
        spent, took = cpu_s(process.pid) - spent, time.monotonic() - begun
        process.send_signal(signal.SIGTERM)
        last = process.stdout.readline()
        assert last, log.read_text()
        stopped = read_report(last)
        assert isinstance(stopped, Stopped)
        process.wait(30)
    finally:
        process.kill()
        process.stdout.close()
    return stopped, took, spent, log.read_text()


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_fleet")
    parser.add_argument("--seconds", type=float, default=30.0)
    for name, figures in sections(parser.parse_args().seconds).items():
        say("\n".join((name, *table(figures))))


if __name__ == "__main__":
    main()
