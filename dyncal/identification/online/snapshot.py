"""Snapshots of estimators: MessagePack, arrays as little-endian bytes, exact to the last bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.online.doubts import Doubt
from dyncal.identification.online.start import Refused
from dyncal.identification.report import Residuals
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.shift import Shift

VERSION: Final = 3

LATER: Final = (
    "shift_weight", "shift_score", "motion", "newest", "left_out", "dropped_to", "course", "course_weight",
    "course_score",
)  # fmt: skip
"""Arrays that are not in snapshots of before 2026-11-25."""


class Array(msgspec.Struct, frozen=True, array_like=True):
    """An array of float64, int64 or bool."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: np.ndarray[Any, Any]) -> Array:
        """Pack an array."""
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        return cls(little.dtype.str, array.shape, little.tobytes())

    def array(self) -> np.ndarray[Any, Any]:
        """Unpack; raises ValueError where the bytes do not fit."""
        if self.dtype not in ("<f8", "<i8", "|b1"):
            raise ValueError(f"{self.dtype} is no type of a snapshot")
        return np.frombuffer(self.data, dtype=self.dtype).reshape(self.shape).copy()


class FullState(msgspec.Struct, frozen=True):
    """What is followed by the full likelihood of one sensor."""

    process: Process
    scale_s: float
    reference_noise: float | None
    dispersion: float
    residuals: Residuals
    arrays: dict[str, Array]
    until_ns: int = 0


class YoungRecord(msgspec.Struct, frozen=True):
    """A record that grows: instants, indications, references; whether it waits to be fitted, and follows a jump."""

    samples: tuple[Array, Array, Array]
    gathers: bool
    after_jump: bool = False


class ChangedSensor(msgspec.Struct, frozen=True):
    """What was known of a sensor before a jump, and the offset that may have come instead of its change."""

    eta: Array
    cov: Array
    instead: Shift | None


class FleetSnapshot(msgspec.Struct, frozen=True):
    """Everything that a fleet holds."""

    model: ModelKind
    settings: list[dict[str, Any]]
    arrays: dict[str, Array]
    state: dict[str, Array]
    pending: tuple[Array, Array, Array]
    refused: dict[int, Refused]
    trouble: dict[int, str]
    full: dict[int, FullState]
    provisional: dict[int, tuple[Array, ...]]
    version: int = VERSION
    doubts: dict[int, Doubt] = msgspec.field(default_factory=dict)
    young: dict[int, YoungRecord] = msgspec.field(default_factory=dict)
    changed: dict[int, ChangedSensor] = msgspec.field(default_factory=dict)

    @staticmethod
    def packed(settings: tuple[OnlineSettings, ...]) -> list[dict[str, Any]]:
        """Return settings as plain values; one, where all are the same object."""
        return [asdict(s) for s in (settings[:1] if all(s is settings[0] for s in settings) else settings)]

    def unpacked(self, n: int) -> list[OnlineSettings]:
        """Return the settings of n sensors."""
        found = [OnlineSettings(**plain) for plain in self.settings]
        return found * n if len(found) == 1 else found


def decode(data: bytes) -> FleetSnapshot:
    """Return the snapshot in `data`; raise `InvalidData` if there is none, or of another version."""
    try:
        found = msgspec.msgpack.decode(data, type=FleetSnapshot)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise InvalidData(f"this is no snapshot of an online estimator: {error}") from error
    if found.version != VERSION:
        raise InvalidData(f"a snapshot of version {found.version}; this library reads {VERSION}")
    return found
