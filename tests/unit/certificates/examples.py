"""Certificates to write and read."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np

from dyncal.certificates.calibration import Evidence, certificate_of
from dyncal.certificates.conformity import Requirement
from dyncal.certificates.document import (
    Administration,
    Certificate,
    CertificateReference,
    Condition,
    Contact,
    Equipment,
    Identification,
    Issuer,
    Item,
    Person,
)
from dyncal.certificates.quantity import real
from dyncal.certificates.vocabulary import TEMPERATURE
from dyncal.domain.calibration import Calibration, Conformity, Deviation, Verdict
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, Parameters, Provenance
from dyncal.domain.sensors import ModelKind, sensor_id
from dyncal.domain.time import DurationNs, InstantNs

FROM, TO, FITTED = (InstantNs(1_790_000_000_123_456_789 + k * 60_000_000_000) for k in range(3))

ADMINISTRATION = Administration(
    identifier="DYN-2026-0001",
    country="DE",
    begin=datetime.date(2026, 9, 21),
    end=datetime.date(2026, 9, 22),
    laboratory=Contact(
        "Plant laboratory & sons", city="Braunschweig", country="DE", street="Bundesallee", street_no="1"
    ),
    persons=(Person("A. Metrologist", "head of calibration", "a@example.org", main_signer=True),),
    customer=Contact("Unit 4 <boiler>", country="DE"),
    items=(Item("PT-105", (Identification("SN 1", "serial number", Issuer.MANUFACTURER),), "Maker", "PX-2"),),
    issued=datetime.date(2026, 9, 23),
)

REFERENCE = Equipment(
    "PT-REF",
    (Identification("SN 77", "serial number"),),
    certificate=CertificateReference("PTB-12345", digest="00" * 32),
)


def parameters(model: ModelKind, names: tuple[str, ...], values: list[float], relative: float = 0.01) -> Parameters:
    """Return parameters with correlated errors."""
    rng = np.random.default_rng(len(names))
    root = rng.normal(size=(len(names), len(names))) * np.abs(values)[:, None] * relative
    return Parameters(model, names, np.array(values), root @ root.T)


FIRST = parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), [1.0 / 3.0, 0.51])
SECOND = parameters(ModelKind.SECOND_ORDER, ("gain", "damping", "f0_hz"), [0.1, 0.02 / 3, 31234.5])
LEAD_LAG = parameters(ModelKind.LEAD_LAG, ("gain", "tau1_s", "tau2_s", "tauz_s"), [1.0, 30.0, 4.0, 2.0])
RATIONAL = parameters(ModelKind.RATIONAL, ("gain", "b1_s", "a1_s", "a2_s2", "delay_s"), [2.0, 0.1, 0.5, 0.02, 0.003])


def calibration(p: Parameters, *, judged: bool = True, **changes: object) -> Calibration:
    """Return an accepted calibration with these parameters."""
    conformity = Conformity(
        raw=Deviation(1.7, 4.0, 0.1 / 3, 800),
        as_found=Deviation(0.7, 1.9, 0.01 / 3, 800),
        as_left=Deviation(0.07, 0.2, 0.001 / 3, 800),
        rule="mean(d) > 2 u(mean d), eight batch means",
        passed=True,
    )
    found = Calibration(
        id="cal-1",
        sensor=sensor_id("PT-105"),
        reference=sensor_id("PT-REF"),
        parameters=p,
        verdict=Verdict.ACCEPTED,
        unobservable=(),
        reduced_chi2=1.03,
        whiteness_p=0.41,
        noise_std=0.02 / 7,
        n_samples=6000,
        window_from_ns=FROM,
        window_to_ns=TO,
        fitted_at_ns=FITTED,
        method="block-MAP, innovations form",
        conformity=conformity if judged else None,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def coefficient_set(p: Parameters, *, n_sections: int = 2, per_parameter: int = 1) -> CoefficientSet:
    """Return a set whose numbers have all their digits."""
    rng = np.random.default_rng(3)
    sections = rng.normal(size=(n_sections, 6))
    sections[:, 3] = 1.0
    made = CorrectionFilter(
        dt_ns=DurationNs(10_000_001),
        fir=rng.normal(size=64) / 3,
        sos=sections,
        delay=17,
        sensitivities=rng.normal(size=(per_parameter * len(p.names), 5)),
        u_noise=0.01 / 3,
        u_model=0.02 / 3,
        band_hz=4.0 / 3,
    )
    return CoefficientSet(
        id="set-1",
        sensor=sensor_id("PT-105"),
        sequence=4,
        parent=None,
        parameters=p,
        correction=made,
        gain_limits=(0.9, 1.1),
        valid_from_ns=FITTED,
        provenance=Provenance("cal-1", sensor_id("PT-REF"), FITTED, FROM, TO, 6000),
    )


def evidence(p: Parameters = FIRST, **changes: object) -> Evidence:
    """Return what belongs to a calibration, all of it."""
    full = Evidence(
        calibration(p),
        "Cel",
        "Cel",
        10_000_000,
        coefficients=coefficient_set(p),
        reference=REFERENCE,
        requirements=(Requirement(p.names[0], p.values[0] * 0.9, p.values[0] * 1.1, source="contract 7"),),
        conditions=(
            Condition(
                "Temperature of the room",
                "In the middle of the hall",
                (real("temperature", 21.5, r"\degreecelsius", TEMPERATURE, u=0.25),),
                ref_types=(TEMPERATURE,),
            ),
        ),
    )
    return replace(full, **changes)  # type: ignore[arg-type]


def certificate(p: Parameters = FIRST, **changes: object) -> Certificate:
    """Return the certificate of `evidence`."""
    return certificate_of(evidence(p, **changes), ADMINISTRATION)
