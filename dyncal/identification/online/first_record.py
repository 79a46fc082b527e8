"""A sensor's first record: what speaks against it, and the first estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification.online.start import Refused, Started, start
from dyncal.identification.record_fit import RecordSettings, fit_record
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.standstill import said
from dyncal.identification.records import AlignedRecord
from dyncal.identification.screen import kelvin
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.standstill import runs_of
from dyncal.identification.stated_noise import contradiction
from dyncal.models import SensorModel

_MOST: Final = 1000  # samples: a fit of more takes longer, and says no more


def first_estimate(
    model: SensorModel, t_ns: Int64Array, y: FloatArray, r: FloatArray, settings: OnlineSettings
) -> Started | Refused:
    """Estimate from nothing, or say why not; parameters as for `start.start`."""
    against = contradiction(r, settings.u_reference_noise)
    if against:
        return Refused(Verdict.INCONSISTENT, against, final=False)
    found = start(model, t_ns, y, r)
    if isinstance(found, Refused):
        words = kelvin(y, r)
        return replace(found, detail=f"{words}; with that, {found.detail}") if words else found
    against = _not_measured(model.kind, t_ns, y, r, settings)
    return Refused(Verdict.BAD_DATA, against, final=False) if against else found


def first_of_newest(
    model: SensorModel, samples: tuple[Int64Array, FloatArray, FloatArray], settings: OnlineSettings, older: int
) -> tuple[Started | Refused, int]:
    """Estimate from nothing, from all but the `older` samples if that does, else from all; tell how many are left out.

    Of a sensor that has contradicted its reference, older samples may hold the rest of what no parameters explain.
    """
    t_ns, y, r = samples
    if older > 0:
        found = first_estimate(model, t_ns[older:], y[older:], r[older:], settings)
        if isinstance(found, Started):
            return found, older
    return first_estimate(model, t_ns, y, r, settings), 0


def _not_measured(kind: ModelKind, t_ns: Int64Array, y: FloatArray, r: FloatArray, settings: OnlineSettings) -> str:
    """Name channels whose values were not measured, as a record fit finds them; or return an empty string.

    A command holds its values too, and is none such: only a fit that knows of holds between samples tells the two
    apart. So one is made, but only of a record that repeats itself.
    """
    if runs_of(y) is None and runs_of(r) is None:
        return ""
    record = AlignedRecord(t_ns[-_MOST:], y[-_MOST:], r[-_MOST:])
    wishes = RecordSettings(
        u_reference=settings.u_reference,
        u_reference_noise=settings.u_reference_noise,
        u_clock_s=settings.u_clock_s,
    )
    try:
        return "; ".join(words for words, _ in said(fit_record(record, kind, settings=wishes), take(record)))
    except InvalidData:
        return ""
