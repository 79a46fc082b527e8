"""From data values to the engine: what a message or a page of history brings, each sample once and in its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.clock import Clock
from edge_agent.events import Event, Kind, Notice, SamplesRead
from edge_agent.readers.receipts import SharedReceipt
from edge_agent.readers.sink import Sink
from edge_agent.readers.values import Gathered, Item, Part

_REMEMBERED_NS: Final = 60_000_000_000


class Feed:
    """Hands parts over, and knows the newest instant of each sensor, where nothing came yet by the spool."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._newest: dict[SensorId, InstantNs] = {}
        self._from_history: dict[SensorId, Int64Array] = {}

    def newest(self, sensor: SensorId) -> InstantNs | None:
        """Return the newest instant of a sensor, in this life or a former one."""
        known = self._newest.get(sensor)
        return self._sink.newest(sensor) if known is None else known

    def part(self, gathered: Gathered) -> Part | None:
        """Return the samples of one sensor, and tell of what was none. None if there are no samples."""
        if gathered.faults:
            more = "" if len(gathered.faults) == 1 else f" (and {len(gathered.faults) - 1} more)"
            detail = gathered.faults[0] + more
            self._sink.notice(Notice(Kind.INPUT_QUARANTINED, self._clock.now(), gathered.item.sensor, detail))
        return gathered.part() if gathered.t else None

    def deliver(self, parts: Sequence[Part], done: Callable[[], None] | None = None) -> None:
        """Hand samples of a subscription over; `done` is called when all of them are in the spool."""
        if self._from_history:
            parts = [part for part in map(self._unread, parts) if part.t_ns.size]
        if not parts:
            if done is not None:
                done()
            return
        receipt = None if done is None else SharedReceipt(len(parts), done)
        arrival_ns = self._clock.now()
        events: list[Event] = [
            SamplesRead(p.sensor, p.t_ns, p.raw, p.codes, arrival_ns, p.server_ns, receipt=receipt) for p in parts
        ]
        for part in parts:
            self._newest[part.sensor] = InstantNs(int(part.t_ns[-1]))
        self._sink.take(events)

    def deliver_history(self, item: Item, part: Part) -> None:
        """Hand a page of history over; what of it comes again by the subscription is passed over there.

        That can be as much as the server's queue holds.
        """
        known = self._from_history.get(part.sensor)
        instants = part.t_ns if known is None else np.concatenate((known, part.t_ns))
        self._from_history[part.sensor] = instants[-(item.queue + _REMEMBERED_NS // item.dt_ns) :]
        self._newest[part.sensor] = InstantNs(int(part.t_ns[-1]))
        arrival_ns = self._clock.now()
        self._sink.take([SamplesRead(*part[:4], arrival_ns, part.server_ns, from_history=True)])

    def _unread(self, part: Part) -> Part:
        """Return a part without what was read from history before."""
        known = self._from_history.get(part.sensor)
        if known is None:
            return part
        if int(part.t_ns[-1]) > int(known[-1]):
            del self._from_history[part.sensor]
        fresh = ~np.isin(part.t_ns, known)
        return Part(part.sensor, part.t_ns[fresh], part.raw[fresh], part.codes[fresh], part.server_ns)
