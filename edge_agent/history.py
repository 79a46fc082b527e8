"""The newest raw samples of a sensor: to start a filter without a step, to know doubles, to judge corrected values."""

from __future__ import annotations

from typing import Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_T = TypeVar("_T", bound=np.generic)

_SPARE: Final = 16
"""One part in so many is room beside the newest: hundreds of sensors share an edge's memory."""

_GROWTH: Final = 32
"""In one step to the usual size: what is left behind in small steps fits nobody else, and memory is full of holes."""


class History:
    """The newest `n` samples before the last addition, and that, at least; instants strictly increasing.

    A ring: to move what is kept up, block after block, would go through the memory of all sensors again and again.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._size = 0
        self._start = 0  # of the oldest; from there on around the end
        self._capacity = min(256, 2 * n)
        self._t = np.empty(self._capacity, np.int64)
        self._raw = np.empty(self._capacity, np.float64)
        self._codes: UInt32Array | None = None  # while all are good: a fifth of what a sensor takes

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget everything."""
        self._size = self._start = 0

    def extend(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array) -> None:
        """Add samples newer than any before, shape (m,)."""
        m = t_ns.size
        self._make_room(m)
        begin = self._start + self._size
        begin -= self._capacity if begin >= self._capacity else 0
        until_end = min(m, self._capacity - begin)
        if self._codes is None and codes.any():
            self._codes = np.full(self._capacity, quality.GOOD, np.uint32)
        for ring, new in ((self._t, t_ns), (self._raw, raw), (self._codes, codes)):
            if ring is None:
                continue
            ring[begin : begin + until_end] = new[:until_end]
            if until_end < m:
                ring[: m - until_end] = new[until_end:]
        surplus = max(0, self._size + m - self._capacity)
        self._start = (self._start + surplus) % self._capacity
        self._size += m - surplus

    def _make_room(self, m: int) -> None:
        """Have room for `m` beside the newest `n`; what is older gives way."""
        keep = min(self._size, self._n)
        if self._size + m <= self._capacity or (self._size >= self._n and keep + m <= self._capacity):
            return
        wanted = max(min(_GROWTH * self._capacity, self._n + self._n // _SPARE), keep + m)
        for name in ("_t", "_raw", "_codes"):
            old = getattr(self, name)
            if old is None:
                continue
            new = np.empty(wanted, old.dtype)
            new[:keep] = self._run(old, self._size - keep, self._size)
            setattr(self, name, new)
        self._capacity, self._start, self._size = wanted, 0, keep

    def _run(self, ring: npt.NDArray[_T], first: int, stop: int) -> npt.NDArray[_T]:
        """Return the entries from one place to another, counted from the oldest; a view where they lie in a row."""
        begin, end = self._start + first, self._start + stop
        if end <= self._capacity:
            return ring[begin:end]
        if begin >= self._capacity:
            return ring[begin - self._capacity : end - self._capacity]
        return np.concatenate((ring[begin:], ring[: end - self._capacity]))

    def newest(self, n: int) -> tuple[Int64Array, FloatArray, UInt32Array]:
        """Return copies of the newest `n` samples, or of as many as there are."""
        first, stop = max(0, self._size - n), self._size
        return (
            self._run(self._t, first, stop).copy(),
            self._run(self._raw, first, stop).copy(),
            self._codes_of(first, stop),
        )

    def n_after(self, t_ns: int) -> int:
        """Return how many samples are newer than `t_ns`."""
        return self._size - self._place(np.int64(t_ns), "right")

    def holds(self, t_ns: Int64Array) -> npt.NDArray[np.bool_]:
        """Tell which instants are there."""
        return self._find(t_ns)[1]

    def at(self, t_ns: Int64Array) -> tuple[FloatArray, UInt32Array]:
        """Return the raw values and codes at these instants; NaN and Bad where there is none."""
        first = self._place(t_ns[0], "left") if t_ns.size else 0
        stop = first + t_ns.size
        # as a rule: instants in a row
        if stop <= self._size and not np.count_nonzero(self._run(self._t, first, stop) != t_ns):
            return self._run(self._raw, first, stop).copy(), self._codes_of(first, stop)
        place, there = self._find(t_ns)
        raw = np.full(t_ns.size, np.nan)
        codes = np.full(t_ns.size, quality.BAD, np.uint32)
        raw[there] = self._raw[place[there]]
        codes[there] = quality.GOOD if self._codes is None else self._codes[place[there]]
        return raw, codes

    def _codes_of(self, first: int, stop: int) -> UInt32Array:
        if self._codes is None:
            return np.full(stop - first, quality.GOOD, np.uint32)
        return self._run(self._codes, first, stop).copy()

    def _place(self, t_ns: np.int64, side: Literal["left", "right"]) -> int:
        """Return where an instant belongs, counted from the oldest: before its equal, or behind."""
        end = self._start + self._size
        older = self._t[self._start : min(end, self._capacity)]
        if end <= self._capacity or t_ns <= older[-1]:
            return int(older.searchsorted(t_ns, side))
        return int(older.size + self._t[: end - self._capacity].searchsorted(t_ns, side))

    def _places(self, t_ns: Int64Array) -> npt.NDArray[np.intp]:
        """Return where instants belong, as `_place` does, before their equals."""
        end = self._start + self._size
        older = self._t[self._start : min(end, self._capacity)]
        places = older.searchsorted(t_ns)
        if end <= self._capacity:
            return places
        return np.where(places < older.size, places, older.size + self._t[: end - self._capacity].searchsorted(t_ns))

    def _find(self, t_ns: Int64Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the places of instants in the arrays, and which of them are there."""
        if not self._size:
            return np.zeros(t_ns.size, np.intp), np.zeros(t_ns.size, np.bool_)
        places = self._places(t_ns)
        places[places == self._size] = 0
        places = (places + self._start) % self._capacity
        return places, self._t[places] == t_ns
