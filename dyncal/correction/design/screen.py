"""What a record of indications shows of its channel: saturation, and spikes."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_SATURATED: Final = 0.002  # share of the samples at an end of the range: fewer change no spectrum
_PILED: Final = 2.0
_STOPPED: Final = (0.005, 0.1)  # of the mean step, for fine and for coarse records: what comes to rest is slower
_BEFORE: Final = 4  # steps over which a fine record's motion is taken: noise hides a single one
_STANDS_OUT: Final = 40.0  # times the median of what a sample differs from the mean of its neighbours
_ALONE: Final = 0.1  # of the spike: by how much the samples beside it may differ from those beside them
_LARGE: Final = 1.0  # standard deviations of the record without it


def refuse_saturated(y: FloatArray) -> None:
    """Refuse a record that piles up at an end of its range and stops there while it is moving.

    What comes to rest there is slow before, and what is quantised has about as many samples a step further in.

    Raises
    ------
    InvalidData
        If so, with the level and the share of the samples.
    """
    levels, counts = np.unique(y, return_counts=True)
    coarse = levels.size < y.size / 2
    stopped, steps = _STOPPED[coarse], 1 if coarse else _BEFORE
    for level, n, n_next, outward in (
        (levels[0], counts[0], counts[1], -1.0),
        (levels[-1], counts[-1], counts[-2], 1.0),
    ):
        at = y == level
        entered = np.flatnonzero(~at[1:-2] & at[2:-1] & at[3:]) + 2
        if n < max(_SATURATED * y.size, _PILED * n_next) or not entered.size:
            continue
        usual = float(np.mean(np.abs(np.diff(y))[~(at[1:] & at[:-1])]))
        before = np.maximum(outward * (y[entered - 1] - y[np.maximum(entered - 1 - steps, 0)]) / steps, 0.0)
        if float(np.mean(before)) > stopped * usual:
            raise InvalidData(f"the indication is saturated at {level:.6g} ({100 * n / y.size:.1f} % of the samples)")


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
