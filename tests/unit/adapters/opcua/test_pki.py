"""Certificates of a server; those of clients are tested with the edge's readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from dyncal.adapters.opcua.pki import Pki
from dyncal.adapters.opcua.trust import Untrusted
from dyncal.runtime.clocks import SystemClock


def test_the_certificate_of_a_server_names_its_hosts_and_its_use(tmp_path: Path) -> None:
    hosts = ("127.0.0.1", "dyncal.plant.example")
    own = Pki(tmp_path, "urn:dyncal:plant:api", SystemClock(), title="dyncal", server=True, hosts=hosts).own()
    certificate = x509.load_der_x509_certificate(own.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "dyncal.plant.example" in names.get_values_for_type(x509.DNSName)
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:dyncal:plant:api"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_client_is_trusted_wherever_it_comes_from(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "server", "urn:dyncal:plant:api", SystemClock(), server=True)
    client = Pki(tmp_path / "client", "urn:client", SystemClock()).own()
    certificate = x509.load_der_x509_certificate(client.certificate.read_bytes())
    with pytest.raises(Untrusted, match=r"the client.s certificate .* move"):
        pki.trust.check(certificate, "urn:client", None)
    (rejected,) = (tmp_path / "server" / "rejected").iterdir()
    rejected.rename(tmp_path / "server" / "trusted" / rejected.name)
    pki.trust.check(certificate, "urn:client", None)
    with pytest.raises(Untrusted, match="is not for urn:other"):
        pki.trust.check(certificate, "urn:other", None)
