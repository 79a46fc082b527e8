"""What else a certificate of a reference says, in the units asked for: parameters of a model, single quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.columns import common_unit, quantities_of, with_uncertainty
from dyncal.certificates.document import Certificate
from dyncal.certificates.parameters import parameter_unit
from dyncal.certificates.quantity import Quantity
from dyncal.certificates.search import tables
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import ONE, Unit, convert, scale
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import named_model


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
        If a parameter is missing or stated twice, has no uncertainty or another unit, the model has none such, or no
        stable sensor has such values.
    """
    columns = _labelled(certificate, table)
    wanted = dict(labels) if labels is not None else {label: label for label in columns}
    missing = [label for label in wanted if label not in columns]
    if missing or not wanted:
        known = ", ".join(columns) or "none"
        raise InvalidData(f"the certificate states no parameter {', '.join(missing)}; the labels there are: {known}")
    names = tuple(wanted.values())
    sensor = named_model(model, names)
    places = [columns[label] for label in wanted]
    factors = np.array([
        _parameter_factor(name, place, gain_unit) for name, place in zip(names, places, strict=True)
    ])  # fmt: skip
    values = np.array([place.quantity.values[place.index] for place in places])
    cov = _joint_covariance(places)
    sensor.check_physical(values * factors)
    return Parameters(model, names, values * factors, cov * np.outer(factors, factors))


def stated(certificate: Certificate, what: str, unit: str) -> Stated:
    """Return a quantity by its name or refType, such as ``basic_measurementError``, with standard uncertainties.

    Raises
    ------
    InvalidData
        If there is none or several, no uncertainty, or another kind of unit.
    """
    found = [q for entries in tables(certificate) for q in quantities_of(entries, Quantity, what)]
    if len(found) != 1:
        places = "; ".join(q.who for q in found) or "none"
        raise InvalidData(f"{len(found)} quantities are {what!r}, not one: {places}")
    quantity, target = found[0], parse_unit(unit)
    values, u = with_uncertainty(quantity)
    source = common_unit(quantity)
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


def _labelled(certificate: Certificate, wanted: str) -> dict[str, _Place]:
    """Return where each label is: in lists with labels, and single quantities by their names; doubled ones are out."""
    columns: dict[str, _Place] = {}
    doubtful: set[str] = set()
    for table in tables(certificate):
        if wanted and wanted != table.name and wanted not in table.ref_types:
            continue
        for quantity in quantities_of(table, Quantity, ""):
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
