"""Certificates of any laboratory, from XML of DCC 3.x.

What has no number in it is read as far as it is there; numbers are read strictly.
"""

from __future__ import annotations

import datetime
import enum
from typing import TypeVar

from dyncal.certificates.document import (
    Adjustment,
    Administration,
    Certificate,
    CertificateReference,
    Condition,
    Contact,
    Decision,
    Equipment,
    Identification,
    Issuer,
    Item,
    Location,
    Measurement,
    Method,
    Person,
    QuantityList,
    Result,
    Software,
    Statement,
)
from dyncal.certificates.dsi_reader import read_quantity
from dyncal.certificates.elements import Element
from dyncal.certificates.parsing import (
    MAX_BYTES,
    children,
    local,
    maybe,
    name_of,
    one,
    parse,
    place,
    ref_types,
    rich,
    signatures,
    spot,
    text,
    text_of,
    words,
)
from dyncal.certificates.quantity import AnyQuantity
from dyncal.domain.errors import InvalidData

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


def read_certificate(data: bytes, *, max_bytes: int = MAX_BYTES) -> Certificate:
    """Return the certificate in UTF-8 (or any declared encoding) XML of DCC 3.x.

    Nothing outside `data` is opened. Signatures are counted, not verified.

    Raises
    ------
    InvalidData
        Naming the element: too large, no XML, a document type, another schema, an element missing, no number, lists of
        unequal length, a negative uncertainty.
    """
    root = parse(data, max_bytes=max_bytes)
    administration = one(root, "dcc:administrativeData")
    statements = maybe(administration, "dcc:statements")
    results = one(root, "dcc:measurementResults")
    measurements = tuple(map(_measurement, children(results, "dcc:measurementResult")))
    if not measurements:
        raise InvalidData(f"{place(results)}: dcc:measurementResult is missing")
    return Certificate(
        administration=_administration(administration),
        measurements=measurements,
        statements=_statements(statements, "dcc:statement"),
        version=root.get("schemaVersion", ""),
        n_signatures=signatures(root),
    )


def _administration(element: Element) -> Administration:
    core, laboratory = one(element, "dcc:coreData"), one(element, "dcc:calibrationLaboratory")
    location = text_of(core, "dcc:performanceLocation")
    return Administration(
        identifier=text(one(core, "dcc:uniqueIdentifier")),
        country=text_of(core, "dcc:countryCodeISO3166_1"),
        begin=_date(one(core, "dcc:beginPerformanceDate")),
        end=_date(one(core, "dcc:endPerformanceDate")),
        laboratory=_contact(one(laboratory, "dcc:contact")),
        persons=tuple(map(_person, _all(element, "dcc:respPersons", "dcc:respPerson"))),
        customer=_contact(one(element, "dcc:customer")),
        items=tuple(map(_item, _all(element, "dcc:items", "dcc:item"))),
        laboratory_code=text_of(laboratory, "dcc:calibrationLaboratoryCode"),
        location=_choice(core, location, Location) if location else Location.OTHER,
        issued=_maybe_date(core, "dcc:issueDate"),
        received=_maybe_date(core, "dcc:receiptDate"),
        languages=tuple(map(text, children(core, "dcc:usedLangCodeISO639_1"))),
        software=_software(maybe(element, "dcc:dccSoftware")),
    )


def _contact(element: Element) -> Contact:
    location = maybe(element, "dcc:location")
    parts = {} if location is None else {local(part): text(part) for part in location if not len(part)}
    return Contact(
        name=name_of(element),
        city=parts.get("city", ""),
        country=parts.get("countryCode", ""),
        post_code=parts.get("postCode", ""),
        street=parts.get("street", ""),
        street_no=parts.get("streetNo", ""),
        e_mail=text_of(element, "dcc:eMail"),
        phone=text_of(element, "dcc:phone"),
        link=text_of(element, "dcc:link"),
    )


def _person(element: Element) -> Person:
    person = maybe(element, "dcc:person")
    signer = text_of(element, "dcc:mainSigner") in ("true", "1")
    if person is None:
        return Person("", text_of(element, "dcc:role"), "", signer)
    return Person(name_of(person), text_of(element, "dcc:role"), text_of(person, "dcc:eMail"), signer)


def _item(element: Element) -> Item:
    return Item(
        name=name_of(element),
        identifications=_identifications(element),
        manufacturer=_manufacturer(element),
        model=text_of(element, "dcc:model"),
        description=name_of(element, "dcc:description"),
    )


def _identifications(element: Element) -> tuple[Identification, ...]:
    return tuple(
        Identification(
            text_of(entry, "dcc:value"), name_of(entry), _choice(entry, text_of(entry, "dcc:issuer"), Issuer)
        )
        for entry in _all(element, "dcc:identifications", "dcc:identification")
    )


def _manufacturer(element: Element) -> str:
    found = maybe(element, "dcc:manufacturer")
    return "" if found is None else name_of(found)


def _software(element: Element | None) -> tuple[Software, ...]:
    if element is None:
        return ()
    return tuple(
        Software(name_of(entry), text_of(entry, "dcc:release"), name_of(entry, "dcc:description"))
        for entry in children(element, "dcc:software")
    )


def _measurement(element: Element) -> Measurement:
    results = tuple(map(_result, children(one(element, "dcc:results"), "dcc:result")))
    return Measurement(
        name=name_of(element),
        results=results,
        methods=tuple(map(_method, _all(element, "dcc:usedMethods", "dcc:usedMethod"))),
        software=_software(maybe(element, "dcc:usedSoftware")),
        equipment=tuple(map(_equipment, _all(element, "dcc:measuringEquipments", "dcc:measuringEquipment"))),
        conditions=_conditions(element),
        statements=_statements(maybe(element, "dcc:measurementMetaData"), "dcc:metaData"),
        ref_types=ref_types(element),
    )


def _method(element: Element) -> Method:
    return Method(
        name=name_of(element),
        description=name_of(element, "dcc:description"),
        norms=tuple(map(text, children(element, "dcc:norm"))),
        references=tuple(map(text, children(element, "dcc:reference"))),
        ref_types=ref_types(element),
    )


def _equipment(element: Element) -> Equipment:
    certificate = maybe(element, "dcc:certificate")
    return Equipment(
        name=name_of(element),
        identifications=_identifications(element),
        manufacturer=_manufacturer(element),
        model=text_of(element, "dcc:model"),
        description=name_of(element, "dcc:description"),
        certificate=None if certificate is None else _reference(certificate),
        ref_types=ref_types(element),
    )


def _reference(element: Element) -> CertificateReference:
    return CertificateReference(
        identifier=text_of(element, "dcc:referralID"),
        title=name_of(element, "dcc:referral"),
        procedure=text_of(element, "dcc:procedure"),
        digest=text_of(element, "dcc:value"),
        traceable=_boolean(element, "dcc:traceable"),
    )


def _conditions(element: Element) -> tuple[Condition, ...]:
    found = []
    for entry in _all(element, "dcc:influenceConditions", "dcc:influenceCondition"):
        data = maybe(entry, "dcc:data")
        status = text_of(entry, "dcc:status")
        said = "" if data is None else "\n".join(rich(part) for part in children(data, "dcc:text"))
        quantities = () if data is None else _flat_quantities(data)
        state = _choice(entry, status, Adjustment) if status else None
        found.append(Condition(name_of(entry), said, quantities, state, ref_types(entry)))
    return tuple(found)


def _flat_quantities(data: Element) -> tuple[AnyQuantity, ...]:
    """Return all quantities in a container, those in lists too."""
    return tuple(read_quantity(entry) for entry in data.iter(f"{{{_namespace(data)}}}quantity"))


def _namespace(element: Element) -> str:
    return str(element.tag).partition("}")[0].lstrip("{")


def _result(element: Element) -> Result:
    data = one(element, "dcc:data")
    entries: list[QuantityList | AnyQuantity] = []
    for entry in data:
        if local(entry) == "list":
            entries.append(_list(entry))
        elif local(entry) == "quantity":
            entries.append(read_quantity(entry))
    return Result(name_of(element), tuple(entries), name_of(element, "dcc:description"), ref_types(element))


def _list(element: Element) -> QuantityList:
    single = text_of(element, "dcc:dateTime")
    instants = (single,) if single else words(element, "dcc:dateTimeXMLList")
    return QuantityList(
        name=name_of(element),
        quantities=tuple(map(read_quantity, children(element, "dcc:quantity"))),
        lists=tuple(map(_list, children(element, "dcc:list"))),
        ref_types=ref_types(element),
        instants=instants,
        conditions=_conditions(element),
        where=spot(element),
    )


def _statements(element: Element | None, tag: str) -> tuple[Statement, ...]:
    if element is None:
        return ()
    return tuple(map(_statement, children(element, tag)))


def _statement(element: Element) -> Statement:
    data, decision = maybe(element, "dcc:data"), text_of(element, "dcc:conformity")
    return Statement(
        name=name_of(element),
        declaration=name_of(element, "dcc:declaration"),
        norms=tuple(map(text, children(element, "dcc:norm"))),
        references=tuple(map(text, children(element, "dcc:reference"))),
        decision=_choice(element, decision, Decision) if decision else None,
        traceable=_boolean(element, "dcc:traceable"),
        quantities=() if data is None else _flat_quantities(data),
        ref_types=ref_types(element),
    )


def _all(parent: Element, container: str, tag: str) -> tuple[Element, ...]:
    found = maybe(parent, container)
    return () if found is None else tuple(children(found, tag))


def _boolean(parent: Element, tag: str) -> bool | None:
    found = maybe(parent, tag)
    if found is None:
        return None
    word = text(found)
    if word not in ("true", "false", "1", "0"):
        raise InvalidData(f"{place(found)}: {word[:20]!r} is neither true nor false")
    return word in ("true", "1")


def _date(element: Element) -> datetime.date:
    word = text(element)
    try:
        return datetime.date.fromisoformat(word[:10])  # a time zone may follow
    except ValueError as error:
        raise InvalidData(f"{place(element)}: {word[:40]!r} is no date") from error


def _maybe_date(parent: Element, tag: str) -> datetime.date | None:
    found = maybe(parent, tag)
    return None if found is None else _date(found)


def _choice(element: Element, word: str, kind: type[_Choice]) -> _Choice:
    try:
        return kind(word)
    except ValueError as error:
        raise InvalidData(f"{place(element)}: {word[:40]!r} is none of {', '.join(kind)}") from error
