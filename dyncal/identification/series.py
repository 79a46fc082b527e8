"""Blocks of one sensor, one after another, as arrays: what looks at many of them need not look at each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.records import BlockOutcome

_COLUMNS: Final = tuple(field.name for field in fields(BlockOutcome))


@dataclass(frozen=True, slots=True, eq=False)
class BlockSeries(Sequence[BlockOutcome]):
    """n blocks in the order in which they closed; as a sequence, a `BlockOutcome` is made of each that is asked for.

    Attributes
    ----------
    from_ns, to_ns, n : int64, shape (n,)
    excited, reset, rejected : bool, shape (n,)
    theta, score : float64, shape (n, p)
    cov, information : float64, shape (n, p, p)
    residual_rms : float64, shape (n,)
        As in `BlockOutcome`.
    """

    from_ns: Int64Array
    to_ns: Int64Array
    n: Int64Array
    excited: npt.NDArray[np.bool_]
    reset: npt.NDArray[np.bool_]
    rejected: npt.NDArray[np.bool_]
    theta: FloatArray
    cov: FloatArray
    score: FloatArray
    information: FloatArray
    residual_rms: FloatArray

    @classmethod
    def of(cls, blocks: Sequence[BlockOutcome]) -> BlockSeries:
        """Return blocks of the same number of parameters, one at least, as a series."""
        if isinstance(blocks, cls):
            return blocks
        return cls(*(np.array([getattr(block, name) for block in blocks]) for name in _COLUMNS))

    def __len__(self) -> int:
        return int(self.to_ns.size)

    @overload
    def __getitem__(self, which: int) -> BlockOutcome: ...

    @overload
    def __getitem__(self, which: slice) -> BlockSeries: ...

    def __getitem__(self, which: int | slice) -> BlockOutcome | BlockSeries:
        columns = (getattr(self, name)[which] for name in _COLUMNS)
        if isinstance(which, slice):
            return BlockSeries(*columns)
        # copies: one block that is kept must not keep all of them
        return BlockOutcome(*(column.copy() if column.ndim else column.item() for column in columns))

    @property
    def evidence(self) -> FloatArray:
        """Point of linearisation, score and information of each, (n, 2 + p, p)."""
        return np.concatenate((self.theta[:, None], self.score[:, None], self.information), axis=1)

    def stretches(self) -> Iterator[tuple[bool, BlockSeries]]:
        """Yield blocks in a row that inform of the sensor as it was known before, and those between that do not."""
        informs = self.excited & ~self.rejected & ~self.reset
        ends = [*(np.flatnonzero(informs[1:] != informs[:-1]) + 1).tolist(), len(self)]
        begin = 0
        for end in ends if len(self) else ():
            yield bool(informs[begin]), self[begin:end]
            begin = end
