"""The newest records of an earlier life: a source may send again what is in them, not having heard that it was kept."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

from dyncal.contracts import samples as wire
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.samples import GapRecord, Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, Int64Array
from edge_agent.spool.segment import Entry, EntryKind

TAIL_BYTES: Final = 1 << 20
"""How much is looked at: far more than is written between taking a sample and acknowledging it."""


class Tail:
    """The last entries that were read of the files, up to a number of bytes."""

    def __init__(self, n_bytes: int = TAIL_BYTES) -> None:
        self._room = n_bytes
        self._entries: deque[Entry] = deque()

    def add(self, entry: Entry) -> None:
        """Take the next entry of a file; the oldest go."""
        if entry.kind not in (EntryKind.BLOCK, EntryKind.GAP):
            return
        self._entries.append(entry)
        self._room -= len(entry.payload)
        while self._room < 0:
            self._room += len(self._entries.popleft().payload)

    def instants(self) -> dict[SensorId, Int64Array]:
        """Return the instants [ns] of the samples in them by sensor, each in the order of its records."""
        found: dict[SensorId, list[Int64Array]] = {}
        for record in self._records(EntryKind.BLOCK):
            if isinstance(record, SampleBlock):
                found.setdefault(record.sensor, []).append(record.axis.t_ns)
        return {sensor: np.concatenate(parts) for sensor, parts in found.items()}

    def refused(self) -> dict[SensorId, dict[int, InstantNs]]:
        """Return what was refused by sensor, each with the instant [ns] at which it was told."""
        found: dict[SensorId, dict[int, InstantNs]] = {}
        for record in self._records(EntryKind.GAP):
            if isinstance(record, GapRecord) and record.refused:
                found.setdefault(record.sensor, {}).update(dict.fromkeys(record.refused, record.gap.after_ns))
        return found

    def _records(self, kind: EntryKind) -> Iterator[Record]:
        for entry in self._entries:
            if entry.kind is kind:
                with contextlib.suppress(MalformedMessage):  # told when it is sent
                    yield wire.decode(entry.payload)
