"""What gets a certificate and what does not, and what is in it."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from dyncal.certificates import vocabulary as v
from dyncal.certificates.calibration import certificate_of
from dyncal.certificates.certified import certified
from dyncal.certificates.conformity import Requirement
from dyncal.certificates.document import Administration, Contact, Decision, Issuer, Item
from dyncal.certificates.parameters import default_frequencies, parameter_unit, response_covariance
from dyncal.certificates.quantity import Quantity
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.search import find_list, single
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.writer import write_certificate
from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind, sensor_id
from tests.unit.certificates.examples import (
    ADMINISTRATION,
    FIRST,
    LEAD_LAG,
    RATIONAL,
    SECOND,
    calibration,
    certificate,
    coefficient_set,
    evidence,
)


def test_expanded_uncertainties_are_twice_the_standard_ones() -> None:
    text = write_certificate(certificate(FIRST)).decode()
    stated = " ".join(repr(2 * u) for u in FIRST.u.tolist())
    assert f"<si:valueExpandedMUXMLList>{stated}</si:valueExpandedMUXMLList>" in text
    assert "<si:coverageFactorXMLList>2.0</si:coverageFactorXMLList>" in text


@pytest.mark.parametrize("p", [FIRST, SECOND, LEAD_LAG, RATIONAL], ids=lambda p: p.model)
def test_covariance_of_the_response_is_that_of_many_draws(p: Parameters) -> None:
    from dyncal.models import named_model

    small = Parameters(p.model, p.names, p.values, p.cov * 1e-4)
    f = default_frequencies(small, 10_000)
    response, cov = response_covariance(small, f)
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(small.values, small.cov, size=4000)
    model = named_model(p.model, p.names)
    logs = np.log(np.stack([model.frequency_response(theta, f) for theta in draws]) / response)
    for k in range(f.size):
        drawn = np.cov(logs[:, k].real, logs[:, k].imag)
        spread = np.sqrt(np.diag(cov[k]))
        np.testing.assert_allclose(drawn / np.outer(spread, spread), cov[k] / np.outer(spread, spread), atol=0.12)


def test_frequencies_reach_from_below_the_corner_to_nyquist() -> None:
    f = default_frequencies(FIRST, 10_000_000)
    corner = 1 / (2 * np.pi * 0.51)
    assert f[0] == pytest.approx(corner / 30, rel=0.02)
    assert f[-1] == pytest.approx(10 * corner, rel=0.02)
    assert default_frequencies(FIRST, 500_000_000)[-1] == pytest.approx(1.0)
    assert default_frequencies(Parameters(ModelKind.STATIC, ("c0", "c1"), np.ones(2), np.eye(2)), 1000).size == 0


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("gain", r"\milli\volt\kelvin\tothe{-1}"),
        ("tau1_s", r"\second"),
        ("a3_s3", r"\second\tothe{3}"),
        ("delay_s", r"\second"),
        ("f0_hz", r"\hertz"),
        ("damping", r"\one"),
        ("c0", r"\kelvin"),
        ("c2", r"\kelvin\milli\volt\tothe{-2}"),
    ],
)
def test_units_of_parameters(name: str, unit: str) -> None:
    assert str(parameter_unit(name, parse_unit("mV"), parse_unit("Cel"))) == unit


def test_a_parameter_without_unit_is_named() -> None:
    with pytest.raises(InvalidData, match="parameter 'stiffness' does not say its unit"):
        parameter_unit("stiffness", parse_unit("V"), parse_unit("V"))


def test_a_static_characteristic_has_no_response() -> None:
    p = Parameters(ModelKind.STATIC, ("c0", "c1", "c2"), np.array([0.1, 2.0, 0.01]), np.diag([1e-4, 1e-4, 1e-6]))
    read = read_certificate(write_certificate(certificate(p, coefficients=None, requirements=())))
    back = certified(read)
    assert back.f_hz.size == 0
    np.testing.assert_array_equal(back.parameters.values, p.values)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.ACCEPTED])
def test_only_accepted_calibrations_get_a_certificate(verdict: Verdict) -> None:
    with pytest.raises(InvalidData, match=f"calibration cal-1 was not accepted .{verdict}."):
        certificate_of(evidence(calibration=calibration(FIRST, verdict=verdict)), ADMINISTRATION)


def test_a_set_must_belong_to_the_calibration() -> None:
    other = replace(coefficient_set(FIRST), sensor=sensor_id("PT-106"))
    with pytest.raises(InvalidData, match="set set-1 is of PT-106, not of PT-105"):
        certificate(coefficients=other)
    with pytest.raises(InvalidData, match="set set-1 came from calibration cal-1, not from cal-2"):
        certificate(calibration=calibration(FIRST, id="cal-2"))


def test_statements_of_conformity_carry_limits_rule_and_probability() -> None:
    asked = (Requirement("tau_s", 0.5, 0.52, source="contract 7"), Requirement("gain", 0.9, 1.1))
    read = read_certificate(write_certificate(certificate(requirements=asked)))
    first, second, adjustment = certified(read).statements
    assert second.decision is Decision.FAIL
    assert adjustment.decision is Decision.PASS
    assert first.references == ("contract 7",)
    assert "guard band of 1.645 u" in first.declaration
    limits = first.quantities[0]
    assert isinstance(limits, Quantity)
    assert limits.labels == ("lower", "upper")
    assert str(limits.unit()) == r"\second"
    np.testing.assert_array_equal(limits.values, [0.5, 0.52])
    with pytest.raises(InvalidData, match="there is no parameter 'tau' among gain, tau_s"):
        certificate(requirements=(Requirement("tau", 0, 1),))


def test_without_a_certificate_of_the_reference_traceability_is_not_claimed() -> None:
    assert certificate().statements[0].traceable is True
    without = certificate(reference=None).statements[0]
    assert without.traceable is False
    assert "not shown" in without.declaration


def test_conditions_that_were_not_recorded_are_said_not_to_be() -> None:
    condition = certificate(conditions=()).measurements[0].conditions[0]
    assert condition.text.startswith("Not recorded")


def test_the_sensor_is_the_item_unless_another_is_given() -> None:
    item = certificate_of(evidence(), replace(ADMINISTRATION, items=())).administration.items[0]
    assert item.name == "PT-105"
    assert item.identifications[0].issuer is Issuer.OWNER


def test_noise_is_a_difference() -> None:
    read = read_certificate(write_certificate(certificate()))
    fit = find_list(read, v.QUALITY)
    assert fit is not None
    assert str(single(fit, v.NOISE, Quantity).unit()) == r"\kelvin"


@pytest.mark.parametrize(
    "f", [np.array([]), np.array([0.0, 1.0]), np.array([-1.0]), np.array([math.nan]), np.ones((2, 2))]
)
def test_frequencies_that_cannot_be(f: object) -> None:
    with pytest.raises(InvalidData, match="finite, positive frequencies"):
        certificate(f_hz=f)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.array([math.nan, 1.0])}, "is nan, not a finite number|takes finite"),
        ({"values": np.array([1.0, math.inf])}, "is inf, not a finite number|takes finite"),
        ({"cov": np.array([[1e-4, 1e-3], [1e-3, 1e-4]])}, "not positive semidefinite"),
        (
            {"cov": np.array([[-1e-4, 0], [0, 1e-4]])},
            "covariance matrix has a negative variance: -0.0001 of value 0",
        ),
        ({"cov": np.array([[1e-4, 0], [1e-5, 1e-4]])}, "not symmetric"),
    ],
)
def test_numbers_that_cannot_be_certified(changes: dict[str, object], message: str) -> None:
    asked = evidence(calibration=calibration(replace(FIRST, **changes)), requirements=())  # type: ignore[arg-type]
    with pytest.raises(InvalidData, match=message):
        write_certificate(certificate_of(asked, ADMINISTRATION))


@pytest.mark.parametrize(("unit", "message"), [("[g]", "standard gravity"), ("psi", "'psi' has no spelling in D-SI")])
def test_units_without_spelling_are_named(unit: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        certificate(indication_unit=unit)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end": datetime.date(2026, 9, 1)}, "cannot end on 2026-09-01 before it begins"),
        ({"issued": datetime.date(2026, 9, 1)}, "cannot be issued on 2026-09-01"),
        ({"persons": ()}, "needs a responsible person"),
        ({"country": "Germany"}, "'Germany' is no country code"),
        ({"identifier": "  "}, "identifier of the certificate is empty"),
        ({"identifier": "a\x00b"}, "a character that XML has no place for"),
        ({"customer": Contact("nowhere")}, "a city or a country is needed"),
        ({"items": (Item("unnumbered"),)}, "an identification is needed"),
        ({"languages": ("de",)}, "dyncal writes English"),
        ({"languages": ("en", "de")}, "dyncal writes one language"),
    ],
)
def test_administration_that_cannot_be(changes: dict[str, object], message: str) -> None:
    administration: Administration = replace(ADMINISTRATION, **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidData, match=message):
        write_certificate(certificate_of(evidence(), administration))


def test_a_filter_that_a_certificate_cannot_state_gets_none() -> None:
    @dataclass(frozen=True, slots=True, eq=False)
    class Richer(CorrectionFilter):
        smoother: str | None = None

    plain = coefficient_set(FIRST)
    same = {part.name: getattr(plain.filter, part.name) for part in fields(plain.filter)}
    certificate(coefficients=replace(plain, correction=Richer(**same)))
    with pytest.raises(InvalidData, match="a certificate cannot state smoother of its filter"):
        certificate(coefficients=replace(plain, correction=Richer(**same, smoother="yes")))
