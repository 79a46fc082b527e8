"""Where messages go that nobody can use: a bounded directory, each payload with a file beside it that says why."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from dyncal.domain.time import InstantNs

MAX_KEPT_BYTES: Final = 1 << 20


class Sidecar(msgspec.Struct, frozen=True):
    """Beside each payload: where it came from, why it is here, and its size before it was cut to 1 MiB."""

    topic: str
    reason: str
    detail: str
    received_ns: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    payload: Path
    n_bytes: int

    @property
    def sidecar(self) -> Path:
        return self.payload.with_suffix(".json")

    def remove(self) -> None:
        """Remove both files."""
        self.payload.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)


class Quarantine:
    """A directory of at most `max_files` payloads and `max_bytes`; the oldest give way. Blocks; one user at a time."""

    def __init__(self, directory: Path, *, max_files: int, max_bytes: int) -> None:
        self._directory = directory
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._entries: collections.deque[_Entry] = collections.deque()
        self._n_bytes = 0
        self._next = 0
        self._read_directory()

    def add(self, topic: str, payload: bytes, reason: str, detail: str, at_ns: InstantNs) -> None:
        """Keep a payload. Raises OSError if it cannot be written."""
        if self._max_files == 0 or self._max_bytes == 0:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        kept = payload[:MAX_KEPT_BYTES]
        path = self._directory / f"{self._next:012d}.bin"
        self._next += 1
        sidecar = Sidecar(topic[:1000], reason, detail[:2000], at_ns, len(payload))
        text = msgspec.json.format(msgspec.json.encode(sidecar), indent=1)
        entry = _Entry(path, len(kept) + len(text))
        try:
            entry.sidecar.write_bytes(text)
            path.write_bytes(kept)
        except OSError:
            entry.remove()
            raise
        self._entries.append(entry)
        self._n_bytes += entry.n_bytes
        self._evict()

    def __len__(self) -> int:
        return len(self._entries)

    def _evict(self) -> None:
        while self._entries and (len(self._entries) > self._max_files or self._n_bytes > self._max_bytes):
            oldest = self._entries.popleft()
            self._n_bytes -= oldest.n_bytes
            oldest.remove()

    def _read_directory(self) -> None:
        found = sorted(p for p in self._directory.glob("*.bin") if p.stem.isdecimal())
        for path in found:
            sidecar = path.with_suffix(".json")
            n_bytes = path.stat().st_size + (sidecar.stat().st_size if sidecar.exists() else 0)
            self._entries.append(_Entry(path, n_bytes))
            self._n_bytes += n_bytes
        for sidecar in self._directory.glob("*.json"):
            if sidecar.stem.isdecimal() and not sidecar.with_suffix(".bin").exists():
                sidecar.unlink(missing_ok=True)
        self._next = int(found[-1].stem) + 1 if found else 0
        self._evict()
