"""The certificate of one of dyncal's calibrations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.certificates import conformity
from dyncal.certificates import vocabulary as v
from dyncal.certificates.administration import this_software
from dyncal.certificates.document import (
    Adjustment,
    Administration,
    Certificate,
    Condition,
    Decision,
    Equipment,
    Identification,
    Issuer,
    Item,
    Measurement,
    Method,
    QuantityList,
    Result,
    Statement,
)
from dyncal.certificates.filters import filter_list, smoother_list
from dyncal.certificates.parameters import default_frequencies, parameter_unit, response_covariance
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity, TextQuantity, check_covariance, real
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import HERTZ, ONE, RADIAN, Unit
from dyncal.domain.calibration import Calibration, Conformity, Deviation, Verdict
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import iso
from dyncal.models import named_model

_UNCERTAINTY: Final = (
    "Stated is the expanded uncertainty: the standard uncertainty, evaluated by JCGM 100:2008, JCGM 102:2011 and "
    "JCGM 101:2008, times the coverage factor k = 2, which for a normal distribution covers about 95 %. Covariance "
    "matrices are those of the standard uncertainties."
)
_IDENTIFICATION: Final = (
    "Model-based identification of the sensor's transfer function, by physical parameters with covariance, from "
    "simultaneous records of sensor and reference during operation; estimator: {method}."
)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A calibration and what belongs to it.

    Attributes
    ----------
    calibration : Calibration
        Accepted, or there is no certificate.
    indication_unit, measurand_unit : str
        Units of sensor and reference, in UCUM or D-SI.
    dt_ns : int
        Sampling interval of the sensor [ns].
    coefficients : CoefficientSet, optional
        The set that the calibration gave.
    reference : Equipment, optional
        The reference, with its certificate where there is one; by its id alone unless given.
    requirements : tuple of Requirement
        Limits on parameters on which to state conformity.
    conditions : tuple of Condition
        What influenced the sensor during the calibration.
    f_hz : float64, shape (n,), optional
        Frequencies of the response [Hz]; chosen around the corner unless given.
    """

    calibration: Calibration
    indication_unit: str
    measurand_unit: str
    dt_ns: int
    coefficients: CoefficientSet | None = None
    reference: Equipment | None = None
    requirements: tuple[conformity.Requirement, ...] = ()
    conditions: tuple[Condition, ...] = ()
    f_hz: FloatArray | None = None


def certificate_of(evidence: Evidence, administration: Administration) -> Certificate:
    """Return the certificate of a calibration; without items in `administration`, the sensor by its id is the item.

    Raises
    ------
    InvalidData
        If the calibration was not accepted, its parameters are no sensor's or its data no record, the set is of another
        sensor or calibration, a unit has no spelling in D-SI, a number is not finite, the covariance not positive
        semidefinite, a parameter has no uncertainty, or a requirement names no parameter.
    """
    c = evidence.calibration
    if c.verdict is not Verdict.ACCEPTED:
        raise InvalidData(f"calibration {c.id} was not accepted ({c.verdict}): there is no certificate for it")
    _check_set(c, evidence.coefficients)
    _check_numbers(c, evidence.dt_ns)
    check_covariance(f"parameters of calibration {c.id}", c.parameters.cov)
    indication, measurand = parse_unit(evidence.indication_unit), parse_unit(evidence.measurand_unit)
    results = [_parameters(evidence, indication, measurand), _quality(c, indication)]
    if c.parameters.model is not ModelKind.STATIC:
        results.insert(1, _response(evidence, indication, measurand))
    if evidence.coefficients is not None:
        results.append(_filter(evidence.coefficients, indication, measurand))
    if c.conformity is not None:
        results.append(_deviations(c.conformity, indication, measurand))
    measurement = Measurement(
        name=f"Dynamic calibration of {c.sensor}",
        results=tuple(results),
        methods=_methods(c),
        software=(this_software(),),
        equipment=(_reference(evidence),),
        conditions=evidence.conditions or (_UNRECORDED,),
        statements=(*_requirements(evidence, indication, measurand), *_adjustment(c.conformity)),
    )
    sensor = Item(c.sensor, (Identification(c.sensor, "sensor", Issuer.OWNER),))
    return Certificate(
        replace(administration, items=administration.items or (sensor,)), (measurement,), (_traceability(evidence),)
    )


_UNRECORDED: Final = Condition("Ambient conditions", "Not recorded: the sensor was calibrated where it is installed.")


def _check_set(calibration: Calibration, coefficients: CoefficientSet | None) -> None:
    if coefficients is None:
        return
    if coefficients.sensor != calibration.sensor:
        raise InvalidData(f"set {coefficients.id} is of {coefficients.sensor}, not of {calibration.sensor}")
    if coefficients.provenance.calibration_id != calibration.id:
        raise InvalidData(
            f"set {coefficients.id} came from calibration {coefficients.provenance.calibration_id}, "
            f"not from {calibration.id}"
        )


def _check_numbers(calibration: Calibration, dt_ns: int) -> None:
    p = calibration.parameters
    if p.model is not ModelKind.STATIC:
        named_model(p.model, p.names).check_physical(p.values)
    certain = [name for name, u in zip(p.names, np.diag(p.cov).tolist(), strict=True) if u == 0]
    if certain:
        raise InvalidData(f"no calibration makes parameters certain: u of {', '.join(certain)} is 0")
    if dt_ns <= 0 or calibration.n_samples < 0:
        raise InvalidData(f"{calibration.n_samples} samples every {dt_ns} ns are no record")
    if calibration.window_to_ns < calibration.window_from_ns:
        raise InvalidData(f"the data of calibration {calibration.id} end before they begin")


def _parameters(evidence: Evidence, indication: Unit, measurand: Unit) -> Result:
    p = evidence.calibration.parameters
    units = tuple(str(parameter_unit(name, indication, measurand)) for name in p.names)
    vector = Quantity("parameters", p.values, units, (v.MEASURED, v.PARAMETERS), p.names, p.u, cov=p.cov)
    kind = TextQuantity("kind of model", p.model.value, (v.MODEL_KIND,))
    described = "Labels name the parameters; H(s) of each kind is in dyncal's documentation, docs/metrology.md."
    return Result("Parameters of the sensor model", (QuantityList("parameters", (kind, vector)),), described)


def _response(evidence: Evidence, indication: Unit, measurand: Unit) -> Result:
    p = evidence.calibration.parameters
    f = default_frequencies(p, evidence.dt_ns) if evidence.f_hz is None else np.asarray(evidence.f_hz, np.float64)
    if f.ndim != 1 or f.size == 0 or not bool(np.all(np.isfinite(f) & (f > 0))):
        raise InvalidData("the response is stated at finite, positive frequencies")
    response, cov = response_covariance(p, f)
    magnitude, unit = np.abs(response), indication / measurand
    u = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    scales = np.stack([magnitude, np.ones_like(magnitude)], axis=1)
    columns: tuple[AnyQuantity, ...] = (
        Quantity("frequency", f, (str(HERTZ),), (v.NOMINAL, v.FREQUENCY)),
        Quantity("magnitude", magnitude, (str(unit),), (v.MEASURED, v.MAGNITUDE), u=u[:, 0] * magnitude),
        Quantity("phase", np.angle(response), (str(RADIAN),), (v.MEASURED, v.PHASE), u=u[:, 1]),
        ComplexQuantity(
            "response",
            response,
            str(unit),
            (v.MEASURED, v.COMPLEX),
            cov=cov * scales[:, :, None] * scales[:, None, :],
            polar=True,
        ),
    )
    described = "Indication over measurand, by the parameters; a lag of the indication has a negative phase."
    return Result(
        "Frequency response", (QuantityList("frequency response", columns, ref_types=(v.RESPONSE,)),), described
    )


def _quality(c: Calibration, indication: Unit) -> Result:
    columns: list[AnyQuantity] = [
        real("number of samples", c.n_samples, ONE, v.SAMPLES),
        real("reduced chi-squared", c.reduced_chi2, ONE, v.REDUCED_CHI2),
        real("p-value of the whiteness of the residuals", c.whiteness_p, ONE, v.WHITENESS),
        real("noise of the sensor", c.noise_std, indication.difference, v.NOISE),
    ]
    window = QuantityList("data", tuple(columns), ref_types=(v.WINDOW, v.QUALITY), instants=_window(c))
    return Result("Data and residuals of the fit", (window,))


def _window(c: Calibration) -> tuple[str, ...]:
    return (iso(c.window_from_ns), iso(c.window_to_ns))


def _filter(coefficients: CoefficientSet, indication: Unit, measurand: Unit) -> Result:
    correction = coefficients.correction
    if isinstance(correction, CorrectionSmoother):
        described = "To be run over samples of the indication at their instants, with the parameters; values come late."
        return Result("Correction", (smoother_list(coefficients.id, correction, indication, measurand),), described)
    described = "To be applied to samples of the indication; the result is about the instant `delay` samples before."
    return Result("Correction", (filter_list(coefficients, indication, measurand),), described)


def _deviations(judged: Conformity, indication: Unit, measurand: Unit) -> Result:
    states = [("as found", judged.as_found, v.AS_FOUND, Adjustment.BEFORE)]
    if indication.difference == measurand.difference:
        states.insert(0, ("uncorrected", judged.raw, v.UNCORRECTED, Adjustment.BEFORE))
    states.append(("as left", judged.as_left, v.AS_LEFT, Adjustment.AFTER))
    lists = tuple(_deviation(name, of, kind, state, measurand) for name, of, kind, state in states)
    return Result("Deviation from the reference, on data that the fit did not use", lists)


def _deviation(name: str, of: Deviation, kind: str, state: Adjustment, unit: Unit) -> QuantityList:
    condition = Condition("Adjustment", f"Deviation {name}.", status=state)
    columns = (
        real("root mean square", of.rms, unit.difference, v.ERROR, v.RMS, u=of.u),
        real("largest", of.maximum, unit.difference, v.MAXIMUM),
        real("number of samples", of.n, ONE, v.SAMPLES),
    )
    return QuantityList(name, columns, ref_types=(v.DEVIATION, kind), conditions=(condition,))


def _methods(c: Calibration) -> tuple[Method, ...]:
    identification = Method(
        "Parameter identification",
        _IDENTIFICATION.format(method=c.method or "not named"),
        ("ISO 16063-43:2015 (in its way of thinking: model-based parameter identification)",),
        ("dyncal, docs/metrology.md, section 2",),
        (v.METHOD,),
    )
    return identification, Method("Measurement uncertainty", _UNCERTAINTY, ref_types=(v.UNCERTAINTY_METHOD,))


def _reference(evidence: Evidence) -> Equipment:
    known = evidence.calibration.reference
    if evidence.reference is None:
        return Equipment(known, (Identification(known, "sensor", Issuer.OWNER),), ref_types=(v.STANDARD,))
    return replace(evidence.reference, ref_types=evidence.reference.ref_types or (v.STANDARD,))


def _requirements(evidence: Evidence, indication: Unit, measurand: Unit) -> tuple[Statement, ...]:
    p = evidence.calibration.parameters
    statements = []
    for requirement in evidence.requirements:
        if requirement.parameter not in p.names:
            raise InvalidData(f"there is no parameter {requirement.parameter!r} among {', '.join(p.names)}")
        index = p.names.index(requirement.parameter)
        unit = parameter_unit(requirement.parameter, indication, measurand)
        statements.append(conformity.statement(requirement, float(p.values[index]), float(p.u[index]), unit))
    return tuple(statements)


def _adjustment(judged: Conformity | None) -> tuple[Statement, ...]:
    if judged is None:
        return ()
    return (
        Statement(
            name="Acceptance of the adjustment",
            declaration=f"Decision rule: {judged.rule or 'not stated'}",
            norms=("JCGM 106:2012", "ISO/IEC 17025:2017, 7.8.6"),
            decision=Decision.PASS if judged.passed else Decision.FAIL,
            ref_types=(v.CONFORMITY,),
        ),
    )


def _traceability(evidence: Evidence) -> Statement:
    certificate = None if evidence.reference is None else evidence.reference.certificate
    name = evidence.calibration.reference
    if certificate is None:
        said = f"No certificate of the reference {name} was given: traceability to the SI is not shown here."
        return Statement("Metrological traceability", said, traceable=False, ref_types=(v.TRACEABLE,))
    said = f"Traceable to the SI through the certificate {certificate.identifier} of the reference {name}."
    return Statement("Metrological traceability", said, traceable=True, ref_types=(v.TRACEABLE,))
