"""Bearer tokens of an OpenID provider: whose they are, by its published keys and the claims that settings name."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import jwt
import msgspec

from dyncal.domain.access import PEOPLE
from dyncal.domain.errors import Unavailable
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from services.api.access import secrets
from services.api.access.principal import Principal
from services.api.access.settings import OidcSection

KEYS_KEPT_S: Final = 3600.0
AGAIN_S: Final = 30.0
"""Least time between two looks for keys: a token with a made-up key id asks for no more of them [s]."""

BELIEVED_S: Final = 60.0
"""Time for which a token that was verified is not verified again [s]."""

MAX_TOKENS: Final = 5000
LAST_S: Final = 4e9
"""What ends later than this ends then [s since 1970]: instants have an end too."""

MAX_DOCUMENT: Final = 1 << 20
TIMEOUT_S: Final = 5.0

Fetch = Callable[[str], Awaitable[bytes]]

log = logger("api")


class OidcTokens:
    """Verifies tokens against one provider. For the event loop."""

    def __init__(self, settings: OidcSection, clock: Clock, fetch: Fetch | None = None) -> None:
        self._settings, self._clock = settings, clock
        self._fetch = fetch or _fetcher(settings)
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_s = self._tried_s = -KEYS_KEPT_S
        self._looking = asyncio.Lock()
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def of_token(self, token: str) -> Principal | None:
        """Return whose token this is, or None if it does not count.

        Raises
        ------
        Unavailable
            If the provider's keys cannot be had.
        """
        digest, now_s = secrets.digest(token), self._clock.monotonic_s()
        known = self._known.get(digest)
        if known is not None and now_s - known[0] < BELIEVED_S and self._lasts(known[1]):
            return known[1]
        self._known.pop(digest, None)
        claims = await self._claims(token)
        found = None if claims is None else self._principal(claims)
        if found is not None and self._lasts(found):
            self._known[digest] = (now_s, found)
            if len(self._known) > MAX_TOKENS:
                self._known.popitem(last=False)
        return found

    def _lasts(self, principal: Principal) -> bool:
        return principal.ends_ns is None or self._clock.now() < principal.ends_ns

    async def _claims(self, token: str) -> dict[str, Any] | None:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        # What a token says of its signature chooses among what is allowed, and nothing else.
        if header.get("alg") not in settings.algorithms or "crit" in header:
            return None
        key = await self._key(header.get("kid"))
        if key is None or key.public_key_use not in (None, "sig"):
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError) as error:
            log.info("token_refused", reason=type(error).__name__)
            return None
        return claims

    async def _key(self, kid: object) -> jwt.PyJWK | None:
        now_s = self._clock.monotonic_s()
        if self._named(kid) is None or now_s - self._fetched_s > KEYS_KEPT_S:
            async with self._looking:
                now_s = self._clock.monotonic_s()
                if now_s - self._tried_s > AGAIN_S:
                    self._tried_s = now_s
                    await self._look()
        if now_s - self._fetched_s > 2 * KEYS_KEPT_S:
            raise Unavailable("the keys of the OpenID provider cannot be had", retry_after_s=AGAIN_S)
        return self._named(kid)

    def _named(self, kid: object) -> jwt.PyJWK | None:
        if isinstance(kid, str):
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if kid is None and len(self._keys) == 1 else None

    async def _look(self) -> None:
        """Fetch the provider's keys; where that fails, those that are known stay for another hour."""
        issuer = self._settings.issuer
        try:
            found = await self._published(issuer)
        except (httpx.HTTPError, msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("openid_keys_not_had", issuer=issuer, error=str(error)[:300])
        else:
            self._keys, self._fetched_s = found, self._clock.monotonic_s()
            self._known.clear()  # what a withdrawn key has signed counts no more

    async def _published(self, issuer: str) -> dict[str, jwt.PyJWK]:
        """Return the provider's keys by id. Raises `ValueError`, and what decoding and fetching raise."""
        about = msgspec.json.decode(await self._fetch(issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if about["issuer"] != issuer:
            raise ValueError(f"it calls itself {about['issuer']!r}")
        if issuer.startswith("https:") and not about["jwks_uri"].startswith("https:"):
            raise ValueError("its keys are not published over https")
        found = msgspec.json.decode(await self._fetch(about["jwks_uri"]))["keys"]
        return {str(each.get("kid", "")): key for each in found if (key := _public(each)) is not None}

    def _principal(self, claims: dict[str, Any]) -> Principal | None:
        settings = self._settings
        groups: Any = claims
        for part in settings.roles_claim.split("."):
            groups = groups.get(part) if isinstance(groups, dict) else None
        names = {groups} if isinstance(groups, str) else set(filter(_is_text, groups)) if _is_list(groups) else set()
        roles = {settings.roles[name] for name in names & set(settings.roles)}
        role = next((role for role in reversed(PEOPLE) if role in roles), None)
        subject, shown = claims["sub"], claims.get(settings.name_claim)
        if role is None or not _is_text(subject):
            log.info("token_without_role", subject=str(subject)[:100])
            return None
        name = f"{shown} " if _is_text(shown) and shown != subject else ""
        ends_s = min(float(claims["exp"]) + settings.leeway_s, LAST_S)
        ends_ns = InstantNs(int(ends_s * NS_PER_S))
        return Principal(_printable(f"oidc:{name}{subject}"), role, ends_ns=ends_ns)


def _public(document: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return a key that signatures can be checked with; None for others, symmetric ones above all."""
    if document.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        return jwt.PyJWK.from_dict(dict(document))
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 10_000


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def _fetcher(settings: OidcSection) -> Fetch:
    """Return a fetcher over https, by the authorities that settings name."""
    context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))

    async def fetch(address: str) -> bytes:
        async with (
            httpx.AsyncClient(verify=context, timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", address, headers={"Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_DOCUMENT:
                    raise ValueError("its document is too long")
            return body

    return fetch
