"""Reading the spool back: what the store does not have, a part of a file at a time."""

from __future__ import annotations

from typing import Final

from edge_agent.spool import segment
from edge_agent.spool.index import Position, SpoolIndex, StoredFile
from edge_agent.spool.segment import HEAD_BYTES, Entry, EntryKind

_READ_BYTES: Final = 1 << 20

Found = list[tuple[Entry, Position]]
"""Entries, each with the place behind it."""


def read(index: SpoolIndex, start: Position, end: Position) -> tuple[Found, Position]:
    """Return some of the uncommitted entries between two places, and how far it got.

    Files that are gone, and entries that the store has, are passed over. The place is `end` when there is no more.
    """
    for item in index.files:
        if item.number < start.number:
            continue
        offset = max(start.offset, HEAD_BYTES) if item.number == start.number else HEAD_BYTES
        stop = item.size if item.number < end.number else min(item.size, end.offset)
        if Position(item.number, offset) >= end or item.number > end.number:
            break
        if offset >= stop:
            continue
        found, reached = _read_part(index, item, offset, stop)
        if reached == offset:  # damaged in the middle: the rest of this file is lost, the next checkpoint knows
            continue
        return found, Position(item.number, reached)
    return [], end


def _read_part(index: SpoolIndex, item: StoredFile, offset: int, stop: int) -> tuple[Found, int]:
    n_bytes = min(stop - offset, _READ_BYTES)
    found, reached = _select(index, item, segment.read(item.path, offset, n_bytes), offset)
    if reached == offset and n_bytes < stop - offset:  # one entry larger than the usual part
        found, reached = _select(index, item, segment.read(item.path, offset, stop - offset), offset)
    return found, reached


def _select(index: SpoolIndex, item: StoredFile, content: bytes, offset: int) -> tuple[Found, int]:
    found: Found = []
    reached = offset
    for entry, end in segment.entries(content, 0):
        reached = offset + end
        if entry.kind is not EntryKind.CHECKPOINT and entry.last > index.watermark(entry.sensor):
            found.append((entry, Position(item.number, reached)))
    return found, reached
