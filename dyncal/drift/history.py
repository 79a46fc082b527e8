"""What was known after each of the last blocks, as far as a change is looked for there; bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.baseline import Baseline
from dyncal.drift.limit import FEWEST, WINDOW, strides
from dyncal.drift.scatter import Scatter

_CAPACITY: Final = 128  # 32 single instants, 16 in each octave up to the window, and the newest
_ENOUGH: Final = 2  # blocks before a change: one alone is no baseline


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What is normal: where the parameters lie, and how their residuals scatter."""

    baseline: Baseline
    scatter: Scatter

    @classmethod
    def nothing(cls, p: int) -> Learnt:
        """Return what is known of p parameters before the first block."""
        return cls(Baseline.empty(p), Scatter.empty(p))


class History:
    """Instants at which a change may have come, each with what was learnt until then.

    A step of δ after block k leaves in the recursive residuals after it, which go on learning, a mean that falls with
    the share of blocks before it; ``a ∝ P/√(V + P)`` has that course whatever k is. The likelihood ratio of a change
    after k is thus ``(Σ a u)²/Σ a²`` over the blocks since: two running sums give it for every k. For normal residuals
    it is exactly the comparison of all blocks after k with all before (Hawkins, Qiu & Kang, J. Qual. Technol. 35 (2003)
    355): a drift is never lost to the baseline.

    Parameters
    ----------
    learnt : Learnt
        What is known before the first block.
    at_ns : int
        Instant of that.
    """

    def __init__(self, learnt: Learnt, at_ns: int) -> None:
        p = learnt.scatter.n.size
        self._sums = np.zeros((2, p))
        self._rows = np.zeros((_CAPACITY, 5 * p + p * p))
        self._marks = np.zeros((_CAPACITY, 3), dtype=np.int64)  # number of the block, its instant, blocks learnt
        self._size, self._index = 0, 0
        self._statistics: FloatArray | None = None
        self._note(learnt, at_ns)

    def __len__(self) -> int:
        return self._size

    @property
    def at_ns(self) -> Int64Array:
        """Last instants before a change would have come, (c,)."""
        return self._marks[: self._size, 1]

    def add(self, weights: FloatArray, scores: FloatArray, learnt: Learnt, at_ns: int) -> None:
        """Note a block's scores (p,), their weights a (p,), and what is known after it."""
        self._sums += weights * scores, weights**2
        self._index += 1
        self._thin()
        self._note(learnt, at_ns)

    def _note(self, learnt: Learnt, at_ns: int) -> None:
        baseline, scatter = learnt.baseline, learnt.scatter
        parts = (self._sums.ravel(), scatter.squares, scatter.n, baseline.vector, baseline.information.ravel())
        self._rows[self._size] = np.concatenate(parts)
        self._marks[self._size] = self._index, at_ns, baseline.n
        self._size += 1
        self._statistics = None

    def _thin(self) -> None:
        numbers = self._marks[: self._size, 0]
        ages = self._index - numbers
        keep = np.flatnonzero((ages <= WINDOW) & (numbers % strides(ages) == 0))
        self._rows[: keep.size], self._marks[: keep.size] = self._rows[keep], self._marks[keep]
        self._size = keep.size
        # sums count from the oldest instant on: with thousands of blocks before it, a falls like their number
        p = self._sums.shape[1]
        if self._size:
            self._sums -= self._rows[0, : 2 * p].reshape(2, p)
            self._rows[: self._size, : 2 * p] -= self._rows[0, : 2 * p].copy()

    @property
    def statistics(self) -> FloatArray:
        """For each instant and parameter, (c, p), the root of the likelihood ratio, with the change's sign."""
        if self._statistics is None:
            self._statistics = self._compared()
        return self._statistics

    def _compared(self) -> FloatArray:
        p = self._sums.shape[1]
        since = self._sums.ravel() - self._rows[: self._size, : 2 * p]
        moment, square = since[:, :p], since[:, p:]
        possible = (self._index - self._marks[: self._size, 0] >= FEWEST) & (self._marks[: self._size, 2] >= _ENOUGH)
        fine = possible[:, None] & (square > 0)
        return np.where(fine, moment / np.sqrt(np.where(fine, square, 1.0)), 0.0)

    def worst(self) -> tuple[int, float]:
        """Return the parameter with the largest statistic, and that."""
        size = np.abs(self.statistics).max(axis=0)
        i = int(np.argmax(size))
        return i, float(size[i])

    def learnt(self, k: int) -> Learnt:
        """Return what was known at instant k."""
        row, p = self._rows[k], self._sums.shape[1]
        squares, n, vector = row[2 * p : 5 * p].reshape(3, p).copy()
        information = row[5 * p :].reshape(p, p).copy()
        return Learnt(Baseline(information, vector, int(self._marks[k, 2])), Scatter(squares, n))

    def pack(self) -> tuple[int, bytes, bytes, bytes]:
        """Return number of blocks, sums, rows and marks."""
        rows, marks = self._rows[: self._size], self._marks[: self._size]
        return self._index, self._sums.tobytes(), rows.tobytes(), marks.tobytes()

    @classmethod
    def unpack(cls, learnt: Learnt, packed: tuple[int, bytes, bytes, bytes]) -> History:
        """Return what `pack` packed; raises ValueError where it contradicts itself."""
        history = cls(learnt, 0)
        p = learnt.scatter.n.size
        marks = np.frombuffer(packed[3], dtype=np.int64).reshape(-1, 3)
        rows = np.frombuffer(packed[2]).reshape(-1, history._rows.shape[1])
        if not 1 <= len(marks) == len(rows) <= _CAPACITY or not bool(np.all(np.isfinite(rows))):
            raise ValueError("the instants of a history and their sums do not agree")
        history._index, history._size = packed[0], len(marks)
        history._sums = np.frombuffer(packed[1]).reshape(2, p).copy()
        history._rows[: len(rows)], history._marks[: len(rows)] = rows, marks
        return history
