"""Administrative data, equipment and software as XML of DCC 3.3.0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import dyncal
from dyncal.certificates.document import (
    Administration,
    CertificateReference,
    Contact,
    Equipment,
    Identification,
    Item,
    Person,
    Software,
)
from dyncal.certificates.elements import Element, child, clean, country, language, named, optional
from dyncal.certificates.vocabulary import NAMESPACE
from dyncal.domain.errors import InvalidData

_RELEASE: Final = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}")


def this_software() -> Software:
    """Return dyncal and its version, as a certificate names them."""
    found = _RELEASE.match(dyncal.__version__)
    if found is None:
        raise InvalidData(f"version {dyncal.__version__!r} does not begin with numbers")
    return Software("dyncal", f"v{found[0]}")


def write_administration(parent: Element, administration: Administration, own_ref_types: Mapping[str, str]) -> None:
    """Fill the first ring; `own_ref_types` are defined there with their meanings."""
    a = administration
    _check(a)
    write_software(child(parent, "dcc:dccSoftware"), a.software or (this_software(),))
    if own_ref_types:
        _ref_types(child(parent, "dcc:refTypeDefinitions"), own_ref_types)
    _core(child(parent, "dcc:coreData"), a)
    items = child(parent, "dcc:items")
    for item in a.items:
        _item(items, item)
    laboratory = child(parent, "dcc:calibrationLaboratory")
    optional(laboratory, "dcc:calibrationLaboratoryCode", a.laboratory_code)
    write_contact(laboratory, "dcc:contact", a.laboratory, "laboratory")
    persons = child(parent, "dcc:respPersons")
    for person in a.persons:
        _person(persons, person)
    write_contact(parent, "dcc:customer", a.customer, "customer")


def write_software(parent: Element, programs: Iterable[Software]) -> None:
    """Append programs to a list of software."""
    for program in programs:
        element = child(parent, "dcc:software")
        named(element, "dcc:name", program.name, "name of a program")
        child(element, "dcc:release", clean(program.release, f"release of {program.name}"))
        child(element, "dcc:type", "application")
        if program.description:
            named(element, "dcc:description", program.description, "description of a program")


def write_equipment(parent: Element, device: Equipment) -> None:
    """Append a measuring equipment, with its certificate."""
    element = child(parent, "dcc:measuringEquipment", ref_types=device.ref_types)
    named(element, "dcc:name", device.name, "name of an equipment")
    if device.description:
        named(element, "dcc:description", device.description, "description of an equipment")
    if device.certificate is not None:
        _reference(element, device.certificate)
    _manufacturer(element, device.manufacturer)
    optional(element, "dcc:model", device.model)
    if device.identifications:
        _identifications(element, device.identifications)


def write_contact(parent: Element, tag: str, contact: Contact, what: str) -> None:
    """Append a contact with its place. Raises `InvalidData` if no place is given."""
    element = child(parent, tag)
    named(element, "dcc:name", contact.name, f"name of the {what}")
    optional(element, "dcc:eMail", contact.e_mail)
    optional(element, "dcc:phone", contact.phone)
    optional(element, "dcc:link", contact.link)
    if not contact.city and not contact.country:
        raise InvalidData(f"{what} {contact.name!r}: a city or a country is needed")
    location = child(element, "dcc:location")
    optional(location, "dcc:street", contact.street)
    optional(location, "dcc:streetNo", contact.street_no)
    optional(location, "dcc:postCode", contact.post_code)
    optional(location, "dcc:city", contact.city)
    if contact.country:
        child(location, "dcc:countryCode", country(contact.country, f"country of the {what}"))


def _check(a: Administration) -> None:
    if a.end < a.begin:
        raise InvalidData(f"the calibration cannot end on {a.end} before it begins on {a.begin}")
    if a.issued is not None and a.issued < a.end:
        raise InvalidData(f"the certificate cannot be issued on {a.issued} before the calibration ends on {a.end}")
    if not a.persons:
        raise InvalidData("a certificate needs a responsible person")
    if not a.items:
        raise InvalidData("a certificate needs an item")
    if "en" not in a.languages:
        raise InvalidData("dyncal writes English: languages must hold 'en'")
    if len(a.languages) != 1:
        raise InvalidData("dyncal writes one language: languages must be 'en' alone")


def _core(core: Element, a: Administration) -> None:
    child(core, "dcc:countryCodeISO3166_1", country(a.country, "country of the calibration"))
    for tag in ("dcc:usedLangCodeISO639_1", "dcc:mandatoryLangCodeISO639_1"):
        for code in a.languages:
            child(core, tag, language(code))
    child(core, "dcc:uniqueIdentifier", clean(a.identifier, "identifier of the certificate"))
    if a.received is not None:
        child(core, "dcc:receiptDate", a.received.isoformat())
    child(core, "dcc:beginPerformanceDate", a.begin.isoformat())
    child(core, "dcc:endPerformanceDate", a.end.isoformat())
    child(core, "dcc:performanceLocation", a.location.value)
    if a.issued is not None:
        child(core, "dcc:issueDate", a.issued.isoformat())


def _ref_types(parent: Element, meanings: Mapping[str, str]) -> None:
    for name, meaning in meanings.items():
        element = child(parent, "dcc:refTypeDefinition", ref_types=(name,))
        named(element, "dcc:name", name, "refType")
        named(element, "dcc:description", meaning, f"meaning of {name}")
        child(element, "dcc:namespace", NAMESPACE)
        child(element, "dcc:link", f"urn:dyncal:{name}")


def _item(parent: Element, item: Item) -> None:
    element = child(parent, "dcc:item")
    named(element, "dcc:name", item.name, "name of the item")
    if item.description:
        named(element, "dcc:description", item.description, "description of the item")
    _manufacturer(element, item.manufacturer)
    optional(element, "dcc:model", item.model)
    if not item.identifications:
        raise InvalidData(f"item {item.name!r}: an identification is needed, such as its serial number")
    _identifications(element, item.identifications)


def _manufacturer(parent: Element, name: str) -> None:
    if name:
        named(child(parent, "dcc:manufacturer"), "dcc:name", name, "manufacturer")


def _identifications(parent: Element, identifications: Iterable[Identification]) -> None:
    container = child(parent, "dcc:identifications")
    for identification in identifications:
        element = child(container, "dcc:identification")
        child(element, "dcc:issuer", identification.issuer.value)
        child(element, "dcc:value", clean(identification.value, "identification"))
        if identification.name:
            named(element, "dcc:name", identification.name, "name of an identification")


def _person(parent: Element, person: Person) -> None:
    element = child(parent, "dcc:respPerson")
    contact = child(element, "dcc:person")
    named(contact, "dcc:name", person.name, "name of a person")
    optional(contact, "dcc:eMail", person.e_mail)
    optional(element, "dcc:role", person.role)
    child(element, "dcc:mainSigner", "true" if person.main_signer else "false")


def _reference(parent: Element, reference: CertificateReference) -> None:
    element = child(parent, "dcc:certificate")
    named(element, "dcc:referral", reference.title, "title of a certificate")
    child(element, "dcc:referralID", clean(reference.identifier, "number of a certificate"))
    child(element, "dcc:procedure", clean(reference.procedure, "procedure of a digest"))
    child(element, "dcc:value", clean(reference.digest, f"digest of certificate {reference.identifier}"))
    if reference.traceable is not None:
        child(element, "dcc:traceable", "true" if reference.traceable else "false")
