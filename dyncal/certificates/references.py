"""What a certificate of a reference says, in the units asked for: frequency response, parameters, uncertainties.

The certificate may be any laboratory's. Where it can be understood in two ways it is refused with the ways named, and a
`Selection` by name or refType says which is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.document import Certificate, QuantityList
from dyncal.certificates.parameters import parameter_unit
from dyncal.certificates.quantity import ComplexQuantity, Quantity
from dyncal.certificates.search import tables
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import DECIBEL, HERTZ, ONE, RADIAN, Unit, convert, scale
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response.points import Form, FrequencyPoints, Magnitude, PhaseSign, PhaseUnit
from dyncal.models import named_model

_Kind = TypeVar("_Kind", Quantity, ComplexQuantity)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which list and which of its quantities are meant, by name or refType; '' leaves it to what is there."""

    table: str = ""
    frequency: str = ""
    magnitude: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """Values with standard uncertainties, shape (n,) each, in the unit asked for; coverage factors are taken out."""

    name: str
    values: FloatArray
    u: FloatArray

    @property
    def largest_u(self) -> float:
        """Largest of the standard uncertainties: what holds over the whole range."""
        return float(np.max(self.u))


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
        Unit of the magnitude, UCUM or D-SI; as stated unless given. Not for magnitudes in decibel.
    phase_sign : PhaseSign
        The sign that this laboratory gives to a lag.

    Raises
    ------
    InvalidData
        If there is no response, or several; if a phase, an uncertainty or a convertible unit is missing.
    """
    table, frequency = _response_table(certificate, select)
    laboratory = certificate.administration.laboratory.name or "laboratory"
    f_hz = convert(frequency.checked().values, _common_unit(frequency), HERTZ)
    n = len(frequency)
    found = [q for q in _of(table, ComplexQuantity, select.magnitude) if len(q) == n and q.cov is not None]
    if found and not select.phase:
        return _complex_points(
            _only(table, found, "complex responses", "magnitude"), f_hz, unit, phase_sign, laboratory
        )
    magnitude = _choose(table, n, "magnitude", select.magnitude, lambda u: not _is(u, HERTZ) and not _is(u, RADIAN))
    phase = _choose(table, n, "phase", select.phase, lambda u: _is(u, RADIAN))
    size, u_size = _with_u(magnitude)
    angle, u_angle = _with_u(phase)
    stated, radians = _common_unit(magnitude), scale(_common_unit(phase), RADIAN)
    level = _is(stated, DECIBEL)
    factor = scale(stated, DECIBEL) if level else _to(stated, unit, magnitude.who)
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


def parameter_vector(
    certificate: Certificate,
    model: ModelKind,
    labels: Mapping[str, str] | None = None,
    *,
    gain_unit: str | None = None,
    table: str = "",
) -> Parameters:
    """Return parameters of a sensor model that a certificate states, in the units of their names.

    Parameters
    ----------
    labels : mapping of str to str, optional
        From the certificate's labels (or names of single quantities) to dyncal's names, in the model's order; they are
        the same unless given.
    gain_unit : str, optional
        Unit of the gain, UCUM or D-SI; as stated unless given.
    table : str
        Name or refType of the list that is meant.

    Raises
    ------
    InvalidData
        If a parameter is missing or stated twice, has no uncertainty or another unit, or the model has none such.
    """
    columns = _labelled(certificate, table)
    wanted = dict(labels) if labels is not None else {label: label for label in columns}
    missing = [label for label in wanted if label not in columns]
    if missing or not wanted:
        known = ", ".join(columns) or "none"
        raise InvalidData(f"the certificate states no parameter {', '.join(missing)}; the labels there are: {known}")
    names = tuple(wanted.values())
    named_model(model, names)
    places = [columns[label] for label in wanted]
    factors = np.array([
        _parameter_factor(name, place, gain_unit) for name, place in zip(names, places, strict=True)
    ])  # fmt: skip
    values = np.array([place.quantity.values[place.index] for place in places])
    cov = _joint_covariance(places)
    return Parameters(model, names, values * factors, cov * np.outer(factors, factors))


def stated(certificate: Certificate, what: str, unit: str) -> Stated:
    """Return a quantity by its name or refType, such as ``basic_measurementError``, with standard uncertainties.

    Raises
    ------
    InvalidData
        If there is none or several, no uncertainty, or another kind of unit.
    """
    found = [q for entries in tables(certificate) for q in _of(entries, Quantity, what)]
    if len(found) != 1:
        places = "; ".join(q.who for q in found) or "none"
        raise InvalidData(f"{len(found)} quantities are {what!r}, not one: {places}")
    quantity, target = found[0], parse_unit(unit)
    values, u = _with_u(quantity)
    source = _common_unit(quantity)
    try:
        # an error or a deviation is a difference, though its unit may be written as °C
        error = any(kind.startswith(v.ERROR) for kind in quantity.ref_types)
        converted = values * scale(source, target) if error else convert(values, source, target)
        return Stated(quantity.name, converted, u * scale(source, target))
    except InvalidData as trouble:
        raise InvalidData(f"{quantity.who}: {trouble}") from trouble


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    quantity: Quantity
    index: int

    @property
    def unit(self) -> Unit:
        return self.quantity.unit(self.index).difference


def _response_table(certificate: Certificate, select: Selection) -> tuple[QuantityList, Quantity]:
    candidates = []
    for table in tables(certificate):
        if select.table and select.table != table.name and select.table not in table.ref_types:
            continue
        frequencies = [q for q in _of(table, Quantity, select.frequency) if _unit_is(q, HERTZ)]
        for frequency in frequencies:
            n = len(frequency)
            phases = [q for q in _of(table, Quantity, select.phase) if len(q) == n and _unit_is(q, RADIAN)]
            if phases or any(len(q) == n for q in _of(table, ComplexQuantity, "")):
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
    factor = _to(quantity.unit(), unit, quantity.who)
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
    found = [q for q in _of(table, Quantity, wanted) if len(q) == n and _known(q) and fits(_common_unit(q))]
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


def _of(table: QuantityList, kind: type[_Kind], wanted: str) -> list[_Kind]:
    return [
        q
        for q in table.quantities
        if isinstance(q, kind) and (not wanted or wanted == q.name or wanted in q.ref_types or q.labels == (wanted,))
    ]


def _labelled(certificate: Certificate, wanted: str) -> dict[str, _Place]:
    """Return where each label is: in lists with labels, and single quantities by their names; doubled ones are out."""
    columns: dict[str, _Place] = {}
    doubtful: set[str] = set()
    for table in tables(certificate):
        if wanted and wanted != table.name and wanted not in table.ref_types:
            continue
        for quantity in _of(table, Quantity, ""):
            if v.PARAMETERS not in quantity.ref_types and not wanted and _is_own(certificate):
                continue
            names = quantity.labels or ((quantity.name,) if quantity.single else ())
            for index, name in enumerate(names):
                doubtful |= {name} if name in columns else set()
                columns[name] = _Place(quantity, index)
    return {name: place for name, place in columns.items() if name not in doubtful}


def _is_own(certificate: Certificate) -> bool:
    return any(
        v.PARAMETERS in q.ref_types
        for table in tables(certificate)
        for q in table.quantities
        if isinstance(q, Quantity)
    )


def _parameter_factor(name: str, place: _Place, gain_unit: str | None) -> float:
    if name == "gain":
        target = place.unit if gain_unit is None else parse_unit(gain_unit)
    else:
        target = parameter_unit(name, ONE, ONE)
    try:
        return scale(place.unit, target)
    except InvalidData as error:
        raise InvalidData(f"parameter {name!r} from {place.quantity.who}: {error}") from error


def _joint_covariance(places: list[_Place]) -> FloatArray:
    """Return the covariance of single numbers: of one list its matrix, between quantities 0, as nothing is stated."""
    cov = np.zeros((len(places), len(places)))
    for i, a in enumerate(places):
        quantity, spread = a.quantity.checked(), a.quantity.standard_uncertainty
        if spread is None:
            raise InvalidData(f"{quantity.who}: no uncertainty is stated")
        for j, b in enumerate(places):
            if b.quantity is quantity and quantity.cov is not None:
                cov[i, j] = quantity.cov[a.index, b.index]
            elif i == j:
                cov[i, i] = spread[a.index] ** 2
    return cov


def _with_u(quantity: Quantity) -> tuple[FloatArray, FloatArray]:
    spread = quantity.checked().standard_uncertainty
    if spread is None:
        raise InvalidData(f"{quantity.who}: no uncertainty is stated")
    return quantity.values, spread


def _common_unit(quantity: Quantity) -> Unit:
    if len(quantity.units) > 1:
        raise InvalidData(f"{quantity.who}: one unit for all values is needed, not {len(quantity.units)}")
    return quantity.unit()


def _to(source: Unit, wanted: str | None, who: str) -> float:
    if wanted is None:
        return 1.0
    try:
        return scale(source, parse_unit(wanted))
    except InvalidData as error:
        raise InvalidData(f"{who}: {error}") from error


def _known(quantity: Quantity) -> bool:
    """Tell whether all values have one unit that D-SI has: what has not cannot be what is looked for."""
    try:
        return len(quantity.units) == 1 and bool(quantity.unit())
    except InvalidData:
        return False


def _unit_is(quantity: Quantity, unit: Unit) -> bool:
    return _known(quantity) and _is(quantity.unit(), unit)


def _is(unit: Unit, kind: Unit) -> bool:
    return unit.compatible(kind)
