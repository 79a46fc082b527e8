"""What a certificate that dyncal wrote says, back in dyncal's terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.document import Certificate, QuantityList, Statement
from dyncal.certificates.filters import read_filter, read_smoother
from dyncal.certificates.parameters import parameter_unit
from dyncal.certificates.quantity import ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.search import factor, find_list, number, single, tables, with_ref_type
from dyncal.certificates.units import HERTZ, ONE, Unit
from dyncal.domain.calibration import Deviation
from dyncal.domain.coefficients import CorrectionFilter, CorrectionSmoother, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import InstantNs, parse_iso
from dyncal.models import named_model
from dyncal.models.base import ComplexArray


@dataclass(frozen=True, slots=True, eq=False)
class Certified:
    """A calibration as its certificate states it.

    Attributes
    ----------
    parameters : Parameters
        In the units of their names, the gain in `gain_unit`; such as a sensor can have.
    gain_unit : Unit, optional
        Unit of the gain, where the model has one.
    f_hz, response, cov_response
        Frequencies [Hz] (n,), H (n,), and the covariance of (magnitude, phase [rad]) (n, 2, 2); n = 0 without response.
    filter : CorrectionFilter, optional
    smoother : CorrectionSmoother, optional
    set_id : str
        The coefficient set of the one or the other.
    deviations : mapping of str to Deviation
        ``uncorrected``, ``as found``, ``as left``, those that are stated.
    window : (int, int)
        First and last instant of the data [ns].
    n_samples : int
    reduced_chi2, whiteness_p, noise_std : float
    statements : tuple of Statement
        On the results: conformity with decision rule.
    """

    parameters: Parameters
    gain_unit: Unit | None
    f_hz: FloatArray
    response: ComplexArray
    cov_response: FloatArray
    filter: CorrectionFilter | None
    smoother: CorrectionSmoother | None
    set_id: str
    deviations: dict[str, Deviation]
    window: tuple[InstantNs, InstantNs]
    n_samples: int
    reduced_chi2: float
    whiteness_p: float
    noise_std: float
    statements: tuple[Statement, ...]


def certified(certificate: Certificate) -> Certified:
    """Return what a certificate of dyncal states.

    Raises
    ------
    InvalidData
        If it is not one of dyncal's, or something in it is missing, doubled or impossible, as a unit of another kind or
        a negative time constant.
    """
    holders = [entries for entries in tables(certificate) if with_ref_type(entries, v.PARAMETERS, Quantity)]
    if len(holders) != 1:
        raise InvalidData(
            f"{len(holders)} lists with {v.PARAMETERS}: this is no certificate of one calibration by dyncal"
        )
    vector, kind = single(holders[0], v.PARAMETERS, Quantity), single(holders[0], v.MODEL_KIND, TextQuantity)
    fit = _needed(certificate, v.QUALITY)
    if len(fit.instants) != 2:
        raise InvalidData(f"list {fit.name!r} at {fit.where}: {len(fit.instants)} instants, not first and last")
    gain_unit = vector.unit(vector.labels.index("gain")) if "gain" in vector.labels else None
    f_hz, response, cov = _response(find_list(certificate, v.RESPONSE), gain_unit)
    filters, smoothers = find_list(certificate, v.FILTER), find_list(certificate, v.SMOOTHER)
    correction = filters or smoothers
    return Certified(
        parameters=_parameters(vector, kind.text),
        gain_unit=gain_unit,
        f_hz=f_hz,
        response=response,
        cov_response=cov,
        filter=None if filters is None else read_filter(filters),
        smoother=None if smoothers is None else read_smoother(smoothers),
        set_id="" if correction is None else single(correction, v.SET, TextQuantity).text,
        deviations={
            entries.name: _deviation(entries) for entries in tables(certificate) if v.DEVIATION in entries.ref_types
        },
        window=(parse_iso(fit.instants[0]), parse_iso(fit.instants[1])),
        n_samples=round(number(fit, v.SAMPLES, ONE)),
        reduced_chi2=number(fit, v.REDUCED_CHI2, ONE),
        whiteness_p=number(fit, v.WHITENESS, ONE),
        noise_std=number(fit, v.NOISE),
        statements=tuple(said for measurement in certificate.measurements for said in measurement.statements),
    )


def _parameters(vector: Quantity, kind: str) -> Parameters:
    vector.checked()
    if vector.cov is None or not vector.labels:
        raise InvalidData(f"{vector.who}: labels and a covariance matrix are needed")
    try:
        model = ModelKind(kind)
    except ValueError as error:
        raise InvalidData(f"{vector.who}: {kind[:40]!r} is no kind of model") from error
    sensor = None if model is ModelKind.STATIC else named_model(model, vector.labels)
    if sensor is None:
        return Parameters(model, vector.labels, vector.values, vector.cov)
    factors = np.array([_to_own_unit(vector, index, name) for index, name in enumerate(vector.labels)])
    values = vector.values * factors
    try:
        sensor.check_physical(values)
    except InvalidData as error:
        raise InvalidData(f"{vector.who}: {error}") from error
    return Parameters(model, vector.labels, values, vector.cov * np.outer(factors, factors))


def _to_own_unit(vector: Quantity, index: int, name: str) -> float:
    """Return the factor to the unit that a parameter's name says; a gain's is that of the pair, and stays."""
    return 1.0 if name == "gain" else factor(vector, parameter_unit(name, ONE, ONE), index)


def _response(entries: QuantityList | None, gain: Unit | None) -> tuple[FloatArray, ComplexArray, FloatArray]:
    if entries is None:
        return np.empty(0), np.empty(0, np.complex128), np.empty((0, 2, 2))
    frequencies = single(entries, v.FREQUENCY, Quantity).checked()
    f_hz = frequencies.values * factor(frequencies, HERTZ)
    quantity = single(entries, v.COMPLEX, ComplexQuantity).checked()
    if quantity.cov is None or len(quantity) != f_hz.size:
        raise InvalidData(f"{quantity.who}: {len(quantity)} values for {f_hz.size} frequencies, or no covariance")
    if gain is None:
        return f_hz, quantity.values, quantity.cov
    to_gain = factor(quantity, gain)
    scales = np.array([to_gain, 1.0 if quantity.polar else to_gain])
    return f_hz, quantity.values * to_gain, quantity.cov * np.outer(scales, scales)


def _deviation(entries: QuantityList) -> Deviation:
    rms = single(entries, v.RMS, Quantity).checked()
    if rms.u is None:
        raise InvalidData(f"{rms.who}: no uncertainty is stated")
    largest = number(entries, v.MAXIMUM, rms.unit().difference)
    return Deviation(float(rms.values[0]), largest, float(rms.u[0]), round(number(entries, v.SAMPLES, ONE)))


def _needed(certificate: Certificate, ref_type: str) -> QuantityList:
    found = find_list(certificate, ref_type)
    if found is None:
        raise InvalidData(f"no list is {ref_type}")
    return found
