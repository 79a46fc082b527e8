"""A lone sample that stands out: no sensor with a lag, and no reference worth the name, moves like that."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Taken

_STANDS_OUT: Final = 40.0  # times the median of what a sample differs from the mean of its neighbours
_ALONE: Final = 0.1  # of the spike: by how much the samples beside it may differ from those beside them
_LARGE: Final = 1.0  # standard deviations of the record without it


def with_spikes(fit: RecordFit, taken: Taken) -> RecordFit:
    """Return a fit that names the spikes of its record: in `detail`, and as the verdict where it was not accepted."""
    found = _spikes(taken)
    if not found:
        return fit
    if fit.verdict is Verdict.ACCEPTED:
        return replace(fit, detail=f"{fit.detail}; {found}")
    return replace(fit, verdict=Verdict.BAD_DATA, detail=f"{found}; with that, {fit.detail}")


def _spikes(taken: Taken) -> str:
    words = []
    for name in ("indication", "reference"):
        for segment in taken.segments:
            values = segment.y if name == "indication" else segment.r
            seen = np.flatnonzero(np.isfinite(values))
            k = _spike(values[seen])
            if k is not None:
                value = f"{values[seen[k]]:.6g} at {int(segment.t_ns[seen[k]])} ns"
                words.append(f"the {name} has a lone spike of {value}")
    return "; ".join(words)


def _spike(x: FloatArray) -> int | None:
    """Return the largest sample of x (n,) that stands out alone; None where none does."""
    away = np.abs(x[2:-2] - (x[1:-3] + x[3:-1]) / 2)
    if not away.size:
        return None
    k = int(np.argmax(away))
    beside = max(abs(x[k + 1] - x[k]), abs(x[k + 3] - x[k + 4]), abs(x[k + 1] - x[k + 3]))
    rest = np.delete(x, k + 2)
    alone = away[k] > _STANDS_OUT * float(np.median(away)) and beside < _ALONE * away[k]
    return k + 2 if alone and away[k] > _LARGE * float(np.std(rest)) and np.unique(x).size > x.size / 2 else None
