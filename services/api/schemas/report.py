"""The report of a calibration, as data."""

from __future__ import annotations

from typing import Self

import numpy as np

from dyncal.domain.samples import FloatArray
from services.api.report.content import Deviations, Report
from services.api.schemas.base import InstantNs, Shape
from services.api.schemas.calibrations import CalibrationOut, SetOut
from services.api.schemas.findings import BodeOut
from services.api.schemas.laboratory import CertificateOut


class DeviationsOut(Shape):
    """Indications minus the reference over the end of the calibration's data, in the sensor's unit; columns."""

    t_ns: list[int]
    raw: list[float | None]
    as_found: list[float | None] | None
    """Corrected by the set that was in force before."""
    as_left: list[float | None] | None
    """Corrected by the set that came of this calibration."""

    @classmethod
    def of(cls, found: Deviations) -> Self:
        """Return the shape of deviations."""
        return cls(
            t_ns=found.t_ns.tolist(),
            raw=_column(found.raw),
            as_found=None if found.as_found is None else _column(found.as_found),
            as_left=None if found.as_left is None else _column(found.as_left),
        )


def _column(values: FloatArray) -> list[float | None]:
    return [None if bad else value for value, bad in zip(values.tolist(), ~np.isfinite(values), strict=True)]


class ReportOut(Shape):
    """All that a report of a calibration says; null where there is nothing to say."""

    written_at_ns: InstantNs
    calibration: CalibrationOut
    unit: str | None
    """Unit of the indication; null where the sensor is not known any more."""
    label: str | None
    certificate: CertificateOut | None
    """The newest laboratory calibration of the reference."""
    set_made: SetOut | None
    """The coefficient set that came of this calibration."""
    set_before: SetOut | None
    """The one that was in force before."""
    response: list[BodeOut]
    """By this calibration (`calibration`), and by the set in force before (`as_found`)."""
    deviations: DeviationsOut | None
    """null where the data are not in the store any more."""

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the shape of a report."""
        c, before = report.calibration, report.before
        curves = [] if report.now is None else [BodeOut.of("calibration", c.id, c.fitted_at_ns, report.now)]
        if report.found is not None and before is not None:
            origin = before.coefficients.provenance
            curves.append(BodeOut.of("as_found", before.coefficients.id, origin.fitted_at_ns, report.found))
        return cls(
            written_at_ns=report.written_ns,
            calibration=CalibrationOut.of(c),
            unit=None if report.sensor is None else report.sensor.unit,
            label=None if report.sensor is None else report.sensor.label,
            certificate=None if report.certificate is None else CertificateOut.of(report.certificate),
            set_made=None if report.made is None else SetOut.of(report.made),
            set_before=None if before is None else SetOut.of(before),
            response=curves,
            deviations=None if report.deviations is None else DeviationsOut.of(report.deviations),
        )
