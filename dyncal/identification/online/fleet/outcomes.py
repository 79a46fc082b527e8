"""What closed blocks of many sensors say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.records import BlockOutcome
from dyncal.identification.series import BlockSeries


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """`BlockOutcome` of k blocks, each of another sensor, as arrays with a leading axis; `sensor` says whose."""

    sensor: Int64Array
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

    def __len__(self) -> int:
        return int(self.sensor.size)

    def __iter__(self) -> Iterator[tuple[int, BlockOutcome]]:
        """Yield (sensor, its block)."""
        columns = (getattr(self, name) for name in self.__slots__[1:])
        rows = zip(*(column.tolist() if column.ndim == 1 else column for column in columns), strict=True)
        for i, row in zip(self.sensor.tolist(), rows, strict=True):
            yield i, BlockOutcome(*row)

    @classmethod
    def one(cls, sensor: int, block: BlockOutcome) -> Outcomes:
        """Return one block as arrays."""
        return cls(np.array([sensor]), *(np.array([getattr(block, name)]) for name in cls.__slots__[1:]))

    @classmethod
    def by_sensor(cls, closed: Sequence[Outcomes], sensors: Int64Array) -> list[BlockSeries]:
        """Return what rounds of blocks, one at least, say of each of some sensors, in the order of the rounds."""
        which = np.concatenate([each.sensor for each in closed])
        order = np.argsort(which, kind="stable")
        columns = (np.concatenate([getattr(each, name) for each in closed])[order] for name in cls.__slots__[1:])
        every, which = BlockSeries(*columns), which[order]
        begin, end = np.searchsorted(which, sensors, "left"), np.searchsorted(which, sensors, "right")
        return [every[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]

    def at(self, where: npt.NDArray[np.bool_]) -> Outcomes:
        """Return some of them."""
        return Outcomes(*(getattr(self, name)[where] for name in self.__slots__))
