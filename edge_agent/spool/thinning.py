"""Less of everything in place of nothing of the oldest: of every few blocks of a sensor one is kept, whole.

What is kept is as it was read, at its full rate and under its number, so that it is right whether the store had it
before or not, and a vibration is not folded as leaving out samples would fold it. Each run that goes is told by a gap
in the place of its numbers. A sensor whose blocks hold one sample is decimated by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from dyncal.contracts import samples as wire
from dyncal.domain.samples import GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, SensorId
from edge_agent.spool.policy import stand_in
from edge_agent.spool.segment import Entry, EntryKind
from edge_agent.spool.spans import Span, span_of

KEPT_ONE_OF: Final = 4
"""Blocks of which one is kept; of those, the next time, one of as many again."""


@dataclass(slots=True)
class Thinned:
    """What is left of a file's entries, in order, and how many samples are not."""

    entries: list[Entry] = field(default_factory=list)
    n_dropped: int = 0


def thin(entries: Iterable[Entry], watermark: Callable[[SensorId], int], edge: EdgeId, epoch: int) -> Thinned:
    """Return what is kept of the entries of a file.

    Blocks, and the gaps of an earlier thinning, are taken together as far as their numbers follow each other; the last
    block of a group is kept. Other gaps stay. What the store has goes without a word, but for the last of a sensor of
    which there is nothing else: by it a start knows how far the file went.
    """
    thinned = Thinned()
    groups: dict[SensorId, _Group] = {}
    stored: dict[SensorId, Entry] = {}
    for entry in entries:
        if entry.last <= watermark(entry.sensor):
            stored[entry.sensor] = entry
            continue
        stored.pop(entry.sensor, None)
        group = groups.setdefault(entry.sensor, _Group())
        if group.follows(entry):
            group.add(entry)
            if group.n_blocks == KEPT_ONE_OF:
                group.close(thinned, edge, epoch)
        else:
            group.close(thinned, edge, epoch)
            if _thins(entry):
                group.add(entry)
            else:
                thinned.entries.append(entry)
    for group in groups.values():
        group.close(thinned, edge, epoch)
    thinned.entries += stored.values()
    return thinned


def _thins(entry: Entry) -> bool:
    if entry.kind is EntryKind.BLOCK:
        return True
    if entry.kind is not EntryKind.GAP:
        return False
    record = wire.decode(entry.payload)
    return isinstance(record, GapRecord) and record.gap.cause is GapCause.SPOOL_CAPPED


class _Group:
    """Entries of a sensor with numbers in a row, of which the last block will be kept."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.n_blocks = 0

    def follows(self, entry: Entry) -> bool:
        return bool(self._entries) and self._entries[-1].last + 1 == entry.first and _thins(entry)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.n_blocks += entry.kind is EntryKind.BLOCK

    def close(self, into: Thinned, edge: EdgeId, epoch: int) -> None:
        """Give what is kept of it; begin anew."""
        entries, self._entries, self.n_blocks = self._entries, [], 0
        kept = [entry for entry in entries[-1:] if entry.kind is EntryKind.BLOCK]
        gone = entries[: len(entries) - len(kept)]
        into.n_dropped += sum(entry.n_samples for entry in gone if entry.kind is EntryKind.BLOCK)
        if len(gone) == 1 and gone[0].kind is EntryKind.GAP:
            into.entries.append(gone[0])
        elif gone:
            into.entries.append(stand_in(gone[0].sensor, _joined(gone), EntryKind.GAP, edge, epoch))
        into.entries += kept


def _joined(entries: list[Entry]) -> Span:
    joined = _span(entries[0])
    for entry in entries[1:]:
        joined = joined.joined(_span(entry))
    return joined


def _span(entry: Entry) -> Span:
    """Return the run of an entry with the instants of the samples, not of the gap around them."""
    span = span_of(entry)
    if entry.kind is EntryKind.BLOCK:
        return span
    return span._replace(t_first_ns=span.t_first_ns + 1, t_last_ns=span.t_last_ns - 1)
