"""The newest raw samples of a sensor: to start a filter without a step, to know doubles, to judge corrected values."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_SPARE: Final = 8
"""One part in so many is room to grow: hundreds of sensors share an edge's memory, and moving the rest up is quick."""

_GROWTH: Final = 32
"""In one step to the usual size: what is left behind in small steps fits nobody else, and memory is full of holes."""


class History:
    """The newest `n` samples before the last addition, and that; instants strictly increasing."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._size = 0
        self._capacity = min(256, 2 * n)
        self._t = np.empty(self._capacity, np.int64)
        self._raw = np.empty(self._capacity, np.float64)
        self._codes = np.empty(self._capacity, np.uint32)

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget everything."""
        self._size = 0

    def extend(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array) -> None:
        """Add samples newer than any before, shape (m,)."""
        self._make_room(t_ns.size)
        end = self._size + t_ns.size
        self._t[self._size : end] = t_ns
        self._raw[self._size : end] = raw
        self._codes[self._size : end] = codes
        self._size = end

    def _make_room(self, m: int) -> None:
        if self._size + m <= self._capacity:
            return
        keep = min(self._size, self._n)
        wanted = max(min(_GROWTH * self._capacity, self._n + self._n // _SPARE), keep + m)
        for name in ("_t", "_raw", "_codes"):
            old = getattr(self, name)
            new = np.empty(wanted, old.dtype) if wanted > self._capacity else old
            new[:keep] = old[self._size - keep : self._size]
            setattr(self, name, new)
        self._capacity = max(wanted, self._capacity)
        self._size = keep

    def newest(self, n: int) -> tuple[Int64Array, FloatArray, UInt32Array]:
        """Return copies of the newest `n` samples, or of as many as there are."""
        window = slice(max(0, self._size - n), self._size)
        return self._t[window].copy(), self._raw[window].copy(), self._codes[window].copy()

    def n_after(self, t_ns: int) -> int:
        """Return how many samples are newer than `t_ns`."""
        return self._size - int(np.searchsorted(self._t[: self._size], t_ns, side="right"))

    def holds(self, t_ns: Int64Array) -> npt.NDArray[np.bool_]:
        """Tell which instants are there."""
        return self._find(t_ns)[1]

    def at(self, t_ns: Int64Array) -> tuple[FloatArray, UInt32Array]:
        """Return the raw values and codes at these instants; NaN and Bad where there is none."""
        start = int(np.searchsorted(self._t[: self._size], t_ns[0])) if t_ns.size else 0
        run = slice(start, start + t_ns.size)
        if run.stop <= self._size and not np.count_nonzero(self._t[run] != t_ns):  # as a rule: instants in a row
            return self._raw[run].copy(), self._codes[run].copy()
        position, there = self._find(t_ns)
        raw = np.full(t_ns.size, np.nan)
        codes = np.full(t_ns.size, quality.BAD, np.uint32)
        raw[there] = self._raw[position[there]]
        codes[there] = self._codes[position[there]]
        return raw, codes

    def _find(self, t_ns: Int64Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        if not self._size:
            return np.zeros(t_ns.size, np.intp), np.zeros(t_ns.size, np.bool_)
        position = np.searchsorted(self._t[: self._size], t_ns)
        position[position == self._size] = 0
        return position, self._t[position] == t_ns
