"""How a connection to an OPC UA server is secured, and who we say we are (OPC 10000-4, 6.1 and 7.40)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto import security_policies, uacrypto
from cryptography import x509

from dyncal.adapters.opcua.pki import Pki
from dyncal.adapters.opcua.trust import Untrusted
from dyncal.domain.errors import Unavailable
from edge_agent.source_settings import ServerSettings

_NONE: Final = security_policies.SecurityPolicyNone.URI


class Security:
    """Secures the client of one server.

    Parameters
    ----------
    settings : ServerSettings
    pki : Pki
        Our certificate where the settings name none, and the list of trusted ones.
    """

    def __init__(self, settings: ServerSettings, pki: Pki) -> None:
        self._settings = settings
        self._pki = pki
        self._host = urlsplit(settings.url).hostname or ""

    async def secure(self, client: Client) -> None:
        """Choose the endpoint, check its server's certificate, and have the next channel secured with it.

        Does nothing where the policy is None. The client must not be connected.

        Raises
        ------
        Untrusted
            If the server's certificate is not trusted.
        Unavailable, OSError, TimeoutError, asyncua.ua.UaError
            If the server is not there or has no such endpoint, or our certificate is unusable.
        """
        settings = self._settings
        client.application_uri = self._pki.application_uri
        if settings.user_certificate_file is not None:
            await client.load_client_certificate(str(settings.user_certificate_file))
            await client.load_private_key(settings.user_key_file)
        if settings.security_policy == "None":
            return
        policy = getattr(security_policies, f"SecurityPolicy{settings.security_policy.replace('_', '')}")
        own = await asyncio.to_thread(self._own)
        client.application_uri = own.application_uri
        pinned = settings.server_certificate_file
        server = str(pinned) if pinned is not None else await self._trusted_server(client, policy.URI)
        await client.set_security(
            policy,
            certificate=str(own.certificate),
            private_key=str(own.private_key),
            server_certificate=server,
            mode=getattr(ua.MessageSecurityMode, settings.security_mode),
        )

    def _own(self) -> Any:
        certificate, key = self._settings.certificate_file, self._settings.private_key_file
        if certificate is None or key is None:
            return self._pki.own()
        return self._pki.given(certificate, key)

    async def _trusted_server(self, client: Client, policy_uri: str) -> bytes:
        """Return the certificate of the server's endpoint with our policy and mode, which is trusted."""
        plain = security_policies.SecurityPolicyNone()
        client.security_policy = client.uaclient.security_policy = plain
        endpoints = await client.connect_and_get_server_endpoints()
        mode = getattr(ua.MessageSecurityMode, self._settings.security_mode)
        for endpoint in endpoints:
            if endpoint.SecurityPolicyUri == policy_uri and endpoint.SecurityMode == mode:
                await self._check(endpoint.ServerCertificate, endpoint.Server.ApplicationUri)
                return bytes(endpoint.ServerCertificate)
        raise Unavailable(
            f"the server offers no {self._settings.security_policy} with {self._settings.security_mode}, "
            f"but {_offers(endpoints)}"
        )

    async def _check(self, content: bytes | None, application_uri: str | None) -> None:
        certificate = _first(content)
        await asyncio.to_thread(self._pki.trust.check, certificate, application_uri, self._host)

    async def activate(self, client: Client) -> None:
        """Activate the session as who the settings say.

        A password is only sent to a server that is trusted, and encrypted, unless the settings allow otherwise.

        Raises
        ------
        Untrusted
            If the password would go to somebody unknown, or could be read on the way.
        OSError, TimeoutError, asyncua.ua.UaError
            If the server refuses.
        """
        settings = self._settings
        if settings.user_certificate_file is not None:
            await client.activate_session(certificate=client.user_certificate)
        elif settings.username is None:
            await client.activate_session()
        else:
            if not settings.allow_insecure:
                await self._secret_is_safe(client)
            await client.activate_session(username=settings.username, password=settings.resolved_password() or "")

    async def _secret_is_safe(self, client: Client) -> None:
        if self._settings.security_mode == "SignAndEncrypt":
            return
        token = client.server_policy(ua.UserTokenType.UserName)
        if token.SecurityPolicyUri in (None, "", _NONE):
            raise Untrusted(
                "the server wants the password in the clear: set security_policy and security_mode, or "
                "allow_insecure = true where the network is trusted"
            )
        if self._settings.security_policy == "None":  # otherwise it was checked before
            await self._check(client.security_policy.peer_certificate, None)


def _first(content: bytes | None) -> x509.Certificate:
    try:
        certificate: x509.Certificate | None = uacrypto.x509_from_der(content)
    except ValueError as error:
        raise Untrusted(f"the server's certificate cannot be read: {error}") from error
    if certificate is None:
        raise Untrusted("the server shows no certificate")
    return certificate


def _offers(endpoints: Iterable[Any]) -> str:
    names = {
        f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2]} with {endpoint.SecurityMode.name.rstrip('_')}"
        for endpoint in endpoints
    }
    return ", ".join(sorted(names)[:10]) or "nothing"
