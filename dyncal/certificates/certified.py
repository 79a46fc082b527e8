"""What a certificate that dyncal wrote says, back in dyncal's terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.document import Certificate, QuantityList, Statement
from dyncal.certificates.filters import read_filter, read_smoother
from dyncal.certificates.quantity import ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.search import find_list, single, tables, with_ref_type
from dyncal.certificates.units import Unit
from dyncal.domain.calibration import Deviation
from dyncal.domain.coefficients import CorrectionFilter, CorrectionSmoother, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import InstantNs, parse_iso
from dyncal.models.base import ComplexArray


@dataclass(frozen=True, slots=True, eq=False)
class Certified:
    """A calibration as its certificate states it.

    Attributes
    ----------
    parameters : Parameters
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
        If it is not one of dyncal's, or something in it is missing, doubled or impossible.
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
    f_hz, response, cov = _response(find_list(certificate, v.RESPONSE))
    filters, smoothers = find_list(certificate, v.FILTER), find_list(certificate, v.SMOOTHER)
    correction = filters or smoothers
    return Certified(
        parameters=_parameters(vector, kind.text),
        gain_unit=vector.unit(vector.labels.index("gain")) if "gain" in vector.labels else None,
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
        n_samples=round(_value(fit, v.SAMPLES)),
        reduced_chi2=_value(fit, v.REDUCED_CHI2),
        whiteness_p=_value(fit, v.WHITENESS),
        noise_std=_value(fit, v.NOISE),
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
    return Parameters(model, vector.labels, vector.values, vector.cov)


def _response(entries: QuantityList | None) -> tuple[FloatArray, ComplexArray, FloatArray]:
    if entries is None:
        return np.empty(0), np.empty(0, np.complex128), np.empty((0, 2, 2))
    f_hz = single(entries, v.FREQUENCY, Quantity).checked().values
    quantity = single(entries, v.COMPLEX, ComplexQuantity).checked()
    if quantity.cov is None or len(quantity) != f_hz.size:
        raise InvalidData(f"{quantity.who}: {len(quantity)} values for {f_hz.size} frequencies, or no covariance")
    return f_hz, quantity.values, quantity.cov


def _deviation(entries: QuantityList) -> Deviation:
    rms = single(entries, v.RMS, Quantity).checked()
    if rms.u is None:
        raise InvalidData(f"{rms.who}: no uncertainty is stated")
    return Deviation(
        float(rms.values[0]), _value(entries, v.MAXIMUM), float(rms.u[0]), round(_value(entries, v.SAMPLES))
    )


def _value(entries: QuantityList, ref_type: str) -> float:
    return float(single(entries, ref_type, Quantity).checked().values[0])


def _needed(certificate: Certificate, ref_type: str) -> QuantityList:
    found = find_list(certificate, ref_type)
    if found is None:
        raise InvalidData(f"no list is {ref_type}")
    return found
