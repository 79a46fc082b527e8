"""From records as they come to segments that a pass can run over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.records import AlignedRecord

SHORTEST: Final = 8
"""Indications that a segment needs to be of any use beside its own initial state."""
_UNEVEN: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of samples without a hole in the reference.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing
    y : float64, shape (n,)
        Indications; NaN where there is none.
    r : float64, shape (n,), finite
    """

    t_ns: Int64Array
    y: FloatArray
    r: FloatArray

    @property
    def even(self) -> bool:
        """Whether the samples are spaced evenly."""
        steps = np.diff(self.t_ns)
        return bool(steps.max() - steps.min() <= _UNEVEN * steps.mean())

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
        return np.concatenate([segment.r for segment in self.segments])


def take(records: AlignedRecord | Sequence[AlignedRecord]) -> Taken:
    """Cut records where the reference has a hole; an indication that is missing leaves its instant unobserved.

    Raises
    ------
    InvalidData
        If there is no record, or one is there twice: its samples would be counted twice.
    """
    several = [records] if isinstance(records, AlignedRecord) else list(records)
    if not several:
        raise InvalidData("there is no record")
    for i, record in enumerate(several):
        for other in several[:i]:
            if _same(record, other):
                raise InvalidData("a record is there twice")
    found: list[Segment] = []
    for record in several:
        found += _pieces(record)
    n_all = sum(len(record) for record in several)
    used = sum(int(np.count_nonzero(np.isfinite(segment.y))) for segment in found)
    steps = [np.diff(segment.t_ns) for segment in found]
    dt_s = float(np.median(np.concatenate(steps))) / NS_PER_S if steps else float("nan")
    return Taken(tuple(found), n_all - used, dt_s)


def _same(a: AlignedRecord, b: AlignedRecord) -> bool:
    return (
        len(a) == len(b)
        and np.array_equal(a.t_ns, b.t_ns)
        and np.array_equal(a.indication, b.indication, equal_nan=True)
        and np.array_equal(a.reference, b.reference, equal_nan=True)
    )


def _pieces(record: AlignedRecord) -> list[Segment]:
    y = np.where(np.isfinite(record.indication), record.indication, np.nan)
    good = np.isfinite(record.reference)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    found = []
    for begin, end in edges.reshape(-1, 2).tolist():
        seen = np.flatnonzero(np.isfinite(y[begin:end]))
        if seen.size >= SHORTEST:
            # the reference before the first indication says nothing: the state there is free
            inner = slice(begin + int(seen[0]), begin + int(seen[-1]) + 1)
            found.append(Segment(record.t_ns[inner], y[inner], record.reference[inner]))
    return found
