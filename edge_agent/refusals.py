"""What was refused before: however often a source delivers it, it is lost once. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import LATEST, InstantNs, Int64Array
from edge_agent.events import DELIVERED_AGAIN_NS, SamplesRead

_ROW: Final = np.dtype([("t_ns", "<i8"), ("raw", "<f8"), ("code", "<u4")])


def of_message(payload: bytes) -> int:
    """Return what a message is known by."""
    return int.from_bytes(hashlib.blake2b(payload, digest_size=8).digest(), "little") >> 1


def of_samples(t_ns: Int64Array, raw: FloatArray, codes: UInt32Array) -> list[int]:
    """Return what each sample is known by: its source instant alone says little where a clock is wrong."""
    rows = np.empty(t_ns.size, _ROW)
    rows["t_ns"], rows["raw"], rows["code"] = t_ns, raw, codes
    content = rows.tobytes()
    return [of_message(content[a : a + _ROW.itemsize]) for a in range(0, len(content), _ROW.itemsize)]


class Refusals:
    """Remembers the last `n` refusals, each with the instant [ns] at which it was told."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._told: dict[int, InstantNs] = {}

    def know(self, told: Mapping[int, InstantNs]) -> None:
        """Take over what an earlier life has told."""
        self._told.update(told)
        self._forget()

    def told(self, digests: Sequence[int], read: SamplesRead, first_arrival: InstantNs | None) -> list[bool]:
        """Tell which of what is refused of a read were told before, and come again; remember the others as told now.

        What a source repeats of its own accord is something new each time.
        """
        known, before, now = [], _again_since(read, first_arrival), read.arrival_ns
        for digest in digests:
            at = self._told.get(digest)
            known.append(at is not None and before is not None and at < before)
            if not known[-1]:
                self._told.pop(digest, None)
                self._told[digest] = now
        self._forget()
        return known

    def _forget(self) -> None:
        while len(self._told) > self._n:
            del self._told[next(iter(self._told))]


def _again_since(read: SamplesRead, first_arrival: InstantNs | None) -> InstantNs | None:
    """Return the instant before which was told what may come again; None if nothing does."""
    if read.from_history:
        return LATEST
    starting = first_arrival is not None and 0 <= read.arrival_ns - first_arrival < DELIVERED_AGAIN_NS
    return read.again_since_ns or (first_arrival if starting else None)
