"""What can be replayed: blocks of samples in the order of their arrival, and what the edge is told of their sensors."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from edge_agent.events import StreamConfig


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples of one channel that arrive together: `t_ns` int64, `raw` float64, `codes` uint32, all of shape (n,).

    Times are as the source gave them: in any order, doubles and nonsense included. `codes` are OPC UA status codes.
    """

    channel: SensorId
    t_ns: Int64Array
    raw: FloatArray
    codes: UInt32Array
    arrival_ns: InstantNs


class Source(Protocol):
    """Something that can be replayed."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    @property
    def streams(self) -> Sequence[StreamConfig]:
        """The channels: sensors and references, with the pairings that their edge declares."""
        ...

    def blocks(self) -> Iterator[Block]:
        """Iterate over all blocks; `arrival_ns` never falls. Each call begins anew.

        Raises
        ------
        InvalidData
            Where what was recorded is damaged: which file, where in it, and what to do.
        """
        ...

    def end_ns(self) -> InstantNs | None:
        """Return the instant at which it ends, where that is known."""
        ...


def merged(parts: Sequence[Iterable[Block]]) -> Iterator[Block]:
    """Merge by (arrival, position of the part, order within it)."""
    return heapq.merge(*parts, key=lambda block: block.arrival_ns)


def gathered(blocks: Iterable[Block], span_ns: DurationNs) -> Iterator[Block]:
    """Put together what arrives within each span of time: one block of a channel, at the end of the span.

    Spans count from 1970, so that what is gathered does not depend on where a replay begins. Of a channel the order
    is kept; channels come in the order of their first blocks.
    """
    waiting: dict[SensorId, list[Block]] = {}
    until = 0
    for block in blocks:
        if block.arrival_ns > until:
            yield from _together(waiting, until)
            waiting = {}
            until = -(-block.arrival_ns // span_ns) * span_ns
        waiting.setdefault(block.channel, []).append(block)
    yield from _together(waiting, until)


def _together(waiting: dict[SensorId, list[Block]], at_ns: int) -> Iterator[Block]:
    for channel, parts in waiting.items():
        first = parts[0]
        columns = (first.t_ns, first.raw, first.codes)
        if len(parts) > 1:
            columns = (
                np.concatenate([part.t_ns for part in parts]),
                np.concatenate([part.raw for part in parts]),
                np.concatenate([part.codes for part in parts]),
            )
        yield Block(channel, *columns, InstantNs(at_ns))


class Chosen:
    """A source of which only some sensors, and a span of time, are replayed.

    Parameters
    ----------
    sensors : collection of str, optional
        Sensors to keep; the references that they are paired with are kept, too. None keeps all.
    from_ns, to_ns : int, optional
        from <= arrival < to.
    """

    def __init__(
        self,
        source: Source,
        sensors: Sequence[str] | None = None,
        from_ns: InstantNs | None = None,
        to_ns: InstantNs | None = None,
    ) -> None:
        self._source, self._from_ns, self._to_ns = source, from_ns, to_ns
        wanted = set(sensors or ())
        paired = {s.pairing.reference for s in source.streams if s.pairing is not None and s.sensor.id in wanted}
        self._streams = [s for s in source.streams if sensors is None or s.sensor.id in wanted | paired]
        self._names = {s.sensor.id for s in self._streams}

    @property
    def name(self) -> str:
        """What it is called in results."""
        return self._source.name

    @property
    def streams(self) -> Sequence[StreamConfig]:
        """The channels that are kept."""
        return self._streams

    def blocks(self) -> Iterator[Block]:
        """Iterate over the blocks that are kept."""
        for block in self._source.blocks():
            if self._to_ns is not None and block.arrival_ns >= self._to_ns:
                return
            if block.channel in self._names and (self._from_ns is None or block.arrival_ns >= self._from_ns):
                yield block

    def end_ns(self) -> InstantNs | None:
        """Return the instant at which it ends, where that is known."""
        ends = [end for end in (self._source.end_ns(), self._to_ns) if end is not None]
        return min(ends, default=None)
