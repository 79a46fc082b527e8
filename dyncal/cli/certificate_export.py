"""From a calibration in the registry, and a file that says who answers for it, to a certificate."""

from __future__ import annotations

import datetime
import tomllib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dyncal.adapters.registry import open_registry
from dyncal.certificates.calibration import Evidence, certificate_of
from dyncal.certificates.conformity import Requirement
from dyncal.certificates.document import (
    Administration,
    Certificate,
    Condition,
    Contact,
    Equipment,
    Item,
    Location,
    Person,
)
from dyncal.certificates.quantity import real
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.writer import write_certificate
from dyncal.cli.doctor import SharedSettings
from dyncal.domain.calibration import Calibration
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.errors import InvalidSetting, NotFound
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.registry import Registry
from dyncal.runtime.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """A condition during the calibration: a number with unit and standard uncertainty, or words."""

    name: str
    text: str = ""
    value: float | None = None
    unit: str = "1"
    u: float | None = None
    ref_type: str = ""

    def condition(self) -> Condition:
        """Return it as a certificate has it."""
        kinds = (self.ref_type,) if self.ref_type else ()
        stated = () if self.value is None else (real(self.name, self.value, parse_unit(self.unit), *kinds, u=self.u),)
        return Condition(self.name, self.text, stated, ref_types=kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What no registry knows: the content of the file that `--about` names.

    Dates that are absent are those of the data, in UTC; the unit of the measurand that of the reference's sensor.
    """

    identifier: str
    country: str
    laboratory: Contact
    customer: Contact
    persons: tuple[Person, ...]
    laboratory_code: str = ""
    location: Location = Location.CUSTOMER
    begin: datetime.date | None = None
    end: datetime.date | None = None
    issued: datetime.date | None = None
    received: datetime.date | None = None
    item: Item | None = None
    reference: Equipment | None = None
    measurand_unit: str = ""
    requirements: tuple[Requirement, ...] = ()
    conditions: tuple[Ambient, ...] = ()

    def administration(self, calibration: Calibration) -> Administration:
        """Return the administrative data of the certificate of a calibration."""
        return Administration(
            identifier=self.identifier,
            country=self.country,
            begin=self.begin or _day(calibration.window_from_ns),
            end=self.end or _day(calibration.window_to_ns),
            laboratory=self.laboratory,
            persons=self.persons,
            customer=self.customer,
            items=() if self.item is None else (self.item,),
            laboratory_code=self.laboratory_code,
            location=self.location,
            issued=self.issued,
            received=self.received,
        )


def read_about(file: Path) -> About:
    """Return the content of a file. Raises `InvalidSetting` naming the key that is missing, unknown or wrong."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{file}: {error}") from error
    try:
        about = msgspec.convert(content, About)
    except msgspec.ValidationError as error:
        raise InvalidSetting(f"{file}: {error}") from error
    unknown = _unknown(content, msgspec.to_builtins(about), "")
    if unknown:
        raise InvalidSetting(f"{file}: unknown key {', '.join(map(repr, unknown))}")
    return about


def _unknown(given: object, understood: object, path: str) -> list[str]:
    """Return the keys that were given and not understood, at any depth."""
    if isinstance(given, dict) and isinstance(understood, dict):
        here = [f"{path}{key}" for key in given if key not in understood]
        deeper = (_unknown(part, understood[key], f"{path}{key}.") for key, part in given.items() if key in understood)
        return here + [key for keys in deeper for key in keys]
    if isinstance(given, list) and isinstance(understood, list | tuple):
        pairs = enumerate(zip(given, understood, strict=True))
        return [key for n, (a, b) in pairs for key in _unknown(a, b, f"{path.rstrip('.')}[{n}].")]
    return []


def export_calibration(calibration_id: str, about_file: Path, config: Path | None) -> bytes:
    """Return the certificate of a calibration in the registry that the settings name.

    Raises
    ------
    InvalidSetting
        If one of the files is not as it must be.
    NotFound, StoreUnavailable
        As the registry says.
    InvalidData
        If the calibration cannot have a certificate.
    """
    about, settings = read_about(about_file), load(SharedSettings, config)
    with closing(open_registry(settings.registry, settings.data_dir)) as registry:
        return write_certificate(_certificate(registry, calibration_id, about))


def _certificate(registry: Registry, calibration_id: str, about: About) -> Certificate:
    calibration = registry.calibration(calibration_id)
    sensor = registry.sensor(calibration.sensor)
    evidence = Evidence(
        calibration=calibration,
        indication_unit=sensor.unit,
        measurand_unit=about.measurand_unit or _unit_of(registry, calibration.reference),
        dt_ns=sensor.dt_ns,
        coefficients=_set_of(registry, calibration),
        reference=about.reference,
        requirements=about.requirements,
        conditions=tuple(ambient.condition() for ambient in about.conditions),
    )
    return certificate_of(evidence, about.administration(calibration))


def _unit_of(registry: Registry, reference: SensorId) -> str:
    try:
        return registry.sensor(reference).unit
    except NotFound as error:
        raise NotFound(f"{error}; say its unit as measurand_unit in the file of --about") from error


def _set_of(registry: Registry, calibration: Calibration) -> CoefficientSet | None:
    """Return the newest set that came from a calibration, or None."""
    records = registry.sets(calibration.sensor, limit=1000)
    found = [
        record.coefficients for record in records if record.coefficients.provenance.calibration_id == calibration.id
    ]
    return found[0] if found else None


def _day(instant: InstantNs) -> datetime.date:
    return datetime.datetime.fromtimestamp(instant // NS_PER_S, datetime.UTC).date()
