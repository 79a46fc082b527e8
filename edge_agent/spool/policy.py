"""What is given up when the spool is full, and the gap records that stand for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from dyncal.contracts import samples as wire
from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from edge_agent.events import StreamStart
from edge_agent.spool.gaps import Gaps
from edge_agent.spool.segment import Entry, EntryKind, entry_of
from edge_agent.spool.spans import Span, add_span, merged

WhenFull = Literal["oldest", "newest", "thin"]
"""What a full spool gives up: its oldest records, what is new, or a part of everything (`thinning`)."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Most bytes on disk, bytes of a file, and what is given up when it is full."""

    max_bytes: int = 1 << 30
    segment_bytes: int = 4 << 20
    policy: WhenFull = "oldest"

    def beside(self, n_bytes: int) -> SpoolLimits:
        """Return the limits that are left beside other files of that size."""
        return replace(self, max_bytes=max(self.max_bytes - n_bytes, 4 * self.segment_bytes))

    @property
    def full_bytes(self) -> int:
        """Size beyond which something is given up: what is written at a time, and gaps, must have room above it."""
        return self.max_bytes - (2 if self.policy == "newest" else 1) * self.segment_bytes

    def refuses(self, n_bytes: int) -> bool:
        """Tell whether a spool of that size takes nothing new."""
        return self.policy == "newest" and n_bytes > self.full_bytes

    def gives_up_old(self, n_bytes: int) -> bool:
        """Tell whether a spool of that size must give up some of what it has before the newest file may grow."""
        return self.policy != "newest" and n_bytes > self.full_bytes


class GivenUp:
    """Runs of sequences that were given up and whose gap is not written yet."""

    def __init__(self) -> None:
        self._spans: dict[SensorId, list[Span]] = {}

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, sensor: SensorId, span: Span) -> None:
        """Take note of a run."""
        add_span(self._spans.setdefault(sensor, []), span)

    def update(self, runs: Iterable[tuple[SensorId, Span]]) -> None:
        """Take note of runs."""
        for sensor, span in runs:
            self.add(sensor, span)

    def entries(self, told: Gaps, edge: EdgeId, epoch: int) -> list[Entry]:
        """Return the entries that stand for all of it, and for the gaps told before that they touch."""
        return [
            stand_in(sensor, told.widened(sensor, span), EntryKind.DROPPED, edge, epoch)
            for sensor, spans in self._spans.items()
            for span in merged(spans)
        ]

    def clear(self) -> None:
        """Forget it: the entries are written."""
        self._spans.clear()


def hole(sensor: SensorId, start: StreamStart, upto: int, edge: EdgeId, epoch: int, now: InstantNs) -> Entry:
    """Return a gap that takes the numbers from where a sensor goes on to below `upto`, and no time.

    The samples that were lost with these numbers are missing between the last that is kept and the next that comes:
    that gap is found, and told, when it comes.
    """
    at = now if start.last_t_ns is None else start.last_t_ns
    gap = Gap(at, InstantNs(at + 1), GapCause.CONNECTION_LOST, 0)
    payload = wire.encode(GapRecord(sensor, edge, epoch, start.next_sequence, upto - 1, gap))
    return Entry(EntryKind.GAP, sensor, start.next_sequence, upto - 1, at, at + 1, 0, payload)


def stand_in(sensor: SensorId, span: Span, kind: EntryKind, edge: EdgeId, epoch: int) -> Entry:
    """Return the gap that stands for records that were given up.

    Of kind `DROPPED` it may be widened later, and its instants are those of the samples; of kind `GAP` it is a record
    among others.
    """
    gap = Gap(
        InstantNs(max(0, span.t_first_ns - 1)),
        InstantNs(span.t_last_ns + 1),
        GapCause.SPOOL_DAMAGED if span.damaged else GapCause.SPOOL_CAPPED,
        span.n_samples or None,
    )
    record = GapRecord(sensor, edge, epoch, span.first, span.last, gap)
    entry = entry_of(record, wire.encode(record))
    if kind is EntryKind.GAP:
        return entry
    return replace(entry, kind=kind, t_first_ns=span.t_first_ns, t_last_ns=span.t_last_ns)
