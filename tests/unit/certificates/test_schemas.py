"""What is written is valid: XSD of DCC 3.3.0 with D-SI 2.2.1, and PTB's schematron rules, both where the files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from dyncal.certificates.writer import write_certificate
from dyncal.domain.coefficients import Parameters
from tests.unit.certificates.examples import (
    FIRST,
    LEAD_LAG,
    RATIONAL,
    SECOND,
    calibration,
    certificate,
)
from tests.unit.certificates.schematron import Finding, Schematron

_FOLDER = os.environ.get("DYNCAL_DCC_SCHEMA_DIR", "")
pytestmark = pytest.mark.skipif(not _FOLDER, reason="DYNCAL_DCC_SCHEMA_DIR names no folder with the schemas of the DCC")


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(Path(_FOLDER) / "dcc/v3.3.0/dcc.xsd")))


@pytest.fixture(scope="module")
def rules() -> Schematron:
    return Schematron(Path(_FOLDER) / "schematron/dcc.sch")


def _wrong(rules: Schematron, document: bytes) -> list[Finding]:
    return [finding for finding in rules.validate(document) if finding.role == "error"]


@pytest.mark.parametrize("parameters", [FIRST, SECOND, LEAD_LAG, RATIONAL], ids=lambda p: p.model)
def test_valid_by_schema_and_rules(parameters: Parameters, schema: etree.XMLSchema, rules: Schematron) -> None:
    document = write_certificate(certificate(parameters))
    assert schema.validate(etree.fromstring(document)), schema.error_log
    assert _wrong(rules, document) == []


def test_valid_without_all_that_may_be_missing(schema: etree.XMLSchema, rules: Schematron) -> None:
    bare = certificate(
        calibration=calibration(FIRST, judged=False), coefficients=None, reference=None, requirements=(), conditions=()
    )
    document = write_certificate(bare)
    assert schema.validate(etree.fromstring(document)), schema.error_log
    assert _wrong(rules, document) == []


def test_warnings_are_only_the_one_that_the_rule_gives_to_every_list_of_units(rules: Schematron) -> None:
    warned = [found for found in rules.validate(write_certificate(certificate(SECOND))) if found.role == "warning"]
    assert {found.message.split(":")[0] for found in warned} == {"Redundant unit specification"}


@pytest.mark.parametrize(
    ("found", "replaced", "message"),
    [
        (b"<dcc:release>v", b"<dcc:release>", "Invalid release version format"),
        (b'lang="en"', b'lang="de"', "Invalid language code"),
        (b"<dcc:beginPerformanceDate>2026", b"<dcc:beginPerformanceDate>2027", "Invalid date range"),
        (b"<dcc:usedLangCodeISO639_1>en", b"<dcc:usedLangCodeISO639_1>qq", "Invalid ISO 639-1 language code"),
        (b"<si:valueXMLList>", b"<si:valueXMLList>  ", "Invalid list formatting"),
    ],
)
def test_the_rules_tell_the_bad(rules: Schematron, found: bytes, replaced: bytes, message: str) -> None:
    document = write_certificate(certificate()).replace(found, replaced)
    assert any(wrong.message.startswith(message) for wrong in _wrong(rules, document))


@pytest.mark.parametrize("element", ["usedMethods", "influenceConditions"])
def test_the_rules_miss_what_is_missing(rules: Schematron, element: str) -> None:
    root = etree.fromstring(write_certificate(certificate()))
    for found in list(root.iter(f"{{https://ptb.de/dcc}}{element}")):
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)
    assert any("Missing" in wrong.message for wrong in _wrong(rules, etree.tostring(root)))


def test_the_schema_tells_the_bad(schema: etree.XMLSchema) -> None:
    document = write_certificate(certificate()).replace(b"valueExpandedMUXMLList", b"valueExpandedMU")
    assert not schema.validate(etree.fromstring(document))
