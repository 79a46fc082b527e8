"""Quantities from elements of D-SI 2.0 to 2.2, as any laboratory writes them; standard uncertainties, k taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from dyncal.certificates.elements import Element
from dyncal.certificates.parsing import (
    children,
    first_of,
    local,
    maybe,
    name_of,
    number,
    numbers,
    one,
    place,
    ref_types,
    rich,
    spot,
    text,
    text_of,
    words,
)
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.units import RADIAN, Unit, parse_dsi, scale
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_REGIONS: Final = ("si:ellipsoidalRegionXMLList", "si:rectangularRegionXMLList")
_Reader = Callable[[Element, str, tuple[str, ...]], AnyQuantity]
_Spread = tuple[FloatArray, float]
"""Standard uncertainties, and the coverage factor that they were stated with, where it is one for all, else 1."""


def read_quantity(element: Element) -> AnyQuantity:
    """Return a quantity of a certificate.

    Raises
    ------
    InvalidData
        Naming the element that is missing, is no number, or has another length than the values.
    """
    name, kinds = name_of(element), ref_types(element)
    for child in element:
        reader = _READERS.get(local(child))
        if reader is not None:
            try:
                return reader(child, name, kinds)
            except InvalidData as error:
                where = place(child)
                raise error if where.split(" ")[0] in str(error) else InvalidData(f"{where}: {error}") from error
    for child in element:
        if local(child) in _NOT_READ:
            return TextQuantity(name, f"si:{local(child)}, which this program does not read", kinds, spot(child))
    raise InvalidData(f"{place(element)}: there is no quantity in it")


def _text(element: Element, name: str, kinds: tuple[str, ...]) -> TextQuantity:
    return TextQuantity(name, rich(element), kinds, spot(element))


def _characters(element: Element, name: str, kinds: tuple[str, ...]) -> TextQuantity:
    return TextQuantity(name, text(element), kinds, spot(element))


def _real(element: Element, name: str, kinds: tuple[str, ...]) -> Quantity:
    value, unit, label = number(one(element, "si:value")), text(one(element, "si:unit")), text_of(element, "si:label")
    u, k = _single_uncertainty(element)
    labels = (label,) if label else ()
    spread = None if u is None else np.array([u])
    return Quantity(name, np.array([value]), (unit,), kinds, labels, spread, k, single=True, where=spot(element))


def _constant(element: Element, name: str, kinds: tuple[str, ...]) -> Quantity:
    value, unit = number(one(element, "si:value")), text(one(element, "si:unit"))
    spread = first_of(element, "si:valueStandardMU", "si:uncertainty")
    u = None if spread is None else np.array([_not_negative(spread, number(spread))])
    return Quantity(name, np.array([value]), (unit,), kinds, u=u, k=1.0, single=True, where=spot(element))


def _single_uncertainty(element: Element) -> tuple[float | None, float]:
    # the second is how D-SI 2.2.1 spells it within a realList
    holder = first_of(element, "si:measurementUncertaintyUnivariate", "si:measurementUncertaintyUnivaraite")
    stated = first_of(
        element if holder is None else holder,
        "si:standardMU",
        "si:expandedMU",
        "si:coverageIntervalMU",
        "si:expandedUnc",
        "si:coverageInterval",
    )
    if stated is None:
        return None, 1.0
    if local(stated) in ("expandedMU", "expandedUnc"):
        size = one(stated, "si:valueExpandedMU" if local(stated) == "expandedMU" else "si:uncertainty")
        k = _factors(one(stated, "si:coverageFactor"))[0]
        return _not_negative(size, number(size)) / float(k), float(k)
    standard = first_of(stated, "si:valueStandardMU", "si:standardUnc")
    if standard is None:
        raise InvalidData(f"{place(stated)}: the standard uncertainty is missing")
    return _not_negative(standard, number(standard)), 1.0


def _real_list(element: Element, name: str, kinds: tuple[str, ...]) -> Quantity:
    values, units = numbers(one(element, "si:valueXMLList")), _units(one(element, "si:unitXMLList"))
    n, spread = values.size, _listed_uncertainty(element, values.size)
    _same(element, "units", len(units), n)
    matrix = _find(element, "si:measurementUncertaintyMultivariateXMLList", *_REGIONS)
    cov = None
    if matrix is not None:
        every = units if len(units) > 1 else units * n
        cov = _covariance(matrix, every, 1)[..., 0]
    u, k = (None, 1.0) if spread is None else spread
    return Quantity(name, values, units, kinds, words(element, "si:labelXMLList"), u, k, cov, where=spot(element))


def _listed_uncertainty(element: Element, n: int) -> _Spread | None:
    holder = maybe(element, "si:measurementUncertaintyUnivariateXMLList")
    stated = first_of(
        element if holder is None else holder,
        "si:standardMUXMLList",
        "si:expandedMUXMLList",
        "si:coverageIntervalMUXMLList",
        "si:expandedUncXMLList",
        "si:coverageIntervalXMLList",
    )
    if stated is None:
        return None
    if local(stated) in ("expandedMUXMLList", "expandedUncXMLList"):
        size = first_of(stated, "si:valueExpandedMUXMLList", "si:uncertaintyXMLList")
        if size is None:
            raise InvalidData(f"{place(stated)}: the expanded uncertainty is missing")
        k = _factors(one(stated, "si:coverageFactorXMLList"))
        spread = _spread_over(size, numbers(size), n) / _spread_over(stated, k, n)
        uniform = bool(np.all(k == k[0]))
        return _not_negative_all(size, spread), float(k[0]) if uniform else 1.0
    standard = first_of(stated, "si:valueStandardMUXMLList", "si:standardUncXMLList")
    if standard is None:
        raise InvalidData(f"{place(stated)}: the standard uncertainty is missing")
    return _not_negative_all(standard, _spread_over(standard, numbers(standard), n)), 1.0


def _real_elements(element: Element, name: str, kinds: tuple[str, ...]) -> Quantity:
    """Read a `si:realList`: one element for each number, with what is common to all beside them."""
    parts = list(children(element, "si:real"))
    if not parts:
        raise InvalidData(f"{place(element)}: si:real is missing")
    values = np.array([number(one(part, "si:value")) for part in parts])
    common_unit = text_of(element, "si:listUnit")
    units = tuple(text_of(part, "si:unit") or common_unit for part in parts)
    shared = first_of(element, "si:listMeasurementUncertaintyUnivariate", "si:listUnivariateUnc")
    common = (None, 1.0) if shared is None else _single_uncertainty(shared)
    spreads = [_single_uncertainty(part) for part in parts]
    stated = [spread if spread[0] is not None else common for spread in spreads]
    known = [u for u, _ in stated if u is not None]
    if known and len(known) != len(parts):
        raise InvalidData(f"{place(element)}: {len(known)} of {len(parts)} numbers have an uncertainty")
    factors = {k for _, k in stated}
    labels = tuple(text_of(part, "si:label") for part in parts)
    k = factors.pop() if len(factors) == 1 else 1.0
    u, labels = np.array(known) if known else None, labels if all(labels) else ()
    return Quantity(name, values, units, kinds, labels, u, k, where=spot(element))


def _complex_list(element: Element, name: str, kinds: tuple[str, ...]) -> ComplexQuantity:
    units = _units(one(element, "si:unitXMLList"))
    if len(set(units)) != 1:
        raise InvalidData(f"{place(element)}: complex values of several units are not read")
    magnitude = maybe(element, "si:valueMagnitudeXMLList")
    second = units[0]
    if magnitude is None:
        real, imag = numbers(one(element, "si:valueRealXMLList")), numbers(one(element, "si:valueImagXMLList"))
        _same(element, "imaginary parts", imag.size, real.size, exact=True)
        values = real + 1j * imag
    else:
        sizes, phases = numbers(magnitude), numbers(one(element, "si:valuePhaseXMLList"))
        _same(element, "phases", phases.size, sizes.size, exact=True)
        phase_units = set(_units(one(element, "si:unitPhaseXMLList")))
        second = phase_units.pop()
        values = _polar(element, sizes, phases, second, phase_units)
    region = _find(element, "si:measurementUncertaintyBivariateXMLList", *_REGIONS)
    cov = None
    if region is not None:
        target = str(RADIAN) if magnitude is not None else second
        cov = np.moveaxis(_covariance(region, (units[0], target), values.size), -1, 0)
    labels = words(element, "si:labelXMLList")
    return ComplexQuantity(name, values, units[0], kinds, labels, cov, magnitude is not None, spot(element))


def _polar(
    element: Element, sizes: FloatArray, phases: FloatArray, unit: str, others: Iterable[str]
) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    if list(others):
        raise InvalidData(f"{place(element)}: phases of several units are not read")
    return np.asarray(sizes * np.exp(1j * phases * scale(parse_dsi(unit), RADIAN)), dtype=np.complex128)


def _hybrid(element: Element, name: str, kinds: tuple[str, ...]) -> AnyQuantity:
    """Read the first of several statements of one quantity whose unit is one of D-SI."""
    trouble = "it is empty"
    for child in element:
        reader = _READERS.get(local(child))
        if reader is None:
            continue
        quantity = reader(child, name, kinds)
        try:
            if not isinstance(quantity, TextQuantity):
                quantity.unit()
        except InvalidData as error:
            trouble = str(error)
        else:
            return quantity
    raise InvalidData(f"{place(element)}: none of its units is known: {trouble}")


def _covariance(region: Element, units: tuple[str, ...], n: int) -> FloatArray:
    """Return the covariance in products of the units, shape (m, m, n) for m units."""
    matrix = first_of(region, "si:covarianceMatrixXMLList", "si:covarianceMatrix")
    if matrix is None:
        raise InvalidData(f"{place(region)}: the covariance matrix is missing")
    m, parsed = len(units), [parse_dsi(unit) for unit in units]
    columns = [list(column) for column in matrix]
    if len(columns) != m or any(len(column) != m for column in columns):
        shape = f"{len(columns)} columns of {sorted({len(column) for column in columns})} entries"
        raise InvalidData(f"{place(matrix)}: {shape}, not {m} by {m}")
    cov = np.empty((m, m, n))
    for j, column in enumerate(columns):
        for i, entry in enumerate(column):
            cov[i, j] = _entry(entry, parsed[i] * parsed[j], n)
    return cov


def _entry(entry: Element, expected: Unit, n: int) -> FloatArray:
    if maybe(entry, "si:value") is not None:
        values, units = numbers(one(entry, "si:value")), _units(one(entry, "si:unit"))
    else:
        values, units = numbers(one(entry, "si:valueXMLList")), _units(one(entry, "si:unitXMLList"))
    if len(set(units)) != 1:
        raise InvalidData(f"{place(entry)}: covariances of several units are not read")
    spread = _spread_over(entry, values, n)
    unit = parse_dsi(units[0])
    if not unit.compatible(expected):
        raise InvalidData(f"{place(entry)}: a covariance in {unit} where {expected} is meant")
    factor = 1.0 if str(unit) == str(expected) else unit.factor / expected.factor
    return spread if factor == 1 else spread * factor


def _find(element: Element, *tags: str) -> Element | None:
    """Return the region of a multivariate uncertainty, wherever this version of D-SI keeps it."""
    holder = first_of(element, *tags)
    if holder is None or first_of(holder, "si:covarianceMatrix", "si:covarianceMatrixXMLList") is not None:
        return holder
    return first_of(holder, "si:ellipsoidalRegionMUXMLList", "si:rectangularRegionMUXMLList")


def _units(element: Element) -> tuple[str, ...]:
    units = tuple(text(element).split())
    if not units:
        raise InvalidData(f"{place(element)}: there is no unit")
    return units if len(set(units)) > 1 else units[:1]


def _factors(element: Element) -> FloatArray:
    factors = numbers(element)
    if not bool(np.all((factors >= 1) & (factors < 1e3))):
        raise InvalidData(f"{place(element)}: a coverage factor of {factors[int(np.argmin(factors))]}")
    return factors


def _spread_over(element: Element, values: FloatArray, n: int) -> FloatArray:
    _same(element, "numbers", values.size, n)
    return np.broadcast_to(values, (n,)).copy()


def _same(element: Element, what: str, found: int, n: int, *, exact: bool = False) -> None:
    if found not in ((n,) if exact else (1, n)):
        raise InvalidData(f"{place(element)}: {found} {what} for {n} values")


def _not_negative(element: Element, value: float) -> float:
    if value < 0:
        raise InvalidData(f"{place(element)}: an uncertainty of {value} is negative")
    return value


def _not_negative_all(element: Element, values: FloatArray) -> FloatArray:
    if bool(np.any(values < 0)):
        raise InvalidData(f"{place(element)}: uncertainty {int(np.argmax(values < 0))} is negative")
    return values


_NOT_READ: Final = frozenset({"list", "complex", "complexList"})
_READERS: Final[dict[str, _Reader]] = {
    "noQuantity": _text,
    "charsXMLList": _characters,
    "real": _real,
    "constant": _constant,
    "realListXMLList": _real_list,
    "realList": _real_elements,
    "complexListXMLList": _complex_list,
    "hybrid": _hybrid,
}
