"""What the blocks of one pair said, of the sensor and of the process; bounded, the past ever coarser."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.drift.baseline import BlockEvidence
from dyncal.drift.following import Blocks
from dyncal.drift.process import N_FEATURES
from dyncal.kernels import kernel

CAPACITY: Final = 384

_MOST: Final = 64  # parameters


class _Stored(msgspec.Struct, frozen=True):
    p: int
    rows: bytes
    marks: bytes


@kernel("b1(f8[:, :, ::1], f8[:, ::1], f8[:, ::1])")
def note(evidence: FloatArray, found: FloatArray, rows: FloatArray) -> bool:
    """Write blocks as rows of a ledger: I, Iθ + score, features; tell whether all but the features are finite.

    Parameters
    ----------
    evidence : float64, shape (n, 2 + p, p)
        As in `dyncal.drift.following.Blocks`.
    found : float64, shape (n, 6)
    rows : float64, shape (n or more, p·p + p + 6)
    """
    p, finite = evidence.shape[2], True
    for b in range(evidence.shape[0]):
        for i in range(p):
            value = 0.0
            for j in range(p):
                rows[b, i * p + j] = evidence[b, 2 + i, j]
                value += evidence[b, 2 + i, j] * evidence[b, 0, j]
                finite &= bool(np.isfinite(evidence[b, 2 + i, j]))
            rows[b, p * p + i] = value + evidence[b, 1, i]
            finite &= bool(np.isfinite(rows[b, p * p + i]))
        for i in range(found.shape[1]):
            rows[b, p * p + p + i] = found[b, i]
    return finite


class BlockLedger:
    """The last blocks of a pair of p parameters: instant, ΣI, ΣIθ̂ and features of the process.

    Where it is full, the older half is merged two by two: what is long past is kept more coarsely.
    """

    def __init__(self, p: int) -> None:
        self.p = p
        self._rows = np.zeros((CAPACITY, _width(p)))
        self._marks = np.zeros((CAPACITY, 2), dtype=np.int64)  # last instant, blocks merged
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, block: BlockEvidence, found: FloatArray) -> None:
        """Take in an informative block with the features of reference and indication over it, (2, 3)."""
        if not block.excited or block.rejected:
            return
        if self._size == CAPACITY:
            self._thin()
        evidence = np.concatenate((block.theta[None], block.score[None], block.information))[None]
        if note(np.ascontiguousarray(evidence), found.reshape(1, 2 * N_FEATURES), self._rows[self._size :]):
            self._marks[self._size] = block.to_ns, 1
            self._size += 1

    def extend(self, blocks: Blocks, found: FloatArray) -> None:
        """Take in informative blocks with the features of reference and indication over each, (n, 2, 3)."""
        done, features = 0, found.reshape(len(blocks), 2 * N_FEATURES)
        while done < len(blocks):
            if self._size == CAPACITY:
                self._thin()
            first, n = self._size, min(len(blocks) - done, CAPACITY - self._size)
            these = slice(done, done + n)
            if note(blocks.evidence[these], features[these], self._rows[first:]):
                self._marks[first : first + n, 0], self._marks[first : first + n, 1] = blocks.to_ns[these], 1
                self._size += n
            else:
                for block, of_block in zip(blocks.each[these], found[these], strict=True):
                    self.add(block, of_block)
            done += n

    def _thin(self) -> None:
        half = CAPACITY // 2
        weights = self._marks[:half, 1].reshape(-1, 2)
        pairs = self._rows[:half].reshape(half // 2, 2, -1)
        merged = pairs.sum(axis=1)
        known = np.asarray(np.isfinite(pairs[..., -1]) * weights, dtype=np.float64)
        shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
        features = np.nan_to_num(pairs[:, :, -2 * N_FEATURES :]) * shares[:, :, None]
        merged[:, -2 * N_FEATURES :] = np.where(known.sum(axis=1, keepdims=True) > 0, features.sum(axis=1), np.nan)
        n = half // 2 + half
        self._rows[:n] = np.concatenate((merged, self._rows[half:]))
        marks = np.stack((self._marks[1:half:2, 0], weights.sum(axis=1)), axis=1)
        self._marks[:n] = np.concatenate((marks, self._marks[half:]))
        self._size = n

    @property
    def at_ns(self) -> Int64Array:
        """Last instants of the blocks, (n,)."""
        return self._marks[: self._size, 0]

    @property
    def information(self) -> FloatArray:
        """What each says of the parameters, (n, p, p)."""
        return self._rows[: self._size, : self.p**2].reshape(-1, self.p, self.p)

    @property
    def vectors(self) -> FloatArray:
        """The same times their estimates, (n, p)."""
        return self._rows[: self._size, self.p**2 : self.p**2 + self.p]

    @property
    def features(self) -> FloatArray:
        """Features of reference and indication, (n, 2, 3); NaN where they were not known."""
        return self._rows[: self._size, -2 * N_FEATURES :].reshape(-1, 2, N_FEATURES)

    def snapshot(self) -> bytes:
        """Return all as bytes."""
        rows, marks = self._rows[: self._size], self._marks[: self._size]
        return msgspec.msgpack.encode(_Stored(self.p, rows.astype("<f8").tobytes(), marks.astype("<i8").tobytes()))

    @classmethod
    def restore(cls, data: bytes) -> BlockLedger:
        """Return what `snapshot` wrote. Raises `InvalidData`."""
        try:
            found = msgspec.msgpack.decode(data, type=_Stored)
            rows = np.frombuffer(found.rows, "<f8").reshape(-1, _width(found.p))
            marks = np.frombuffer(found.marks, "<i8").reshape(-1, 2)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvalidData(f"this is no ledger of blocks: {error}") from error
        finite = bool(np.all(np.isfinite(rows[:, : -2 * N_FEATURES])))
        n = len(rows)
        if n != len(marks) or n > CAPACITY or not finite or bool(np.any(marks[:, 1] < 1)):
            raise InvalidData("this ledger's blocks are missing, too many, or not finite")
        ledger = cls(found.p)
        ledger._rows[:n], ledger._marks[:n], ledger._size = rows, marks, n
        return ledger


def _width(p: int) -> int:
    if not 1 <= p <= _MOST:
        raise InvalidData(f"there is no ledger of {p} parameters")
    return p * p + p + 2 * N_FEATURES
