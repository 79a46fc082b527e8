"""Scenarios: what is simulated, in TOML, checked, and what a good system should conclude from it."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import Name, Section
from simulators.scenarios.converter_settings import ConverterSpec, SpanSpec
from simulators.scenarios.drift_settings import DriftSpec
from simulators.scenarios.expectations import Conclusion, ExpectSpec
from simulators.scenarios.fleet_settings import FleetSpec
from simulators.scenarios.instrument_settings import DELAY
from simulators.scenarios.opcua_settings import OpcuaSpec
from simulators.scenarios.station_settings import PairingSpec, ReferenceSpec, StationSpec
from simulators.scenarios.transport_settings import TransportSpec

__all__ = [
    "DELAY",
    "LIBRARY",
    "Conclusion",
    "ConverterSpec",
    "DriftSpec",
    "ExpectSpec",
    "OpcuaSpec",
    "PairingSpec",
    "ReferenceSpec",
    "Scenario",
    "SpanSpec",
    "StationSpec",
    "TransportSpec",
    "library",
    "load_scenario",
    "source_of",
]


class Scenario(Section):
    """A plant."""

    name: Name
    """Name of the scenario."""

    title: str = ""
    """What it is about."""

    seed: int = Field(ge=0)
    """Seed of everything random in it."""

    lasts_s: float = Field(60.0, gt=0, le=1e6)
    """How long it takes until what is expected can be concluded [s]."""

    stations: list[StationSpec] = Field(min_length=1)
    """Sensors with their references."""

    opcua: OpcuaSpec = Field(default_factory=OpcuaSpec)
    """How the OPC UA server behaves, if anything is on it."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        counts = Counter(name for s in self.stations for name in _own_channels(s))
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"id {', '.join(twice)} is used more than once")
        return self

    @model_validator(mode="after")
    def _neighbours(self) -> Self:
        homes = {name: s for s in self.stations for name in _own_channels(s)}
        for station in self.stations:
            if station.referenced_by is not None:
                home = homes.get(station.referenced_by)
                if home is None:
                    raise ValueError(_unknown(station.id, "referenced_by", station.referenced_by, list(homes)))
                if (station.beside or station.id) != (home.beside or home.id):
                    raise ValueError(f"{station.id}: its reference {station.referenced_by} is not at the same place")
        return self


def _own_channels(station: StationSpec) -> tuple[str, ...]:
    return (station.id,) if station.referenced_by is not None else (station.id, station.reference_id)


class _Plan(Section):
    """A file: stations one by one, and fleets of them."""

    name: Any = None
    title: Any = None
    seed: int = Field(ge=0)
    lasts_s: Any = None
    stations: Any = None
    opcua: Any = None
    fleets: list[FleetSpec] = Field(default_factory=list, max_length=1000)


LIBRARY: Final = resources.files("simulators.scenarios") / "library"


def load_scenario(source: str | Path) -> Scenario:
    """Return a scenario from a file, or by its name in the library that comes with dyncal.

    Raises
    ------
    InvalidSetting
        With file, key, value and what was expected, one line for each fault.
    """
    path = source_of(source)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = difflib.get_close_matches(str(source), library(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(library())
        raise InvalidSetting(f"{path}: cannot read it: {error.strerror}; {hint}the library holds {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path}: not TOML: {error}") from error
    try:
        return Scenario.model_validate(_in_place(_in_full(content, path)))
    except ValidationError as error:
        raise InvalidSetting(describe(error, path, Scenario)) from error
    except ValueError as error:
        raise InvalidSetting(f"{path}: {error}") from error


def source_of(source: str | Path) -> Path:
    """Return the file of a scenario: the one that is named, or that of the library."""
    path, inside = Path(source), LIBRARY / f"{source}.toml"
    return Path(str(inside)) if not path.is_file() and inside.is_file() else path


def library() -> tuple[str, ...]:
    """Return the names of the scenarios that come with dyncal."""
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in LIBRARY.iterdir() if entry.name.endswith(".toml"))
    )


def _in_full(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the content of a file with the stations of its fleets among the others."""
    if "fleets" not in content:
        return content
    try:
        plan = _Plan.model_validate(content)
    except ValidationError as error:
        raise InvalidSetting(describe(error, path, _Plan)) from error
    made = [station for fleet in plan.fleets for station in fleet.stations(plan.seed)]
    given = content.get("stations", [])
    rest = {key: value for key, value in content.items() if key != "fleets"}
    return {**rest, "stations": [*(given if isinstance(given, list) else []), *made]}


def _in_place(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with the measurands of stations that are beside others."""
    stations = content.get("stations")
    if not isinstance(stations, list) or not all(isinstance(s, dict) for s in stations):
        return content
    homes = {s.get("id"): s for s in stations}
    filled = []
    for station in stations:
        beside = station.get("beside")
        if beside is None:
            filled.append(station)
            continue
        home = homes.get(beside)
        if home is None:
            raise ValueError(_unknown(station.get("id"), "beside", beside, [str(name) for name in homes]))
        if "beside" in home or "measurand" in station:
            raise ValueError(
                f"{station.get('id')}: beside = {beside!r}: say it of a station that has a measurand, and give no other"
            )
        filled.append({**station, "measurand": home.get("measurand")} if "measurand" in home else station)
    return {**content, "stations": filled}


def _unknown(station: object, key: str, name: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{station}: {key} = {name!r}: there is none of that name{hint}"
