from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from dyncal.cli import app

run = CliRunner().invoke


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    done = run(app, ["pki", "init", str(tmp_path / "authority")])
    assert done.exit_code == 0, done.output
    return tmp_path / "authority"


def issue(authority: Path, name: str, purpose: str, *more: str) -> int:
    return run(app, ["pki", "issue", str(authority), name, "--for", purpose, *more]).exit_code


def test_certificates_say_who_they_are_for(authority: Path) -> None:
    assert issue(authority, "line1", "edge") == 0
    assert issue(authority, "broker", "broker", "--host", "broker.example", "--host", "192.0.2.7") == 0
    edge = x509.load_pem_x509_certificate((authority / "issued/line1/cert.pem").read_bytes())
    broker = x509.load_pem_x509_certificate((authority / "issued/broker/cert.pem").read_bytes())
    assert edge.subject.rfc4514_string() == "OU=edge,CN=line1"
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    edge.verify_directly_issued_by(x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes()))


def test_private_keys_are_for_their_owner_alone(authority: Path) -> None:
    issue(authority, "line1", "edge")
    assert (authority / "ca.key.pem").stat().st_mode & 0o777 == 0o600
    assert (authority / "issued/line1/key.pem").stat().st_mode & 0o777 == 0o600
    assert authority.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("alarms", "edge"), ("conditions", "edge"), ("sensors", "edge"), ("reporters", "edge"),
        ("dyncal-calibrate", "edge"), ("a/b", "edge"), ("a+", "edge"), ("#", "edge"), ("..", "edge"), ("", "edge"),
        ("line1", "service"), ("broker", "broker"), ("line1", "king"),
    ],
)  # fmt: skip
def test_names_that_would_give_rights_of_others_are_refused(authority: Path, name: str, purpose: str) -> None:
    assert issue(authority, name, purpose) != 0
    assert not (authority / "issued").exists()


def test_an_authority_is_made_once_and_must_be_there(authority: Path, tmp_path: Path) -> None:
    before = (authority / "ca.key.pem").read_bytes()
    assert run(app, ["pki", "init", str(authority)]).exit_code == 1
    assert (authority / "ca.key.pem").read_bytes() == before
    assert issue(tmp_path / "nowhere", "line1", "edge") == 1
    assert run(app, ["pki", "revoke", str(authority), "line1"]).exit_code == 1


def test_all_certificates_of_a_name_are_revoked_and_stay_so(authority: Path) -> None:
    for _ in range(2):
        issue(authority, "line1", "edge")
    issue(authority, "line2", "edge")
    assert "2 revoked" in run(app, ["pki", "revoke", str(authority), "line1"]).output
    assert "1 revoked" in run(app, ["pki", "revoke", str(authority), "line2"]).output
    listed = x509.load_pem_x509_crl((authority / "crl.pem").read_bytes())
    assert len(list(listed)) == 3
