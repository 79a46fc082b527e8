"""From records as they come to segments that a pass can run over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.correction.streaming.slots import usable
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.record_fit.bridges import bridged
from dyncal.identification.records import AlignedRecord

SHORTEST: Final = 8
"""Indications, and values of the reference, that a segment needs to be of any use beside its own initial state."""
_UNEVEN: Final = 0.02
_HOLE: Final = 1.5
_UNEVEN_HOLE: Final = 5.0
"""A reference interval that many times as long as almost all (95 %) is a hole, where the sampling is even or not."""

_LARGE_STEP: Final = 3.0
"""Of the median: jitter of nearly an interval makes no larger one."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of samples without a hole in the reference.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing
    y, r : float64, shape (n,)
        Indications and reference; NaN where there is none at that instant. The two need not share instants.
    bridged : bool, shape (n,) or (0,)
        Where the reference was not measured, but bridged.
    """

    t_ns: Int64Array
    y: FloatArray
    r: FloatArray
    bridged: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @property
    def measured(self) -> FloatArray:
        """The reference without what is bridged, (n,)."""
        values: FloatArray = np.where(self.bridged, np.nan, self.r) if self.bridged.size else self.r
        return values

    @property
    def knots(self) -> tuple[Int64Array, FloatArray]:
        """Instants [ns] and values of the reference."""
        known = np.isfinite(self.r)
        return self.t_ns[known], self.r[known]

    @property
    def even(self) -> bool:
        """Whether the samples are spaced evenly, the reference known at each."""
        return bool(np.all(np.isfinite(self.r))) and _even(self.t_ns)

    @property
    def smooth(self) -> bool:
        """Whether the reference is spaced so that splines can be laid through it: they swing over large steps."""
        steps = np.diff(self.knots[0])
        return bool(steps.max() <= _LARGE_STEP * np.median(steps))

    @property
    def length_s(self) -> float:
        """Time from the first to the last sample [s]."""
        return float(self.t_ns[-1] - self.t_ns[0]) / NS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What of the records is used.

    Attributes
    ----------
    n_left_out : int
        Samples that are not: not finite, or in pieces too short.
    dt_s : float
        Median interval [s].
    """

    segments: tuple[Segment, ...]
    n_left_out: int
    dt_s: float

    @property
    def n(self) -> int:
        """Number of indications."""
        return sum(int(np.count_nonzero(np.isfinite(segment.y))) for segment in self.segments)

    @property
    def length_s(self) -> float:
        """Length of the longest segment [s]."""
        return max((segment.length_s for segment in self.segments), default=0.0)

    @property
    def even(self) -> bool:
        """Whether all segments are sampled evenly, at one interval."""
        if not all(segment.even for segment in self.segments):
            return False
        own = [segment.length_s / (segment.t_ns.size - 1) for segment in self.segments]
        return max(own) - min(own) <= _UNEVEN * self.dt_s

    @property
    def y(self) -> FloatArray:
        """All indications, one segment after the other."""
        values: FloatArray = np.concatenate([segment.y[np.isfinite(segment.y)] for segment in self.segments])
        return values

    @property
    def r(self) -> FloatArray:
        """All values of the reference."""
        values: FloatArray = np.concatenate([segment.knots[1] for segment in self.segments])
        return values


def take(records: AlignedRecord | Sequence[AlignedRecord], *, bridges: bool = True) -> Taken:
    """Cut records where the reference has a hole; instants of the indication alone are read between its neighbours.

    Short holes in even sampling are bridged unless `bridges` is false.

    Raises
    ------
    InvalidData
        If there is no record, something that is none, or one is there twice: its samples would be counted twice.
    """
    several = [records] if isinstance(records, AlignedRecord) else list(records)
    if not several:
        raise InvalidData("there is no record")
    for i, record in enumerate(several):
        if not isinstance(record, AlignedRecord):
            raise InvalidData(f"a record is an AlignedRecord, not a {type(record).__name__}")
        for other in several[:i]:
            if _same(record, other):
                raise InvalidData("a record is there twice")
    found: list[Segment] = []
    for record in several:
        found += _pieces(record, bridges=bridges)
    n_all = sum(len(record) for record in several)
    used = sum(int(np.count_nonzero(np.isfinite(segment.y))) for segment in found)
    steps = [np.diff(segment.t_ns[np.isfinite(segment.y)]) for segment in found]
    dt_s = float(np.median(np.concatenate(steps))) / NS_PER_S if steps else float("nan")
    return Taken(tuple(found), n_all - used, dt_s)


def _same(a: AlignedRecord, b: AlignedRecord) -> bool:
    return (
        len(a) == len(b)
        and np.array_equal(a.t_ns, b.t_ns)
        and np.array_equal(a.indication, b.indication, equal_nan=True)
        and np.array_equal(a.reference, b.reference, equal_nan=True)
    )


def _pieces(record: AlignedRecord, *, bridges: bool) -> list[Segment]:
    y = np.where(usable(record.indication), record.indication, np.nan)
    r = np.where(usable(record.reference), record.reference, np.nan)
    t_ns, filled = record.t_ns, np.zeros(len(record), dtype=np.bool_)
    if bridges:
        t_ns, y, r, filled = bridged(t_ns, y, r)
    known = np.flatnonzero(np.isfinite(r))
    if known.size < SHORTEST:
        return []
    steps = np.diff(t_ns[known])
    usual = float(np.percentile(steps, 95))
    # what was marked as missing is a hole sooner than what may be the way of the sampling
    marked = np.diff(known) > 1
    regular = usual - float(np.percentile(steps, 5)) <= _UNEVEN * usual
    hole = steps > np.where(marked | regular, _HOLE, _UNEVEN_HOLE) * usual
    begins, ends = known[np.concatenate([[True], hole])], known[np.concatenate([hole, [True]])]
    found = []
    for begin, end in zip(begins.tolist(), (ends + 1).tolist(), strict=True):
        seen = np.flatnonzero(np.isfinite(y[begin:end]))
        if seen.size < SHORTEST or np.count_nonzero(np.isfinite(r[begin:end])) < SHORTEST:
            continue
        inner = slice(begin, end)
        found.append(Segment(t_ns[inner], y[inner], r[inner], filled[inner]))
    return found


def _even(t_ns: Int64Array) -> bool:
    steps = np.diff(t_ns)
    return bool(steps.max() - steps.min() <= _UNEVEN * steps.mean())
