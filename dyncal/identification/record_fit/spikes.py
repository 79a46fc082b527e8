"""A lone sample that stands out: no sensor with a lag, and no reference worth the name, moves like that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dyncal.correction.design.screen import lone_spike
from dyncal.domain.calibration import Verdict
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Taken


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
            k = lone_spike(values[seen])
            if k is not None:
                value = f"{values[seen[k]]:.6g} at {int(segment.t_ns[seen[k]])} ns"
                words.append(f"the {name} has a lone spike of {value}")
    return "; ".join(words)
