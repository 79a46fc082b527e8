"""`dyncal demo` and `dyncal simulate`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dyncal.domain.errors import DyncalError, InvalidSetting

if TYPE_CHECKING:
    from simulators.trial.runner import Result, Trial

_WELCOME = """
  dyncal runs {n} simulated sensors, half of them on an OPC UA server, half on MQTT.

      live page   {address}

  OPC UA opc.tcp://127.0.0.1:{opcua}   MQTT 127.0.0.1:{broker}   data {data_dir}
  Ctrl-C stops everything.
"""


def demo(
    duration: Annotated[float | None, typer.Option(min=1, metavar="S", help="Stop after this many seconds.")] = None,
    headless: Annotated[
        bool,
        typer.Option("--headless", help="Judge the run: one line of JSON on standard output, status 1 if it fails."),
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the live page; a free one if absent.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data are kept; a temporary directory, removed in the end, if absent.")
    ] = None,
    scenario: Annotated[str, typer.Option(help="Scenario, by file or by name.")] = "demo",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run everything on this machine with simulated sensors, and print the address of the live page."""
    from dyncal.runtime.clocks import SystemClock
    from simulators.scenarios.scenario import load_scenario
    from simulators.trial.configuration import choose_ports
    from simulators.trial.runner import Trial, TrialOptions

    clock = SystemClock()
    started_s = clock.monotonic_s() - _age_s()
    if log_level not in ("debug", "info", "warning", "error"):
        raise _failed(f"--log-level cannot be {log_level!r}: debug, info, warning or error", status=2)
    if headless and duration is None:
        raise _failed("--headless needs --duration", status=2)
    try:
        content = load_scenario(scenario)
    except InvalidSetting as error:
        raise _failed(str(error), status=2) from error
    with ExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dyncal-demo-")))
        data_dir.mkdir(parents=True, exist_ok=True)
        options = TrialOptions(
            content, scenario, choose_ports(port), data_dir.resolve(), duration, started_s, log_level
        )

        def announce(address: str) -> None:
            words = {"opcua": options.ports.opcua, "broker": options.ports.broker, "data_dir": options.data_dir}
            text = _WELCOME.format(n=len(content.stations), address=address, **words)
            print(text, file=sys.stderr if headless else sys.stdout, flush=True)

        try:
            result = asyncio.run(_until_signal(Trial(options, clock, announce)))
        except DyncalError as error:
            if headless:
                print(json.dumps({"ok": False, "scenario": content.name, "failed": [str(error)]}), flush=True)
            raise _failed(f"dyncal demo: {error}") from error
    if headless:
        if result is None:
            raise _failed("dyncal demo: stopped before the end; nothing was judged")
        print(result.as_json(), flush=True)
        raise typer.Exit(1 if result.failed else 0)


def simulate(
    scenario: Annotated[str, typer.Argument(help="Scenario, by file or by name.")] = "demo",
    opcua_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the OPC UA server.")] = 4840,
    mqtt_host: Annotated[str, typer.Option(help="Host of the MQTT broker.")] = "127.0.0.1",
    mqtt_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the MQTT broker.")] = 1883,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a recording (.parquet, .csv) instead; needs --duration."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.001, max=1e6, metavar="S", help="How much a recording holds.")
    ] = None,
    start: Annotated[
        str, typer.Option(metavar="INSTANT", help="Of a recording's first sample.")
    ] = "2026-01-01T00:00:00Z",
) -> None:
    """Run the simulated sensors alone: an OPC UA server and MQTT devices, until SIGTERM or Ctrl-C; or record them."""
    if (to is None) != (duration is None):
        raise _failed("--to FILE and --duration S go together", status=2)
    if to is not None and duration is not None:
        print(_record(scenario, to, duration, start))
        return
    from simulators.__main__ import main

    arguments = [scenario, "--opcua-port", str(opcua_port), "--mqtt-host", mqtt_host, "--mqtt-port", str(mqtt_port)]
    raise typer.Exit(main([*arguments, "--log-level", log_level]))


def _record(scenario: str, file: Path, duration_s: float, start: str) -> str:
    from dyncal.domain.errors import InvalidInput
    from dyncal.domain.time import duration, parse_iso
    from simulators.recordings.simulated import record_scenario
    from simulators.scenarios.scenario import load_scenario

    try:
        n_rows = record_scenario(load_scenario(scenario), file, duration(duration_s), parse_iso(start))
    except InvalidInput as error:
        raise _failed(f"dyncal simulate: {error}", status=2) from error
    return f"{file}: {n_rows} samples"


async def _until_signal(trial: Trial) -> Result | None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    return await trial.run(stop)


def _age_s() -> float:
    """Return the age of this process [s], so that the time to import counts; 0 where the system does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def _failed(message: str, status: int = 1) -> typer.Exit:
    sys.stderr.write(message + "\n")
    return typer.Exit(status)
