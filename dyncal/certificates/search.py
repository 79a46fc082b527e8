"""Finding lists and quantities in a certificate by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from dyncal.certificates.document import Certificate, QuantityList
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.units import Unit, scale
from dyncal.domain.errors import InvalidData

_Kind = TypeVar("_Kind", Quantity, ComplexQuantity, TextQuantity)


def tables(certificate: Certificate) -> Iterator[QuantityList]:
    """Return every list of a certificate, outer ones before those within; a result without list as one."""
    for measurement in certificate.measurements:
        for result in measurement.results:
            loose: list[AnyQuantity] = []
            for entry in result.data:
                if isinstance(entry, QuantityList):  # many laboratories name the result, not its only list
                    yield from _nested(replace(entry, name=entry.name or result.name))
                else:
                    loose.append(entry)
            if loose:
                yield QuantityList(
                    result.name, tuple(loose), ref_types=result.ref_types, where=f"result {result.name!r}"
                )


def _nested(entries: QuantityList) -> Iterator[QuantityList]:
    yield entries
    for inner in entries.lists:
        yield from _nested(inner)


def find_list(certificate: Certificate, ref_type: str) -> QuantityList | None:
    """Return the one list of that refType, or None. Raises `InvalidData` if there are several."""
    found = [entries for entries in tables(certificate) if ref_type in entries.ref_types]
    if len(found) > 1:
        places = "; ".join(entries.where for entries in found)
        raise InvalidData(f"{len(found)} lists are {ref_type}: {places}")
    return found[0] if found else None


def with_ref_type(entries: QuantityList, ref_type: str, kind: type[_Kind]) -> list[_Kind]:
    """Return the quantities of a list that are of that refType and kind."""
    return [q for q in entries.quantities if ref_type in q.ref_types and isinstance(q, kind)]


def single(entries: QuantityList, ref_type: str, kind: type[_Kind]) -> _Kind:
    """Return the one quantity of that refType and kind. Raises `InvalidData`."""
    found = with_ref_type(entries, ref_type, kind)
    if len(found) != 1:
        raise InvalidData(f"list {entries.name!r} at {entries.where}: {ref_type} is there {len(found)} times, not once")
    return found[0]


def number(entries: QuantityList, ref_type: str, unit: Unit | None = None) -> float:
    """Return the first value of the one quantity of that refType, in `unit`; as it is stated where none is given.

    Raises
    ------
    InvalidData
        If there is none or several, a number is not finite, or the unit is of another kind.
    """
    quantity = single(entries, ref_type, Quantity).checked()
    value = float(quantity.values[0])
    return value if unit is None else value * factor(quantity, unit)


def factor(quantity: Quantity | ComplexQuantity, unit: Unit, index: int = 0) -> float:
    """Return the factor from the unit of a value to another, of differences. Raises `InvalidData` with its name."""
    own = quantity.unit(index) if isinstance(quantity, Quantity) else quantity.unit()
    try:
        return scale(own.difference, unit)
    except InvalidData as error:
        raise InvalidData(f"{quantity.who}: {error}") from error
