"""Quantities as elements of D-SI 2.2.1. Numbers are written so that they read back to the last bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import numpy as np
from scipy import special

from dyncal.certificates.elements import Element, child, clean, named, token
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.units import RADIAN, Unit
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_PROBABILITY: Final = 0.95
_NORMAL: Final = "normal"


def write_quantity(parent: Element, quantity: AnyQuantity, tag: str = "dcc:quantity") -> Element:
    """Append a quantity. Raises `InvalidData` for numbers or units that a certificate must not state."""
    element = child(parent, tag, ref_types=quantity.ref_types)
    if quantity.name:
        named(element, "dcc:name", quantity.name, "name of a quantity")
    match quantity:
        case TextQuantity():
            named(element, "dcc:noQuantity", quantity.text, f"text of {quantity.name!r}")
        case ComplexQuantity():
            _complex(element, quantity.checked())
        case Quantity():
            (_real if quantity.single else _real_list)(element, quantity.checked())
        case _:
            assert_never(quantity)
    return element


def number(value: float) -> str:
    """Return a number as D-SI writes it, exact."""
    return repr(float(value))


def numbers(values: Iterable[float]) -> str:
    """Return a list of numbers, exact."""
    return " ".join(map(number, values))


def _real(parent: Element, quantity: Quantity) -> None:
    if len(quantity) != 1:
        raise InvalidData(f"{quantity.who}: {len(quantity)} values cannot be one number")
    element = child(parent, "si:real")
    if quantity.labels:
        child(element, "si:label", clean(quantity.labels[0], "label"))
    child(element, "si:value", number(quantity.values[0]))
    child(element, "si:unit", str(quantity.unit()))
    if quantity.u is None:
        return
    uncertainty = child(element, "si:measurementUncertaintyUnivariate")
    if quantity.k == 1:
        standard = child(uncertainty, "si:standardMU")
        child(standard, "si:valueStandardMU", number(quantity.u[0]))
        return
    expanded = child(uncertainty, "si:expandedMU")
    child(expanded, "si:valueExpandedMU", number(quantity.k * quantity.u[0]))
    child(expanded, "si:coverageFactor", _factor(quantity))
    child(expanded, "si:coverageProbability", number(_PROBABILITY))
    child(expanded, "si:distribution", _NORMAL)


def _real_list(parent: Element, quantity: Quantity) -> None:
    element = child(parent, "si:realListXMLList")
    if quantity.labels:
        child(element, "si:labelXMLList", " ".join(token(label, "label") for label in quantity.labels))
    child(element, "si:valueXMLList", numbers(quantity.values))
    units = tuple(quantity.unit(index) for index in range(len(quantity.units)))
    units = units if len(set(units)) > 1 else units[:1]
    child(element, "si:unitXMLList", " ".join(map(str, units)))
    if quantity.u is not None:
        _univariate_list(child(element, "si:measurementUncertaintyUnivariateXMLList"), quantity, quantity.u)
    if quantity.cov is not None:
        region = child(element, "si:measurementUncertaintyMultivariateXMLList")
        every = units if len(units) > 1 else units * len(quantity)
        products = [[a * b for b in every] for a in every]
        _region(region, quantity.cov[:, :, None], products)


def _univariate_list(parent: Element, quantity: Quantity, u: FloatArray) -> None:
    if quantity.k == 1:
        standard = child(parent, "si:standardMUXMLList")
        child(standard, "si:valueStandardMUXMLList", numbers(u))
        return
    expanded = child(parent, "si:expandedMUXMLList")
    child(expanded, "si:valueExpandedMUXMLList", numbers(quantity.k * u))
    child(expanded, "si:coverageFactorXMLList", _factor(quantity))
    child(expanded, "si:coverageProbabilityXMLList", number(_PROBABILITY))
    child(expanded, "si:distributionXMLList", _NORMAL)


def _complex(parent: Element, quantity: ComplexQuantity) -> None:
    element = child(parent, "si:complexListXMLList")
    if quantity.labels:
        child(element, "si:labelXMLList", " ".join(token(label, "label") for label in quantity.labels))
    unit = quantity.unit()
    if quantity.polar:
        child(element, "si:valueMagnitudeXMLList", numbers(np.abs(quantity.values)))
        child(element, "si:valuePhaseXMLList", numbers(np.angle(quantity.values)))
        child(element, "si:unitXMLList", str(unit))
        child(element, "si:unitPhaseXMLList", str(RADIAN))
    else:
        child(element, "si:valueRealXMLList", numbers(quantity.values.real))
        child(element, "si:valueImagXMLList", numbers(quantity.values.imag))
        child(element, "si:unitXMLList", str(unit))
    if quantity.cov is not None:
        second = RADIAN if quantity.polar else unit
        products = [[unit * unit, unit * second], [unit * second, second * second]]
        region = child(element, "si:measurementUncertaintyBivariateXMLList")
        _region(region, np.moveaxis(quantity.cov, 0, -1), products)


def _region(parent: Element, cov: FloatArray, units: list[list[Unit]]) -> None:
    """Append the covariance, shape (m, m, n), and the factor of the ellipsoid that covers 95 %."""
    region = child(parent, "si:ellipsoidalRegionMUXMLList")
    matrix = child(region, "si:covarianceMatrixXMLList")
    m = cov.shape[0]
    for j in range(m):
        column = child(matrix, "si:columnXMLList")
        for i in range(m):
            entry = child(column, "si:covarianceXMLList")
            child(entry, "si:valueXMLList", numbers(cov[i, j]))
            child(entry, "si:unitXMLList", str(units[i][j]))
    factor = float(np.sqrt(special.chdtri(m, 1 - _PROBABILITY)))
    child(region, "si:coverageFactorXMLList", f"{factor:.4f}")
    child(region, "si:coverageProbabilityXMLList", number(_PROBABILITY))
    child(region, "si:distributionXMLList", _NORMAL)


def _factor(quantity: Quantity) -> str:
    if not 1 <= quantity.k <= 1000:
        raise InvalidData(f"{quantity.who}: a coverage factor of {quantity.k}")
    return number(quantity.k)
