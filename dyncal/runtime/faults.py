"""Faults of settings in words: where, which key, which value, what was expected, and no secret."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

ENV_PREFIX: Final = "DYNCAL_"
ENV_DELIMITER: Final = "__"
REDACTED: Final = "**********"


def describe(error: ValidationError, file: Path | None, kind: type[BaseModel] | None = None) -> str:
    """Return one line for each fault of `error`: where, key, value, what was expected.

    Parameters
    ----------
    kind : type of BaseModel, optional
        What was read; with it an unknown key is answered with those that are known.
    """
    lines = []
    for fault in error.errors(include_url=False):
        loc = fault["loc"]
        key = ".".join(str(part) for part in loc)
        variable = _variable(loc)
        where = f"environment variable {variable}" if variable else (str(file) if file is not None else "settings")
        given = f" = {_shown(fault['input'])}" if _may_be_shown(fault["type"], key, fault["input"]) else ""
        said = _unknown_key(loc, kind) if fault["type"] == "extra_forbidden" else fault["msg"]
        lines.append(f"{where}: {key}{given}: {said}")
    return "\n".join(lines)


def redacted_url(text: str) -> str:
    """Return an address without what may be secret in it: the password before ``@``, and values behind ``?``."""
    before, at, host = text.rpartition("@")
    if at:
        scheme, slashes, userinfo = before.rpartition("//")
        user, colon, _ = userinfo.partition(":")
        text = f"{scheme}{slashes}{user}:{REDACTED}@{host}" if colon else text
    address, mark, query = text.partition("?")
    if not mark:
        return address
    return address + "?" + "&".join(f"{part.partition('=')[0]}={REDACTED}" for part in query.split("&"))


def _unknown_key(loc: tuple[int | str, ...], kind: type[BaseModel] | None) -> str:
    known = sorted(_fields_at(loc[:-1], kind))
    if not known:
        return "unknown key"
    near = difflib.get_close_matches(str(loc[-1]), known, 1)
    return f"unknown key; {f'did you mean {near[0]!r}? ' if near else ''}known are {', '.join(known)}"


def _fields_at(path: tuple[int | str, ...], kind: type[BaseModel] | None) -> set[str]:
    """Return the keys that the section at `path` knows; empty where that is not known."""
    levels = [] if kind is None else [kind]
    for part in path:
        if isinstance(part, int):
            continue
        tagged = [level for level in levels if _is_tagged(level, part)]
        fields = [field for level in levels if (field := level.model_fields.get(part)) is not None]
        levels = tagged or (_sections_of(fields[0].annotation) if fields else [])
    return set(levels[0].model_fields) if levels else set()


def _sections_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_of(part)]


def _is_tagged(level: type[BaseModel], tag: str) -> bool:
    """Tell whether a section is the one of several that its key `kind` tells apart as `tag`."""
    field = level.model_fields.get("kind")
    return field is not None and tag in get_args(field.annotation)


def _variable(loc: tuple[int | str, ...]) -> str | None:
    name = ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in loc)
    return next((variable for variable in os.environ if variable.upper() == name), None)


def _may_be_shown(fault: str, key: str, value: Any) -> bool:
    """Tell whether a faulty value may be printed: no secret, no misspelt secret, and no section that may hold one."""
    secret = any(word in key.lower() for word in ("password", "token", "secret"))
    return not secret and fault not in ("missing", "extra_forbidden") and not isinstance(value, Mapping | list | tuple)


def _shown(value: Any) -> str:
    may_hold_secret = isinstance(value, str) and ("@" in value or "://" in value)
    text = repr(redacted_url(value) if may_hold_secret else value)
    return text if len(text) <= 80 else text[:77] + "..."
