"""Our certificate towards OPC UA applications, made when it is first needed, and the list of those that we trust."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from dyncal.adapters.opcua.trust import TrustList
from dyncal.domain.errors import Unavailable
from dyncal.domain.time import to_datetime
from dyncal.ports.clock import Clock

_DAYS: Final = 5 * 365


class OwnCertificate(NamedTuple):
    """Files of our certificate and of its private key, and the application that the certificate is of."""

    certificate: Path
    private_key: Path
    application_uri: str


class Pki:
    """The certificates of one program.

    Parameters
    ----------
    directory : Path
        Holds ``own``, ``trusted``, ``issuers`` and ``rejected``.
    application_uri : str
        Names the program among OPC UA applications; unique, and part of its certificate.
    title : str
        Common name of its certificate.
    server : bool
        Whether it is a server, and its peers are clients, as against the other way round.
    hosts : sequence of str
        Names and addresses besides the machine's own by which a server is reached.
    """

    def __init__(
        self,
        directory: Path,
        application_uri: str,
        clock: Clock,
        *,
        title: str = "dyncal edge agent",
        server: bool = False,
        hosts: Sequence[str] = (),
    ) -> None:
        self.application_uri = application_uri
        self.trust = TrustList(directory, clock, peer="client" if server else "server")
        self._title, self._server, self._hosts = title, server, hosts
        self._own = directory / "own"
        self._clock = clock
        self._lock = threading.Lock()

    def own(self) -> OwnCertificate:
        """Return our own certificate. Takes a second the first time; may be called from any thread.

        Raises
        ------
        Unavailable
            If it is not valid any more, or cannot be read.
        OSError
            If it cannot be written.
        """
        files = OwnCertificate(self._own / "certificate.der", self._own / "private_key.pem", self.application_uri)
        with self._lock:
            if not files.certificate.exists():
                self._own.mkdir(parents=True, exist_ok=True)
                self._make(files)
        return self.given(files.certificate, files.private_key)

    def given(self, certificate: Path, private_key: Path) -> OwnCertificate:
        """Return a certificate that somebody else made, of whatever application. Raises as `own`."""
        content = certificate.read_bytes()
        try:
            loaded = (
                x509.load_pem_x509_certificate(content)
                if content.startswith(b"-----BEGIN")
                else x509.load_der_x509_certificate(content)
            )
            names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        except (ValueError, x509.ExtensionNotFound) as error:
            raise Unavailable(f"{certificate} is no certificate of an OPC UA application: {error}") from error
        if to_datetime(self._clock.now()) > loaded.not_valid_after_utc:
            raise Unavailable(
                f"our certificate {certificate} has expired on {loaded.not_valid_after_utc:%Y-%m-%d}; remove it to "
                f"have a new one made, and have the {'clients' if self._server else 'servers'} trust that"
            )
        return OwnCertificate(certificate, private_key, uris[0] if uris else self.application_uri)

    def _make(self, files: OwnCertificate) -> None:
        """Make a key and a certificate that it signs itself; the certificate last, for it says that both are there."""
        from asyncua.crypto import cert_gen  # noqa: PLC0415  # heavy, and needed once

        key = cert_gen.generate_private_key()
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(self.application_uri)]
        names += [_host_name(host) for host in dict.fromkeys((socket.gethostname(), *self._hosts))]
        certificate = cert_gen.generate_self_signed_app_certificate(
            key,
            self._title,
            {"organizationName": "dyncal"},
            names,
            [ExtendedKeyUsageOID.SERVER_AUTH] if self._server else [ExtendedKeyUsageOID.CLIENT_AUTH],
            days=_DAYS,
        )
        _write(files.private_key, cert_gen.dump_private_key_as_pem(key))
        _write(files.certificate, certificate.public_bytes(Encoding.DER))


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
