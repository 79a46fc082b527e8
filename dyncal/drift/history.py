"""What was known after each of the last blocks, as far as a change is looked for there; bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift import kernels
from dyncal.drift.baseline import Baseline
from dyncal.drift.limit import SCALE
from dyncal.drift.scatter import Scatter

_CAPACITY: Final = 128  # 32 single instants, 16 in each octave up to the window, and the newest


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
        self._all_statistics = np.zeros((_CAPACITY, p))
        self._worst: tuple[int, float] | None = None  # once it is asked for
        self._note(learnt, at_ns)

    def __len__(self) -> int:
        return self._size

    @property
    def at_ns(self) -> Int64Array:
        """Last instants before a change would have come, (c,)."""
        return self._marks[: self._size, 1]

    def add(self, weights: FloatArray, scores: FloatArray, learnt: Learnt, at_ns: int) -> None:
        """Note a block's scores (p,), their weights a (p,), and what is known after it."""
        self._sums[0] += weights * scores
        self._sums[1] += weights * weights
        self._index += 1
        self._size = kernels.thin(self._rows, self._marks, self._sums, self._size, self._index)
        self._note(learnt, at_ns)
        self._compare()

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, Int64Array, FloatArray]:
        """Sums, rows, marks and room for all statistics, for `dyncal.drift.following.follow`."""
        return self._sums, self._rows, self._marks, self._all_statistics

    @property
    def counts(self) -> tuple[int, int]:
        """Number of instants, and of the newest block."""
        return self._size, self._index

    def followed(self, size: int, index: int) -> None:
        """Go on with what was written into `arrays`."""
        self._size, self._index, self._worst = size, index, None

    def _note(self, learnt: Learnt, at_ns: int) -> None:
        baseline, scatter = learnt.baseline, learnt.scatter
        parts = (self._sums.ravel(), scatter.squares, scatter.n, baseline.vector, baseline.information.ravel())
        np.concatenate(parts, out=self._rows[self._size])
        self._marks[self._size] = self._index, at_ns, baseline.n
        self._size += 1

    def _compare(self) -> None:
        kernels.compare(self._rows, self._marks, self._sums, self._index, self.statistics)
        self._worst = None

    @property
    def statistics(self) -> FloatArray:
        """For each instant and parameter, (c, p), the root of the likelihood ratio beyond what its age asks for.

        With the change's sign; see `dyncal.drift.kernels.compare`.
        """
        return self._all_statistics[: self._size]

    @property
    def leniency(self) -> FloatArray:
        """What the age of each instant, (c,), asks for: statistics' squares are likelihood ratios less that."""
        ages = self._index - self._marks[: self._size, 0]
        return np.asarray(np.log1p(SCALE / np.maximum(ages, 1)), dtype=np.float64)

    def worst(self) -> tuple[int, float]:
        """Return the parameter with the largest statistic, and that."""
        if self._worst is None:
            size = np.abs(self.statistics).max(axis=0)
            i = int(size.argmax())
            self._worst = i, float(size[i])
        return self._worst

    def levels(self, now: Baseline, k: int) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the parameters by the blocks after instant k and each later one, (c - k, p)."""
        p = self._sums.shape[1]
        rows = self._rows[k : self._size]
        means, variances = np.empty((len(rows), p)), np.empty((len(rows), p))
        vectors, information = np.ascontiguousarray(rows[:, 4 * p : 5 * p]), np.ascontiguousarray(rows[:, 5 * p :])
        known = np.concatenate((now.vector, now.information.ravel()))
        kernels.levels(information, vectors, known, means, variances)
        return means, variances

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
        sums = np.frombuffer(packed[1])
        if not 1 <= len(marks) == len(rows) <= _CAPACITY or packed[0] != marks[-1, 0]:
            raise ValueError("the instants of its history and their sums do not agree")
        if not bool(np.all(np.isfinite(rows))) or not bool(np.all(np.isfinite(sums))):
            raise ValueError("the sums of its history are not finite")
        if not bool(np.all(marks[1:, 0] > marks[:-1, 0])) or bool(np.any(marks[:, 2] < 0)):
            raise ValueError("the blocks of its history are not in order")
        history._index, history._size = packed[0], len(marks)
        history._sums = sums.reshape(2, p).copy()
        history._rows[: len(rows)], history._marks[: len(rows)] = rows, marks
        history._compare()
        return history
