"""Keeps a sensor's last-known-good sets on disk, a file each, replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import SensorId, sensor_id

_SUFFIX: Final = ".json"
_MAX_BYTES: Final = 16 << 20


class SetKeeper:
    """Reads and replaces the files in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> dict[SensorId, bytes]:
        """Return what is kept, by sensor.

        Raises
        ------
        InvalidSetting
            If the directory cannot be used.
        """
        kept: dict[SensorId, bytes] = {}
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
                try:
                    name = sensor_id(path.name.removesuffix(_SUFFIX))
                except InvalidData:
                    continue
                if path.stat().st_size <= _MAX_BYTES:
                    kept[name] = path.read_bytes()
        except OSError as error:
            raise InvalidSetting(f"coefficient sets in {self._directory}: {error.strerror or error}") from error
        return kept

    def keep(self, sensor: SensorId, content: bytes) -> None:
        """Replace a sensor's file; the old one stays until the new one is on the disk. Raises `OSError`."""
        path = self._directory / f"{sensor}{_SUFFIX}"
        draft = path.with_name(f"{sensor}.new")
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
