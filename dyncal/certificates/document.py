"""The parts of a certificate as plain data, in the order of the document (DCC 3.3.0)."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field

from dyncal.certificates.quantity import AnyQuantity


class Issuer(enum.StrEnum):
    """Who gave an identification."""

    MANUFACTURER = "manufacturer"
    LABORATORY = "calibrationLaboratory"
    CUSTOMER = "customer"
    OWNER = "owner"
    OTHER = "other"


class Location(enum.StrEnum):
    """Where the calibration was done."""

    LABORATORY = "laboratory"
    CUSTOMER = "customer"
    LABORATORY_BRANCH = "laboratoryBranch"
    CUSTOMER_BRANCH = "customerBranch"
    OTHER = "other"


class Decision(enum.StrEnum):
    """Outcome of a statement of conformity; conditional where the guard band decides (ILAC-G8)."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    CONDITIONAL_PASS = "conditionalPass"  # noqa: S105
    CONDITIONAL_FAIL = "conditionalFail"
    NO_PASS = "noPass"  # noqa: S105
    NO_FAIL = "noFail"


class Adjustment(enum.StrEnum):
    """State of the item to which a result belongs."""

    BEFORE = "beforeAdjustment"
    AFTER = "afterAdjustment"
    BEFORE_REPAIR = "beforeRepair"
    AFTER_REPAIR = "afterRepair"


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or organisation; a certificate wants at least a city or a country."""

    name: str
    city: str = ""
    country: str = ""
    """Two letters, ISO 3166-1."""
    post_code: str = ""
    street: str = ""
    street_no: str = ""
    e_mail: str = ""
    phone: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Identification:
    """A number or name by which something is known."""

    value: str
    name: str = ""
    issuer: Issuer = Issuer.OTHER


@dataclass(frozen=True, slots=True)
class Item:
    """What was calibrated."""

    name: str
    identifications: tuple[Identification, ...] = ()
    manufacturer: str = ""
    model: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who answers for the certificate."""

    name: str
    role: str = ""
    e_mail: str = ""
    main_signer: bool = False


@dataclass(frozen=True, slots=True)
class Software:
    """A program with its version, such as ``v1.2.3``."""

    name: str
    release: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Administration:
    """Who calibrated what for whom, when and where. Dates are given: nothing here reads a clock."""

    identifier: str
    """Unique for the laboratory: the certificate's number."""
    country: str
    """Two letters, ISO 3166-1: whose law the certificate is under."""
    begin: datetime.date
    end: datetime.date
    laboratory: Contact
    persons: tuple[Person, ...]
    customer: Contact
    items: tuple[Item, ...] = ()
    laboratory_code: str = ""
    location: Location = Location.CUSTOMER
    issued: datetime.date | None = None
    received: datetime.date | None = None
    languages: tuple[str, ...] = ("en",)
    software: tuple[Software, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateReference:
    """Another certificate, found by its number and told from others by a digest of its bytes."""

    identifier: str
    title: str = "calibration certificate"
    procedure: str = "SHA-256"
    digest: str = ""
    traceable: bool | None = None


@dataclass(frozen=True, slots=True)
class Equipment:
    """What was measured with."""

    name: str
    identifications: tuple[Identification, ...] = ()
    manufacturer: str = ""
    model: str = ""
    description: str = ""
    certificate: CertificateReference | None = None
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """How it was done."""

    name: str
    description: str = ""
    norms: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """What influenced the result: in words, in numbers, or both."""

    name: str
    text: str = ""
    quantities: tuple[AnyQuantity, ...] = ()
    status: Adjustment | None = None
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement on the results: of conformity with its decision rule, of traceability, or another."""

    name: str
    declaration: str = ""
    norms: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    decision: Decision | None = None
    traceable: bool | None = None
    quantities: tuple[AnyQuantity, ...] = ()
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuantityList:
    """Quantities that belong together, such as the columns of a table."""

    name: str
    quantities: tuple[AnyQuantity, ...] = ()
    lists: tuple[QuantityList, ...] = ()
    ref_types: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    """ISO 8601, as the document has them."""
    conditions: tuple[Condition, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a measurement."""

    name: str
    data: tuple[QuantityList | AnyQuantity, ...]
    description: str = ""
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """Results, and how they were come by."""

    name: str
    results: tuple[Result, ...]
    methods: tuple[Method, ...] = ()
    software: tuple[Software, ...] = ()
    equipment: tuple[Equipment, ...] = ()
    conditions: tuple[Condition, ...] = ()
    statements: tuple[Statement, ...] = ()
    ref_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A digital calibration certificate.

    Attributes
    ----------
    version : str
        Of the schema, as read; writing is always of 3.3.0.
    n_signatures : int
        Signatures (xmldsig) in the document that was read. They are not verified.
    """

    administration: Administration
    measurements: tuple[Measurement, ...]
    statements: tuple[Statement, ...] = ()
    version: str = "3.3.0"
    n_signatures: int = field(default=0)
