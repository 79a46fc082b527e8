"""What a record of indications shows of its channel: saturation, and spikes."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_SATURATED: Final = 0.002  # share of the samples at an end of the range: fewer change no spectrum
_PILED: Final = 2.0
_REPEATS: Final = 3  # of the level at an end: two equal samples there are as often chance, or either side of a summit
_STOPPED: Final = (0.005, 0.1)  # of the mean step, for fine and for coarse records: what comes to rest is slower
_BEFORE: Final = 4  # steps over which a fine record's motion is taken: noise hides a single one
_TOPS: Final = 12  # flat tops at one level that are no chance, how coarse the record may be
_FINE: Final = 10.0  # steps of the converter that noise and motion make from sample to sample: repeats are chance then
_HIDDEN: Final = (5.0, 0.02)  # of noise and step of the converter, of the record's spread: what is cut off at least
_NORMAL_MEDIAN: Final = 0.6745  # median of |x| of a standard normal x
_STANDS_OUT: Final = 40.0  # times the median of what a sample differs from the mean of its neighbours
_ALONE: Final = 0.1  # of the spike: by how much the samples beside it may differ from those beside them
_LARGE: Final = 1.0  # standard deviations of the record without it


def refuse_saturated(y: FloatArray) -> None:
    """Refuse a record that piles up at an end of its range and stops there while it is moving.

    What comes to rest there is slow before; what is quantised has about as many samples a step further in, and what
    its samples on either side of a flat top say lies above it is no more than a few steps of the converter or noise.

    Raises
    ------
    InvalidData
        If so, with the level and the share of the samples.
    """
    if max(np.count_nonzero(y == y.min()), np.count_nonzero(y == y.max())) < _SATURATED * y.size:
        return
    levels, counts = np.unique(y, return_counts=True)
    if levels.size < 2:  # at no end of a range: constant
        return
    for level, n, n_next, outward in (
        (levels[0], counts[0], counts[1], -1.0),
        (levels[-1], counts[-1], counts[-2], 1.0),
    ):
        if n < max(_SATURATED * y.size, _PILED * n_next):
            continue
        if _stops(y, level, outward, coarse=levels.size < y.size / 2) and _hides(y, level, outward, levels):
            raise InvalidData(f"the indication is saturated at {level:.6g} ({100 * n / y.size:.1f} % of the samples)")


def _stops(y: FloatArray, level: float, outward: float, *, coarse: bool) -> bool:
    """Tell whether a record comes to a level at the speed at which it moves elsewhere."""
    at = y == level
    entered = np.flatnonzero(~at[1:-2] & at[2:-1] & at[3:]) + 2
    if not entered.size:
        return False
    stopped, steps = _STOPPED[coarse], 1 if coarse else _BEFORE
    usual = float(np.mean(np.abs(np.diff(y))[~(at[1:] & at[:-1])]))
    before = np.maximum(outward * (y[entered - 1] - y[np.maximum(entered - 1 - steps, 0)]) / steps, 0.0)
    return float(np.mean(before)) > stopped * usual


def _hides(y: FloatArray, level: float, outward: float, levels: FloatArray) -> bool:
    """Tell whether the flat tops of a record hide more than its noise and its converter's step explain.

    Where noise and motion are many steps a sample, or tops are many, their repeats say so. Otherwise straight lines
    through what is half a top's length before and after it are carried on to its middle; the lower one counts. Noise
    and motion are those of third differences.
    """
    edges = np.flatnonzero(np.diff(y == level, prepend=False, append=False))
    begin, end = edges[::2], edges[1::2]
    length = end - begin
    if int(np.sum(length - 1)) < _REPEATS:
        return False
    third = np.abs(np.diff(y, 3))
    noise = float(np.median(third[third > 0])) / (_NORMAL_MEDIAN * np.sqrt(20))
    step = float(np.diff(levels).min())
    if noise > _FINE * step or np.count_nonzero(length > 1) >= _TOPS:
        return True
    reach = np.maximum(2, length // 2)
    whole = (length > 1) & (begin > reach) & (end + reach < y.size)
    if not whole.any():
        return False
    begin, end, length, reach = begin[whole], end[whole], length[whole], reach[whole]
    ahead = (length + 1) / (2 * reach)
    left = y[begin - 1] + ahead * (y[begin - 1] - y[begin - 1 - reach])
    right = y[end] + ahead * (y[end] - y[end + reach])
    hidden = np.minimum(outward * (left - level), outward * (right - level))
    least = max(_HIDDEN[0] * (noise + step), _HIDDEN[1] * float(np.std(y)))
    return bool(np.average(hidden, weights=length) > least)


def lone_spike(x: FloatArray) -> int | None:
    """Return the index of the largest sample of a finite record (n,) that stands out alone; None where none does."""
    away = np.abs(x[2:-2] - (x[1:-3] + x[3:-1]) / 2)
    if not away.size:
        return None
    k = int(np.argmax(away))
    beside = max(abs(x[k + 1] - x[k]), abs(x[k + 3] - x[k + 4]), abs(x[k + 1] - x[k + 3]))
    rest = np.delete(x, k + 2)
    alone = away[k] > _STANDS_OUT * float(np.median(away)) and beside < _ALONE * away[k]
    return k + 2 if alone and away[k] > _LARGE * float(np.std(rest)) and np.unique(x).size > x.size / 2 else None
