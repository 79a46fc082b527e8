"""One sensor's records: made, and numbered without a hole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import MAX_BLOCK_SAMPLES, CorrectedSpan, FloatArray, Gap, GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array, axis_of


class Numbering:
    """Makes records; `next` is the number that the next one gets."""

    def __init__(self, sensor: SensorId, edge: EdgeId, epoch: int, first: int) -> None:
        self._sensor, self._edge, self._epoch = sensor, edge, epoch
        self.next = first

    def gap(self, gap: Gap, refused: Sequence[int]) -> GapRecord:
        """Return the record of a gap; `refused` is what the edge will know it by."""
        number = self._number()
        told = tuple(refused[:MAX_BLOCK_SAMPLES])
        return GapRecord(self._sensor, self._edge, self._epoch, number, number, gap, refused=told)

    def block(
        self,
        t_ns: Int64Array,
        raw: FloatArray,
        codes: UInt32Array,
        arrival_ns: InstantNs,
        server_ns: InstantNs | None,
        span: CorrectedSpan | None,
        u_t_ns: DurationNs,
    ) -> SampleBlock:
        """Return a block of samples, in order, with the corrected span that became ready with it."""
        runs = quality.good(t_ns.size) if not np.count_nonzero(codes) else quality.runs_of(codes.tolist())
        return SampleBlock(
            sensor=self._sensor,
            edge=self._edge,
            epoch=self._epoch,
            sequence=self._number(),
            axis=axis_of(t_ns),
            raw=raw,
            quality=runs,
            arrival_ns=arrival_ns,
            u_t_ns=u_t_ns,
            server_ns=server_ns,
            corrected=span,
        )

    def _number(self) -> int:
        number = self.next
        self.next += 1
        return number
