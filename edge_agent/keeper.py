"""Keeps a sensor's last-known-good sets on disk, a file each, replaced as a whole.

The highest sequence ever applied is in a small file of its own too: should the other be damaged, older sets still do
not come back.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import SensorId, sensor_id
from edge_agent.events import Keep
from edge_agent.spool import disk

_SUFFIX: Final = ".json"
_HIGHEST: Final = ".highest"
_MAX_BYTES: Final = 16 << 20
_MAX_NUMBER: Final = 64


class SetKeeper:
    """Reads and replaces the files in a directory. `keep_all` may be called by any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing = threading.Lock()
        self._highest: dict[SensorId, int] = {}
        self.damage: dict[SensorId, str] = {}

    def load(self) -> dict[SensorId, bytes]:
        """Return what is kept, by sensor; what cannot be used of it is in `damage` after.

        Raises
        ------
        InvalidSetting
            If the directory cannot be used.
        """
        kept: dict[SensorId, bytes] = {}
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for name, path in self._files(_SUFFIX):
                if path.stat().st_size > _MAX_BYTES:
                    self.damage[name] = f"{path.name} has {path.stat().st_size} bytes, at most {_MAX_BYTES} are read"
                else:
                    kept[name] = path.read_bytes()
            for name, path in self._files(_HIGHEST):
                found = _number(path.read_bytes()) if path.stat().st_size <= _MAX_NUMBER else None
                if found is None:
                    self.damage[name] = f"{path.name} is unreadable"
                else:
                    self._highest[name] = found
        except OSError as error:
            raise InvalidSetting(f"coefficient sets in {self._directory}: {error.strerror or error}") from error
        return kept

    @property
    def highest(self) -> Mapping[SensorId, int]:
        """The highest sequence ever applied, by sensor, as the files of their own say."""
        return self._highest

    def _files(self, suffix: str) -> Iterator[tuple[SensorId, Path]]:
        for path in sorted(self._directory.glob(f"*{suffix}")):
            with contextlib.suppress(InvalidData):
                yield sensor_id(path.name.removesuffix(suffix)), path

    def keep(self, sensor: SensorId, content: bytes, highest: int) -> None:
        """Replace a sensor's files; the old ones stay until the new ones are on the disk. Raises `OSError`."""
        for _, error in self.keep_all([Keep(sensor, content, highest)]):
            raise error

    def keep_all(self, wanted: Iterable[Keep]) -> list[tuple[Keep, OSError]]:
        """Do as `keep` for many sensors; return which of them the disk did not take, and why."""
        with self._writing:
            written, failed = self._replace([(one, f"{one.sensor}{_SUFFIX}", one.content) for one in wanted])
            # After the others: a death between the two must not have a set refused that is nowhere.
            higher = [one for one in written if one.highest > self._highest.get(one.sensor, 0)]
            counted, uncounted = self._replace(
                [(one, f"{one.sensor}{_HIGHEST}", _numbered(one.highest)) for one in higher]
            )
            for one in counted:
                self._highest[one.sensor] = one.highest
        return failed + uncounted

    def _replace(self, files: list[tuple[Keep, str, bytes]]) -> tuple[list[Keep], list[tuple[Keep, OSError]]]:
        """Replace files by name, and force their names to the disk together; return what is there, and what is not."""
        done: list[Keep] = []
        failed: list[tuple[Keep, OSError]] = []
        for one, name, content in files:
            try:
                disk.replace(self._directory / name, content, sync_name=False)
            except OSError as error:
                failed.append((one, error))
            else:
                done.append(one)
        if done:
            try:
                disk.sync_directory(self._directory)
            except OSError as error:
                return [], failed + [(one, error) for one in done]
        return done, failed


def _numbered(highest: int) -> bytes:
    text = str(highest).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _number(content: bytes) -> int | None:
    try:
        text, crc = content.split()
        return int(text) if int(crc, 16) == zlib.crc32(text) else None
    except ValueError:
        return None
