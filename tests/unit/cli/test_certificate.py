"""`dyncal certificate`, as a user gives it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dyncal.adapters.registry import open_registry
from dyncal.certificates.certified import certified
from dyncal.certificates.document import Decision
from dyncal.certificates.parsing import MAX_BYTES
from dyncal.certificates.reader import read_certificate
from dyncal.cli import app
from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import SetState
from dyncal.domain.sensors import ModelKind, Pairing, Sensor, edge_id, sensor_id, site_id
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.settings import RegistrySettings
from tests.unit.certificates.examples import FIRST, calibration, coefficient_set
from tests.unit.certificates.foreign import ACCELEROMETER, THERMOMETER, certificate, single

run = CliRunner().invoke

ABOUT = """
identifier = "DYN-7"
country = "DE"
issued = 2026-09-30
requirements = [{ parameter = "tau_s", lower = 0.1, upper = 0.9, guard = 2.0, source = "contract 7" }]

[laboratory]
name = "Plant laboratory"
city = "Ulm"

[customer]
name = "Unit 4"
country = "DE"

[[persons]]
name = "A. Metrologist"
main_signer = true

[reference]
name = "PT-REF"
identifications = [{ value = "SN 77", issuer = "manufacturer" }]
certificate = { identifier = "PTB-1", digest = "00ff" }

[[conditions]]
name = "temperature of the room"
value = 21.5
unit = "Cel"
u = 0.25
ref_type = "basic_temperature"

[[conditions]]
name = "mounting"
text = "as installed"
"""


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """Return a settings file of a plant with one calibrated sensor, another whose calibration was not accepted."""
    act = Act("test", InstantNs(1))
    site, edge, dt = site_id("s"), edge_id("e"), DurationNs(10_000_000)
    sensors = [Sensor(sensor_id(name), site, edge, "Cel", dt) for name in ("PT-105", "PT-REF")]
    pairing = Pairing(sensors[0].id, sensors[1].id, ModelKind.FIRST_ORDER)
    with closing(open_registry(RegistrySettings(), tmp_path / "var")) as registry:
        registry.put_sensors(sensors, [pairing], act)
        registry.add_calibration(calibration(FIRST), act)
        registry.add_calibration(calibration(FIRST, id="cal-2", verdict=Verdict.NOT_EXCITED), act)
        registry.add_calibration(calibration(FIRST, id="cal-3", reference=sensor_id("GONE")), act)
        registry.add_set(coefficient_set(FIRST), b"{}", SetState.PUBLISHED, act)
    (tmp_path / "about.toml").write_text(ABOUT)
    file = tmp_path / "c.toml"
    file.write_text(f'data_dir = "{tmp_path}/var"\n')
    return file


def _export(plant: Path, *arguments: str) -> tuple[int, bytes, str]:
    about = str(plant.parent / "about.toml")
    done = run(app, ["certificate", "export", "--about", about, "--config", str(plant), *arguments])
    return done.exit_code, done.stdout_bytes, done.stderr


def test_export_of_a_calibration(plant: Path) -> None:
    status, document, _ = _export(plant, "cal-1")
    assert status == 0
    read = read_certificate(document)
    found = certified(read)
    np.testing.assert_array_equal(found.parameters.values, FIRST.values)
    assert found.set_id == "set-1"
    assert found.statements[0].decision is Decision.PASS
    a = read.administration
    assert (a.identifier, a.begin.isoformat(), a.items[0].name) == ("DYN-7", "2026-09-21", "PT-105")
    measurement = read.measurements[0]
    assert measurement.equipment[0].identifications[0].value == "SN 77"
    assert [condition.name for condition in measurement.conditions] == ["temperature of the room", "mounting"]
    out = plant.parent / "out.xml"
    assert _export(plant, "cal-1", "--out", str(out))[0] == 0
    assert out.read_bytes() == document


@pytest.mark.parametrize(
    ("found", "arguments", "status", "message"),
    [
        ("", ["cal-9"], 1, "cal-9"),
        ("", ["cal-2"], 1, "calibration cal-2 was not accepted"),
        ("", ["cal-3"], 1, "say its unit as measurand_unit"),
        ("", ["cal-1", "--out", "/nowhere/x.xml"], 1, "No such file"),
        ('identifier = "DYN-7"', ["cal-1"], 2, "about.toml: Object missing required field `identifier`"),
        ('city = "Ulm"', ["cal-1"], 1, "a city or a country is needed"),
        ('country = "DE"', ["cal-1"], 2, "missing required field `country`"),
        ("2026-09-30", ["cal-1"], 2, "about.toml: Invalid value"),
        ("[laboratory]", ["cal-1"], 2, "about.toml"),
    ],
)
def test_export_says_what_is_wrong(plant: Path, found: str, arguments: list[str], status: int, message: str) -> None:
    if found:
        about = plant.parent / "about.toml"
        about.write_text(about.read_text().replace(found, "", 1))
    code, document, error = _export(plant, *arguments)
    assert (code, document) == (status, b"")
    assert message in error


@pytest.mark.parametrize(
    ("found", "replaced", "named"),
    [
        ('country = "DE"', 'country = "DE"\nisued = 2026-01-01', "unknown key 'isued'"),
        ('city = "Ulm"', 'city = "Ulm"\npostcode = "1"', "unknown key 'laboratory.postcode'"),
        ('unit = "Cel"', 'unit = "Cel"\nk = 2', "unknown key 'conditions[0].k'"),
        ("guard = 2.0", "guard = 2.0, coverage = 1", "unknown key 'requirements[0].coverage'"),
    ],
)
def test_unknown_keys_are_named(plant: Path, found: str, replaced: str, named: str) -> None:
    about = plant.parent / "about.toml"
    about.write_text(about.read_text().replace(found, replaced, 1))
    code, _, error = _export(plant, "cal-1")
    assert (code, named in error) == (2, True), error


@pytest.fixture
def accelerometer(tmp_path: Path) -> str:
    path = tmp_path / "a.xml"
    path.write_bytes(certificate(ACCELEROMETER))
    return str(path)


def test_import_of_a_response(accelerometer: str) -> None:
    done = run(app, ["certificate", "import", accelerometer, "--unit", "pC/(m/s2)", "--lag-positive"])
    assert done.exit_code == 0, done.stderr
    points = json.loads(done.stdout)
    assert points["f_hz"] == [10, 100, 1000]
    np.testing.assert_allclose(points["magnitude"], [0.1280, 0.1282, 0.1301])
    assert points["phase_rad"][2] < 0
    assert points["form"] == "polar"


def test_import_of_a_quantity_and_of_parameters(tmp_path: Path) -> None:
    spread = (
        "<si:measurementUncertaintyUnivariate><si:standardMU><si:valueStandardMU>0.5</si:valueStandardMU>"
        "</si:standardMU></si:measurementUncertaintyUnivariate>"
    )
    path = tmp_path / "t.xml"
    tau = single("tau", "20", r"\milli\second", spread) + single("S", "2", r"\volt", spread)
    path.write_bytes(certificate(THERMOMETER + tau))
    done = run(app, ["certificate", "import", str(path), "--quantity", "basic_measurementError_error", "--unit", "K"])
    assert json.loads(done.stdout)["largest_u"] == pytest.approx(0.02)
    model = ["certificate", "import", str(path), "--model", "first_order"]
    done = run(app, [*model, "--label", "S=gain", "--label", "tau=tau_s", "--unit", "mV"])
    stated = json.loads(done.stdout)
    assert stated["names"] == ["gain", "tau_s"]
    np.testing.assert_allclose(stated["values"], [2000, 0.02])
    assert "write LABEL=NAME" in run(app, [*model, "--label", "gain"]).stderr
    assert run(app, ["certificate", "import", str(path), "--model", "third"]).exit_code == 2


def test_import_says_what_is_wrong(tmp_path: Path, accelerometer: str) -> None:
    missing = run(app, ["certificate", "import", str(tmp_path / "no.xml")])
    assert (missing.exit_code, "No such file" in missing.stderr) == (2, True)
    wrong = run(app, ["certificate", "import", accelerometer, "--unit", "Pa"])
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "cannot be converted to \\pascal" in wrong.stderr


def test_check_says_what_there_is(accelerometer: str) -> None:
    done = run(app, ["certificate", "check", accelerometer, "--json"], env={"DYNCAL_DCC_SCHEMA_DIR": ""})
    assert done.exit_code == 0, done.stderr
    findings = json.loads(done.stdout)
    assert findings["version"] == "3.2.1"
    assert findings["signature"] == "none: nothing shows who wrote it"
    assert findings["schema"].startswith("not checked")
    assert findings["list 1"].startswith(r"magnitude and phase: frequency [\hertz] × 3, charge sensitivity")


def test_check_with_schemas(tmp_path: Path, plant: Path, accelerometer: str) -> None:
    """A schema that wants a root of its own stands for the real one, which is not ours to ship."""
    schema = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="https://ptb.de/dcc">'
        '<xs:element name="digitalCalibrationCertificate"><xs:complexType><xs:sequence>'
        '<xs:any processContents="skip" maxOccurs="{most}"/></xs:sequence><xs:anyAttribute processContents="skip"/>'
        "</xs:complexType></xs:element></xs:schema>"
    )
    folder = tmp_path / "dcc" / "v3.2.1"
    folder.mkdir(parents=True)
    for most, status, said in ((2, 0, "schema: valid"), (1, 1, "schema: not valid: ")):
        (folder / "dcc.xsd").write_text(schema.format(most=most))
        done = run(app, ["certificate", "check", accelerometer, "--schemas", str(tmp_path)])
        assert (done.exit_code, said in done.stdout) == (status, True), done.output
    (folder / "dcc.xsd").write_text("<xs:schema")
    assert "is no schema" in run(app, ["certificate", "check", accelerometer, "--schemas", str(tmp_path)]).stderr
    document = plant.parent / "own.xml"
    document.write_bytes(_export(plant, "cal-1")[1])
    done = run(app, ["certificate", "check", str(document), "--schemas", str(tmp_path)])
    assert "v3.3.0/dcc.xsd is not there" in done.stdout


def test_check_refuses_what_cannot_be_read_or_trusted(tmp_path: Path, accelerometer: str) -> None:
    large = tmp_path / "large.xml"
    with large.open("wb") as stream:
        stream.truncate(MAX_BYTES * 8)
    done = run(app, ["certificate", "check", str(large)])
    assert (done.exit_code, "at most" in done.stderr) == (1, True)
    done = run(app, ["certificate", "check", accelerometer, "--trust", str(tmp_path / "no.pem")])
    assert (done.exit_code, "0 signatures" in done.stderr) == (1, True)


def test_check_verifies_a_signature(tmp_path: Path, plant: Path) -> None:
    from tests.unit.certificates.test_signatures import Authority

    authority = Authority("PTX")
    document = tmp_path / "signed.xml"
    document.write_bytes(authority.sign(_export(plant, "cal-1")[1]))
    assert "1 in the file, not verified" in run(app, ["certificate", "check", str(document)]).stdout
    done = run(app, ["certificate", "check", str(document), "--trust", str(authority.pem(tmp_path))])
    assert done.exit_code == 0, done.stderr
    assert "signature: verified, by CN=PTX laboratory" in done.stdout


def test_a_set_of_another_calibration_is_left_out(plant: Path) -> None:
    act = Act("test", InstantNs(2))
    with closing(open_registry(RegistrySettings(), plant.parent / "var")) as registry:
        registry.add_calibration(calibration(FIRST, id="cal-4"), act)
        newer = replace(coefficient_set(FIRST), id="set-2", sequence=5)
        registry.add_set(newer, b"{}", SetState.CANDIDATE, act)
    assert certified(read_certificate(_export(plant, "cal-4")[1])).filter is None
    assert certified(read_certificate(_export(plant, "cal-1")[1])).set_id == "set-2"
