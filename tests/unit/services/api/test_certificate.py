"""The service over TLS: certificates are taken up while it is at work, and wrong ones are not."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from dyncal.domain.errors import InvalidSetting
from services.api.certificate import Certificate
from services.api.server import HttpServer, bind
from services.api.settings import ApiSection, TlsSection

BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def write(directory: Path, serial: int, password: bytes | None = None) -> TlsSection:
    """Write a certificate for 127.0.0.1 that signs itself, and return where."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + datetime.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    section = TlsSection(cert_file=directory / "cert.pem", key_file=directory / "key.pem")
    section.cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    section.key_file.write_bytes(key.private_bytes(*form, locked))
    return section


async def serial_at(host: str, port: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, version
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    content = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(content).serial_number


async def test_a_new_certificate_is_taken_up_at_work_and_half_a_one_is_not(tmp_path: Path) -> None:
    settings = ApiSection(port=0, tls=write(tmp_path, 1))
    listener = bind(settings)
    server = HttpServer(FastAPI(), settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = listener.getsockname()[:2]
    assert await serial_at(host, port) == 1
    server.renew()
    assert await serial_at(host, port, ssl.TLSVersion.TLSv1_2) == 1
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    made = write(fresh, 2)
    made.cert_file.replace(tmp_path / "cert.pem")
    server.renew()  # the key is not there yet
    assert await serial_at(host, port) == 1
    made.key_file.replace(tmp_path / "key.pem")
    server.renew()
    assert await serial_at(host, port) == 2
    server.stop()
    await serving
    listener.close()


def test_what_is_no_certificate_is_said_at_the_start(tmp_path: Path) -> None:
    section = write(tmp_path, 1)
    section.key_file.write_text("nothing", encoding="utf-8")
    with pytest.raises(InvalidSetting, match=r"api\.tls"):
        Certificate(section)
    with pytest.raises(InvalidSetting, match="password"):
        Certificate(write(tmp_path, 1, b"secret"))


def test_who_listens_to_others_has_tls_and_lets_nobody_in_unasked_or_says_so(tmp_path: Path) -> None:
    section = write(tmp_path, 1)
    closed, opened = {"mode": "closed"}, {"mode": "open"}
    assert not ApiSection(host="0.0.0.0", tls=section, access=closed).loopback
    for wrong in ({"access": closed}, {"access": opened}, {"access": opened, "tls": section}):
        with pytest.raises(ValueError, match="allow_remote"):
            ApiSection(host="0.0.0.0", **wrong)
        ApiSection(host="0.0.0.0", allow_remote=True, **wrong)
