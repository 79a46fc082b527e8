"""Samples that stand out, alone or at one same value: no sensor with a lag, and no reference, moves like that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.correction.design.screen import lone_spike
from dyncal.correction.streaming.slots import usable
from dyncal.domain.calibration import Verdict
from dyncal.identification.dropouts import dropouts
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Taken
from dyncal.identification.records import AlignedRecord

_LESS: Final = 0.98  # ratio of standard uncertainties


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """Records without what seems not to have been measured, and what that is."""

    records: list[AlignedRecord]
    said: str

    def named(self, fit: RecordFit, whole: RecordFit) -> RecordFit:
        """Return a fit to these records that says what was left out; `whole` is that to all there is."""
        more = max(fit.n_left_out, whole.n_left_out + whole.n_samples - fit.n_samples)
        return replace(fit, n_left_out=more, detail=f"{fit.detail}; {self.said}: taken as not measured")


def without_dropouts(records: AlignedRecord | Sequence[AlignedRecord]) -> Cleaned | None:
    """Return records without their dropouts and lone spikes; None where there are none."""
    cleaned: list[AlignedRecord] = []
    words: list[str] = []
    for record in [records] if isinstance(records, AlignedRecord) else records:
        channels = []
        for name, given in (("indication", record.indication), ("reference", record.reference)):
            values = np.where(usable(given), given, np.nan)
            lost = dropouts(name, record.t_ns, values)
            if lost is not None:
                values[lost.index] = np.nan
                words.append(lost.said)
            channels.append(values)
        cleaned.append(AlignedRecord(record.t_ns, *channels))
    return Cleaned(cleaned, "; ".join(words)) if words else None


def explains_more(fit: RecordFit, whole: RecordFit) -> bool:
    """Tell whether a fit without dropouts knows more than one with them: then these were no motion of the measurand.

    What the measurand did tells of the sensor, and its loss makes u larger; what it did not do is noise of the one
    channel or of the other, and makes u larger where it is left in.
    """
    if fit.parameters is None or whole.parameters is None:
        return fit.accepted
    ratio = fit.parameters.u / np.maximum(whole.parameters.u, 1e-300)
    return float(np.mean(np.log(np.maximum(ratio, 1e-300)))) < float(np.log(_LESS))


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
