"""Segments: runs of rows of one sensor, raw or corrected, packed for one cell of a table."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.series import CorrectedRows, RawRows
from dyncal.adapters.sqlite import columns
from dyncal.domain.quality import QualityRuns, expand
from dyncal.domain.time import Int64Array, TimeAxis, UniformAxis

RAW: Final = 0
CORRECTED: Final = 1


class Axis(msgspec.Struct, frozen=True, array_like=True):
    """Instants: the first, then either a constant step or the packed differences."""

    n: int
    t0_ns: int
    dt_ns: int = 0
    steps: bytes = b""


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the block that rows came from, besides the rows: kept through every merge, oldest first."""

    edge: str
    epoch: int
    sequence: int
    t0_ns: int
    n: int
    arrival_ns: int
    u_t_ns: int
    server_ns: int | None
    replayed: bool


class RawSegment(msgspec.Struct, frozen=True, array_like=True):
    """Packed raw rows."""

    axis: Axis
    value: bytes
    quality: QualityRuns


class CorrectedSegment(msgspec.Struct, frozen=True, array_like=True):
    """Packed corrected rows; `sets` are runs of (number of the set, count)."""

    axis: Axis
    value: bytes
    u: bytes
    sets: QualityRuns


_ENCODER: Final = msgspec.msgpack.Encoder()
_RAW: Final = msgspec.msgpack.Decoder(RawSegment)
_CORRECTED: Final = msgspec.msgpack.Decoder(CorrectedSegment)
_ORIGINS: Final = msgspec.msgpack.Decoder(list[Origin])


def pack_raw(axis: TimeAxis, rows: RawRows) -> bytes:
    """Return the packed form of raw rows on `axis`."""
    return _ENCODER.encode(RawSegment(_pack_axis(axis), columns.pack(rows.value), _runs(rows.quality)))


def unpack_raw(payload: bytes) -> RawRows:
    """Return the rows of `pack_raw`."""
    s = _RAW.decode(payload)
    return RawRows(_unpack_axis(s.axis), columns.unpack(s.value, s.axis.n, "f8"), expand(s.quality))


def pack_origins(origins: list[Origin]) -> bytes | None:
    """Return the packed form of `origins`, or None where there are none."""
    return zlib.compress(_ENCODER.encode(origins), 1) if origins else None


def unpack_origins(packed: bytes | None) -> list[Origin]:
    """Return the origins of `pack_origins`."""
    return _ORIGINS.decode(zlib.decompress(packed)) if packed else []


def merged_origins(parts: Iterable[bytes | None]) -> list[Origin]:
    """Return the origins of all parts, oldest write first; of a block that came again, only the newest."""
    known = {(o.edge, o.epoch, o.sequence): o for packed in parts for o in unpack_origins(packed)}
    return list(known.values())


def pack_corrected(axis: TimeAxis, rows: CorrectedRows) -> bytes:
    """Return the packed form of corrected rows."""
    return _ENCODER.encode(
        CorrectedSegment(_pack_axis(axis), columns.pack(rows.value), columns.pack(rows.u), _runs(rows.set_index))
    )


def unpack_corrected(payload: bytes) -> CorrectedRows:
    """Return the rows of `pack_corrected`."""
    s = _CORRECTED.decode(payload)
    n = s.axis.n
    return CorrectedRows(
        _unpack_axis(s.axis),
        columns.unpack(s.value, n, "f8"),
        columns.unpack(s.u, n, "f8"),
        expand(s.sets).astype(np.int32),
    )


def _pack_axis(axis: TimeAxis) -> Axis:
    if isinstance(axis, UniformAxis):
        return Axis(axis.n, axis.t0_ns, axis.dt_ns)
    t = axis.t_ns
    return Axis(int(t.size), int(t[0]), 0, columns.pack(np.diff(t)))


def _unpack_axis(axis: Axis) -> Int64Array:
    if axis.dt_ns:
        return axis.t0_ns + axis.dt_ns * np.arange(axis.n, dtype=np.int64)
    t = np.empty(axis.n, np.int64)
    t[0] = axis.t0_ns
    np.cumsum(columns.unpack(axis.steps, axis.n - 1, "i8"), out=t[1:])
    t[1:] += axis.t0_ns
    return t


def _runs(codes: npt.NDArray[np.uint32] | npt.NDArray[np.int32]) -> QualityRuns:
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    if not changes.size:  # as a rule
        return ((int(codes[0]), codes.size),) if codes.size else ()
    starts = np.concatenate(([0], changes + 1))
    counts = np.diff(np.append(starts, codes.size))
    return tuple(zip(codes[starts].tolist(), counts.tolist(), strict=True))
