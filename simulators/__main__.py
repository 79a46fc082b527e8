"""`python -m simulators SCENARIO --opcua-port P --mqtt-port P`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import NS_PER_S, duration
from dyncal.runtime import logging
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.service import run_service
from dyncal.runtime.settings import BrokerSettings, LogSettings
from simulators.reports import Report
from simulators.scenarios.scenario import library, load_scenario
from simulators.service import PlantService, Surfaces
from simulators.surfaces.pacing import COALESCE_NS


def simulate(scenario: str, surfaces: Surfaces) -> int:
    """Run a scenario, by file or by name, until SIGTERM or SIGINT; return the exit status.

    Raises
    ------
    InvalidSetting
        If the scenario is not what it must be.
    """
    return run_service(PlantService(load_scenario(scenario), surfaces, SystemClock(), _tell))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description="Run a simulated plant.")
    parser.add_argument("scenario", help=f"file, or one of the library: {', '.join(library())}")
    parser.add_argument("--opcua-port", type=int, default=4840)
    parser.add_argument("--mqtt-host", default="127.0.0.1")
    parser.add_argument("--mqtt-port", type=int, default=1883)
    parser.add_argument(
        "--together-s", type=float, default=COALESCE_NS / NS_PER_S, help="what is due within it goes at once"
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    options = parser.parse_args(arguments)
    logging.configure(LogSettings(level=options.log_level))
    # What every broker speaks; the embedded one does not even refuse MQTT 5.
    broker = BrokerSettings(host=options.mqtt_host, port=options.mqtt_port, protocol="3.1.1")
    try:
        return simulate(options.scenario, Surfaces(options.opcua_port, broker, duration(options.together_s)))
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201  # the message of a command line
        return 2


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    raise SystemExit(main())
