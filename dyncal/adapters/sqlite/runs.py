"""Blocks that follow each other are one segment from the start: an edge that was cut off sends many small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dyncal.adapters.series import CorrectedRows, RawRows
from dyncal.adapters.sqlite.segments import Origin
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import TimeAxis, UniformAxis, axis_of

MOST_ROWS: Final = 8192


@dataclass(slots=True)
class Run:
    """Blocks of one sensor, in order of their numbers and of time."""

    blocks: list[SampleBlock] = field(default_factory=list)
    spans: list[CorrectedSpan] = field(default_factory=list)
    n_rows: int = 0

    def goes_on_with(self, block: SampleBlock) -> bool:
        """Tell whether the block comes next."""
        last, span = self.blocks[-1], block.corrected
        return (
            block.sequence == last.sequence + 1
            and (block.edge, block.epoch, block.replayed) == (last.edge, last.epoch, last.replayed)
            and self.n_rows + len(block.raw) <= MOST_ROWS
            and _first(block.axis) > _last(last.axis)
            and (span is None or not self.spans or not len(span) or _first(span.axis) > _last(self.spans[-1].axis))
        )

    def add(self, block: SampleBlock) -> None:
        """Take one more block."""
        self.blocks.append(block)
        self.n_rows += len(block.raw)
        if block.corrected is not None and len(block.corrected):
            self.spans.append(block.corrected)

    def raw(self) -> tuple[TimeAxis, RawRows]:
        """Return the raw rows and the axis of their instants."""
        blocks = self.blocks
        t = _joined([block.axis.t_ns for block in blocks])
        codes = quality.expand(tuple([one for block in blocks for one in block.quality]))
        axis = blocks[0].axis if len(blocks) == 1 else axis_of(t)
        return axis, RawRows(t, _joined([block.raw for block in blocks]), codes)

    def corrected(self, numbers: list[int]) -> tuple[TimeAxis, CorrectedRows] | None:
        """Return the corrected rows that have a value, or None; `numbers` are those of the spans' sets."""
        if not self.spans:
            return None
        rows = CorrectedRows(
            _joined([span.axis.t_ns for span in self.spans]),
            _joined([span.value for span in self.spans]),
            _joined([span.u for span in self.spans]),
            np.repeat(np.array(numbers, np.int32), [len(span) for span in self.spans]),
        )
        given = ~np.isnan(rows.value)
        if not given.all():
            rows = rows.at(given)
        return (axis_of(rows.t_ns), rows) if rows.t_ns.size else None

    def origins(self) -> list[Origin]:
        """Return what is known of the blocks besides their rows."""
        return [
            Origin(
                block.edge,
                block.epoch,
                block.sequence,
                _first(block.axis),
                len(block.raw),
                block.arrival_ns,
                block.u_t_ns,
                block.server_ns,
                block.replayed,
            )
            for block in self.blocks
        ]


def runs(records: Iterable[Record]) -> Iterator[Run | GapRecord]:
    """Yield all records; those of a sensor in their order, so that the newest write wins."""
    under_way: dict[SensorId, Run] = {}
    for record in records:
        if isinstance(record, GapRecord):
            yield record
            continue
        run = under_way.get(record.sensor)
        if run is None or not run.goes_on_with(record):
            if run is not None:
                yield run
            run = under_way[record.sensor] = Run()
        run.add(record)
    yield from under_way.values()


def _first(axis: TimeAxis) -> int:
    return axis.t0_ns if isinstance(axis, UniformAxis) else int(axis.t_ns[0])


def _last(axis: TimeAxis) -> int:
    return axis.t0_ns + axis.dt_ns * (axis.n - 1) if isinstance(axis, UniformAxis) else int(axis.t_ns[-1])


def _joined(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
