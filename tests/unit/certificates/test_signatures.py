"""Signatures: verified against an authority, refused in every other case, and only what they cover is read."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner

from dyncal.certificates.signatures import read_signed
from dyncal.certificates.writer import write_certificate
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import InstantNs, from_datetime
from tests.unit.certificates.examples import ADMINISTRATION, certificate

_BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_NOW = from_datetime(_BEGIN + datetime.timedelta(days=100))
_LATER = from_datetime(_BEGIN + datetime.timedelta(days=4000))
DS = "{http://www.w3.org/2000/09/xmldsig#}"


class Authority:
    """An authority and a signer whom it certifies."""

    def __init__(self, name: str) -> None:
        self.key, self.signer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue(f"{name} authority", f"{name} authority", self.key, ca=True)
        self.signer = self._issue(f"{name} laboratory", f"{name} authority", self.signer_key, ca=False)

    def _issue(self, subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(1 if ca else 2)
            .not_valid_before(_BEGIN)
            .not_valid_after(_BEGIN + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def sign(self, document: bytes) -> bytes:
        """Return the document with an enveloped signature."""
        signer = XMLSigner(method=SignatureConstructionMethod.enveloped, signature_algorithm="ecdsa-sha256")
        chain = self.signer.public_bytes(Encoding.PEM).decode()
        return etree.tostring(signer.sign(etree.fromstring(document), key=self.signer_key, cert=chain))

    def pem(self, folder: Path) -> Path:
        """Return the file of the authority."""
        path = folder / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("PTX")


@pytest.fixture(scope="module")
def signed(authority: Authority) -> bytes:
    return authority.sign(write_certificate(certificate()))


def test_a_signed_certificate_is_read(authority: Authority, signed: bytes, tmp_path: Path) -> None:
    found = read_signed(signed, authority.pem(tmp_path), _NOW)
    assert found.signer == "CN=PTX laboratory"
    assert found.certificate.administration.identifier == ADMINISTRATION.identifier
    assert found.certificate.n_signatures == 0  # what is signed is what is without it


@pytest.mark.parametrize(
    ("found", "replaced", "message"),
    [
        (b"DYN-2026-0001", b"DYN-2026-0002", "does not verify: .*Digest mismatch"),
        (b"<dcc:city>Braunschweig", b"<dcc:city>Braunlage", "does not verify"),
        (b"ecdsa-sha256", b"ecdsa-sha1", "does not verify"),
        (b"<ds:X509Certificate>MII", b"<ds:X509Certificate>MIJ", "does not verify"),
        (b'URI=""', b'URI="file:///etc/passwd"', "does not verify"),
        (b'URI=""', b'URI="http://127.0.0.1:9/x"', "does not verify"),
        (b"ds:KeyInfo", b"ds:Object", "does not verify"),
    ],
)
def test_whatever_is_changed_is_noticed(
    authority: Authority, signed: bytes, tmp_path: Path, found: bytes, replaced: bytes, message: str
) -> None:
    assert found in signed
    with pytest.raises(InvalidData, match=message):
        read_signed(signed.replace(found, replaced), authority.pem(tmp_path), _NOW)


@pytest.mark.parametrize(
    "tag", ["X509Certificate", "SignatureValue", "DigestValue", "X509Data", "KeyInfo", "Reference"]
)
def test_emptied_and_missing_parts(authority: Authority, signed: bytes, tmp_path: Path, tag: str) -> None:
    leaf = tag in ("X509Certificate", "SignatureValue", "DigestValue")
    for remove in (False, True) if leaf else (True,):
        root = etree.fromstring(signed)
        for element in list(root.iter(f"{DS}{tag}")):
            parent = element.getparent()
            assert parent is not None
            element.text = None
            if remove:
                parent.remove(element)
        with pytest.raises(InvalidData, match="does not verify"):
            read_signed(etree.tostring(root), authority.pem(tmp_path), _NOW)


def test_another_authority_is_not_trusted(signed: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="does not verify"):
        read_signed(signed, Authority("PTX").pem(tmp_path), _NOW)


@pytest.mark.parametrize("at_ns", [InstantNs(0), _LATER])
def test_outside_the_validity_of_the_chain(
    authority: Authority, signed: bytes, tmp_path: Path, at_ns: InstantNs
) -> None:
    with pytest.raises(InvalidData, match="does not verify"):
        read_signed(signed, authority.pem(tmp_path), at_ns)


def test_a_signature_within_another_certificate_does_not_cover_it(
    authority: Authority, signed: bytes, tmp_path: Path
) -> None:
    outer = etree.fromstring(write_certificate(certificate()).replace(b"DYN-2026-0001", b"FORGED"))
    comment = etree.SubElement(outer, "{https://ptb.de/dcc}comment")
    comment.append(etree.fromstring(signed))
    with pytest.raises(InvalidData, match="does not verify"):
        read_signed(etree.tostring(outer), authority.pem(tmp_path), _NOW)


def test_no_signature_and_two(authority: Authority, signed: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="0 signatures"):
        read_signed(write_certificate(certificate()), authority.pem(tmp_path), _NOW)
    with pytest.raises(InvalidData, match="2 signatures"):
        read_signed(authority.sign(signed), authority.pem(tmp_path), _NOW)


def test_authorities_that_are_none(signed: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"authorities .*missing\.pem: No such file"):
        read_signed(signed, tmp_path / "missing.pem", _NOW)
    (tmp_path / "bad.pem").write_text("no PEM")
    with pytest.raises(InvalidData, match="does not verify"):
        read_signed(signed, tmp_path / "bad.pem", _NOW)
