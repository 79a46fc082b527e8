"""Whose certificates are trusted, by directories as OPC UA applications keep them (OPC 10000-12, GDS: trust lists).

====================  ==============================================================================================
``own/``              our certificate and its private key, made when they are first needed
``trusted/``          certificates of peers, or of authorities, that are trusted; and lists of revoked ones (``.crl``)
``issuers/``          authorities that are not trusted by themselves, to complete chains; and their ``.crl``
``rejected/``         certificates that were not trusted: move one to ``trusted/`` to trust it
====================  ==============================================================================================

A change is noticed at the next attempt to connect.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from dyncal.domain.errors import Unavailable
from dyncal.domain.time import to_datetime
from dyncal.ports.clock import Clock

_CERTIFICATES: Final = (".der", ".pem", ".crt", ".cer")
_MOST_REJECTED: Final = 100
_PEM: Final = b"-----BEGIN"


class Untrusted(Unavailable):
    """A peer's certificate is not one to send secrets to, or to take orders from."""


class TrustList:
    """The directories, read anew at every check.

    Parameters
    ----------
    directory : Path
        That holds ``own`` and the others; made when it is first needed.
    clock : Clock
    peer : str
        What those are whose certificates are checked, for people: ``server`` or ``client``.
    """

    def __init__(self, directory: Path, clock: Clock, *, peer: str = "server") -> None:
        self._directory = directory
        self._whose = f"the {peer}'s certificate"
        self._clock = clock

    def check(self, certificate: x509.Certificate, application_uri: str | None, host: str | None) -> None:
        """See to it that a peer's certificate is trusted, in force, and that of the one that was meant.

        A certificate that is itself in ``trusted/`` may be for another host; one that an authority has signed may not.
        `host` is None where no host was meant: clients come from anywhere.

        Raises
        ------
        Untrusted
            Says what is wrong; a certificate of whom nothing is known is in ``rejected/`` then.
        """
        self._make()
        self._in_force(certificate)
        if application_uri is not None and application_uri not in _names(certificate, x509.UniformResourceIdentifier):
            raise Untrusted(f"{self._whose} {_title(certificate)} is not for {application_uri}")
        anchors = list(self._certificates("trusted"))
        if not any(certificate == anchor for anchor in anchors):
            self._by_authority(certificate, anchors, host)

    def _make(self) -> None:
        for name in ("own", "trusted", "issuers", "rejected"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)

    def _in_force(self, certificate: x509.Certificate) -> None:
        now = self._now()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            raise Untrusted(f"{self._whose} {_title(certificate)} is valid from {since:%Y-%m-%d} to {until:%Y-%m-%d}")

    def _now(self) -> datetime.datetime:
        return to_datetime(self._clock.now())

    def _by_authority(self, certificate: x509.Certificate, anchors: list[x509.Certificate], host: str | None) -> None:
        chain = self._chain(certificate, anchors)
        if not chain:
            path = self._reject(certificate)
            raise Untrusted(
                f"{self._whose} {_title(certificate)} is not trusted; "
                f"if it should be, move {path} to {self._directory / 'trusted'}"
            )
        if host is not None and host not in _hosts(certificate):
            raise Untrusted(f"{self._whose} {_title(certificate)} is not for the host {host}")
        for signed, by in itertools.pairwise(chain):
            if self._revoked(signed, by):
                raise Untrusted(f"{_title(signed)} was revoked by {_title(by)}")

    def _chain(self, certificate: x509.Certificate, anchors: list[x509.Certificate]) -> list[x509.Certificate]:
        """Return the chain from a certificate to a trusted one; empty if there is none."""
        if not anchors:
            return []
        policy = verification.PolicyBuilder().time(self._now()).store(verification.Store(anchors))
        # Extensions of OPC UA certificates are not those of the web; an authority must be one all the same.
        policy = policy.extension_policies(
            ca_policy=verification.ExtensionPolicy.permit_all().require_present(
                x509.BasicConstraints, verification.Criticality.AGNOSTIC, _authority
            ),
            ee_policy=verification.ExtensionPolicy.permit_all(),
        )
        try:
            found = policy.build_client_verifier().verify(certificate, list(self._certificates("issuers")))
        except (verification.VerificationError, ValueError, UnsupportedAlgorithm):
            return []
        return list(found.chain)

    def _certificates(self, name: str) -> Iterator[x509.Certificate]:
        yield from _load(
            self._directory / name, _CERTIFICATES, x509.load_pem_x509_certificate, x509.load_der_x509_certificate
        )

    def _revoked(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        for name in ("trusted", "issuers"):
            for revoked in _load(self._directory / name, (".crl",), x509.load_pem_x509_crl, x509.load_der_x509_crl):
                if _signed(revoked, issuer) and revoked.get_revoked_certificate_by_serial_number(
                    certificate.serial_number
                ):
                    return True
        return False

    def _reject(self, certificate: x509.Certificate) -> Path:
        """Keep a certificate for people to look at, the newest of a bounded number; return its path."""
        directory = self._directory / "rejected"
        path = directory / f"{_file_name(certificate)}.der"
        if not path.exists():
            old = sorted(directory.glob("*.der"), key=lambda file: file.stat().st_mtime)
            for file in old[: max(0, len(old) + 1 - _MOST_REJECTED)]:
                file.unlink(missing_ok=True)
            path.write_bytes(certificate.public_bytes(Encoding.DER))
        return path


def _load(
    directory: Path, suffixes: tuple[str, ...], from_pem: Callable[[bytes], Any], from_der: Callable[[bytes], Any]
) -> Iterator[Any]:
    for path in sorted(directory.iterdir()):
        if path.suffix.lower() not in suffixes:
            continue
        content = path.read_bytes()
        try:
            yield from_pem(content) if content.startswith(_PEM) else from_der(content)
        except ValueError as error:
            raise Untrusted(f"{path} cannot be read, and so nobody's certificate checked: {error}") from error


def _authority(
    policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints | None
) -> None:
    del policy
    if constraints is None or not constraints.ca:
        raise ValueError(f"{_title(certificate)} is no authority")


def _signed(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return revoked.issuer == issuer.subject and revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # what keys cannot sign is a TypeError
    except (InvalidSignature, TypeError, UnsupportedAlgorithm):
        return False


def _names(certificate: x509.Certificate, kind: Any) -> list[Any]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.get_values_for_type(kind)


def _hosts(certificate: x509.Certificate) -> set[str]:
    addresses = _names(certificate, x509.IPAddress)
    return {*_names(certificate, x509.DNSName), *(str(ipaddress.ip_address(str(address))) for address in addresses)}


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else "nameless"


def _title(certificate: x509.Certificate) -> str:
    return f"{_common_name(certificate)[:80]!r}"


def _file_name(certificate: x509.Certificate) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", _common_name(certificate))[:60].strip("._") or "nameless"
    return f"{safe}-{certificate.fingerprint(hashes.SHA256()).hex()[:40]}"
