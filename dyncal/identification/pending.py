"""Samples that wait for their block to close, and what of a record may become one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.records import AlignedRecord

_HOLE = 4  # nominal intervals without a sample that end a segment


class Pending:
    """A growing run of samples, cut from the front."""

    def __init__(self) -> None:
        self._t = np.empty(256, dtype=np.int64)
        self._values = np.empty((2, 256))
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def last_ns(self) -> int | None:
        """Instant of the newest sample."""
        return int(self._t[self._n - 1]) if self._n else None

    def append(self, t_ns: Int64Array, y: FloatArray, r: FloatArray) -> None:
        """Add samples at the end."""
        need = self._n + t_ns.size
        if need > self._t.size:
            size = 2 * need
            t, values = np.empty(size, dtype=np.int64), np.empty((2, size))
            t[: self._n], values[:, : self._n] = self._t[: self._n], self._values[:, : self._n]
            self._t, self._values = t, values
        self._t[self._n : need] = t_ns
        self._values[0, self._n : need], self._values[1, self._n : need] = y, r
        self._n = need

    def part(self, begin: int, end: int) -> tuple[Int64Array, FloatArray, FloatArray]:
        """Return copies of samples `begin` to `end`."""
        return self._t[begin:end].copy(), self._values[0, begin:end].copy(), self._values[1, begin:end].copy()

    def drop(self, n: int) -> None:
        """Forget the first n samples."""
        rest = self._n - n
        self._t[:rest] = self._t[n : self._n].copy()
        self._values[:, :rest] = self._values[:, n : self._n].copy()
        self._n = rest


def runs(record: AlignedRecord, after_ns: int | None, dt_ns: int) -> Iterator[tuple[bool, AlignedRecord]]:
    """Yield (begins a segment, run) for the runs of finite samples, newer than `after_ns`, without a hole."""
    good = np.isfinite(record.indication) & np.isfinite(record.reference)
    if after_ns is not None:
        good &= record.t_ns > after_ns
    where = np.flatnonzero(good)
    if not where.size:
        return
    t = record.t_ns[where]
    broken = (np.diff(where) > 1) | (np.diff(t) > _HOLE * dt_ns)
    edges = np.concatenate([[0], np.flatnonzero(broken) + 1, [where.size]])
    previous = after_ns
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        at = where[begin:end]
        begins = begin > 0 or previous is None or bool(record.t_ns[at[0]] - previous > _HOLE * dt_ns)
        yield begins, AlignedRecord(record.t_ns[at], record.indication[at], record.reference[at])
