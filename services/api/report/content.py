"""What a report of a calibration says: the fit, what was made of it, and how indications deviated before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.forms import correct_at
from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind, Sensor, SensorId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.records import SetRecord
from dyncal.ports.registry import Registry
from dyncal.ports.sample_store import SampleStore
from services.api import findings
from services.api.aligned import reference_at
from services.api.catalogue import Catalogue
from services.api.findings import Bode

MOST_SAMPLES: Final = 20_000
"""Samples of the end of a calibration's data that deviations are shown for."""

_N_FREQUENCIES: Final = 120
_MOST_SETS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Deviations:
    """Indications minus the reference, at the sensor's instants; float64 of shape (n,), NaN where one is missing.

    `as_found` by the set that was in force before this calibration, `as_left` by the one that came of it; None where
    there is none.
    """

    t_ns: Int64Array
    raw: FloatArray
    as_found: FloatArray | None
    as_left: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All that a report says; what is not to be had is None, and the report says so."""

    calibration: Calibration
    sensor: Sensor | None
    reference: Sensor | None
    certificate: LaboratoryCalibration | None
    made: SetRecord | None
    before: SetRecord | None
    now: Bode | None
    found: Bode | None
    deviations: Deviations | None
    written_ns: InstantNs


def gather(registry: Registry, store: SampleStore, catalogue: Catalogue, calibration_id: str, now: InstantNs) -> Report:
    """Return the report of a calibration; blocks. Raises `NotFound`."""
    calibration = registry.calibration(calibration_id)
    records = registry.sets(calibration.sensor, limit=_MOST_SETS)
    made = next((r for r in records if r.coefficients.provenance.calibration_id == calibration.id), None)
    before = _parent(registry, made)
    sensor = catalogue.sensors.get(calibration.sensor)
    certificates = registry.laboratories(calibration.reference, limit=1)
    curve = found = None
    if sensor is not None and calibration.verdict is Verdict.ACCEPTED and _dynamic(calibration.parameters.model):
        f_hz = findings.frequencies(calibration.parameters, sensor.dt_ns, _N_FREQUENCIES)
        curve = findings.bode(calibration.parameters, f_hz)
        if before is not None:
            found = findings.bode(before.coefficients.parameters, f_hz)
    return Report(
        calibration,
        sensor,
        catalogue.sensors.get(calibration.reference),
        certificates[0] if certificates else None,
        made,
        before,
        curve,
        found,
        None if sensor is None else _deviations(store, calibration, sensor, made, before),
        now,
    )


def _dynamic(model: ModelKind) -> bool:
    return model is not ModelKind.STATIC


def _parent(registry: Registry, made: SetRecord | None) -> SetRecord | None:
    if made is None or made.coefficients.parent is None:
        return None
    try:
        return registry.coefficient_set(made.coefficients.parent)
    except NotFound:
        return None


def _deviations(
    store: SampleStore, calibration: Calibration, sensor: Sensor, made: SetRecord | None, before: SetRecord | None
) -> Deviations | None:
    """Return deviations over the end of the calibration's data, or None where that is not in the store any more."""
    end = InstantNs(calibration.window_to_ns + 1)
    start = InstantNs(max(calibration.window_from_ns, end - MOST_SAMPLES * sensor.dt_ns))
    series = store.read(sensor.id, start, end)
    good = np.isfinite(series.raw)
    t_ns, raw = series.t_ns[good], series.raw[good]
    reference = _reference(store, calibration.reference, t_ns)
    if reference is None or not bool(np.any(np.isfinite(reference))):
        return None
    return Deviations(
        t_ns,
        raw - reference,
        _corrected(before, t_ns, raw, reference),
        _corrected(made, t_ns, raw, reference),
    )


def _reference(store: SampleStore, reference: SensorId, t_ns: Int64Array) -> FloatArray | None:
    """Return the reference's indications at `t_ns`, between its own neighbours; NaN where these are too far apart."""
    if t_ns.size < 2:
        return None
    margin = int(t_ns[-1] - t_ns[0]) // 50 + 1
    found = store.read(reference, InstantNs(max(int(t_ns[0]) - margin, 0)), InstantNs(int(t_ns[-1]) + margin))
    return reference_at(t_ns, found)


def _corrected(record: SetRecord | None, t_ns: Int64Array, raw: FloatArray, reference: FloatArray) -> FloatArray | None:
    if record is None:
        return None
    c: CoefficientSet = record.coefficients
    try:
        value, _ = correct_at(c.correction, c.parameters, t_ns, raw)
    except InvalidData:
        return None  # of another interval than these data
    return np.asarray(value - reference, dtype=np.float64)
