"""Blocks of a sensor in control, one after the other in one compiled call, as long as none asks for a closer look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.baseline import Baseline, BlockEvidence
from dyncal.drift.history import History, Learnt
from dyncal.drift.kernels import JUDGED, compare, judge, thin
from dyncal.drift.limit import CLIP
from dyncal.drift.scatter import Scatter
from dyncal.drift.spread import LONGEST, Spread, rounded
from dyncal.kernels import kernel

LEARNT, HELD, SPREAD, SIZE, INDEX, BEYOND = 0, 1, 2, 3, 4, 5
"""Counts: blocks learnt, whether one is held back, differences of the spread, instants, blocks; whether to look."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Informative blocks of one sensor as arrays.

    Attributes
    ----------
    to_ns : int64, shape (n,)
    evidence : float64, shape (n, 2 + p, p)
        Of each point of linearisation, score and information.
    each : sequence of BlockEvidence
        The same blocks one by one.
    """

    to_ns: Int64Array
    evidence: FloatArray
    each: Sequence[BlockEvidence]

    def __len__(self) -> int:
        return int(self.to_ns.size)

    @classmethod
    def of(cls, blocks: Sequence[BlockEvidence]) -> Blocks:
        """Return blocks of the same number of parameters as arrays."""
        p = blocks[0].theta.size
        evidence = np.empty((len(blocks), 2 + p, p))
        evidence[:, 0] = [block.theta for block in blocks]
        evidence[:, 1] = [block.score for block in blocks]
        evidence[:, 2:] = [block.information for block in blocks]
        return cls(np.array([block.to_ns for block in blocks], dtype=np.int64), evidence, blocks)

    def beyond(self, first: int) -> Blocks:
        """Return those from `first` on."""
        return Blocks(self.to_ns[first:], self.evidence[first:], self.each[first:])


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block's own estimate θ̂ (p,), covariance V (p, p) and information (p, p), and what is learnt of its scatter."""

    theta: FloatArray
    information: FloatArray
    residuals: FloatArray
    used: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What is known of a sensor in control: what was learnt, how unevenly blocks say it, and which is held back."""

    learnt: Learnt
    spread: Spread
    held: Block | None


@kernel()
def _learn(
    information: FloatArray, vector: FloatArray, squares: FloatArray, n: FloatArray, counts: Int64Array,
    theta: FloatArray, told: FloatArray, residuals: FloatArray, used: FloatArray,
) -> None:  # fmt: skip
    for i in range(vector.size):
        for j in range(vector.size):
            information[i, j] += told[i, j]
            vector[i] += told[i, j] * theta[j]
        if used[i] > 0:
            squares[i] += residuals[i] * residuals[i]
            n[i] += 1
    counts[LEARNT] += 1


@kernel()
def _spread_stays(new: FloatArray, logarithms: FloatArray, variance: FloatArray, counts: Int64Array) -> bool:
    """Take in how much a block says (`Spread.add`), unless that changes the limit; return whether it was taken in."""
    square = 0.0
    for i in range(new.size):
        square += (new[i] - logarithms[i]) * (new[i] - logarithms[i])
    square /= 2 * new.size
    if square < np.inf:  # not after the first
        now = variance[0] + (square - variance[0]) / min(counts[SPREAD] + 1, LONGEST)
        if rounded(now, counts[SPREAD] + 1) != rounded(variance[0], counts[SPREAD]):
            return False
        variance[0] = now
        counts[SPREAD] += 1
    logarithms[:] = new
    return True


@kernel()
def _reaches(values: FloatArray, size: float) -> bool:
    """Tell whether any of some scores is as far from 0 as that."""
    largest = 0.0
    for i in range(values.size):
        largest = max(largest, abs(values[i]))
    return largest >= size


@kernel()
def _exceeds(values: FloatArray, limit: float) -> bool:
    """Tell whether any of some statistics, (c, p), is beyond the limit."""
    for k in range(values.shape[0]):
        for i in range(values.shape[1]):
            if abs(values[k, i]) > limit:
                return True
    return False


@kernel()
def _note(
    information: FloatArray, vector: FloatArray, squares: FloatArray, n: FloatArray, counts: Int64Array,
    sums: FloatArray, rows: FloatArray, marks: Int64Array, at_ns: int,
) -> None:  # fmt: skip
    """Write what is known after a block behind the instants, in the order of `History`."""
    p, k = vector.size, counts[SIZE]
    for i in range(p):
        rows[k, i], rows[k, p + i] = sums[0, i], sums[1, i]
        rows[k, 2 * p + i], rows[k, 3 * p + i], rows[k, 4 * p + i] = squares[i], n[i], vector[i]
        for j in range(p):
            rows[k, 5 * p + i * p + j] = information[i, j]
    marks[k, 0], marks[k, 1], marks[k, 2] = counts[INDEX], at_ns, counts[LEARNT]
    counts[SIZE] += 1


@kernel(
    "i8(f8[:, :, ::1], i8[::1], i8, f8, f8[::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[:, ::1], f8[::1],"
    " f8[::1], i8[::1], f8[:, ::1], f8[:, ::1], i8[:, ::1], f8[:, ::1])"
)
def follow(
    evidence: FloatArray, to_ns: Int64Array, last_ns: int, limit: float, scales: FloatArray,
    information: FloatArray, vector: FloatArray, squares: FloatArray, n: FloatArray, held: FloatArray,
    logarithms: FloatArray, variance: FloatArray, counts: Int64Array, sums: FloatArray, rows: FloatArray,
    marks: Int64Array, statistics: FloatArray,
) -> int:  # fmt: skip
    """Take in blocks until one is none, changes the limit, or lies beyond it; return how many were taken in.

    One that lies beyond the limit is taken in, and `BEYOND` is set.

    Parameters
    ----------
    evidence, to_ns
        See `Blocks`.
    last_ns : int
        Of the block before them: one told twice is none.
    limit : float
    scales : float64, shape (p,)
    information, vector, squares, n : float64, shapes (p, p), (p,), (p,), (p,)
        What was learnt (`dyncal.drift.history.Learnt`); in and out, as is all that follows.
    held : float64, shape (3 + p, p)
        θ̂, residuals and which of them are used, and information of the block that is held back.
    logarithms, variance : float64, shapes (p,), (1,)
        See `dyncal.drift.spread.Spread`.
    counts : int64, shape (6,)
    sums, rows, marks, statistics
        See `dyncal.drift.history.History`.
    """
    p = vector.size
    out = np.empty((6, p))
    for b in range(to_ns.size):
        if to_ns[b] == (to_ns[b - 1] if b else last_ns):
            return b
        if judge(evidence[b], vector, information, squares, n, scales, out) < JUDGED:
            return b
        if not _spread_stays(out[5], logarithms, variance, counts):
            return b
        wild = _reaches(out[3], CLIP)
        if wild and not counts[HELD]:
            held[0], held[1], held[2], held[3:] = out[0], out[1], out[2], evidence[b, 2:]
            counts[HELD] = 1
        else:
            if wild:
                _learn(information, vector, squares, n, counts, held[0], held[3:], held[1], held[2])
            counts[HELD] = 0
            _learn(information, vector, squares, n, counts, out[0], evidence[b, 2:], out[1], out[2])
        for i in range(p):
            sums[0, i] += out[4, i] * out[3, i]
            sums[1, i] += out[4, i] * out[4, i]
        counts[INDEX] += 1
        counts[SIZE] = thin(rows, marks, sums, counts[SIZE], counts[INDEX])
        _note(information, vector, squares, n, counts, sums, rows, marks, to_ns[b])
        found = statistics[: counts[SIZE]]
        compare(rows, marks, sums, counts[INDEX], found)
        if _exceeds(found, limit):
            counts[BEYOND] = 1
            return b + 1
    return int(to_ns.size)


def follow_on(
    before: Standing, history: History, blocks: Blocks, last_ns: int, limit: float, scales: FloatArray
) -> tuple[int, bool, Standing]:
    """Take in blocks until one is none, changes the limit, or lies beyond it: how many, whether beyond, and what then.

    `before` stays as it is; `history` goes on. `limit` is that of the spread before; the others as for `follow`.
    """
    learnt, spread, held, p = before.learnt, before.spread, before.held, scales.size
    baseline, scatter = learnt.baseline, learnt.scatter
    information, vector = baseline.information.copy(), baseline.vector.copy()
    squares, n = scatter.squares.copy(), scatter.n.copy()
    kept, logarithms, variance = np.empty((3 + p, p)), spread.last.copy(), np.array([spread.variance])
    counts = np.array([baseline.n, held is not None, spread.n, *history.counts, 0], dtype=np.int64)
    if held is not None:
        kept[0], kept[1], kept[2], kept[3:] = held.theta, held.residuals, held.used, held.information
    taken = follow(
        blocks.evidence, blocks.to_ns, last_ns, limit, scales, information, vector, squares, n, kept, logarithms,
        variance, counts, *history.arrays,
    )  # fmt: skip
    history.followed(int(counts[SIZE]), int(counts[INDEX]))
    after = Standing(
        Learnt(Baseline(information, vector, int(counts[LEARNT])), Scatter(squares, n)),
        Spread(logarithms, float(variance[0]), int(counts[SPREAD])),
        Block(kept[0], kept[3:], kept[1], kept[2] > 0) if counts[HELD] else None,
    )
    return taken, bool(counts[BEYOND]), after
