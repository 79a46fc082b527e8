"""A small certificate authority of a plant: certificates for its broker, its services and its edges.

ECDSA on P-256, since brokers and controllers know that. The name of a client is its common name, to which the broker
binds what it may read and write.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dyncal.adapters.signing import replace_file
from dyncal.domain.errors import Conflict, InvalidSetting, NotFound
from dyncal.domain.sensors import check_name
from dyncal.domain.time import InstantNs, to_datetime

SERVICES: Final = ("dyncal-ingest", "dyncal-calibrate", "dyncal-api", "dyncal-reader")
"""Names that `deploy/mosquitto/access.conf` gives rights to."""

RESERVED: Final = frozenset({"alarms", "conditions", "reporters", "sensors"})
"""No edge may have these names: below them are topics of the site."""

_BACK: Final = datetime.timedelta(minutes=5)  # clocks of machines differ
_SHORT_CURVE: Final = ec.SECP256R1()


class Purpose(enum.StrEnum):
    """What a certificate is for."""

    BROKER = "broker"
    SERVICE = "service"
    EDGE = "edge"


class Issued(NamedTuple):
    """Files of a certificate and its private key."""

    cert_file: Path
    key_file: Path


class Authority:
    """The authority below a directory: `ca.pem`, `ca.key.pem`, `crl.pem`, and `issued/NAME/`.

    Whoever reads `ca.key.pem` can be any client: the directory belongs on a machine that is not on the plant's network.
    """

    def __init__(self, directory: Path) -> None:
        self._dir = directory
        self.ca_file, self.crl_file = directory / "ca.pem", directory / "crl.pem"
        self._key_file = directory / "ca.key.pem"

    @classmethod
    def make(cls, directory: Path, name: str, now: InstantNs, days: int) -> Authority:
        """Make an authority of that name in an empty directory.

        Raises
        ------
        Conflict
            If there is one already.
        OSError
            If the directory cannot be written.
        """
        authority = cls(directory)
        if authority._key_file.exists():
            raise Conflict(f"{authority._key_file}: there is an authority already")
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        key = ec.generate_private_key(_SHORT_CURVE)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(subject, subject, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        replace_file(authority._key_file, _private_pem(key), 0o600)
        replace_file(authority.ca_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        authority._write_crl([], now)
        return authority

    def issue(
        self, name: str, purpose: Purpose, now: InstantNs, days: int, hosts: Sequence[str] = ()
    ) -> Issued:  # fmt: skip
        """Issue a certificate with a new key; what was issued under that name before stays valid until it is revoked.

        Raises
        ------
        InvalidSetting
            If the name is not one for that purpose, or a broker has no host.
        NotFound
            If there is no authority.
        OSError
            If the directory cannot be written.
        """
        _check(name, purpose, hosts)
        ca, ca_key = self._open()
        key = ec.generate_private_key(_SHORT_CURVE)
        server = purpose is Purpose.BROKER
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        role = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = x509.Name([
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, purpose.value),
        ])  # fmt: skip
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = (
            _builder(subject, ca.subject, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([role]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if server:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        certificate = builder.sign(ca_key, hashes.SHA256())
        folder = self._dir / "issued" / name
        folder.mkdir(parents=True, exist_ok=True)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        issued = Issued(folder / "cert.pem", folder / "key.pem")
        replace_file(issued.key_file, _private_pem(key), 0o600)
        replace_file(issued.cert_file, pem, 0o644)
        replace_file(folder / f"{certificate.serial_number:x}.pem", pem, 0o644)
        return issued

    def revoke(self, name: str, now: InstantNs) -> int:
        """Revoke every certificate that was issued under a name, and return how many; the broker reads `crl.pem` anew.

        Raises
        ------
        NotFound
            If none was issued, or there is no authority.
        """
        check_name("certificate", name)
        folder = self._dir / "issued" / name
        files = [file for file in folder.glob("*.pem") if file.name not in ("cert.pem", "key.pem")]
        if not files:
            raise NotFound(f"no certificate was issued to {name!r} here")
        revoked = [x509.load_pem_x509_certificate(file.read_bytes()).serial_number for file in files]
        self._write_crl(revoked, now)
        return len(revoked)

    def _write_crl(self, more: Sequence[int], now: InstantNs) -> None:
        ca, key = self._open()
        at = to_datetime(now)
        builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject).last_update(at - _BACK)
        builder = builder.next_update(ca.not_valid_after_utc)  # a list that has run out locks out everybody
        known: dict[int, datetime.datetime] = {}
        if self.crl_file.exists():
            before = x509.load_pem_x509_crl(self.crl_file.read_bytes())
            known = {entry.serial_number: entry.revocation_date_utc for entry in before}
        known.update((serial, at) for serial in more if serial not in known)
        for serial, since in sorted(known.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
            builder = builder.add_revoked_certificate(entry)
        replace_file(self.crl_file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)

    def _open(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        except FileNotFoundError as error:
            raise NotFound(f"{error.filename}: there is no authority; make one: dyncal pki init") from error
        except (ValueError, TypeError) as error:
            raise InvalidSetting(f"{self._dir}: no certificate with its unencrypted key: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise InvalidSetting(f"{self._key_file}: not a key that dyncal made")
        return certificate, key


def _check(name: str, purpose: Purpose, hosts: Sequence[str]) -> None:
    check_name("certificate", name)
    if purpose is Purpose.SERVICE and name not in SERVICES:
        raise InvalidSetting(f"no service is named {name!r}: {', '.join(SERVICES)}")
    if purpose is Purpose.EDGE and (name in RESERVED or name.startswith("dyncal-")):
        raise InvalidSetting(f"no edge may be named {name!r}: topics or services have that name")
    if purpose is Purpose.BROKER and not hosts:
        raise InvalidSetting("a broker's certificate needs the names or addresses by which clients reach it (--host)")


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: InstantNs, days: int
) -> x509.CertificateBuilder:  # fmt: skip
    at = to_datetime(now)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACK)
        .not_valid_after(at + datetime.timedelta(days=days))
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
