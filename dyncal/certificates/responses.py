"""The frequency response that a certificate states, in the units asked for.

The certificate may be any laboratory's. Where it can be understood in two ways it is refused with the ways named, and a
`Selection` by name or refType says which is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.columns import common_unit, factor_to, has_kind, is_known, quantities_of, with_uncertainty
from dyncal.certificates.document import Certificate, QuantityList
from dyncal.certificates.quantity import ComplexQuantity, Quantity
from dyncal.certificates.search import tables
from dyncal.certificates.units import DECIBEL, HERTZ, RADIAN, Unit, convert, scale
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.frequency_response.points import Form, FrequencyPoints, Magnitude, PhaseSign, PhaseUnit

_Kind = TypeVar("_Kind", Quantity, ComplexQuantity)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which list and which of its quantities are meant, by name or refType; '' leaves it to what is there."""

    table: str = ""
    frequency: str = ""
    magnitude: str = ""
    phase: str = ""


_EVERYTHING: Final = Selection()


def frequency_points(
    certificate: Certificate,
    *,
    unit: str | None = None,
    phase_sign: PhaseSign = PhaseSign.LAG_NEGATIVE,
    select: Selection = _EVERYTHING,
) -> FrequencyPoints:
    """Return the frequency response that a certificate states.

    Parameters
    ----------
    unit : str, optional
        Unit of the magnitude, UCUM or D-SI; as stated unless given; decibel have none, and count from 1.
    phase_sign : PhaseSign
        The sign that this laboratory gives to a lag.

    Raises
    ------
    InvalidData
        If there is no response, or several; if a phase, an uncertainty or a convertible unit is missing.
    """
    table, frequency = _response_table(certificate, select)
    laboratory = certificate.administration.laboratory.name or "laboratory"
    f_hz = convert(frequency.checked().values, common_unit(frequency), HERTZ)
    n = len(frequency)
    found = [q for q in quantities_of(table, ComplexQuantity, select.magnitude) if len(q) == n and q.cov is not None]
    if found and not select.phase:
        return _complex_points(
            _only(table, found, "complex responses", "magnitude"), f_hz, unit, phase_sign, laboratory
        )
    magnitude = _choose(
        table, n, "magnitude", select.magnitude, lambda u: not u.compatible(HERTZ) and not u.compatible(RADIAN)
    )
    phase = _choose(table, n, "phase", select.phase, lambda u: u.compatible(RADIAN))
    size, u_size = with_uncertainty(magnitude)
    angle, u_angle = with_uncertainty(phase)
    stated, radians = common_unit(magnitude), scale(common_unit(phase), RADIAN)
    level = stated.compatible(DECIBEL)
    if level and unit is not None:
        raise InvalidData(f"{magnitude.who} is in decibel, whose reference is not stated: it has no unit {unit!r}")
    factor = scale(stated, DECIBEL) if level else factor_to(stated, unit, magnitude.who)
    return FrequencyPoints.from_magnitude_phase(
        f_hz,
        size * factor,
        angle * radians,
        u_size * factor,
        u_angle * radians,
        magnitude_as=Magnitude.DB if level else Magnitude.LINEAR,
        phase_unit=PhaseUnit.RADIANS,
        phase_sign=phase_sign,
        laboratory=laboratory,
    )


def _response_table(certificate: Certificate, select: Selection) -> tuple[QuantityList, Quantity]:
    candidates = []
    for table in tables(certificate):
        if select.table and select.table != table.name and select.table not in table.ref_types:
            continue
        frequencies = [q for q in quantities_of(table, Quantity, select.frequency) if has_kind(q, HERTZ)]
        for frequency in frequencies:
            n = len(frequency)
            phases = [q for q in quantities_of(table, Quantity, select.phase) if len(q) == n and has_kind(q, RADIAN)]
            if phases or any(len(q) == n for q in quantities_of(table, ComplexQuantity, "")):
                candidates.append((table, frequency))
    own = [(table, q) for table, q in candidates if v.RESPONSE in table.ref_types and v.FREQUENCY in q.ref_types]
    chosen = own if len(own) == 1 else candidates
    if not chosen:
        raise InvalidData(
            "the certificate states no frequency response: no list has frequencies and as many phases or complex values"
        )
    if len(chosen) > 1:
        places = "; ".join(f"{q.name!r} in list {table.name!r}" for table, q in chosen)
        raise InvalidData(f"{len(chosen)} frequency responses; select a list and its frequencies: {places}")
    return chosen[0]


def _complex_points(
    quantity: ComplexQuantity, f_hz: FloatArray, unit: str | None, sign: PhaseSign, laboratory: str
) -> FrequencyPoints:
    response, cov = quantity.checked().values, quantity.cov
    assert cov is not None  # noqa: S101  chosen so
    factor = factor_to(quantity.unit(), unit, quantity.who)
    cov = cov.copy()
    if quantity.polar:
        size = np.abs(response)
        if bool(np.any(size == 0)):
            raise InvalidData(f"{quantity.who}: a magnitude is 0")
        scales = np.stack([1 / size, np.ones_like(size)], axis=1)
        cov *= scales[:, :, None] * scales[:, None, :]
    else:
        cov *= factor**2
    response = response * factor
    if sign is PhaseSign.LAG_POSITIVE:
        response = response.conj()
        cov[:, 0, 1] *= -1
        cov[:, 1, 0] *= -1
    return FrequencyPoints(f_hz, response, cov, laboratory, Form.POLAR if quantity.polar else Form.COMPLEX)


def _choose(table: QuantityList, n: int, what: str, wanted: str, fits: Callable[[Unit], bool]) -> Quantity:
    found = [q for q in quantities_of(table, Quantity, wanted) if len(q) == n and is_known(q) and fits(common_unit(q))]
    for prefer in (v.MAGNITUDE if what == "magnitude" else v.PHASE, v.MEASURED):
        preferred = [q for q in found if prefer in q.ref_types]
        if len(preferred) == 1:
            return preferred[0]
    uncertain = [q for q in found if q.standard_uncertainty is not None]
    return _only(table, uncertain if len(uncertain) == 1 else found, f"{what}s", what)


def _only(table: QuantityList, found: list[_Kind], what: str, key: str) -> _Kind:
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(q.name) for q in found) or "none"
    raise InvalidData(f"list {table.name!r} at {table.where}: {len(found)} {what}; select one by {key}: {names}")
