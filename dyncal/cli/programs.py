"""The programs by name; a program's packages are imported only when it is asked for."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from dyncal.runtime.service import Service
    from dyncal.runtime.settings import ProgramSettings


class Program(enum.StrEnum):
    """A program that `dyncal run` starts."""

    INGEST = "ingest"
    CALIBRATE = "calibrate"
    API = "api"
    EDGE = "edge"
    EMBEDDED = "embedded"


class _Place(NamedTuple):
    settings_module: str
    settings_class: str
    service_module: str


_PLACES: Final = {
    Program.INGEST: _Place("services.ingest.settings", "IngestSettings", "services.ingest.service"),
    Program.CALIBRATE: _Place("services.calibrate.settings", "CalibrateSettings", "services.calibrate.service"),
    Program.API: _Place("services.api.settings", "ApiSettings", "services.api.service"),
    Program.EDGE: _Place("edge_agent.settings", "EdgeSettings", "edge_agent.service"),
    Program.EMBEDDED: _Place("services.embedded", "EmbeddedSettings", "services.embedded"),
}


def settings_class(program: Program) -> type[ProgramSettings]:
    """Return the settings class of a program."""
    place = _PLACES[program]
    kind: type[ProgramSettings] = getattr(importlib.import_module(place.settings_module), place.settings_class)
    return kind


def builder(program: Program) -> Callable[[ProgramSettings], Service]:
    """Return the function that makes the service of a program from its settings."""
    build: Callable[[ProgramSettings], Service] = importlib.import_module(_PLACES[program].service_module).build
    return build
