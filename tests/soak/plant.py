"""What is soaked: many sensors at places with one reference each, a broker, and each program a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w

from dyncal.runtime.ports import free_ports
from simulators.reports import Started, Stopped, read_report
from simulators.scenarios.scenario import Scenario, load_scenario
from simulators.trial.configuration import Ports, configuration, to_toml
from tests.e2e.rig import Process
from tests.servers_mosquitto import Mosquitto

PROGRAMS: Final = ("ingest", "calibrate", "api", "edge")
PER_PLACE: Final = 10
NICE: Final = {"edge": -5, "broker": -5, "calibrate": 10}
"""As the units of deploy/systemd have it; only root can."""

_REFERENCE_NOISE: Final = 0.008
_START_S: Final = 120.0
_DRAIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much: sensors, of which every `PER_PLACE` share a reference of their own, each at `rate_hz`.

    A device sends `per_message` samples in one message; devices do not send at the same instants.
    """

    n_sensors: int
    rate_hz: int
    per_message: int

    @property
    def n_channels(self) -> int:
        """Sensors and references."""
        return self.n_sensors + -(-self.n_sensors // PER_PLACE)

    @property
    def dt_ns(self) -> int:
        """Interval of the samples [ns]."""
        return 1_000_000_000 // self.rate_hz


def scenario(load: Load) -> dict[str, Any]:
    """Return the scenario as its file says it: accelerometers and pressure lines at places with a reference each."""
    return {
        "name": "soak",
        "title": f"{load.n_sensors} sensors at {load.rate_hz} Hz",
        "seed": 8,
        "stations": [_station(load, k) for k in range(load.n_sensors)],
    }


def _station(load: Load, k: int) -> dict[str, Any]:
    place, seat = divmod(k, PER_PLACE)
    first = f"P{place:03d}-0"
    period_s = load.per_message / load.rate_hz
    # the share of a period by which it sends later than others; a reference goes between
    transport = {"delay_s": round(period_s * (k / load.n_sensors), 6)}
    station: dict[str, Any] = {
        "id": f"P{place:03d}-{seat}",
        "unit": "kPa",
        "surface": "mqtt",
        "model": "second_order",
        "parameters": {"gain": 1.0, "damping": 0.3 + 0.02 * seat, "f0_hz": load.rate_hz / 20 + place % 7},
        "rate_hz": load.rate_hz,
        "block": load.per_message,
        "converter": {"noise": 0.03},
        "transport": transport,
        "pairing": {"u_reference": 0.05},
    }
    if seat:
        return station | {"beside": first, "referenced_by": f"{first}-ref"}
    # One period of many lines: what the simulator costs is not the system's.
    measurand = {"mean": 250.0, "rms": 5.0, "band_hz": load.rate_hz / 20, "lines": 64}
    return station | {
        "measurand": measurand,
        "reference": {"converter": {"noise": _REFERENCE_NOISE}, "transport": transport},
    }


def _settings(load: Load, declared: Scenario, ports: Ports, directory: Path, kept_days: float | None) -> dict[str, Any]:
    content = configuration(declared, ports, directory / "var", "warning")
    content["broker"] |= {"protocol": "5"}
    # a device's message is a block as it is: nobody waits for more
    content["edge"] |= {"flush_s": 0.1, "block_samples": load.per_message}
    for sensor in content["edge"]["sensors"]:
        if "reference" in sensor:
            sensor["u_reference_noise"] = _REFERENCE_NOISE
    if kept_days is not None:
        content["store"] = {"retention_days": kept_days}
    return content


class Plant:
    """Broker, programs and devices; as it runs."""

    def __init__(self, load: Load, directory: Path, kept_days: float | None) -> None:
        self.load, self.directory = load, directory
        south, opcua, api = free_ports(3)
        self.broker = Mosquitto(directory, port=south)
        self.config = directory / "dyncal.toml"
        self.data_dir = directory / "var"
        self._scenario = directory / "scenario.toml"
        self._scenario.write_text(tomli_w.dumps(scenario(load)), encoding="utf-8")
        self.declared = load_scenario(self._scenario)
        settings = _settings(load, self.declared, Ports(south, opcua, api), directory, kept_days)
        self.config.write_text(to_toml(settings), encoding="utf-8")
        run = ["-m", "dyncal", "run"]
        self.programs = {name: self._program(name, [*run, name, "--config", str(self.config)]) for name in PROGRAMS}
        devices = ["-m", "simulators", str(self._scenario), "--opcua-port", "0", "--mqtt-port", str(south)]
        self.devices = self._program(
            "devices", [*devices, "--log-level", "warning", "--together-s", "0.001"], pipe=True
        )
        self.started: Started | None = None

    def _program(self, name: str, arguments: Sequence[str], *, pipe: bool = False) -> Process:
        nice = ["nice", "-n", str(NICE[name])] if name in NICE and os.geteuid() == 0 else []
        return Process(name, [*nice, sys.executable, *arguments], self.directory / f"{name}.log", pipe)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        found = {name: p.popen.pid for name, p in {**self.programs, "devices": self.devices}.items() if p.popen}
        if self.broker.process is not None:
            found["broker"] = self.broker.process.pid
        return found

    @property
    def channels(self) -> list[str]:
        """Ids of all channels."""
        stations = self.declared.stations
        return [s.id for s in stations] + [s.reference_id for s in stations if s.referenced_by is None]

    def start(self) -> None:
        """Start everything; devices last. Raises `AssertionError` if they do not come up."""
        self.broker.start()
        if os.geteuid() == 0 and self.broker.process is not None:
            os.setpriority(os.PRIO_PROCESS, self.broker.process.pid, NICE["broker"])
        for program in self.programs.values():
            program.start()
        self.devices.start()
        report = read_report(self.devices.line(_START_S))
        assert isinstance(report, Started), report
        self.started = report

    def dead(self) -> list[str]:
        """Return the programs that have ended by themselves, with their last words."""
        running = {**self.programs, "devices": self.devices}
        return [f"{name}: {program.said()}" for name, program in running.items() if not program.alive]

    def stop_devices(self) -> Stopped:
        """End what sends; return what was sent."""
        popen = self.devices.popen
        assert popen is not None
        popen.terminate()
        report = read_report(self.devices.line(_DRAIN_S))
        assert isinstance(report, Stopped), report
        return report

    def stop_programs(self) -> list[str]:
        """End the programs in order; return what is wrong with how they ended."""
        wrong = []
        for program in reversed(self.programs.values()):
            try:
                program.must_stop()
            except AssertionError as error:  # what was measured until then is measured
                wrong.append(str(error))
        return wrong

    def close(self) -> None:
        """Leave nothing behind."""
        self.devices.close()
        for program in self.programs.values():
            program.close()
        self.broker.stop(kill=True)


@contextmanager
def running(load: Load, directory: Path, kept_days: float | None) -> Iterator[Plant]:
    """Run a plant."""
    with ExitStack() as stack:
        plant = Plant(load, directory, kept_days)
        stack.callback(plant.close)
        plant.start()
        yield plant
