"""A drift monitor as bytes: the form that its snapshots are stored in."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.drift.baseline import Baseline
from dyncal.drift.change import Instant, Recent
from dyncal.drift.history import Learnt
from dyncal.drift.scatter import Scatter
from dyncal.drift.settings import DriftSettings
from dyncal.drift.spread import Spread

VERSION: Final = 2


class Header(msgspec.Struct, frozen=True):
    """What every form of a snapshot has had."""

    names: tuple[str, ...]
    version: int


class Stored(msgspec.Struct, frozen=True):
    """The whole state of a monitor; arrays as little-endian float64, but for the marks of the history."""

    names: tuple[str, ...]
    settings: dict[str, Any]
    state: str
    since_ns: int | None
    informed_ns: int | None
    last_ns: int
    learnt: tuple[int, bytes]
    history: tuple[int, bytes, bytes, bytes]
    held: bytes | None
    found: tuple[Instant, bytes] | None
    spread: tuple[int, float, list[float]] | None = None
    begun_ns: int | None = None
    version: int = VERSION


def decode(data: bytes) -> Stored | Header:
    """Return what the bytes say, or only their header where they are of another version.

    Raises
    ------
    InvalidData
        If they are no snapshot of a drift monitor.
    """
    try:
        header = msgspec.msgpack.decode(data, type=Header)
        return msgspec.msgpack.decode(data, type=Stored) if header.version == VERSION else header
    except msgspec.MsgspecError as error:
        raise InvalidData(f"this is no snapshot of a drift monitor: {error}") from error


def settings_of(plain: dict[str, Any]) -> DriftSettings:
    """Return the settings that a snapshot holds; raises TypeError where they are others."""
    pairs = {
        key: tuple((str(name), float(value)) for name, value in plain.get(key, ()))
        for key in ("minimum_changes", "scales")
    }
    return DriftSettings(**{**plain, **pairs})


def pack_learnt(learnt: Learnt) -> tuple[int, bytes]:
    """Return what was learnt as bytes."""
    baseline, scatter = learnt.baseline, learnt.scatter
    return baseline.n, pack(baseline.information, baseline.vector, scatter.squares, scatter.n)


def unpack_learnt(p: int, packed: tuple[int, bytes]) -> Learnt:
    """Return what `pack_learnt` packed; raises ValueError where that is not of p parameters, or not finite."""
    information, vector, squares, n = unpack(packed[1], (p, p), (p,), (p,), (p,))
    return Learnt(Baseline(information, vector, packed[0]), Scatter(squares, n))


def unpack_spread(p: int, packed: tuple[int, float, list[float]]) -> Spread:
    """Return how differently much blocks say; raises ValueError where that is not of p parameters, or no numbers."""
    n, variance, last = packed
    if n < 1 or not 0 <= variance < float("inf") or len(last) != p or not bool(np.all(np.isfinite(last))):
        raise ValueError("the spread of its blocks' information is not finite, or of other parameters")
    return Spread(np.array(last), variance, n)


def pack_recent(recent: Recent) -> bytes:
    """Return the sums since a change as bytes."""
    return pack(recent.information, recent.vector, recent.square)


def unpack_recent(p: int, packed: bytes) -> Recent:
    """Return what `pack_recent` packed; raises ValueError where that is not of p parameters, or not finite."""
    return Recent(*unpack(packed, (p, p), (p,), (p, p)))


def pack(*arrays: FloatArray) -> bytes:
    """Return arrays one behind the other."""
    return b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)


def unpack(packed: bytes, *shapes: tuple[int, ...]) -> list[FloatArray]:
    """Return arrays of these shapes; raises ValueError where they are not what is there, or not finite."""
    values = np.frombuffer(packed, dtype="<f8").astype(np.float64)
    sizes = [int(np.prod(shape)) for shape in shapes]
    if values.size != sum(sizes) or not bool(np.all(np.isfinite(values))):
        raise ValueError("numbers are missing, too many, or not finite")
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
