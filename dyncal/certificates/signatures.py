"""Signatures of certificates (W3C XML Signature, enveloped), verified against authorities that the caller trusts.

Needs the extra ``signatures``.
"""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from dyncal.certificates.document import Certificate
from dyncal.certificates.elements import DCC, DS, Element
from dyncal.certificates.parsing import MAX_BYTES, ROOT, parse, signatures
from dyncal.certificates.reader import read_certificate
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import InstantNs, seconds


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate as it was signed, and the subject of the signer's X.509 certificate."""

    certificate: Certificate
    signer: str


def read_signed(data: bytes, authorities: Path, at_ns: InstantNs, *, max_bytes: int = MAX_BYTES) -> Signed:
    """Return what of a certificate is covered by its signature, and by whom.

    Only the bytes that the signature covers are read as a certificate ("see what is signed").

    Parameters
    ----------
    authorities : Path
        PEM file of the certification authorities that are trusted; the signer's chain must end there.
    at_ns : int
        Instant at which the chain must be valid [ns]. Revocation is not looked up.

    Raises
    ------
    InvalidData
        If there is no signature or more than one, it does not verify, covers something else than the certificate, or
        the file of authorities cannot be read; and as `read_certificate`.
    """
    count = signatures(parse(data, max_bytes=max_bytes))
    if count != 1:
        raise InvalidData(f"{count} signatures; a certificate with one is verified")
    when = datetime.datetime.fromtimestamp(seconds(at_ns), datetime.UTC)
    wanted = SignatureConfiguration(location="./", expect_references=True, verification_time=when)
    try:
        found = XMLVerifier().verify(data, ca_pem_file=str(authorities), expect_config=wanted)
    except OSError as error:
        raise InvalidData(f"authorities {authorities}: {error.strerror or error}") from error
    except (SignXMLException, UnsupportedAlgorithm, ValueError, TypeError, AttributeError, etree.LxmlError) as error:
        # the last but one: signxml takes some elements for filled that its schema lets be empty
        raise InvalidData(f"the signature does not verify: {error}") from error
    results = found if isinstance(found, list) else [found]
    covered = [part for part in results if part.signed_xml is not None and part.signed_xml.tag == f"{{{DCC}}}{ROOT}"]
    if len(covered) != 1:
        raise InvalidData("the signature does not cover the certificate")
    signer = _subject(covered[0].signature_xml, covered[0].signature_key)
    return Signed(read_certificate(covered[0].signed_data, max_bytes=max_bytes), signer)


def _subject(signature: Element, key: bytes) -> str:
    """Return the subject of that X.509 certificate in a verified signature that has the key it was made with."""
    for element in signature.iter(f"{{{DS}}}X509Certificate"):
        found = x509.load_der_x509_certificate(base64.b64decode(element.text or ""))
        public = found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if public.strip() == key.strip():
            return found.subject.rfc4514_string()
    raise InvalidData("the signature does not hold the certificate of its key")
