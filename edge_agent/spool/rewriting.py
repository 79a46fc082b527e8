"""A file of the spool written anew with less in it (`thinning`)."""

from __future__ import annotations

import itertools
from typing import Final

import msgspec

from dyncal.domain.sensors import EdgeId, SensorId
from edge_agent.spool import disk, segment
from edge_agent.spool.index import SpoolIndex, StoredFile, Summary
from edge_agent.spool.segment import NOTES, Entry, EntryKind
from edge_agent.spool.spans import Span, add_span, span_of
from edge_agent.spool.thinning import thin

MOST_TIMES: Final = 4
"""How often a file is thinned: one block in 256 is left then."""


def next_file(index: SpoolIndex) -> StoredFile | None:
    """Return the file to thin: the oldest of those that were least, but not the newest; None if all are thin."""
    closed = [item for item in itertools.islice(index.files, len(index.files) - 1) if item.level < MOST_TIMES]
    return min(closed, key=lambda item: item.level, default=None)


def rewrite(index: SpoolIndex, item: StoredFile, edge: EdgeId, epoch: int) -> int:
    """Thin a file on the disk, as a whole or not at all; return how many samples went.

    One that cannot be read to its end is left as it is: what it lacks is found, and told, when it is sent.

    Raises
    ------
    OSError
        If the disk does not take it.
    """
    found = list(segment.entries(segment.read(item.path, 0, item.size)))
    if not found or found[-1][1] < item.size:
        item.level = MOST_TIMES
        return 0
    lead = [entry for entry, _ in found if entry.kind in NOTES and not _is_own(entry, item.number)]
    thinned = thin((entry for entry, _ in found if _is_due(entry, index)), index.watermark, edge, epoch)
    spans: dict[SensorId, list[Span]] = {}
    for entry in thinned.entries:
        if entry.kind is not EntryKind.DROPPED:
            add_span(spans.setdefault(entry.sensor, []), span_of(entry))
    head = segment.head(epoch) + b"".join(map(segment.frame, lead))
    body = b"".join(map(segment.frame, thinned.entries))
    others = Summary(item.number, len(head) + len(body), spans, item.level + 1, item.n_gone + thinned.n_dropped)
    summary, frame = _with_itself(others)
    disk.replace(item.path, head + frame + body)
    index.rewritten(item, summary)
    return thinned.n_dropped


def _is_due(entry: Entry, index: SpoolIndex) -> bool:
    if entry.kind is EntryKind.DROPPED:
        return index.gaps.current(entry.sensor, entry.first, entry.last)
    return entry.kind not in NOTES


def _is_own(note: Entry, number: int) -> bool:
    return note.kind is EntryKind.SUMMARY and msgspec.msgpack.decode(note.payload, type=Summary).number == number


def _with_itself(others: Summary) -> tuple[Summary, bytes]:
    """Return the summary of a file of which all but that is known, with its frame, which is in the size too."""
    summary = others
    while True:
        frame = segment.frame(segment.note(EntryKind.SUMMARY, msgspec.msgpack.encode(summary)))
        size = others.size + len(frame)
        if size == summary.size:
            return summary, frame
        summary = msgspec.structs.replace(others, size=size)
