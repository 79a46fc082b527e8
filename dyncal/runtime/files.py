"""Files that settings name: seen to before a program starts, so that all of what is wrong is said at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.settings import ProgramSettings


def check_files(settings: ProgramSettings, file: Path | None) -> None:
    """See that `data_dir` can be written and that every file of a secret or certificate that is named can be read.

    Raises
    ------
    InvalidSetting
        With file, key, value and what is wrong, one line for each fault.
    """
    faults = [f"{key} = {str(path)!r}: cannot read it: {why}" for key, path, why in _unreadable(settings, "")]
    if settings.keeps_files:
        faults += _unwritable(settings.data_dir)
    if faults:
        raise InvalidSetting("\n".join(f"{file if file is not None else 'settings'}: {fault}" for fault in faults))


def _unreadable(level: BaseModel, prefix: str) -> Iterator[tuple[str, Path, str]]:
    for name in type(level).model_fields:
        value, key = getattr(level, name), prefix + name
        if isinstance(value, BaseModel):
            yield from _unreadable(value, key + ".")
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _unreadable(item, f"{key}.{number}.")
        elif isinstance(value, Path) and name.endswith("_file") and key != "signing.key_file":  # that one may be made
            try:
                with value.open("rb") as stream:
                    stream.read(1)
            except OSError as error:
                yield key, value, f"{error.strerror}; expected a file that this user may read"


def _unwritable(data_dir: Path) -> list[str]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            return []
    except OSError as error:
        return [f"data_dir = {str(data_dir)!r}: {error.strerror}; expected a directory in which this user may write"]
