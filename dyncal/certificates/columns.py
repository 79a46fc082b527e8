"""Columns of a certificate's tables: chosen by name or refType, with one unit and with uncertainties."""

from __future__ import annotations

from typing import TypeVar

from dyncal.certificates.document import QuantityList
from dyncal.certificates.quantity import ComplexQuantity, Quantity
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import Unit, scale
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_Kind = TypeVar("_Kind", Quantity, ComplexQuantity)


def quantities_of(table: QuantityList, kind: type[_Kind], wanted: str) -> list[_Kind]:
    """Return the quantities of a kind whose name, refType or only label is `wanted`; all of the kind for ''."""
    return [
        q
        for q in table.quantities
        if isinstance(q, kind) and (not wanted or wanted == q.name or wanted in q.ref_types or q.labels == (wanted,))
    ]


def with_uncertainty(quantity: Quantity) -> tuple[FloatArray, FloatArray]:
    """Return checked values and standard uncertainties. Raises `InvalidData` if there are none."""
    spread = quantity.checked().standard_uncertainty
    if spread is None:
        raise InvalidData(f"{quantity.who}: no uncertainty is stated")
    return quantity.values, spread


def common_unit(quantity: Quantity) -> Unit:
    """Return the unit of all values. Raises `InvalidData` if there are several."""
    if len(quantity.units) > 1:
        raise InvalidData(f"{quantity.who}: one unit for all values is needed, not {len(quantity.units)}")
    return quantity.unit()


def factor_to(source: Unit, wanted: str | None, who: str) -> float:
    """Return the factor from a unit to a wanted one, 1 where none is wanted. Raises `InvalidData` naming `who`."""
    if wanted is None:
        return 1.0
    try:
        return scale(source, parse_unit(wanted))
    except InvalidData as error:
        raise InvalidData(f"{who}: {error}") from error


def is_known(quantity: Quantity) -> bool:
    """Tell whether all values have one unit that D-SI has: what has not cannot be what is looked for."""
    try:
        return len(quantity.units) == 1 and bool(quantity.unit())
    except InvalidData:
        return False


def has_kind(quantity: Quantity, unit: Unit) -> bool:
    """Tell whether all values have one unit, of the kind of `unit`."""
    return is_known(quantity) and quantity.unit().compatible(unit)
