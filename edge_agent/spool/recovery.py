"""The start of a spool: what its directory holds, with damage told and turned into gaps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge_agent.spool import segment
from edge_agent.spool.index import SpoolIndex, StoredFile
from edge_agent.spool.policy import GivenUp
from edge_agent.spool.segment import EntryKind

SUFFIX: Final = ".seg"


@dataclass(slots=True)
class Recovered:
    """What was found: the epoch (None in an empty directory), the index, what is lost, and damage in words."""

    epoch: int | None = None
    index: SpoolIndex = field(default_factory=SpoolIndex)
    given_up: GivenUp = field(default_factory=GivenUp)
    damage: list[str] = field(default_factory=list)


def recover(directory: Path) -> Recovered:
    """Read a spool's directory. Torn tails are cut off, foreign files and those of other epochs moved aside.

    Raises
    ------
    OSError
        If the directory or a file cannot be read or changed.
    """
    found = Recovered()
    epochs: list[tuple[Path, int]] = []
    for path in sorted(path for path in directory.iterdir() if path.suffix == SUFFIX and path.stem.isdecimal()):
        epoch = segment.read_epoch(segment.read(path, 0, segment.HEAD_BYTES))
        if epoch is None:
            found.damage.append(f"{path.name} is no file of a spool; moved aside")
            path.rename(path.with_suffix(".bad"))
        else:
            epochs.append((path, epoch))
    if not epochs:
        return found
    newest, found.epoch = epochs[-1]
    for path, epoch in epochs:
        if epoch != found.epoch:
            found.damage.append(f"{path.name} is of epoch {epoch}, the spool of {found.epoch}; moved aside")
            path.rename(path.with_suffix(f".{epoch}.bad"))
        else:
            _load(found, path, newest=path == newest)
    return found


def _load(found: Recovered, path: Path, *, newest: bool) -> None:
    content = path.read_bytes()
    loaded = StoredFile(int(path.stem), path, segment.HEAD_BYTES)
    for entry, end in segment.entries(content):
        loaded.size = end
        if entry.kind is EntryKind.CHECKPOINT:
            found.given_up.update(found.index.adopt(entry.payload))
        else:
            found.index.add(loaded, entry)
    if loaded.size < len(content):
        found.damage.append(f"{path.name}: {len(content) - loaded.size} bytes at the end are no whole record")
        if newest:
            os.truncate(path, loaded.size)
    found.index.files.append(loaded)
