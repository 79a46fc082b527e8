"""Samples of many sensors that wait for their blocks to close."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import CONTEXT
from dyncal.identification.online.fleet.leaps import LONGEST, leave_out
from dyncal.kernels import kernel

HOLE: Final = 4
"""Nominal intervals without a sample that end a segment."""

DARK: Final = LONGEST
"""Samples in a row without a reference that are bridged."""

NEVER: Final = np.iinfo(np.int64).min
_SPARE: Final = 64


@kernel()
def _go_on(
    i: int, at: int, end: int, t_ns: Int64Array, y: FloatArray, r: FloatArray, kept_t: Int64Array, kept: FloatArray,
    head: Int64Array, count: Int64Array, last_ns: Int64Array, broken: npt.NDArray[np.bool_], dark: Int64Array,
    hole_ns: int,
) -> int:  # fmt: skip
    """Append samples to row i as long as nothing is to be said of them; return what comes next."""
    if broken[i] or last_ns[i] == NEVER:
        return at
    first, newest = head[i] + count[i], last_ns[i]
    k, most = at, min(end, at + kept_t.shape[1] - first)
    while k < most:
        value, true, t = y[k], r[k], t_ns[k]
        if not (np.isfinite(value) and np.isfinite(true) and newest < t <= newest + hole_ns):
            break
        place = first + k - at
        kept_t[i, place], kept[0, i, place], kept[1, i, place] = t, value, true
        newest = t
        k += 1
    if k > at:
        last_ns[i], dark[i] = newest, 0
        count[i] += k - at
    return k


@kernel(
    "void(i8[::1], i8[::1], i8[::1], i8[::1], f8[::1], f8[::1], i8[:, ::1], f8[:, :, ::1], i8[::1], i8[::1], i8[::1],"
    " b1[::1], i8[::1], i8[::1], i8[::1])"
)
def take_in(
    sensor: Int64Array, at: Int64Array, end: Int64Array, t_ns: Int64Array, y: FloatArray, r: FloatArray,
    kept_t: Int64Array, kept: FloatArray, head: Int64Array, count: Int64Array, last_ns: Int64Array,
    broken: npt.NDArray[np.bool_], dark: Int64Array, lost: Int64Array, hole_ns: Int64Array,
) -> None:  # fmt: skip
    """Append chunks to the buffers of their sensors, each until something has to be done about it first.

    Parameters
    ----------
    sensor, at, end : int64, shape (k,)
        Chunk j is samples at[j] to end[j] of `t_ns`, `y`, `r`, and belongs to row sensor[j]; on return `at` is what
        comes next, and `end` is unchanged.
    kept_t : int64, shape (n, capacity); kept : float64, shape (2, n, capacity)
        Buffers; row i holds `count[i]` samples from `head[i]` on.
    last_ns, broken, dark, lost, hole_ns : shape (n,)
        Newest instant known; whether the next sample begins a segment; samples without a reference in a row; samples
        that could not be used; length of a hole that ends a segment.

    What is not finite is kept as NaN, to be bridged; more than `DARK` samples in a row without a reference end a
    segment. Samples not newer than the newest known are left out. A row whose next
    sample begins a segment takes no more; nor does a full one.
    """
    capacity = kept_t.shape[1]
    for j in range(sensor.size):
        i = sensor[j]
        while at[j] < end[j]:
            at[j] = _go_on(i, at[j], end[j], t_ns, y, r, kept_t, kept, head, count, last_ns, broken, dark, hole_ns[i])
            if at[j] == end[j]:
                break
            k = at[j]
            seen = np.isfinite(r[k])
            if not seen and (broken[i] or count[i] == 0 or dark[i] == DARK):
                broken[i] = True
                lost[i] += 1
            elif t_ns[k] > last_ns[i]:
                if last_ns[i] != NEVER and t_ns[k] - last_ns[i] > hole_ns[i]:
                    broken[i] = True
                if broken[i] and count[i] > 0:
                    break
                if head[i] + count[i] == capacity:
                    for n in range(count[i]):
                        kept_t[i, n] = kept_t[i, head[i] + n]
                        kept[0, i, n], kept[1, i, n] = kept[0, i, head[i] + n], kept[1, i, head[i] + n]
                    head[i] = 0
                    if count[i] == capacity:
                        break
                place = head[i] + count[i]
                kept_t[i, place] = t_ns[k]
                kept[0, i, place] = y[k] if np.isfinite(y[k]) else np.nan
                kept[1, i, place] = r[k] if seen else np.nan
                last_ns[i], broken[i] = t_ns[k], False
                dark[i] = 0 if seen else dark[i] + 1
                count[i] += 1
            at[j] += 1


class Buffers:
    """Bounded buffers of n sensors: each row is as long as the longest block that any of them waits for.

    Attributes
    ----------
    t_ns : int64, shape (n, capacity); values : float64, shape (2, n, capacity)
    head, count, last_ns : int64, shape (n,)
    broken : bool, shape (n,)
        The next sample begins a segment.
    dark, lost : int64, shape (n,)
        Samples without a reference in a row up to now; samples that could not be used at all.
    dropped_to : float64, shape (n, 2)
        Value that each channel dropped out to last; NaN for none.
    left_out : int64, shape (n,)
        Values taken as not measured.
    """

    def __init__(self, n: int, dt_ns: Int64Array) -> None:
        self.t_ns = np.zeros((n, _SPARE), dtype=np.int64)
        self.values = np.zeros((2, n, _SPARE))
        self.head, self.count = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.last_ns = np.full(n, NEVER)
        self.broken = np.zeros(n, dtype=np.bool_)
        self.dark, self.lost = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.dropped_to, self.left_out = np.full((n, 2), np.nan), np.zeros(n, dtype=np.int64)
        self._hole_ns = HOLE * dt_ns

    @property
    def capacity(self) -> int:
        """Samples that a row holds."""
        return int(self.t_ns.shape[1])

    def make_room(self, wanted: Int64Array) -> None:
        """Let each row hold the samples wanted (n,), and half as many more so that moving them is rare."""
        need = int(wanted.max(initial=0))
        if need <= self.capacity:
            return
        more = need + need // 2 + _SPARE - self.capacity
        self.t_ns = np.pad(self.t_ns, ((0, 0), (0, more)))
        self.values = np.pad(self.values, ((0, 0), (0, 0), (0, more)))

    def take_in(
        self, sensor: Int64Array, at: Int64Array, end: Int64Array, t_ns: Int64Array, y: FloatArray, r: FloatArray,
        wanted: Int64Array,
    ) -> None:  # fmt: skip
        """Append chunks, each until its segment ends or its row is full, which holds the samples wanted (n,)."""
        self.make_room(wanted)
        take_in(
            sensor, at, end, t_ns, y, r, self.t_ns, self.values, self.head, self.count, self.last_ns, self.broken,
            self.dark, self.lost, self._hole_ns,
        )  # fmt: skip

    def leave_out(self, who: Int64Array, first: Int64Array, n: Int64Array) -> None:
        """Take as not measured what leaps, among n samples (k,) of rows from `first` (k,) on, and their context."""
        begin, size = self.head[who] + first - CONTEXT, n + 2 * CONTEXT
        leave_out(who, begin, size, self.values, self.dropped_to, self.left_out)

    def drop(self, who: Int64Array, n: Int64Array) -> None:
        """Forget the first n samples (k,) of the rows `who` (k,)."""
        self.count[who] -= n
        self.head[who] = np.where(self.count[who] > 0, self.head[who] + n, 0)

    def part(self, i: int, begin: int, end: int) -> tuple[Int64Array, FloatArray, FloatArray]:
        """Return copies of samples `begin` to `end` of a row."""
        at = slice(int(self.head[i]) + begin, int(self.head[i]) + end)
        return self.t_ns[i, at].copy(), self.values[0, i, at].copy(), self.values[1, i, at].copy()

    def put(self, i: int, t_ns: Int64Array, y: FloatArray, r: FloatArray) -> None:
        """Let a row hold these samples."""
        self.make_room(np.array([t_ns.size]))
        self.head[i], self.count[i] = 0, t_ns.size
        self.t_ns[i, : t_ns.size], self.values[0, i, : t_ns.size], self.values[1, i, : t_ns.size] = t_ns, y, r
