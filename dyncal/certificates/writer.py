"""Certificates as XML of DCC 3.3.0. The same certificate gives the same bytes: no clock, no random identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from lxml import etree

from dyncal.certificates.administration import write_administration, write_equipment, write_software
from dyncal.certificates.document import Certificate, Condition, Measurement, Method, QuantityList, Result, Statement
from dyncal.certificates.dsi_writer import write_quantity
from dyncal.certificates.elements import NAMESPACES, XSI, Element, child, clean, named, qualified, token
from dyncal.certificates.quantity import AnyQuantity
from dyncal.certificates.vocabulary import MEANINGS
from dyncal.domain.errors import InvalidData

VERSION: Final = "3.3.0"
_LOCATION: Final = "https://ptb.de/dcc https://ptb.de/dcc/v3.3.0/dcc.xsd"
_OWN: Final = re.compile(r"dyncal_\w+")


def write_certificate(certificate: Certificate) -> bytes:
    """Return a certificate as UTF-8 XML.

    Raises
    ------
    InvalidData
        Naming what must not stand in a certificate: a number that is not finite, a covariance that is not positive
        semidefinite, a unit that D-SI does not have, an empty name, a calibration that ends before it begins.
    """
    if not certificate.measurements:
        raise InvalidData("a certificate needs a measurement")
    root = etree.Element(qualified("dcc:digitalCalibrationCertificate"), nsmap=dict(NAMESPACES))
    root.set(f"{{{XSI}}}schemaLocation", _LOCATION)
    root.set("schemaVersion", VERSION)
    administration = child(root, "dcc:administrativeData")
    results = child(root, "dcc:measurementResults")
    for measurement in certificate.measurements:
        _measurement(results, measurement)
    # after the results: the definitions name the refTypes that were used
    own = sorted({name for element in results.iter() for name in _OWN.findall(element.get("refType", ""))})
    write_administration(administration, certificate.administration, {name: MEANINGS[name] for name in own})
    if certificate.statements:
        statements = child(administration, "dcc:statements")
        for statement in certificate.statements:
            _statement(statements, "dcc:statement", statement)
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _measurement(parent: Element, measurement: Measurement) -> None:
    element = child(parent, "dcc:measurementResult", ref_types=measurement.ref_types)
    named(element, "dcc:name", measurement.name, "name of a measurement")
    if measurement.methods:
        methods = child(element, "dcc:usedMethods")
        for method in measurement.methods:
            _method(methods, method)
    if measurement.software:
        write_software(child(element, "dcc:usedSoftware"), measurement.software)
    if measurement.equipment:
        equipment = child(element, "dcc:measuringEquipments")
        for device in measurement.equipment:
            write_equipment(equipment, device)
    _conditions(element, measurement.conditions)
    results = child(element, "dcc:results")
    for result in measurement.results:
        _result(results, result)
    if measurement.statements:
        statements = child(element, "dcc:measurementMetaData")
        for statement in measurement.statements:
            _statement(statements, "dcc:metaData", statement)


def _method(parent: Element, method: Method) -> None:
    element = child(parent, "dcc:usedMethod", ref_types=method.ref_types)
    named(element, "dcc:name", method.name, "name of a method")
    if method.description:
        named(element, "dcc:description", method.description, "description of a method")
    for norm in method.norms:
        child(element, "dcc:norm", clean(norm, "norm"))
    for reference in method.references:
        child(element, "dcc:reference", clean(reference, "reference"))


def _conditions(parent: Element, conditions: Iterable[Condition]) -> None:
    listed = tuple(conditions)
    if not listed:
        return
    container = child(parent, "dcc:influenceConditions")
    for condition in listed:
        element = child(container, "dcc:influenceCondition", ref_types=condition.ref_types)
        named(element, "dcc:name", condition.name, "name of a condition")
        if condition.status is not None:
            child(element, "dcc:status", condition.status.value)
        if not condition.text and not condition.quantities:
            raise InvalidData(f"condition {condition.name!r} has neither words nor numbers")
        _data(element, condition.text, condition.quantities)


def _data(parent: Element, text: str, quantities: Iterable[AnyQuantity]) -> None:
    data = child(parent, "dcc:data")
    if text:
        named(data, "dcc:text", text, "text")
    for quantity in quantities:
        write_quantity(data, quantity)


def _result(parent: Element, result: Result) -> None:
    element = child(parent, "dcc:result", ref_types=result.ref_types)
    named(element, "dcc:name", result.name, "name of a result")
    if result.description:
        named(element, "dcc:description", result.description, "description of a result")
    if not result.data:
        raise InvalidData(f"result {result.name!r} holds nothing")
    data = child(element, "dcc:data")
    for entry in result.data:
        if isinstance(entry, QuantityList):
            _list(data, entry)
        else:
            write_quantity(data, entry)


def _list(parent: Element, entries: QuantityList) -> None:
    element = child(parent, "dcc:list", ref_types=entries.ref_types)
    named(element, "dcc:name", entries.name, "name of a list")
    if entries.instants:
        child(element, "dcc:dateTimeXMLList", " ".join(token(instant, "instant") for instant in entries.instants))
    if not entries.lists and not entries.quantities:
        raise InvalidData(f"list {entries.name!r} holds nothing")
    for quantity in entries.quantities:
        write_quantity(element, quantity)
    for inner in entries.lists:
        _list(element, inner)
    _conditions(element, entries.conditions)


def _statement(parent: Element, tag: str, statement: Statement) -> None:
    element = child(parent, tag, ref_types=statement.ref_types)
    named(element, "dcc:name", statement.name, "name of a statement")
    if statement.traceable is not None:
        child(element, "dcc:traceable", "true" if statement.traceable else "false")
    for norm in statement.norms:
        child(element, "dcc:norm", clean(norm, "norm"))
    for reference in statement.references:
        child(element, "dcc:reference", clean(reference, "reference"))
    if statement.declaration:
        named(element, "dcc:declaration", statement.declaration, "declaration")
    if statement.decision is not None:
        child(element, "dcc:conformity", statement.decision.value)
    if statement.quantities:
        _data(element, "", statement.quantities)
