"""Reading the spool back: what the store does not have, a part of a file at a time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from dyncal.domain.sensors import SensorId
from edge_agent.spool import segment
from edge_agent.spool.index import Position, SpoolIndex, StoredFile
from edge_agent.spool.segment import HEAD_BYTES, NOTES, Entry, EntryKind
from edge_agent.spool.spans import Span, add_span, behind, merged, outside, span_of

_READ_BYTES: Final = 1 << 20
_NO_RUNS: Final = (*NOTES, EntryKind.DROPPED)

Damaged = list[tuple[StoredFile, int]]
"""Files, each with the place from which on it cannot be read."""


def read(index: SpoolIndex, start: Position, end: Position) -> tuple[list[Entry], Position, Damaged]:
    """Return some of the uncommitted entries between two places, how far it got, and what is damaged on the way.

    Files that are gone, and entries that the store has, are passed over. The place is `end` when there is no more.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    damaged: Damaged = []
    for item in index.files:
        if item.number < start.number:
            continue
        offset = max(start.offset - item.moved, HEAD_BYTES) if item.number == start.number else HEAD_BYTES
        stop = item.size if item.number < end.number or end.offset < item.moved else end.offset - item.moved
        if item.number > end.number or (item.number == end.number and offset >= stop):
            break
        if offset >= stop:
            continue
        found, reached = _read_part(index, item, offset, stop)
        if reached == offset:
            damaged.append((item, offset))
            continue
        return found, Position(item.number, item.moved + reached), damaged
    return [], end, damaged


def lost(item: StoredFile, offset: int) -> list[tuple[SensorId, Span]]:
    """Return what a file should hold that is not before a place in it. Raises `OSError`."""
    kept: dict[SensorId, list[Span]] = {}
    content = segment.read(item.path, 0, offset) if item.path.exists() else b""
    for entry, _ in segment.entries(content):
        if entry.kind not in _NO_RUNS:
            add_span(kept.setdefault(entry.sensor, []), span_of(entry))
    return [
        (sensor, span) for sensor, spans in item.spans.items() for span in behind(spans, merged(kept.get(sensor, [])))
    ]


def lead_bytes(path: Path) -> int:
    """Return the size of a file's head and checkpoint. Raises `OSError`."""
    for _, end in segment.entries(path.read_bytes()):
        return end
    return HEAD_BYTES


def uncommitted(index: SpoolIndex, item: StoredFile) -> list[tuple[SensorId, Span]]:
    """Return the runs in a file that the store does not have, to the sample where the file can be read."""
    runs = {sensor: outside(spans, index.watermark(sensor)) for sensor, spans in item.spans.items()}
    cut = {sensor for sensor, spans in runs.items() if not set(spans) <= set(item.spans[sensor])}
    if cut:
        with contextlib.suppress(OSError):
            runs |= _reread(index, item, cut)
    return [(sensor, span) for sensor, spans in runs.items() for span in spans]


def _reread(index: SpoolIndex, item: StoredFile, sensors: set[SensorId]) -> dict[SensorId, list[Span]]:
    runs: dict[SensorId, list[Span]] = {}
    for entry, _ in segment.entries(segment.read(item.path, 0, item.size)):
        if entry.sensor in sensors and entry.last > index.watermark(entry.sensor) and entry.kind not in _NO_RUNS:
            add_span(runs.setdefault(entry.sensor, []), span_of(entry))
    return runs


def _read_part(index: SpoolIndex, item: StoredFile, offset: int, stop: int) -> tuple[list[Entry], int]:
    n_bytes = min(stop - offset, _READ_BYTES)
    if not item.path.exists():  # somebody else removed it: nothing of it will be read
        return [], offset
    found, reached = _select(index, segment.read(item.path, offset, n_bytes), offset)
    if reached == offset and n_bytes < stop - offset:  # one entry larger than the usual part
        found, reached = _select(index, segment.read(item.path, offset, stop - offset), offset)
    return found, reached


def _select(index: SpoolIndex, content: bytes, offset: int) -> tuple[list[Entry], int]:
    found: list[Entry] = []
    reached = offset
    for entry, end in segment.entries(content, 0):
        reached = offset + end
        if entry.kind in NOTES or entry.last <= index.watermark(entry.sensor):
            continue
        if entry.kind is not EntryKind.DROPPED or index.gaps.current(entry.sensor, entry.first, entry.last):
            found.append(entry)
    return found, reached
