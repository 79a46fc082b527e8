"""Says who asks before anything is looked up, and keeps out who is nobody, asks too often, or is a foreign page."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dyncal.domain.errors import DyncalError
from services.api import errors
from services.api.access import credentials
from services.api.access.credentials import Bearer, Credential
from services.api.access.entrance import Entrance
from services.api.access.limits import source_of
from services.api.access.needs import SAFE, Rule, lacks
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.errors import Problem

FILES: Final = "/assets/"
SOON_S: Final = 1.0
"""An answer within this time is not looked at again [s]."""


class Identify:
    """Pure ASGI: leaves the principal in the scope, where `needs` finds it.

    `public` are the paths that nobody needs a name for. Everything else, what does not exist too, is for those who are
    somebody: an application behind this one that forgets to ask is not open by that.
    """

    def __init__(
        self,
        app: ASGIApp,
        entrance: Entrance,
        public: frozenset[str],
        hosts: Iterable[str] = (),
        rules: Iterable[Rule] = (),
    ) -> None:
        self._app, self._entrance, self._public = app, entrance, public
        self._hosts = frozenset(hosts)
        # Paths without parameters first, as a router finds them that lists them first.
        changes = sorted((r for r in rules if r.method not in SAFE), key=lambda rule: rule.path.count("{"))
        self._changes = [(rule, compile_path(rule.path)[0]) for rule in changes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http" and not scope["path"].startswith(FILES):
            try:
                who = await self._admit(scope)
                self._entrance.begin(who)
            except DyncalError as error:
                await _refusal(error, scope["path"])(scope, receive, send)
                return
            principal: Principal | None = scope.get(SCOPE_KEY)
            if principal is not None and not self._entrance.open:
                send = _Held(self._entrance, principal, scope, receive, send)
            try:
                await self._app(scope, receive, send)
            finally:
                self._entrance.end(who)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> str:
        """Leave who asks in the scope, and return whose account the request is on. Raises `DyncalError`."""
        client = scope.get("client")
        address = client[0] if client else "local"
        credential = credentials.read(scope["headers"], self._entrance.cookie)
        if scope["method"] not in SAFE and not isinstance(credential, Bearer):
            self._from_our_pages(scope, credential)
        public = scope["path"] in self._public
        principal = None
        try:
            principal = await self._entrance.identify(credential, address)
        except DyncalError:
            if not public:
                raise
        who = f"address:{source_of(address)}" if principal is None else principal.name
        self._entrance.count(who)
        if principal is not None:
            scope[SCOPE_KEY] = principal
            self._may_change(principal, scope)
        elif not public:
            raise Problem(HTTPStatus.UNAUTHORIZED, "say who you are: sign in, or send a key", kind="sign-in")
        return who

    def _may_change(self, principal: Principal, scope: Scope) -> None:
        """Refuse who has not the role for a change before its body is read: the routes look only after that.

        Raises `Problem` (403).
        """
        if scope["method"] in SAFE:
            return
        for rule, pattern in self._changes:
            if rule.method == scope["method"] and pattern.match(scope["path"]):
                if rule.role is not None and not rule.admits(principal.role):
                    raise lacks(principal, rule.role)
                return

    def _from_our_pages(self, scope: Scope, credential: Credential) -> None:
        """Keep foreign pages from changing anything by what a browser adds unasked: a cookie, or where it is.

        Browsers say in Sec-Fetch-Site, or at least in Origin, which page a change comes from, and no page can have them
        say anything else. Raises `Problem` (403).
        """
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is not None:
            ours = site in {"same-origin", "none"}
        elif origin is not None:
            ours = self._is_ours(origin, headers.get(b"host", ""))
        else:
            ours = credential is None  # no browser; and without a cookie nothing that one would have added
        if not ours:
            raise Problem(HTTPStatus.FORBIDDEN, "this comes from a page that is not ours", kind="foreign-page")

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            named = urlsplit(origin)
        except ValueError:
            return False
        return bool(named.netloc) and (named.netloc.lower() == host.lower() or named.hostname in self._hosts)


class _Held:
    """Sends what an answer that takes long has to say only while who asked for it may still have it.

    Handlers that know better end by themselves; those that forget are ended here: a long-poll by 401, a stream by its
    end.
    """

    def __init__(self, entrance: Entrance, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        self._entrance, self._principal, self._scope = entrance, principal, scope
        self._receive, self._send = receive, send
        self._since_s = entrance.now_s()
        self._ended = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        now_s = self._entrance.now_s()
        if now_s - self._since_s < SOON_S or self._entrance.book.stands(self._principal):
            await self._send(message)
            return
        self._ended = True
        if message["type"] == "http.response.start":
            error = Problem(HTTPStatus.UNAUTHORIZED, "what let you in has ended meanwhile", kind="sign-in")
            await _refusal(error, self._scope["path"])(self._scope, self._receive, self._send)
        else:
            await self._send({"type": "http.response.body", "body": b""})


def _refusal(error: DyncalError, path: str) -> ASGIApp:
    answer = errors.answer(error, path)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="dyncal"'
    return answer
