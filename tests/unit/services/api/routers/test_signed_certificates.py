"""Signatures of certificates that are sent: verified, missing, broken, by strangers, and required."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from dyncal.certificates.writer import write_certificate
from dyncal.domain.time import DurationNs
from dyncal.testing.registry import S1
from services.api.app import create_app
from services.api.deps import Deps
from services.api.settings import CertificateSection
from tests.unit.certificates.examples import certificate
from tests.unit.certificates.test_signatures import _NOW, Authority
from tests.unit.services.api.conftest import OPEN, Api
from tests.unit.services.api.routers.test_laboratory import URL, body

XML = {"content-type": "application/xml"}
OF = {"sensor": S1, "dry_run": "true"}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("PTX")


@pytest.fixture
def required() -> bool:
    return False


@pytest.fixture
async def http(api: Api, authority: Authority, required: bool, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an application that trusts one authority, at a time when its certificates hold."""
    api.clock.advance(DurationNs(_NOW - api.clock.now()))
    trusting = CertificateSection(trusted_file=authority.pem(tmp_path), required=required)
    settings = OPEN.model_copy(update={"certificates": trusting})
    app = create_app(Deps.make(api.registry, api.store, api.clock, settings, console=tmp_path / "none"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def test_a_signature_by_a_trusted_authority_is_verified_and_kept_so(
    http: httpx.AsyncClient, authority: Authority
) -> None:
    signed = authority.sign(write_certificate(certificate()))
    answer = await http.post(URL, content=signed, headers=XML, params={"sensor": S1})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["signature"], answer.json()["signature_detail"]) == ("verified", "")
    assert "PTX laboratory" in answer.json()["signer"]
    (kept,) = (await http.get(URL)).json()["items"]
    assert kept == answer.json()


async def test_what_is_not_signed_broken_or_signed_by_strangers_is_said(
    http: httpx.AsyncClient, authority: Authority
) -> None:
    plain = write_certificate(certificate())
    signed = authority.sign(plain)
    stranger = Authority("PTX").sign(plain)  # of the same name
    forged = signed.replace(b"<dcc:name>", b"<dcc:name>", 1).replace(b"PTB", b"PTX", 1)
    assert forged != signed
    for content, expected in ((plain, "not_signed"), (stranger, "invalid"), (forged, "invalid")):
        answer = await http.post(URL, content=content, headers=XML, params=OF)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["signature"], answer.json()["signer"]) == (expected, "")
        assert bool(answer.json()["signature_detail"]) is (expected == "invalid")
    assert (await http.post(URL, json=body(), params={"dry_run": "true"})).json()["signature"] == "not_signed"


async def test_nobody_looks_where_nobody_is_trusted(api: Api, authority: Authority) -> None:
    app = create_app(Deps.make(api.registry, api.store, api.clock, OPEN))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        signed = authority.sign(write_certificate(certificate()))
        answer = await client.post(URL, content=signed, headers=XML, params=OF)
    assert answer.json()["signature"] == "not_verified"
    assert "trusted_file" in answer.json()["signature_detail"]


class TestRequired:
    @pytest.fixture
    def required(self) -> bool:
        return True

    async def test_only_what_is_verified_is_taken(self, http: httpx.AsyncClient, authority: Authority) -> None:
        plain = write_certificate(certificate())
        for answer in (
            await http.post(URL, content=plain, headers=XML, params={"sensor": S1}),
            await http.post(URL, content=Authority("PTX").sign(plain), headers=XML, params={"sensor": S1}),
            await http.post(URL, json=body()),
        ):
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:dyncal:problem:signature"), answer.text
        assert (await http.get(URL)).json()["items"] == []
        signed = authority.sign(plain)
        assert (await http.post(URL, content=signed, headers=XML, params={"sensor": S1})).status_code == 201


def test_what_is_required_must_be_possible() -> None:
    with pytest.raises(ValueError, match="trusted_file"):
        CertificateSection(required=True)
