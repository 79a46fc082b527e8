"""Results of replays as files: the record of effects, and the corrected samples beside it where they were asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.signing import replace_file
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import Int64Array
from simulators.replay.effects import VERSION, Effects

RESULT_FILE: Final = "effects.json"
CORRECTED: Final = np.dtype([("t_ns", "<i8"), ("value", "<f8"), ("u", "<f8")])
"""A corrected sample as it lies in ``corrected/SENSOR.bin``, one after the other."""

_DIRECTORY: Final = "corrected"


class _Versioned(msgspec.Struct):
    """As much of a result as tells whether the rest can be read."""

    v: int = VERSION


def encode(effects: Effects) -> bytes:
    """Return the JSON of a record of effects."""
    return msgspec.json.format(msgspec.json.encode(effects), indent=1)


def save(effects: Effects, directory: Path) -> None:
    """Write a record of effects; it appears whole. Raises `OSError`."""
    directory.mkdir(parents=True, exist_ok=True)
    replace_file(directory / RESULT_FILE, encode(effects), 0o644)


def load(path: Path) -> Effects:
    """Return the record of effects in a file, or in a directory that a replay has written.

    Raises
    ------
    InvalidData
        If there is none, or it is none: which file, what is wrong, and what to do.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        content = file.read_bytes()
        version = msgspec.json.decode(content, type=_Versioned).v
        if version != VERSION:
            raise InvalidData(
                f"{file}: a result of version {version}, whose digests cannot be compared with those of version "
                f"{VERSION}; make it anew with `dyncal replay --out`"
            )
        return msgspec.json.decode(content, type=Effects)
    except OSError as error:
        raise InvalidData(f"{file}: cannot read it: {error.strerror}; make one with `dyncal replay --out`") from error
    except msgspec.DecodeError as error:
        raise InvalidData(f"{file}: no result of a replay: {error}; make it anew with `dyncal replay --out`") from error


class CorrectedWriter:
    """Writes corrected samples below a directory, a file a sensor, as a context manager.

    They appear when it is left, in place of those that were there; where an error ends it, nothing has changed.
    """

    def __init__(self, directory: Path) -> None:
        self._final = directory / _DIRECTORY
        self._directory = directory / f".{_DIRECTORY}.part"
        self._files: dict[SensorId, BinaryIO] = {}

    def __enter__(self) -> Self:
        """Make the directory. Raises `OSError`."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files, and put them in their place. Raises `OSError`."""
        for file in self._files.values():
            file.close()
        if error is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            return
        shutil.rmtree(self._final, ignore_errors=True)
        self._directory.rename(self._final)

    def __call__(self, sensor: SensorId, t_ns: Int64Array, value: FloatArray, u: FloatArray) -> None:
        """Take corrected samples, each of shape (n,). Raises `OSError`."""
        rows = np.empty(t_ns.size, CORRECTED)
        rows["t_ns"], rows["value"], rows["u"] = t_ns, value, u
        if sensor not in self._files:
            self._files[sensor] = (self._directory / f"{sensor}.bin").open("wb")
        self._files[sensor].write(rows.data)


def corrected(path: Path, sensor: str) -> npt.NDArray[np.void] | None:
    """Return the corrected samples of a sensor, mapped from their file; None where none were kept."""
    file = path / _DIRECTORY / f"{sensor}.bin"
    if not path.is_dir() or not file.is_file():
        return None
    n = file.stat().st_size // CORRECTED.itemsize
    return np.memmap(file, CORRECTED, "r", shape=(n,)) if n else np.empty(0, CORRECTED)


def has_corrected(path: Path) -> bool:
    """Tell whether corrected samples were kept beside a result."""
    return path.is_dir() and (path / _DIRECTORY).is_dir()


def sensors(effects: Iterable[Effects]) -> list[str]:
    """Return all channels that results speak of, in order."""
    return sorted({found.sensor for each in effects for found in each.samples})
