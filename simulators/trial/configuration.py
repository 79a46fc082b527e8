"""The configuration of a trial: one TOML file for all programs, made from the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dyncal.domain.sensors import ModelKind
from dyncal.runtime.ports import free_ports
from simulators.physics.dynamics import Rational
from simulators.scenarios.scenario import DELAY, Scenario, StationSpec
from simulators.surfaces.addresses import TOPIC_FILTER, node_id

SITE: Final = "demo"
EDGE: Final = "edge1"


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on loopback."""

    broker: int
    opcua: int
    api: int


def choose_ports(api: int | None = None) -> Ports:
    """Return three free ports; the interface's is `api` if that is given."""
    broker, opcua, free = free_ports(3)
    return Ports(broker, opcua, free if api is None else api)


def configuration(scenario: Scenario, ports: Ports, data_dir: Path, log_level: str) -> dict[str, Any]:
    """Return the content of the file: services on embedded defaults, and an edge that declares all sensors."""
    opcua = [s for s in scenario.stations if s.surface == "opcua"]
    mqtt = [s for s in scenario.stations if s.surface == "mqtt"]
    edge: dict[str, Any] = {"name": EDGE, "flush_s": 0.4, "spool": {"commit_timeout_s": 5.0}}
    if opcua:
        nodes = [_node(channel, station) for station in opcua for channel in _channels(station)]
        edge["opcua"] = [{"url": f"opc.tcp://127.0.0.1:{ports.opcua}", "nodes": nodes}]
    if mqtt:
        edge["sensors"] = [channel for station in mqtt for channel in _channels(station)]
        edge["mqtt"] = [{"mappings": [_mapping()]}]
    return {
        "site": SITE,
        "data_dir": str(data_dir),
        "log": {"level": log_level},
        "broker": {"host": "127.0.0.1", "port": ports.broker, "protocol": "3.1.1"},
        "api": {"port": ports.api, "access": {"mode": "open"}},
        "edge": edge,
    }


def to_toml(content: Mapping[str, Any]) -> str:
    """Return TOML: plain values first, then a table for each mapping, whose values are written inline."""
    lines = [f"{key} = {_inline(value)}" for key, value in content.items() if not isinstance(value, Mapping)]
    for name, table in content.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_inline(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[\n  " + ",\n  ".join(_inline(item) for item in value) + ",\n]" if value else "[]"
    return json.dumps(value)  # strings, numbers and booleans are the same in both


def _channels(station: StationSpec) -> list[dict[str, Any]]:
    """Return the declarations of a sensor and of the reference that it has itself."""
    dt_s, p = station.dt_ns / 1e9, station.pairing
    wishes = {"band_hz": p.band_hz, "max_latency_s": p.max_latency_s, "tolerance": p.tolerance or None}
    uncertainties = {"u_reference": p.u_reference, "u_reference_gain": p.u_reference_gain, "u_clock_s": p.u_clock_s}
    # A device that hands over blocks is silent in between.
    common = {"unit": station.unit, "dt_s": dt_s, "silent_after_s": max(2.0, 5 * station.block * dt_s)}
    sensor = {"sensor": station.id, **common, "label": station.label}
    if station.declared is not ModelKind.STATIC:  # that cannot be calibrated while the plant runs
        sensor |= {
            "reference": station.reference_id,
            **_model(station),
            **uncertainties,
            **{key: value for key, value in wishes.items() if value is not None},
        }
    if station.referenced_by is not None:
        return [sensor]
    return [sensor, {"sensor": station.reference_id, **common, "label": f"Reference of {station.id}"}]


def _model(station: StationSpec) -> dict[str, Any]:
    """Return what is declared of the model: its kind, its order, and whether there is a dead time."""
    said: dict[str, Any] = {"model": station.declared.value}
    if DELAY in station.parameters and station.declared is station.model:
        said["dead_time"] = True
    if isinstance(form := station.form, Rational) and station.declared is station.model:
        said |= {"n_poles": form.n_poles, "n_zeros": form.n_zeros}
    return said


def _node(channel: Mapping[str, Any], station: StationSpec) -> dict[str, Any]:
    return {**channel, "node": node_id(channel["sensor"]), "array": station.block > 1}


def _mapping() -> dict[str, Any]:
    return {"topic": TOPIC_FILTER, "sensor_level": 1, "value_at": "/value", "time_at": "/time", "time_format": "ns"}
