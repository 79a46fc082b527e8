"""Settings that are followed while a program runs: read again at SIGHUP, and taken up all together or not at all.

What may change so is marked at its field with `LIVE`, and told by ``dyncal config schema`` (``x-reload``). Of anything
else a change is refused, and named: a program is then as it was. What files of secrets and certificates hold is read
again by whoever uses them, see each of them; only their paths stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime import logging
from dyncal.runtime.files import check_files
from dyncal.runtime.settings import LIVE, MARK, ProgramSettings, load

S = TypeVar("S", bound=ProgramSettings)

_RESTART: Final = "restart"


@runtime_checkable
class Following(Protocol):
    """A service that follows changed settings while it runs."""

    def follow(self, settings: Any) -> Callable[[], None]:
        """Get ready to work by these settings, and return what does so, which cannot fail.

        Settings that are not marked are as they were.

        Raises
        ------
        InvalidSetting
            If they cannot be followed; everything stays as it was.
        """
        ...


class Reloader(Generic[S]):
    """Reads the settings of a running program again.

    Parameters
    ----------
    settings : ProgramSettings
        Those that it runs by.
    service : object
        It follows what changes, where it is `Following`; the level of the log is followed here.
    """

    def __init__(self, kind: type[S], file: Path | None, settings: S, service: object) -> None:
        self._kind, self._file, self._service = kind, file, service
        self.settings = settings
        self._log = logging.logger("settings")

    def __call__(self) -> bool:
        """Follow what has changed, or say why not and change nothing; tell whether all is followed."""
        try:
            changed, take_up = self._prepared()
        except InvalidSetting as error:
            self._log.error("settings_not_reloaded", error=str(error))
            return False
        take_up()
        self._log.info("settings_reloaded", changed=changed)
        return True

    def _prepared(self) -> tuple[list[str], Callable[[], None]]:
        settings = load(self._kind, self._file)
        check_files(settings, self._file)
        changed = {".".join(path): may for path, may in differences(self.settings, settings)}
        fixed = [path for path, may in changed.items() if not may]
        if fixed:
            where = "settings" if self._file is None else str(self._file)
            raise InvalidSetting(
                f"{where}: {', '.join(fixed)}: cannot be followed while the program runs; restart it, or put it back. "
                "Nothing was changed."
            )
        follow = self._service.follow(settings) if isinstance(self._service, Following) else None

        def take_up() -> None:
            logging.set_level(settings.log.level)
            if follow is not None:
                follow()
            self.settings = settings

        return list(changed), take_up


def differences(
    before: BaseModel, after: BaseModel, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield where settings of one kind differ, and whether that may be followed."""
    for name, field in type(before).model_fields.items():
        old, new, here = getattr(before, name), getattr(after, name), (*path, name)
        if isinstance(old, BaseModel) and type(old) is type(new):
            yield from differences(old, new, here)
        elif old != new:
            yield here, field.json_schema_extra == LIVE


def told(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema of settings in which each says whether it is followed or needs a restart."""

    def properties(level: dict[str, Any], definitions: dict[str, Any]) -> None:
        for each in level.get("properties", {}).values():
            if "$ref" not in each or each["$ref"].rpartition("/")[2] not in definitions:
                each.setdefault(MARK, _RESTART)

    definitions = schema.get("$defs", {})
    for level in (schema, *definitions.values()):
        properties(level, definitions)
    return schema
