"""From what an edge is told to read to settings as its own file has them, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from dyncal.contracts.commissioning import SourcesMessage
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.faults import describe
from edge_agent.settings import EdgeSection, EdgeSettings

M = TypeVar("M", bound=BaseModel)


def section_of(message: SourcesMessage, settings: EdgeSettings) -> EdgeSection:
    """Return a section with the sources of a message alone.

    Raises
    ------
    InvalidSetting
        If it says what a file may not, names a sensor of the edge's own file, or a secret that is no file of
        `EdgeSettings.secrets_dir`.
    """
    content = {"name": settings.edge.name, "opcua": message.opcua, "mqtt": message.mqtt}
    section = read(EdgeSection, content, settings)
    own = {sensor.sensor for sensor in settings.edge.all_sensors()}
    twice = sorted({sensor.sensor for sensor in section.all_sensors()} & own)
    if twice:
        raise InvalidSetting(f"sensor {', '.join(twice)} is in the edge's own file already")
    return section


def read(kind: type[M], content: dict[str, Any], settings: EdgeSettings) -> M:
    """Return settings out of JSON that came over the wire. Raises `InvalidSetting`."""
    try:
        found = kind.model_validate(content)
    except ValidationError as error:
        raise InvalidSetting(describe(error, None, kind).replace("settings: ", "")) from error
    for place, value in _values(found, ""):
        if isinstance(value, SecretStr):
            raise InvalidSetting(f"{place}: a secret must not travel; put it into a file on the edge")
        if isinstance(value, Path) and not _within(value, settings.secrets_dir):
            raise InvalidSetting(f"{place} = {str(value)!r}: expected a file below {settings.secrets_dir}")
    return found


def _values(model: BaseModel, place: str) -> Iterator[tuple[str, Any]]:
    for name, value in model:
        yield from _within_value(value, f"{place}.{name}" if place else name)


def _within_value(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        yield from _values(value, place)
    elif isinstance(value, Collection) and not isinstance(value, (str, bytes, dict)):
        for k, item in enumerate(value):
            yield from _within_value(item, f"{place}.{k}")
    else:
        yield place, value


def _within(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())
