"""Which certificates of servers are trusted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from dyncal.adapters.opcua.pki import Pki
from dyncal.adapters.opcua.trust import TrustList, Untrusted
from dyncal.domain.errors import Unavailable
from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SimulatedClock
from tests.unit.edge_agent.readers.certificates import NOW, URI, Holder, make, revocation

CLOCK = SimulatedClock(InstantNs(int(NOW.timestamp()) * 1_000_000_000))


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    for name in ("trusted", "issuers"):
        (tmp_path / name).mkdir()
    return tmp_path


def check(pki: Path, server: Holder, host: str = "localhost", uri: str | None = URI) -> None:
    TrustList(pki, CLOCK).check(server.certificate, uri, host)


def test_a_stranger_is_rejected_until_somebody_moves_its_certificate(pki: Path) -> None:
    server = make("Line 1 / PLC", 1)
    with pytest.raises(Untrusted, match=r"move .*rejected/Line_1_PLC-[0-9a-f]{40}\.der to .*trusted"):
        check(pki, server)
    (rejected,) = (pki / "rejected").iterdir()
    rejected.rename(pki / "trusted" / rejected.name)
    check(pki, server)
    check(pki, server, host="192.0.2.1")  # that one was trusted by itself
    with pytest.raises(Untrusted, match="not trusted"):
        check(pki, make("Line 1 / PLC", 2))  # of the same name


def test_pem_is_as_good(pki: Path) -> None:
    server = make("PLC", 1)
    (pki / "trusted" / "plc.pem").write_bytes(server.pem)
    (pki / "trusted" / "notes.txt").write_text("not a certificate")
    check(pki, server)


@pytest.mark.parametrize(("days", "word"), [((-10, -1), "valid from"), ((1, 10), "valid from")])
def test_a_certificate_out_of_its_time_is_refused_though_trusted(pki: Path, days: tuple[int, int], word: str) -> None:
    server = make("PLC", 1, days=days)
    (pki / "trusted" / "plc.der").write_bytes(server.der)
    with pytest.raises(Untrusted, match=word):
        check(pki, server)


def test_a_certificate_of_another_application_is_refused(pki: Path) -> None:
    server = make("PLC", 1, uri="urn:other")
    (pki / "trusted" / "plc.der").write_bytes(server.der)
    with pytest.raises(Untrusted, match="is not for urn:plant:server"):
        check(pki, server)


class Authorities:
    """A root, an authority below it, and a server below that."""

    def __init__(self) -> None:
        self.root = make("Root", 3, ca=True)
        self.works = make("Works", 4, self.root, ca=True)
        self.server = make("PLC", 1, self.works)


def test_what_an_authority_signed_is_trusted_for_its_hosts(pki: Path) -> None:
    names = Authorities()
    (pki / "trusted" / "root.der").write_bytes(names.root.der)
    with pytest.raises(Untrusted, match="not trusted"):
        check(pki, names.server)  # the chain has a hole
    (pki / "issuers" / "works.der").write_bytes(names.works.der)
    check(pki, names.server)
    with pytest.raises(Untrusted, match="not for the host"):
        check(pki, names.server, host="elsewhere")


def test_an_issuer_alone_makes_nobody_trusted(pki: Path) -> None:
    names = Authorities()
    (pki / "issuers" / "root.der").write_bytes(names.root.der)
    (pki / "issuers" / "works.der").write_bytes(names.works.der)
    with pytest.raises(Untrusted, match="not trusted"):
        check(pki, names.server)


def test_a_server_that_is_no_authority_makes_nobody_trusted(pki: Path) -> None:
    first = make("PLC", 1)
    (pki / "trusted" / "plc.der").write_bytes(first.der)
    with pytest.raises(Untrusted, match="not trusted"):
        check(pki, make("impostor", 2, first))


def test_what_was_revoked_is_refused(pki: Path) -> None:
    names = Authorities()
    (pki / "trusted" / "root.der").write_bytes(names.root.der)
    (pki / "issuers" / "works.der").write_bytes(names.works.der)
    (pki / "issuers" / "forged.crl").write_bytes(
        revocation(Holder(names.works.certificate, names.root.key), names.server)
    )
    check(pki, names.server)  # that list nobody believes
    (pki / "issuers" / "works.crl").write_bytes(revocation(names.works, names.server))
    with pytest.raises(Untrusted, match="'PLC' was revoked by 'Works'"):
        check(pki, names.server)


def test_a_file_that_cannot_be_read_is_named(pki: Path) -> None:
    (pki / "trusted" / "torn.der").write_bytes(b"\x30\x82")
    with pytest.raises(Untrusted, match=r"torn\.der cannot be read"):
        check(pki, make("PLC", 1))


def test_rejected_certificates_are_bounded(pki: Path) -> None:
    for _ in range(105):
        with pytest.raises(Untrusted):
            check(pki, make("PLC", 1))  # another serial number each
    assert len(list((pki / "rejected").iterdir())) == 100


def test_our_own_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    pki = Pki(tmp_path, "urn:dyncal:plant:edge1", CLOCK)
    own = pki.own()
    made = x509.load_der_x509_certificate(own.certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:dyncal:plant:edge1"]
    assert stat.S_IMODE(own.private_key.stat().st_mode) == 0o600
    assert pki.own() == own
    assert x509.load_der_x509_certificate(own.certificate.read_bytes()) == made


def test_our_own_certificate_that_has_expired_is_named(tmp_path: Path) -> None:
    old = make("edge", 1, days=(-10, -1))
    (tmp_path / "c.pem").write_bytes(old.pem)
    with pytest.raises(Unavailable, match=r"c\.pem has expired"):
        Pki(tmp_path, "urn:x", CLOCK).given(tmp_path / "c.pem", tmp_path / "k.pem")
