"""Files of the spool: entries in a row, each with its own checksum.

A file is the head ``DYNSPOL1``, the epoch (u64) and a CRC-32 of both, then entries: length of the body (u32), CRC-32
of the body (u32), body. A body is kind (u8), length of the sensor's name (u8), first and last sequence (u64), first and
last instant [ns] (i64), number of samples (u64), name, payload. Little-endian throughout. Reading stops at the first
entry that is cut short or whose checksum is wrong: whatever follows was never confirmed to anybody.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dyncal.domain.samples import GapRecord, Record
from dyncal.domain.sensors import SensorId

MAGIC: Final = b"DYNSPOL1"
_HEAD: Final = struct.Struct("<8sQI")
_FRAME: Final = struct.Struct("<II")
_BODY: Final = struct.Struct("<BBQQqqQ")
HEAD_BYTES: Final = _HEAD.size
MAX_BODY: Final = 64 << 20


class EntryKind(enum.IntEnum):
    """What an entry is."""

    BLOCK = 0
    GAP = 1
    DROPPED = 2
    """A gap that the spool made itself, for entries that it had to drop; its instants are those of the dropped."""
    CHECKPOINT = 3
    """Where all sensors stood when the file was begun."""
    SUMMARY = 4
    """What is in another file that was complete by then, or in this one."""


NOTES: Final = (EntryKind.CHECKPOINT, EntryKind.SUMMARY)
"""Kinds that are the spool's own, and are not sent."""

_NOBODY: Final = SensorId("spool")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in the spool, with what must be known of it without decoding it."""

    kind: EntryKind
    sensor: SensorId
    first: int
    last: int
    t_first_ns: int
    t_last_ns: int
    n_samples: int
    payload: bytes
    arrival_ns: int = field(default=0, compare=False)
    """Instant at which its last message came [ns]; not on the disk, and 0 where it is read from there."""


def note(kind: EntryKind, payload: bytes) -> Entry:
    """Return an entry of the spool's own."""
    return Entry(kind, _NOBODY, 0, 0, 0, 0, 0, payload)


def entry_of(record: Record, payload: bytes) -> Entry:
    """Return the entry of a record and its wire form."""
    if isinstance(record, GapRecord):
        gap = record.gap
        return Entry(
            EntryKind.GAP,
            record.sensor,
            record.sequence,
            record.last_sequence,
            gap.after_ns,
            gap.before_ns,
            gap.n_lost or 0,
            payload,
        )
    axis = record.axis
    return Entry(
        EntryKind.BLOCK,
        record.sensor,
        record.sequence,
        record.sequence,
        axis.first_ns,
        axis.last_ns,
        len(axis),
        payload,
        record.arrival_ns,
    )


def head(epoch: int) -> bytes:
    """Return the head of a file."""
    crc = zlib.crc32(_HEAD.pack(MAGIC, epoch, 0)[:-4])
    return _HEAD.pack(MAGIC, epoch, crc)


def frame(entry: Entry) -> bytes:
    """Return the bytes of an entry."""
    name = entry.sensor.encode()
    body = b"".join(
        (
            _BODY.pack(
                entry.kind,
                len(name),
                entry.first,
                entry.last,
                entry.t_first_ns,
                entry.t_last_ns,
                entry.n_samples,
            ),
            name,
            entry.payload,
        )
    )
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def read_epoch(content: bytes) -> int | None:
    """Return the epoch in a file's head, or None if it is no file of ours."""
    if len(content) < _HEAD.size:
        return None
    magic, epoch, crc = _HEAD.unpack_from(content)
    if magic != MAGIC or crc != zlib.crc32(content[: _HEAD.size - 4]):
        return None
    return int(epoch)


def entries(content: bytes, offset: int = HEAD_BYTES) -> Iterator[tuple[Entry, int]]:
    """Iterate over whole entries from `offset` on, each with the offset behind it."""
    while True:
        parsed = _parse(content, offset)
        if parsed is None:
            return
        entry, offset = parsed
        yield entry, offset


def _parse(content: bytes, offset: int) -> tuple[Entry, int] | None:
    if offset + _FRAME.size > len(content):
        return None
    size, crc = _FRAME.unpack_from(content, offset)
    start = offset + _FRAME.size
    body = content[start : start + size]
    if not _BODY.size <= size <= MAX_BODY or len(body) != size or zlib.crc32(body) != crc:
        return None
    kind, n_name, first, last, t_first, t_last, n = _BODY.unpack_from(body)
    cut = _BODY.size + n_name
    name = SensorId(body[_BODY.size : cut].decode())
    return Entry(EntryKind(kind), name, first, last, t_first, t_last, n, body[cut:]), start + size


def read(path: Path, offset: int, n_bytes: int) -> bytes:
    """Return up to `n_bytes` of a file from `offset` on."""
    with path.open("rb") as stream:
        stream.seek(offset)
        return stream.read(n_bytes)
