"""The settings in effect, with where each comes from, and their form as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from dyncal.runtime.faults import REDACTED, redacted_url
from dyncal.runtime.settings import ProgramSettings, load, origin_of, read_file


@dataclass(frozen=True, slots=True)
class Setting:
    """One value: its path, and whether it comes from the environment, the file or the program."""

    path: tuple[str, ...]
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Effective:
    """All settings of a program, in the order of its sections."""

    settings: tuple[Setting, ...]

    def as_json(self) -> dict[str, Any]:
        """Return nested values, and under ``"origins"`` where each comes from by dotted path."""
        values: dict[str, Any] = {}
        for setting in self.settings:
            level = values
            for part in setting.path[:-1]:
                level = level.setdefault(part, {})
            level[setting.path[-1]] = setting.value
        return {"values": values, "origins": {".".join(s.path): s.origin for s in self.settings}}


def effective(kind: type[ProgramSettings], file: Path | None) -> Effective:
    """Return what `kind` holds with this file and this environment. Raises `InvalidSetting`."""
    content = read_file(file) if file is not None else {}
    dumped = load(kind, file).model_dump()
    return Effective(tuple(Setting(path, value, origin_of(path, content)) for path, value in _leaves(dumped, ())))


def as_toml(shown: Effective) -> str:
    """Return the settings as a TOML document; what is not set is a comment."""
    lines: list[str] = []
    section: tuple[str, ...] = ()
    for setting in sorted(shown.settings, key=lambda s: (s.path[:-1] != (), s.path[:-1])):
        if setting.path[:-1] != section:
            section = setting.path[:-1]
            lines += ["", f"[{'.'.join(section)}]"]
        name = setting.path[-1]
        lines.append(
            f"# {name} is not set"
            if setting.value is None
            else f"{name} = {_literal(setting.value)}  # {setting.origin}"
        )
    return "\n".join(lines).lstrip("\n")


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), _plain(item)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted_url(str(value)) if "://" in str(value) else str(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_literal(item)}" for key, item in value.items() if item is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value)  # inf and nan are TOML as they stand
    return json.dumps(value, ensure_ascii=False)
