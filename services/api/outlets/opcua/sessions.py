"""Sessions of clients: who they are, whether they are let in, and in whose name they call.

The library checks the certificate that a client names in CreateSession, not the one that its channel was made with, and
takes sessions over an open channel even where no such endpoint is offered. Both is seen to here.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

from dyncal.adapters.opcua.trust import TrustList, Untrusted
from dyncal.runtime.logging import logger

MOST_SESSIONS: Final = 100
MOST_SUBSCRIPTIONS: Final = 500
FASTEST_MS: Final = 50.0
SLOWEST_MS: Final = 3_600_000.0
MOST_EVENTS: Final = 10_000
"""Events in the queue of one item: a few floods."""
MOST_VALUES: Final = 100
"""Values in the queue of one item: 10 000 items of a client that does not ask for them must fit."""
_WEAK: Final = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"  # decrypting it tells attackers about the key

log = logger("api")


@dataclass(frozen=True, slots=True)
class Account:
    """A user: the password, and whether it may give commands."""

    password: str
    operates: bool


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in.

    Attributes
    ----------
    trust : TrustList
        Of clients' certificates.
    allow_none : bool
        Whether sessions without security are taken.
    anonymous : bool
        Whether clients that do not log in may look.
    users : mapping
        By name.
    """

    trust: TrustList
    allow_none: bool
    anonymous: bool
    users: Mapping[str, Account]


class ClientSession(InternalSession):  # type: ignore[misc]  # asyncua has no types
    """A session of a client."""

    def __init__(self, *arguments: Any, door: Door, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._door = door
        self._checked: bytes | None = None
        self.may_operate = False
        self.actor = "opcua:anonymous"
        # A number that counts up could be guessed, and with it the session of somebody else be taken over.
        if self.external:
            self.iserver.unregister_external_session(self)
            self.auth_token = ua.NodeId(secrets.token_bytes(32), 0)
            self.iserver.register_external_session(self)

    async def create_session(self, params: Any, sockname: Any = None) -> Any:
        """Check the client's certificate, where it shows one, and create the session."""
        if params.ClientCertificate:
            described = params.ClientDescription.ApplicationUri
            try:
                certificate = uacrypto.x509_from_der(params.ClientCertificate)
                await asyncio.to_thread(self._door.trust.check, certificate, described, None)
            except (Untrusted, ValueError) as error:
                log.warning("opcua_client_refused", error=str(error)[:500])
                if not self._door.allow_none:  # otherwise the channel may be one without security: see below
                    raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed) from error
            else:
                self._checked = bytes(params.ClientCertificate)
        return await super().create_session(params, sockname)

    def activate_session(self, params: Any, peer_certificate: bytes | None) -> Any:
        """Let a user in whose channel is what the settings ask for, and belongs to the certificate that was checked."""
        if not peer_certificate and not self._door.allow_none:
            raise ServiceError(ua.StatusCodes.BadSecurityModeRejected)
        if peer_certificate and peer_certificate != self._checked:
            raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)
        token = params.UserIdentityToken
        if isinstance(token, ua.UserNameIdentityToken):
            in_the_clear = not peer_certificate and not token.EncryptionAlgorithm
            if in_the_clear or token.EncryptionAlgorithm == _WEAK:
                raise ServiceError(ua.StatusCodes.BadIdentityTokenRejected)
        result = super().activate_session(params, peer_certificate)
        name = self.user.name
        account = self._door.users.get(name or "")
        self.actor = f"opcua:{name or 'anonymous'}"
        self.may_operate = account is not None and account.operates
        return result

    async def call(self, params: Any) -> Any:
        """Call methods in the name of this session's user."""
        token = caller.set(self)
        try:
            return await super().call(params)
        finally:
            caller.reset(token)

    def _own(self, *numbers: int) -> None:
        """See to it that subscriptions are of this session: the library lets everybody at those of everybody."""
        for number in numbers:
            subscription = self.subscription_service.subscriptions.get(number)
            if subscription is not None and subscription.session_id != self.session_id:
                raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)

    async def create_subscription(self, params: Any, callback: Any, request_callback: Any = None) -> Any:
        """Create a subscription, at an interval that a server can keep up with: the library takes any."""
        params.RequestedPublishingInterval = _revised_ms(params.RequestedPublishingInterval)
        return await super().create_subscription(params, callback, request_callback)

    def modify_subscription(self, params: Any) -> Any:
        """Return how a subscription of this session is; the library modifies none."""
        self._own(params.SubscriptionId)
        return super().modify_subscription(params)

    async def create_monitored_items(self, params: Any) -> Any:
        """Create items in a subscription of this session; the next few methods likewise."""
        self._own(params.SubscriptionId)
        for item in params.ItemsToCreate:
            wanted = item.RequestedParameters
            wanted.QueueSize = _revised_size(wanted.QueueSize, item.ItemToMonitor.AttributeId)
        return await super().create_monitored_items(params)

    async def modify_monitored_items(self, params: Any) -> Any:
        """Modify items. The library looks for each among all, takes any queue size, and fails at those that are not."""
        self._own(params.SubscriptionId)
        subscription = self.subscription_service.subscriptions.get(params.SubscriptionId)
        if subscription is None:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        items = subscription.monitored_item_srv._monitored_items  # noqa: SLF001 - it has no other way to them
        interval_ms = subscription.data.RevisedPublishingInterval
        return [_modified(items.get(item.MonitoredItemId), item, interval_ms) for item in params.ItemsToModify]

    async def delete_monitored_items(self, params: Any) -> Any:
        """Delete items."""
        self._own(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def set_monitoring_mode(self, params: Any) -> Any:
        """Set the mode of items."""
        self._own(params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    async def set_publishing_mode(self, params: Any) -> Any:
        """Turn publishing on or off."""
        self._own(*params.SubscriptionIds)
        return await super().set_publishing_mode(params)

    async def delete_subscriptions(self, ids: list[int]) -> Any:
        """Delete subscriptions."""
        self._own(*ids)
        return await super().delete_subscriptions(ids)

    def republish(self, params: Any) -> Any:
        """Send a message again."""
        self._own(params.SubscriptionId)
        return super().republish(params)

    async def transfer_subscriptions(self, params: Any, callback: Any) -> Any:
        """Take over subscriptions of the same user only (OPC 10000-4, 5.14.7)."""
        subscriptions, sessions = self.subscription_service.subscriptions, self.iserver.sessions
        for number in params.SubscriptionIds:
            subscription = subscriptions.get(int(number))
            owner = None if subscription is None else sessions.get(subscription.session_id)
            if owner is not None and owner.user.name != self.user.name:
                raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
        return await super().transfer_subscriptions(params, callback)


def _revised_ms(requested_ms: float) -> float:
    """Return the publishing interval for one that was asked for [ms]; the shortest for what is no number."""
    return FASTEST_MS if math.isnan(requested_ms) else min(max(requested_ms, FASTEST_MS), SLOWEST_MS)


def _revised_size(requested: int, attribute: Any) -> int:
    """Return the queue size for one that was asked for; 0 asks for the usual one (OPC 10000-4, 7.21)."""
    if attribute == ua.AttributeIds.EventNotifier:
        return min(requested or MOST_EVENTS, MOST_EVENTS)
    return min(max(requested, 1), MOST_VALUES)


def _modified(data: Any, item: Any, interval_ms: float) -> Any:
    result = ua.MonitoredItemModifyResult()
    if data is None:
        result.StatusCode = ua.StatusCode(ua.StatusCodes.BadMonitoredItemIdInvalid)
        return result
    wanted = item.RequestedParameters
    data.queue_size = _revised_size(wanted.QueueSize, data.read_value_id.AttributeId)
    data.client_handle = wanted.ClientHandle
    if wanted.Filter is not None:
        data.filter = wanted.Filter
    result.RevisedSamplingInterval, result.RevisedQueueSize = interval_ms, data.queue_size
    return result


caller: ContextVar[ClientSession | None] = ContextVar("caller", default=None)
"""The session whose call is being carried out."""


class GuardedServer(InternalServer):  # type: ignore[misc]  # asyncua has no types
    """The library's server with sessions of ours, and bounds for a server beside other work."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.sessions: dict[Any, ClientSession] = {}
        super().__init__(user_manager=_Users(door))
        self.allow_remote_admin = False
        self.max_connections = MOST_SESSIONS
        self.max_subscriptions = MOST_SUBSCRIPTIONS
        tokens = [ua.AnonymousIdentityToken] if door.anonymous else []
        self.supported_tokens = (*tokens, *([ua.UserNameIdentityToken] if door.users else []))

    def create_session(self, name: str, user: Any = None, external: bool = False) -> Any:
        """Return a session of a client."""
        session = ClientSession(
            self,
            self.aspace,
            self.subscription_service,
            name,
            user=user or User(role=UserRole.Anonymous),
            external=external,
            door=self._door,
        )
        self.sessions[session.session_id] = session
        return session

    def register_server(self, server: Any, conf: Any = None) -> None:
        """Refuse: this is no discovery server, and anybody could fill its list without logging in."""
        del server, conf
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)

    def unregister_external_session(self, session: Any) -> None:
        """Forget a session."""
        super().unregister_external_session(session)
        self.sessions.pop(session.session_id, None)


class _Users:
    """Tells the library who somebody is: nobody is its administrator."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> Any:
        del iserver, certificate
        if username is None:
            return User(role=UserRole.User) if self._door.anonymous else None
        account = self._door.users.get(username)
        expected = account.password if account is not None else secrets.token_hex(16)
        given = hmac.compare_digest(expected.encode(), (password or "").encode())
        if not given or account is None:
            log.warning("opcua_login_refused", user=username[:100])
            return None
        return User(role=UserRole.User, name=username)
