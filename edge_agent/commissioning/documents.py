"""From what an edge is told to read to settings as its own file has them, checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from pydantic import BaseModel, SecretStr, ValidationError

from dyncal.contracts.commissioning import SourcesMessage
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.faults import describe
from edge_agent.settings import EdgeSection, EdgeSettings

_USER_IN_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)

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
    own = _own(settings)
    twice = sorted({sensor.sensor for sensor in section.all_sensors()} & own)
    if twice:
        raise InvalidSetting(f"sensor {', '.join(twice)} is in the edge's own file already")
    return section


def without_own(message: SourcesMessage, settings: EdgeSettings) -> tuple[SourcesMessage, list[str]]:
    """Return a message without the sensors that the edge's own file has come to have, and which those are."""
    own = _own(settings)
    taken: set[str] = set()

    def rest(sources: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        left = []
        for source in sources:
            inside = source.get(key)
            if isinstance(inside, list):
                there = {str(each["sensor"]) for each in inside if isinstance(each, dict) and "sensor" in each} & own
                taken.update(there)
                others = [each for each in inside if not (isinstance(each, dict) and each.get("sensor") in there)]
                if there and not others and not source.get("browse"):
                    continue
                left.append({**source, key: others})
            else:
                left.append(source)
        return left

    opcua, mqtt = rest(message.opcua, "nodes"), rest(message.mqtt, "mappings")
    return msgspec.structs.replace(message, opcua=opcua, mqtt=mqtt), sorted(taken)


def _own(settings: EdgeSettings) -> set[str]:
    return {sensor.sensor for sensor in settings.edge.all_sensors()}


def read(kind: type[M], content: dict[str, Any], settings: EdgeSettings) -> M:
    """Return settings out of JSON that came over the wire. Raises `InvalidSetting`."""
    try:
        found = kind.model_validate(content)
    except ValidationError as error:
        raise InvalidSetting(describe(error, None, kind).replace("settings: ", "")) from error
    for place, value in _values(found, ""):
        if place.rpartition(".")[2] == "url" and _USER_IN_ADDRESS.match(str(value)):
            raise InvalidSetting(f"{place}: user name and password are no part of the address; use username and a file")
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
