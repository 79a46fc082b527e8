"""What can be no time and no value of a sample. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import EARLIEST, LATEST, DurationNs, InstantNs, Int64Array
from edge_agent.events import SamplesRead

_SANE: Final = 1e100  # squares and products with coefficients stay far from overflow below it


def ordinary(read: SamplesRead, newest: InstantNs | None, max_skew_ns: DurationNs, gap_after_ns: DurationNs) -> bool:
    """Tell samples of which nothing need be said, by one look at each array: good ones, that go on without a gap.

    They come after `newest`, that of the last sample taken before, each at most `gap_after_ns` after the one before it.
    `possible`, `sane` and `increase` would find nothing in them. False says nothing of what they are.
    """
    t_ns, raw = read.t_ns, read.raw
    if newest is None or not t_ns.size or gap_after_ns * t_ns.size > LATEST or np.count_nonzero(read.codes):
        return False
    first, last = int(t_ns[0]), int(t_ns[-1])
    # A step that leaves int64 comes around at the other end, and the last instant then lies before the first.
    if not (0 < first - newest <= gap_after_ns and first <= last <= min(LATEST, read.arrival_ns + max_skew_ns)):
        return False
    if t_ns.size > 1:
        steps = t_ns[1:] - t_ns[:-1]
        if not (steps.min() > 0 and steps.max() <= gap_after_ns):
            return False
    return bool(raw.max() < _SANE and raw.min() > -_SANE)  # neither is true of NaN


def possible(read: SamplesRead, newest: InstantNs | None, max_skew_ns: DurationNs) -> npt.NDArray[np.bool_]:
    """Tell which samples have times that can be; `newest` is that of the last sample taken before.

    What goes on from there has waited with its source, for as long as nobody listened: it is not too old. Nor is what
    was read from a source's memory.
    """
    oldest = read.arrival_ns - max_skew_ns
    if newest is not None:
        oldest = min(oldest, newest + 1)
    low = EARLIEST if read.from_history else max(EARLIEST, oldest)
    high = min(LATEST, read.arrival_ns + max_skew_ns)
    return np.asarray((read.t_ns >= low) & (read.t_ns <= high))


def sane(raw: FloatArray, codes: UInt32Array) -> tuple[FloatArray, UInt32Array]:
    """Return NaN, with a code that says why, for what is no number or too large to compute with."""
    with np.errstate(invalid="ignore"):
        fit = np.abs(raw) < _SANE
    if np.count_nonzero(fit) == fit.size:
        return raw, codes
    codes = np.where(fit | quality.is_bad(codes), codes, np.uint32(quality.BAD_OUT_OF_RANGE)).astype(np.uint32)
    return np.where(fit, raw, np.nan), codes


def increase(t_ns: Int64Array, newest: int) -> bool:
    """Tell whether instants are after `newest` and increase strictly."""
    if not t_ns.size:
        return True
    return int(t_ns[0]) > newest and (t_ns.size == 1 or not np.count_nonzero(t_ns[1:] <= t_ns[:-1]))


def n_without_value(codes: UInt32Array) -> int:
    """Return how many samples there are before the first that is a value."""
    values = np.flatnonzero(~quality.is_bad(codes))
    return int(values[0]) if values.size else codes.size
