"""Calibrations and coefficient sets."""

from __future__ import annotations

import math
from typing import Self

from dyncal.domain.calibration import Calibration, Conformity, Deviation, Verdict
from dyncal.domain.coefficients import (
    CorrectionFilter,
    CorrectionSmoother,
    MeasurandPrior,
    Parameters,
    SetState,
)
from dyncal.domain.sensors import ModelKind
from dyncal.ports.records import SetRecord
from services.api.schemas.base import InstantNs, Shape, example, number


class ParametersOut(Shape):
    """Physical parameters in the units of their names, with covariance."""

    model_config = example(
        model="first_order",
        names=["gain", "tau_s"],
        values=[1.002, 0.503],
        u=[0.0007, 0.0004],
        cov=[[4.9e-7, 1e-9], [1e-9, 1.6e-7]],
    )

    model: ModelKind
    names: list[str]
    values: list[float | None]
    u: list[float | None]
    """Standard uncertainties (k = 1)."""
    cov: list[list[float | None]]

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Return the shape of parameters."""
        variances = [max(float(v), 0.0) for v in parameters.cov.diagonal()]
        return cls(
            model=parameters.model,
            names=list(parameters.names),
            values=[number(v) for v in parameters.values.tolist()],
            u=[number(v**0.5) for v in variances],
            cov=[[number(v) for v in row] for row in parameters.cov.tolist()],
        )


class DeviationOut(Shape):
    """Deviation from the reference on data that the fit did not use, in the sensor's unit."""

    rms: float | None
    maximum: float | None
    u: float | None
    n: int

    @classmethod
    def of(cls, deviation: Deviation) -> Self:
        """Return the shape of a deviation."""
        return cls(rms=number(deviation.rms), maximum=number(deviation.maximum), u=number(deviation.u), n=deviation.n)


class ConformityOut(Shape):
    """As found against as left, and the decision rule."""

    raw: DeviationOut
    as_found: DeviationOut
    as_left: DeviationOut
    rule: str
    passed: bool

    @classmethod
    def of(cls, conformity: Conformity) -> Self:
        """Return the shape of a statement of conformity."""
        return cls(
            raw=DeviationOut.of(conformity.raw),
            as_found=DeviationOut.of(conformity.as_found),
            as_left=DeviationOut.of(conformity.as_left),
            rule=conformity.rule,
            passed=conformity.passed,
        )


class CalibrationOut(Shape):
    """The result of one fit."""

    id: str
    sensor: str
    reference: str
    verdict: Verdict
    parameters: ParametersOut
    unobservable: list[str]
    """Parameters that the data cannot determine."""
    reduced_chi2: float | None
    whiteness_p: float | None
    noise_std: float | None
    """Standard deviation of the sensor's noise, in its unit."""
    n_samples: int
    window_from_ns: InstantNs
    window_to_ns: InstantNs
    fitted_at_ns: InstantNs
    method: str
    detail: str
    conformity: ConformityOut | None

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Return the shape of a calibration."""
        c = calibration
        return cls(
            id=c.id,
            sensor=c.sensor,
            reference=c.reference,
            verdict=c.verdict,
            parameters=ParametersOut.of(c.parameters),
            unobservable=list(c.unobservable),
            reduced_chi2=number(c.reduced_chi2),
            whiteness_p=number(c.whiteness_p),
            noise_std=number(c.noise_std),
            n_samples=c.n_samples,
            window_from_ns=c.window_from_ns,
            window_to_ns=c.window_to_ns,
            fitted_at_ns=c.fitted_at_ns,
            method=c.method,
            detail=c.detail,
            conformity=None if c.conformity is None else ConformityOut.of(c.conformity),
        )


class CalibrationPage(Shape):
    """Calibrations, newest first."""

    items: list[CalibrationOut]
    next_cursor: str | None


class FilterOut(Shape):
    """The correction filter in figures; the coefficients themselves are in the signed envelope."""

    dt_ns: int
    n_taps: int
    n_sections: int
    delay: int
    """Latency in samples."""
    latency_s: float
    band_hz: float
    noise_gain: float
    u_noise: float
    u_model: float

    @classmethod
    def of(cls, f: CorrectionFilter) -> Self:
        """Return the shape of a filter."""
        return cls(
            dt_ns=f.dt_ns,
            n_taps=int(f.fir.size),
            n_sections=int(f.sos.shape[0]),
            delay=f.delay,
            latency_s=f.latency_ns / 1e9,
            band_hz=f.band_hz,
            noise_gain=f.noise_gain,
            u_noise=f.u_noise,
            u_model=f.u_model,
        )


class SmootherOut(Shape):
    """The fixed-lag smoother of a set: the measurand as a random process, and the sensor's noise."""

    dt_ns: int
    latency_s: float
    prior: MeasurandPrior
    density: float
    """Of the measurand's two-sided spectrum [unit² s]."""
    corner_hz: float
    order: int
    noise_std: float
    band_hz: float

    @classmethod
    def of(cls, s: CorrectionSmoother) -> Self:
        """Return the shape of a smoother."""
        return cls(
            dt_ns=s.dt_ns,
            latency_s=s.latency_ns / 1e9,
            prior=s.prior,
            density=s.density,
            corner_hz=s.corner_rad_s / (2 * math.pi),
            order=s.order,
            noise_std=s.noise_std,
            band_hz=s.band_hz,
        )


class SetOut(Shape):
    """A coefficient set and where it stands."""

    id: str
    sensor: str
    sequence: int
    parent: str | None
    state: SetState
    reason: str
    """Why it is in that state."""
    changed_ns: InstantNs
    parameters: ParametersOut
    filter: FilterOut | None
    """None where the set has a smoother."""
    smoother: SmootherOut | None = None
    valid_from_ns: InstantNs
    calibration_id: str
    reference: str
    fitted_at_ns: InstantNs
    window_from_ns: InstantNs
    window_to_ns: InstantNs
    n_samples: int
    note: str

    @classmethod
    def of(cls, record: SetRecord) -> Self:
        """Return the shape of a set."""
        c, correction, o = record.coefficients, record.coefficients.correction, record.coefficients.provenance
        return cls(
            id=c.id,
            sensor=c.sensor,
            sequence=c.sequence,
            parent=c.parent,
            state=record.state,
            reason=record.reason,
            changed_ns=record.changed_ns,
            parameters=ParametersOut.of(c.parameters),
            filter=FilterOut.of(correction) if isinstance(correction, CorrectionFilter) else None,
            smoother=SmootherOut.of(correction) if isinstance(correction, CorrectionSmoother) else None,
            valid_from_ns=c.valid_from_ns,
            calibration_id=o.calibration_id,
            reference=o.reference,
            fitted_at_ns=o.fitted_at_ns,
            window_from_ns=o.window_from_ns,
            window_to_ns=o.window_to_ns,
            n_samples=o.n_samples,
            note=c.note,
        )


class SetPage(Shape):
    """Coefficient sets, newest sequence first within a sensor."""

    items: list[SetOut]
    next_cursor: str | None
