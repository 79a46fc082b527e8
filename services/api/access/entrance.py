"""The way in: what a request says of itself, who that is, and whether they may come in now."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from dyncal.domain.access import Role
from dyncal.ports.access import AccessRegistry
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from services.api.access import credentials
from services.api.access.book import AccessBook
from services.api.access.credentials import Bearer, Credential, Malformed, Session
from services.api.access.limits import Buckets, source_of
from services.api.access.oidc import OidcTokens
from services.api.access.principal import Principal
from services.api.access.refused import Refusals
from services.api.access.settings import AccessSection
from services.api.errors import Problem

NAME_SHARE: Final = 5.0
"""How many more attempts may fail for one name than from one address: nobody is locked out by another at once."""

log = logger("api")


class Entrance:
    """Lets people, programs and edges in. For the event loop, but for its `book`."""

    def __init__(self, registry: AccessRegistry, clock: Clock, settings: AccessSection, *, tls: bool = False) -> None:
        self.settings = settings
        self.book = AccessBook(registry, clock, settings)
        self.oidc = None if settings.oidc is None else OidcTokens(settings.oidc, clock)
        self.secure = tls if settings.secure_cookie is None else settings.secure_cookie
        self.watched = False
        """True while the service's loop keeps the book current; otherwise every request looks."""

        self.refusals = Refusals()
        self._registry, self._clock = registry, clock
        self._open: dict[str, int] = {}
        self._requests = Buckets(settings.requests_hz, settings.requests_burst)
        self._failures = Buckets(1 / settings.failure_s, settings.failures)
        self._names = Buckets(1 / settings.failure_s, settings.failures * NAME_SHARE)

    def now_s(self) -> float:
        """Return the time of the clock that never goes back [s]."""
        return self._clock.monotonic_s()

    @property
    def open(self) -> bool:
        """True if whoever reaches the address is let in."""
        return self.settings.mode == "open"

    @property
    def cookie(self) -> str:
        """Name of the session's cookie."""
        return credentials.SECURE_COOKIE if self.secure else credentials.PLAIN_COOKIE

    async def identify(self, credential: Credential, address: str) -> Principal | None:
        """Return who asks from `address`, None for nobody.

        Raises
        ------
        Problem
            401 for a credential that does not count, 429 after too many of them.
        Unavailable
            If nobody can tell now.
        """
        if self.open:
            return Principal(f"http:{address}", Role.ENGINEER)
        if credential is None:
            return None
        if isinstance(credential, Malformed):
            raise Problem(HTTPStatus.UNAUTHORIZED, credential.detail, kind="credential")
        await self.current()
        if isinstance(credential, Session):
            return self.book.of_session(credential.token)
        return self.book.of_known_key(credential.text) or await self._by_bearer(credential, address)

    async def current(self) -> None:
        """See that the book is as the registry is. Raises `StoreUnavailable`."""
        if not self.watched:
            await asyncio.to_thread(self.book.refresh)

    async def _by_bearer(self, bearer: Bearer, address: str) -> Principal:
        self._may_try(address)
        found = None
        if bearer.text.count(".") == 2:
            found = None if self.oidc is None else await self.oidc.of_token(bearer.text)
        else:
            found = await self.book.of_key(bearer.text, lambda: self._may_try(address))
        if found is None:
            self._failed(address)
            raise Problem(HTTPStatus.UNAUTHORIZED, "this key or token opens nothing (any more)", kind="credential")
        return found

    async def by_password(self, name: str, password: str, address: str) -> Principal:
        """Return the user with this name and password. Raises `Problem`: 401 if there is none, 429 after too many."""
        self._may_try(address, name)
        await self.current()
        found = await self.book.of_password(name, password, lambda: self._may_try(address, name))
        if found is None:
            self._failed(address, name)
            raise Problem(HTTPStatus.UNAUTHORIZED, "there is no such user with this password", kind="credential")
        return found

    def _may_try(self, address: str, name: str = "") -> None:
        now_s = self._clock.monotonic_s()
        wait_s = max(self._failures.wait_s(source_of(address), now_s), self._names.wait_s(name, now_s) if name else 0.0)
        if wait_s > 0:
            self.refusals.count(source_of(address), now_s, self._known(name), held_off=True)
            raise too_many(wait_s, "too many attempts have failed")

    def _failed(self, address: str, name: str = "") -> None:
        now_s = self._clock.monotonic_s()
        self._failures.take(source_of(address), now_s)
        if name:
            self._names.take(name, now_s)
        self.refusals.count(source_of(address), now_s, self._known(name))
        log.warning("not_let_in", address=address, name=self._known(name))

    def _known(self, name: str) -> str:
        """Return the name of a user: one that nobody has may be a password in the wrong field, or a line of a log."""
        return name if name in self.book.picture.users else ""

    async def note_refusals(self, *, at_once: bool = False) -> None:
        """Write down what failed attempts are due, or all there are. Raises `StoreUnavailable`: they wait on."""
        entries = self.refusals.due(self._clock.monotonic_s(), self._clock.now(), at_once=at_once)
        if entries:
            await asyncio.to_thread(self._registry.note_refusals, entries)
            self.refusals.written()

    def begin(self, who: str) -> None:
        """Count a request that is open until `end`. Raises `Problem` (429) if `who` has too many."""
        n = self._open.get(who, 0)
        if n >= self.settings.requests_at_once and not self.open:
            raise too_many(1.0, f"{n} requests are open already")
        self._open[who] = n + 1

    def end(self, who: str) -> None:
        """Count a request as answered."""
        n = self._open.get(who, 0) - 1
        if n > 0:
            self._open[who] = n
        else:
            self._open.pop(who, None)

    def count(self, who: str) -> None:
        """Count a request. Raises `Problem` (429) if `who` has sent too many; in the open nobody can be told apart."""
        if self.open:
            return
        wait_s = self._requests.take(who, self._clock.monotonic_s())
        if wait_s > 0:
            raise too_many(wait_s, "too many requests")


def too_many(wait_s: float, detail: str) -> Problem:
    """Return the answer to who has to wait."""
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, kind="too-many", retry_after_s=max(1, round(wait_s + 0.5)))
