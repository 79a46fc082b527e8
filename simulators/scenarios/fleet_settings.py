"""Many stations from one template: what all have in common, what varies, and which of them have faults."""

from __future__ import annotations

import copy
import zlib
from typing import Annotated, Any, Final, Self

import numpy as np
from pydantic import Field, model_validator

from dyncal.runtime.settings import Name, Section

_Bound = Annotated[float, Field(allow_inf_nan=False)]
_DIGITS: Final = 6


class FaultSpec(Section):
    """What is different with some stations of a fleet."""

    name: str
    """For people; it is added to the label."""

    count: int = Field(ge=1)
    """How many stations have it; which is drawn, and none has two."""

    station: dict[str, Any]
    """Keys of a station; tables are merged with those of the template."""


class FleetSpec(Section):
    """Stations `<prefix>0001` and so on."""

    prefix: Name
    """Of the ids."""

    count: int = Field(ge=1, le=100_000)
    """How many."""

    station: dict[str, Any]
    """Keys of a station but `id`, as under `stations`."""

    vary: dict[str, tuple[_Bound, _Bound]] = Field(default_factory=dict)
    """Dotted keys, such as `parameters.tau_s`, whose values are drawn: evenly, above 0 in their logarithm."""

    faults: list[FaultSpec] = Field(default_factory=list)
    """Stations that are not as the others."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if "id" in self.station:
            raise ValueError("station.id: ids are made from prefix and number")
        if (wanted := sum(fault.count for fault in self.faults)) > self.count:
            raise ValueError(f"{wanted} faults for {self.count} stations")
        for key, (low, high) in self.vary.items():
            if low > high:
                raise ValueError(f"vary.{key}: {low} must not be above {high}")
            table = _table(self.station, key)
            if not isinstance(table.get(key.rpartition(".")[2], 0.0), int | float):
                raise ValueError(f"vary.{key}: is no number in the template")  # noqa: TRY004 - pydantic takes ValueError
        return self

    def stations(self, seed: int) -> list[dict[str, Any]]:
        """Return the stations; the same for the same seed."""
        rng = np.random.default_rng([seed, zlib.crc32(self.prefix.encode()), 9])
        drawn = iter(rng.permutation(self.count).tolist())
        faults = {next(drawn): fault for fault in self.faults for _ in range(fault.count)}
        return [self._station(k, faults.get(k), rng) for k in range(self.count)]

    def _station(self, k: int, fault: FaultSpec | None, rng: np.random.Generator) -> dict[str, Any]:
        made = copy.deepcopy(self.station)
        for key, (low, high) in self.vary.items():
            share = float(rng.uniform())
            grows = low > 0
            value = low * (high / low) ** share if grows else low + (high - low) * share
            _table(made, key)[key.rpartition(".")[2]] = float(f"{value:.{_DIGITS}g}")
        if fault is not None:
            _merge(made, copy.deepcopy(fault.station))
            made["label"] = f"{made.get('label', '')}: {fault.name}".lstrip(": ")
        return {"id": f"{self.prefix}{k + 1:04d}", **made}


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table in which the last part of a dotted key stands; it is made where it is missing."""
    for part in key.split(".")[:-1]:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise ValueError(f"vary.{key}: {part} is no table")  # noqa: TRY004 - likewise
    return content


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
