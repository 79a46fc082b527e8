"""The start of a spool: what its directory holds, with damage told and turned into gaps.

A file that the next one sums up is not read: of a gigabyte that takes longer than a start may. What is damaged in it is
found when it is sent. Only the newest is, and the one before it while there is little in the newest (`Tail`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.spool import segment
from edge_agent.spool.index import SpoolIndex, StoredFile, Summary
from edge_agent.spool.policy import GivenUp
from edge_agent.spool.segment import NOTES, Entry, EntryKind
from edge_agent.spool.tail import TAIL_BYTES, Tail

SUFFIX: Final = ".seg"
ASIDE: Final = ".bad"
MAX_ASIDE: Final = 16
MAX_ASIDE_BYTES: Final = 16 << 20

_LEAD_BYTES: Final = 1 << 16


@dataclass(slots=True)
class Recovered:
    """What was found: the epoch (None in an empty directory), the index, what is lost, damage in words, the newest."""

    epoch: int | None = None
    index: SpoolIndex = field(default_factory=SpoolIndex)
    given_up: GivenUp = field(default_factory=GivenUp)
    damage: list[str] = field(default_factory=list)
    aside_bytes: int = 0
    tail: Tail = field(default_factory=Tail)


def recover(directory: Path) -> Recovered:
    """Read a spool's directory. Torn tails are cut off, drafts removed, foreign files and other epochs' moved aside.

    Raises
    ------
    OSError
        If the directory or a file cannot be read or changed.
    """
    found = Recovered()
    for draft in directory.glob(f"*{SUFFIX}.new"):
        draft.unlink()
    paths = _own(directory, found)
    found.aside_bytes = _bound_aside(directory, found)
    leads = {int(path.stem): _lead(path) for path in paths}
    summaries = {(item.number, item.size): item for lead in leads.values() for item in _summaries(lead)}
    n_read = 1 if paths and paths[-1].stat().st_size > TAIL_BYTES else 2
    for path in paths:
        summary = summaries.get((int(path.stem), path.stat().st_size))
        if summary is not None and path not in paths[-n_read:]:
            _believe(found, path, leads[summary.number], summary)
        else:
            _load(found, path, newest=path == paths[-1])
    return found


def _own(directory: Path, found: Recovered) -> list[Path]:
    """Return the files of the newest epoch, in order; others are moved aside."""
    epochs: list[tuple[Path, int]] = []
    for path in sorted(path for path in directory.iterdir() if path.suffix == SUFFIX and path.stem.isdecimal()):
        epoch = segment.read_epoch(segment.read(path, 0, segment.HEAD_BYTES))
        if epoch is None:
            found.damage.append(f"{path.name} is no file of a spool; moved aside")
            path.rename(path.with_suffix(ASIDE))
        else:
            epochs.append((path, epoch))
    if not epochs:
        return []
    found.epoch = epochs[-1][1]
    for path, epoch in epochs:
        if epoch != found.epoch:
            found.damage.append(f"{path.name} is of epoch {epoch}, the spool of {found.epoch}; moved aside")
            path.rename(path.with_suffix(f".{epoch}{ASIDE}"))
    return [path for path, epoch in epochs if epoch == found.epoch]


def _bound_aside(directory: Path, found: Recovered) -> int:
    """Remove the oldest of too many files that were moved aside; return the bytes of those that stay."""
    sizes = {path: path.stat() for path in directory.glob(f"*{ASIDE}")}
    n_kept = n_bytes = 0
    for path in sorted(sizes, key=lambda path: (sizes[path].st_mtime_ns, path.name), reverse=True):
        size = sizes[path].st_size
        if n_kept < MAX_ASIDE and n_bytes + size <= MAX_ASIDE_BYTES:
            n_kept += 1
            n_bytes += size
        else:
            found.damage.append(f"{path.name} removed: at most {MAX_ASIDE} files, {MAX_ASIDE_BYTES} bytes stay aside")
            path.unlink()
    return n_bytes


def _lead(path: Path) -> list[Entry]:
    """Return the notes with which a file begins."""
    n_bytes, size = _LEAD_BYTES, path.stat().st_size
    while True:
        notes: list[Entry] = []
        for entry, _ in segment.entries(segment.read(path, 0, n_bytes)):
            if entry.kind not in NOTES:
                return notes
            notes.append(entry)
        if n_bytes >= size:
            return notes
        n_bytes *= 4


def _summaries(lead: list[Entry]) -> list[Summary]:
    return [msgspec.msgpack.decode(entry.payload, type=Summary) for entry in lead if entry.kind is EntryKind.SUMMARY]


def _believe(found: Recovered, path: Path, lead: list[Entry], summary: Summary) -> None:
    for entry in lead:
        if entry.kind is EntryKind.CHECKPOINT:
            found.given_up.update(found.index.adopt(entry.payload))
    found.index.take_over(
        StoredFile(
            summary.number,
            path,
            summary.size,
            summary.spans,
            summed_up=True,
            level=summary.level,
            n_gone=summary.n_gone,
        )
    )


def _load(found: Recovered, path: Path, *, newest: bool) -> None:
    content = path.read_bytes()
    loaded = StoredFile(int(path.stem), path, segment.HEAD_BYTES)
    for entry, end in segment.entries(content):
        loaded.size = end
        if entry.kind is EntryKind.CHECKPOINT:
            found.given_up.update(found.index.adopt(entry.payload))
        elif entry.kind is EntryKind.SUMMARY:
            for own in (item for item in _summaries([entry]) if item.number == loaded.number):
                loaded.level, loaded.n_gone = own.level, own.n_gone
        else:
            found.index.add(loaded, entry)
            found.tail.add(entry)
    if loaded.size < len(content):
        found.damage.append(f"{path.name}: {len(content) - loaded.size} bytes at the end are no whole record")
        if newest:
            os.truncate(path, loaded.size)
    found.index.take_over(loaded)
