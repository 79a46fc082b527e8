"""A session with an OPC UA server, which outlives the connections that carry it (OPC 10000-4, 6.7).

asyncua's client is used below its own reconnection and publishing: those give up what a server still holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.errors import Unavailable
from edge_agent.readers.security import Security
from edge_agent.source_settings import ServerSettings

_SESSION_MS: Final = 120_000
_CLOSE_S: Final = 1.0
_START_TIME: Final = ua.NodeId(ua.ObjectIds.Server_ServerStatus_StartTime)
_MOST_REFUSED: Final = 3
_RENEW_AT: Final = 0.75  # of a secure channel's lifetime (OPC 10000-4, 5.5.2)

CONNECTION_LOST: Final = (
    ua.uaerrors.BadCommunicationError,
    ua.uaerrors.BadConnectionClosed,
    ua.uaerrors.BadSecureChannelClosed,
    ua.uaerrors.BadSecureChannelIdInvalid,
    ua.uaerrors.BadServerHalted,
    ua.uaerrors.BadSessionClosed,
    ua.uaerrors.BadSessionIdInvalid,
    ua.uaerrors.BadShutdown,
    ua.uaerrors.BadTimeout,
)
"""What says that a call has failed for the connection or the session, not for what was asked."""


class _Session(UaSession):  # type: ignore[misc]  # asyncua has no types
    """A session whose subscriptions are published by their reader."""

    def ensure_publish_loop(self) -> None:
        """Leave it."""


class ServerSession:
    """Connections to a server, one after the other, in one session for as long as the server keeps that."""

    def __init__(self, settings: ServerSettings, pki: Pki) -> None:
        self._settings = settings
        self._security = Security(settings, pki)
        self.client = Client(settings.url, timeout=settings.timeout_s)
        self.client.name = self.client.description = "dyncal edge agent"
        self.client.session_timeout = _SESSION_MS
        self._activated = False
        self._n_refused = 0

    @property
    def services(self) -> UaSession:
        """The services of the session."""
        return self.client.uaclient.session

    async def connect(self) -> bool:
        """Connect; return whether the session of before goes on (if not, there is a new one).

        Raises
        ------
        Unavailable, OSError, TimeoutError, asyncua.ua.UaError
            If the server is not there, is not trusted, or wants no session; the old one may still be tried again.
        """
        client = self.client
        if not self._activated:  # a session that goes on has the certificates that it was made with
            await self._security.secure(client)
        await client.connect_socket()
        try:
            await client.send_hello()
            await client.open_secure_channel()
            if self._activated and await self._reactivated():
                self._n_refused = 0
                return True
            self._activated = False
            if not client.security_policy.host_certificate:
                client.security_policy.peer_certificate = None  # asyncua would insist on that of an earlier server
            client.uaclient.session = _Session(client.uaclient)
            await client.create_session()
            await self._security.activate(client)
        except (InvalidSignature, UnsupportedAlgorithm) as error:
            client.disconnect_socket()
            raise Unavailable(f"what the server signed is not signed with its certificate: {error}") from error
        except BaseException:
            client.disconnect_socket()
            self._n_refused += 1
            if self._n_refused >= _MOST_REFUSED:  # perhaps the server has another certificate now
                self._activated = False
            raise
        self._activated = True
        self._n_refused = 0
        return False

    async def server_started(self) -> str:
        """Return since when the server runs: numbers of subscriptions are only good for so long. '' if unknown."""
        (value,) = await self.services.read_attributes([_START_TIME], ua.AttributeIds.Value)
        return "" if value.Value is None or value.Value.Value is None else str(value.Value.Value)

    def disconnect(self) -> None:
        """Drop the connection and leave the session to the server."""
        self.client.disconnect_socket()

    async def close(self, *, delete_subscriptions: bool = True) -> None:
        """End the session, where there is a connection to say so on, and the connection."""
        with contextlib.suppress(OSError, TimeoutError, ua.UaError):
            if self._activated and self.client.uaclient.has_transport:
                async with asyncio.timeout(_CLOSE_S):
                    await self.services.close_session(delete_subscriptions=delete_subscriptions)
                    await self.client.close_secure_channel()
        self.client.disconnect_socket()
        self._activated = False

    async def keep(self) -> None:
        """Renew the secure channel in time and ask the server how it is, until it does not answer.

        Raises
        ------
        OSError, TimeoutError, asyncua.ua.UaError
            If it is gone, or does not answer in time.
        """
        client, loop = self.client, asyncio.get_running_loop()
        renew_s = loop.time() + _RENEW_AT * client.secure_channel_timeout / 1e3
        while True:
            await asyncio.sleep(self._settings.timeout_s)
            async with asyncio.timeout(self._settings.timeout_s):
                await client.nodes.server_state.read_value()
            if loop.time() >= renew_s:
                await client.open_secure_channel(renew=True)
                client.uaclient.revolve_security_token()
                renew_s = loop.time() + _RENEW_AT * client.secure_channel_timeout / 1e3

    async def _reactivated(self) -> bool:
        self.services.rebind_authentication_token()
        try:
            await self._security.activate(self.client)
        except ua.UaError:  # the server has forgotten the session, or does not let it move to another channel
            return False
        return True
