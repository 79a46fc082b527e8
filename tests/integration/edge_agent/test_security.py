"""Servers that want their connections secured, and know their users."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions

from dyncal.adapters.opcua.pki import Pki
from dyncal.adapters.opcua.trust import Untrusted
from dyncal.domain.errors import Unavailable
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.readers.session import ServerSession
from edge_agent.source_settings import OpcuaSettings
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content
from tests.unit.edge_agent.readers.certificates import URI, Holder, make

NOW = datetime.datetime.now(datetime.UTC)  # noqa: TID251  # asyncua judges certificates by the wall clock
SERVER = make("PLC", 1, now=NOW, hosts=("localhost",))
USER = make("operator", 5, now=NOW, uri="urn:operator")
Policy = ua.SecurityPolicyType
MODES = {
    "Basic256Sha256": (Policy.Basic256Sha256_Sign, Policy.Basic256Sha256_SignAndEncrypt),
    "Aes128_Sha256_RsaOaep": (Policy.Aes128Sha256RsaOaep_Sign, Policy.Aes128Sha256RsaOaep_SignAndEncrypt),
    "Aes256_Sha256_RsaPss": (Policy.Aes256Sha256RsaPss_Sign, Policy.Aes256Sha256RsaPss_SignAndEncrypt),
}
ALL = [Policy.NoSecurity, *(policy for pair in MODES.values() for policy in pair)]


STRANGER = make("stranger", 6, now=NOW)


class Users:
    """Knows one user by password, one by certificate, and one that is not let in; and lets anybody else in."""

    last = ""

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        del iserver
        refused = certificate == STRANGER.der or (username, password) not in ((None, None), ("operator", "pa55"))
        by_certificate = "" if certificate != USER.der else "operator"
        self.last = username or by_certificate
        return None if refused else User(role=UserRole.User)


@contextlib.asynccontextmanager
async def server(
    policies: list[Any] = ALL, holder: Holder = SERVER, users: Users | None = None
) -> AsyncIterator[Plant]:
    plant = Plant(free_port(), users or Users())
    await plant.secure(holder.pem, holder.key_pem, URI, policies)
    options = CertificateValidatorOptions.EXT_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
    plant.validate_clients(CertificateValidator(options))
    await plant.start(A=0.0)
    try:
        yield plant
    finally:
        await plant.stop()


def settings(plant: Plant, **more: Any) -> OpcuaSettings:
    node = {"sensor": "A", "node": "ns=2;s=A", "unit": "Cel", "dt_s": 0.01}
    return OpcuaSettings(url=plant.url, timeout_s=3.0, nodes=[node], **more)


def trusting(directory: Path, *holders: Holder) -> Pki:
    (directory / "trusted").mkdir(parents=True, exist_ok=True)
    for number, holder in enumerate(holders):
        (directory / "trusted" / f"{number}.der").write_bytes(holder.der)
    return Pki(directory, "urn:dyncal:plant:edge1", SystemClock())


async def connected(plant: Plant, pki: Pki, **more: Any) -> None:
    """Connect, read something over the channel, and take leave."""
    session = ServerSession(settings(plant, **more), pki)
    try:
        assert not await session.connect()
        assert await session.client.get_node("ns=2;s=A").read_value() == 0.0
    finally:
        await session.close()


async def test_every_policy_connects_with_a_certificate_made_on_the_spot(tmp_path: Path) -> None:
    async with server() as plant:
        pki = trusting(tmp_path, SERVER)
        for policy in MODES:
            for mode in ("Sign", "SignAndEncrypt"):
                await connected(plant, pki, security_policy=policy, security_mode=mode)
        assert (tmp_path / "own" / "certificate.der").exists()


async def test_an_unknown_server_is_trusted_once_its_certificate_was_moved(tmp_path: Path) -> None:
    secured = {"security_policy": "Basic256Sha256", "security_mode": "SignAndEncrypt"}
    async with server() as plant:
        broker = FakeBroker()
        node = {"sensor": "A", "node": "ns=2;s=A", "unit": "Cel", "dt_s": 0.01}
        edge = {"opcua": [{"url": plant.url, "publishing_s": 0.05, "nodes": [node], **secured}]}
        options = settings_of(tmp_path, edge)
        async with running(options, broker) as service:
            await until(lambda: "rejected/PLC-" in service.health().parts.get(plant.url, ""))
            (rejected,) = (options.pki_dir / "rejected").iterdir()
            rejected.rename(options.pki_dir / "trusted" / rejected.name)
            await until(lambda: not service.health().parts[plant.url])
            await plant.write("A", 7.0, now_ns())
            await until(lambda: (7.0, 0) in Content.of(sent(broker)).raw.values())


async def test_what_a_server_does_not_offer_is_said_with_what_it_does(tmp_path: Path) -> None:
    async with server([Policy.NoSecurity, Policy.Basic256Sha256_Sign]) as plant:
        with pytest.raises(Unavailable, match=r"offers no Aes256.*, but Basic256Sha256 with Sign, None with None"):
            await connected(
                plant,
                trusting(tmp_path, SERVER),
                security_policy="Aes256_Sha256_RsaPss",
                security_mode="SignAndEncrypt",
            )


async def test_a_server_with_another_certificate_is_another_server(tmp_path: Path) -> None:
    impostor = make("PLC", 2, now=NOW)
    async with server(holder=impostor) as plant:
        secured: dict[str, Any] = {"security_policy": "Basic256Sha256", "security_mode": "Sign"}
        with pytest.raises(Untrusted):
            await connected(plant, trusting(tmp_path, SERVER), **secured)
        pinned = tmp_path / "pinned.der"
        pinned.write_bytes(SERVER.der)
        with pytest.raises((OSError, TimeoutError, ua.UaError, Unavailable)):
            await connected(plant, trusting(tmp_path, impostor), **secured, server_certificate_file=pinned)


async def test_users_come_in_by_password_or_certificate(tmp_path: Path) -> None:
    secret, key, certificate = tmp_path / "secret", tmp_path / "user.pem", tmp_path / "user.der"
    secret.write_text("pa55\n")
    key.write_bytes(USER.key_pem)
    certificate.write_bytes(USER.der)
    secured: dict[str, Any] = {"security_policy": "Aes256_Sha256_RsaPss", "security_mode": "SignAndEncrypt"}
    signed: dict[str, Any] = {"security_policy": "Basic256Sha256", "security_mode": "Sign"}
    users = Users()
    async with server(users=users) as plant:
        pki = trusting(tmp_path / "pki", SERVER)
        by_certificate: dict[str, Any] = {"user_certificate_file": certificate, "user_key_file": key}
        by_password: dict[str, Any] = {"username": "operator", "password_file": secret}
        for channel, identity in ((secured, by_password), (signed, by_password), (secured, by_certificate)):
            users.last = ""
            await connected(plant, pki, **channel, **identity)
            assert users.last == "operator"
        with pytest.raises(ua.UaError):
            await connected(plant, pki, **secured, username="operator", password="wrong")
        certificate.write_bytes(STRANGER.der)
        key.write_bytes(STRANGER.key_pem)
        with pytest.raises(ua.UaError):
            await connected(plant, pki, **secured, **by_certificate)


async def test_a_password_goes_to_nobody_unknown_and_not_in_the_clear(tmp_path: Path) -> None:
    async with server() as plant:  # encrypts passwords on an open channel by its certificate
        with pytest.raises(Untrusted, match="not trusted"):
            await connected(plant, trusting(tmp_path / "a"), username="operator", password="pa55")
        await connected(plant, trusting(tmp_path / "b", SERVER), username="operator", password="pa55")
    async with server([Policy.NoSecurity]) as plant:
        with pytest.raises(Untrusted, match="in the clear"):
            await connected(plant, trusting(tmp_path / "c", SERVER), username="operator", password="pa55")
        await connected(plant, trusting(tmp_path / "d"), username="operator", password="pa55", allow_insecure=True)


async def test_a_server_that_comes_back_with_another_certificate_is_checked_anew(tmp_path: Path) -> None:
    renewed = make("PLC", 2, now=NOW)
    port = free_port()
    session: ServerSession | None = None
    for holder in (SERVER, renewed):
        plant = Plant(port, Users())
        await plant.secure(holder.pem, holder.key_pem, URI, ALL)
        await plant.start(A=0.0)
        if session is None:
            pki = trusting(tmp_path, SERVER, renewed)
            secured = settings(plant, security_policy="Basic256Sha256", security_mode="SignAndEncrypt")
            session = ServerSession(secured, pki)
        try:
            for _ in range(5):
                with contextlib.suppress(OSError, TimeoutError, ua.UaError, Unavailable):
                    await session.connect()
                    break
            assert await session.client.get_node("ns=2;s=A").read_value() == 0.0
            session.disconnect()
        finally:
            await plant.stop()
    await session.close()  # type: ignore[union-attr]  # made above
