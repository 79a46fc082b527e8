"""The columns of what is written together: all sensors one behind the other, and each sensor's rows in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dyncal.adapters.series import CorrectedRows, RawRows, newest_corrected, newest_raw
from dyncal.contracts.codec import joined_array
from dyncal.contracts.samples import AxisMessage, BlockMessage, CorrectedMessage, instants
from dyncal.domain import quality
from dyncal.domain.time import Int64Array

_NO_TIMES: Final = np.empty(0, np.int64)


class Columns(NamedTuple):
    """Rows of sensors.

    Attributes
    ----------
    raw, corrected : rows
        Instants increase strictly within a sensor. A corrected value may be NaN: then it is none.
    ends : int64, shape (n_sensors, 2)
        Where the rows of each sensor end in both.
    set_ids : sequence of str
        The sets that `corrected` has positions of.
    """

    raw: RawRows
    corrected: CorrectedRows
    ends: Int64Array
    set_ids: Sequence[str]


def columns(by_sensor: Sequence[Sequence[BlockMessage]]) -> Columns:
    """Return the rows of the blocks of each sensor, which come oldest write first: the newest write of each wins."""
    # All blocks at once: what numpy does for each call costs more than what it does for each of a hundred samples.
    found = _as_they_came(by_sensor)
    if _increase(found.raw.t_ns, found.ends[:, 0]) and _increase(found.corrected.t_ns, found.ends[:, 1]):
        return found
    return _newest(found)


def _as_they_came(by_sensor: Sequence[Sequence[BlockMessage]]) -> Columns:
    blocks = [block for of_sensor in by_sensor for block in of_sensor]
    spans = [block.corrected for block in blocks if block.corrected is not None]
    n_bytes = np.zeros((len(by_sensor), 2), np.int64)
    for k, of_sensor in enumerate(by_sensor):
        n_bytes[k, 0] = sum([len(block.raw) for block in of_sensor])
        n_bytes[k, 1] = sum([len(block.corrected.value) for block in of_sensor if block.corrected is not None])
    ends = np.cumsum(n_bytes, axis=0) // 8
    codes = quality.expand(tuple([run for block in blocks for run in block.quality]))
    raw = RawRows(_instants([block.axis for block in blocks]), joined_array([b.raw for b in blocks], "<f8"), codes)
    names: dict[str, int] = {}
    return Columns(raw, _corrected(spans, names), ends, list(names))


def _corrected(spans: list[CorrectedMessage], names: dict[str, int]) -> CorrectedRows:
    """Return the values one after the other; `names` takes up the sets."""
    if not spans:
        return CorrectedRows(_NO_TIMES, np.empty(0), np.empty(0), np.empty(0, np.int32))
    numbers = [names.setdefault(span.set, len(names)) for span in spans]
    return CorrectedRows(
        _instants([span.axis for span in spans]),
        joined_array([span.value for span in spans], "<f8"),
        joined_array([span.u for span in spans], "<f8"),
        np.repeat(np.array(numbers, np.int32), [len(span.value) // 8 for span in spans]),
    )


def _newest(found: Columns) -> Columns:
    """Return the rows with one for each instant of a sensor."""
    raw: list[RawRows] = []
    corrected: list[CorrectedRows] = []
    begin = [0, 0]
    for end in found.ends.tolist():
        raw.append(newest_raw([found.raw.at(slice(begin[0], end[0]))]))
        rows = found.corrected.at(slice(begin[1], end[1]))
        corrected.append(newest_corrected([rows.at(~np.isnan(rows.value))]))
        begin = end
    sizes = [(rows.t_ns.size, others.t_ns.size) for rows, others in zip(raw, corrected, strict=True)]
    return Columns(
        RawRows(*(_joined([part[k] for part in raw]) for k in range(3))),
        CorrectedRows(*(_joined([part[k] for part in corrected]) for k in range(4))),
        np.cumsum(np.array(sizes, np.int64), axis=0),
        found.set_ids,
    )


def _increase(t: Int64Array, ends: Int64Array) -> bool:
    """Tell whether instants increase strictly within each sensor."""
    rises = t[1:] > t[:-1]
    borders = ends[:-1]
    rises[borders[(0 < borders) & (borders < t.size)] - 1] = True
    return bool(rises.all())


def _instants(axes: list[AxisMessage]) -> Int64Array:
    """Return the instants of all axes, one after the other."""
    uniform = [(axis.t0_ns, axis.dt_ns, axis.n) for axis in axes if axis.t_ns is None]
    if len(uniform) < len(axes):
        return np.concatenate([instants(axis) for axis in axes])
    t0, dt, n = np.array(uniform, np.int64).T
    before = np.cumsum(n) - n
    # the products may wrap around, and the sums wrap back
    found: Int64Array = np.repeat(t0 - dt * before, n) + np.repeat(dt, n) * np.arange(n.sum())
    return found


def _joined(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
