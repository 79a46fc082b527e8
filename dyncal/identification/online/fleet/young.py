"""Records that are fitted anew, as a whole, while they grow: those of sensors begun, or changed, lately.

After a jump only the samples since then say what the sensor is. They *gather* until they have been fitted once, or are
as many as are kept: nothing is believed before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from dyncal.identification.online.fleet.adoption import adopt
from dyncal.identification.online.fleet.full_likelihood import NOTHING, Samples
from dyncal.identification.online.snapshot import Array, YoungRecord


@dataclass(slots=True, eq=False)
class _Record:
    """What is known of a sensor, whether more was before it jumped, and whether this has not been fitted yet."""

    samples: Samples
    after_jump: bool = False
    gathers: bool = False


class YoungRecords:
    """Samples of some sensors of a fleet, each from the beginning of its record.

    Parameters
    ----------
    longest_hole_s : float64, shape (n,)
        Of each sensor of the fleet, after which it may be another.
    """

    def __init__(self, longest_hole_s: FloatArray) -> None:
        self._longest_hole_s = longest_hole_s
        self._of: dict[int, _Record] = {}

    def __contains__(self, i: int) -> bool:
        return i in self._of

    def __iter__(self) -> Iterator[int]:
        return iter(self._of)

    def __bool__(self) -> bool:
        return bool(self._of)

    def gathered(self, i: int) -> int | None:
        """Return how many samples are known of a sensor since it changed; None where they have been fitted."""
        record = self._of.get(i)
        return record.samples[0].size if record is not None and record.gathers else None

    def after_jump(self, i: int) -> bool:
        """Tell whether more was known of a sensor than its record."""
        return i in self._of and self._of[i].after_jump

    def begin(self, i: int, samples: Samples) -> None:
        """Begin with a first record, which has been fitted."""
        self._of[i] = _Record(samples)

    def jumped(self, i: int) -> None:
        """Begin with the block that comes next: this one shows a sensor that changes."""
        self._of[i] = _Record(NOTHING, after_jump=True, gathers=True)

    def cut(self, i: int) -> None:
        """End a segment: what gathers goes on."""
        if self.gathered(i) is None:
            self.drop(i)

    def interrupt(self, i: int) -> None:
        """End a record that does not go on; one that gathers begins again."""
        if self.gathered(i) is None:
            self.drop(i)
        else:
            self.jumped(i)

    def drop(self, i: int) -> None:
        """Fit a record anew no more."""
        self._of.pop(i, None)

    def extend(self, i: int, samples: Samples, sizes: Sequence[int], used: int = 0) -> Samples | None:
        """Take in the next block; return the record if it is to be fitted now.

        Parameters
        ----------
        i : int
        samples : tuple of arrays
            Of the block, the first of them `used` already.
        sizes : sequence of int
            Of records at which they are fitted, increasing; the last is the end of them.
        used : int
        """
        before = self._of[i].samples
        known = before[0].size
        if known and samples[0][used] - before[0][-1] > self._longest_hole_s[i] * NS_PER_S:
            self.interrupt(i)
            return None
        t_ns, y, r = (np.concatenate((old, new[used:])) for old, new in zip(before, samples, strict=True))
        self._of[i].samples = t_ns, y, r
        if t_ns.size >= sizes[-1]:
            self.drop(i)
        return (t_ns, y, r) if any(known < at <= t_ns.size for at in sizes) else None

    def fitted(self, i: int) -> None:
        """Note that the record since a jump has been fitted."""
        if i in self._of:  # else it was the last time
            self._of[i].gathers = False

    def adopt(self, k: int, other: YoungRecords, i: int) -> None:
        """Go on with the record of sensor i of another fleet as that of sensor k."""
        adopt(self._of, k, other._of, i)

    def pack(self) -> dict[int, YoungRecord]:
        """Return all of them as a part of a snapshot."""
        packed = {}
        for i, record in sorted(self._of.items()):
            t_ns, y, r = record.samples
            samples = Array.of(t_ns), Array.of(y), Array.of(r)
            packed[i] = YoungRecord(samples, record.gathers, record.after_jump)
        return packed

    def resume(self, packed: Iterable[tuple[int, YoungRecord]]) -> None:
        """Go on from a snapshot; raises ValueError where something is missing."""
        for i, record in packed:
            t_ns, y, r = (a.array() for a in record.samples)
            self._of[i] = _Record((t_ns, y, r), record.after_jump, record.gathers)
