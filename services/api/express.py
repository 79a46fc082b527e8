"""The one question that edges ask over and over, whether their document is still so, answered before the framework.

Everything out of the ordinary (a long-poll, a document that is not made yet, somebody who may not) is left to the route
`services.api.routers.edge.coefficients`, which says the same at greater length.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.deps import Deps
from services.api.documents import Document
from services.api.etags import matches

ROUTE: Final = "/v1/edges/{edge}/coefficients"
_BEFORE: Final = "/v1/edges/"
_AFTER: Final = "/coefficients"
# What makes a request more than the plain question.
_MORE: Final = frozenset({b"prefer", b"content-length", b"transfer-encoding", b"expect"})


class _Route(NamedTuple):
    """What the metrics look for in the scope."""

    path: str


class Express:
    """Pure ASGI, behind those who say who asks and what every answer has in common."""

    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self._app, self._deps = app, deps
        self._route = _Route(ROUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the plain question at once; leave all else to the application."""
        document = self._document(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        seen = None if document is None else _condition(scope)
        if document is None or seen is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        headers = [(b"etag", document.tag.encode()), (b"cache-control", b"no-cache")]
        if matches(seen, document.tag):
            status, body = 304, b""
        else:
            status, body = 200, document.body
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _document(self, scope: Scope) -> Document | None:
        """Return the document asked for, if it is at hand as the registry stands and whoever asks may have it."""
        path: str = scope["path"]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)):
            return None
        edge = EdgeId(path[len(_BEFORE) : -len(_AFTER)])
        principal: Principal | None = scope.get(SCOPE_KEY)
        revision = self._deps.watcher.known
        if revision is None or principal is None or not _may(principal, edge):
            return None
        return self._deps.documents.kept(edge, revision)


def _may(principal: Principal, edge: EdgeId) -> bool:
    """Tell whether the route would let a principal through: readers of all, and the edge itself."""
    return (principal.may(Role.VIEWER) or principal.role is Role.EDGE) and principal.reaches_edge(edge)


def _condition(scope: Scope) -> str | None:
    """Return the content of If-None-Match ('' where there is none); None for a request that says more than that."""
    seen = b""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            if seen:
                return None
            seen = value
        elif name in _MORE:
            return None
    return seen.decode("latin-1")
