"""What every answer has in common: security headers, limits, the host check, and its place in the metrics."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.deps import Deps
from services.api.errors import problem

# Scripts and styles come from this origin alone; uPlot and Preact set styles through the CSSOM, which needs no more.
CSP: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self'; "
    "font-src 'self'; "
    "connect-src 'self'; "
    "worker-src 'self'; "
    "manifest-src 'self'; "
    "base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
}

_DEFAULTS: Final = [
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    (b"cache-control", b"no-store"),
]

FILES: Final = frozenset({"/v1/inventory", "/v1/laboratory-calibrations"})
"""Where whole files are sent, which may be longer than other bodies."""

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Gate:
    """Pure ASGI, so that streams pass through it untouched."""

    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self._app, self._deps = app, deps
        self._hosts = LOOPBACK_NAMES | {deps.settings.host, *deps.settings.allowed_hosts}
        self._loopback = deps.settings.loopback
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._max_bytes, self._max_file_bytes = deps.settings.max_body_bytes, deps.settings.max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = self._deps.clock.monotonic_s()

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"] = list(message["headers"])
                there = {name for name, _ in given}
                given += [header for header in _DEFAULTS if header[0] not in there]
                self._count(scope, message["status"], self._deps.clock.monotonic_s() - started_s)
            await send(message)

        max_bytes = self._max_file_bytes if scope["path"] in FILES else self._max_bytes
        refusal = self._refusal(Headers(scope=scope), max_bytes)
        if refusal is not None:
            await refusal(scope, receive, headed)
            return
        await self._app(scope, _Limited(receive, max_bytes), headed)

    def _refusal(self, headers: Headers, max_bytes: int) -> ASGIApp | None:
        """Return the answer to a request that may not pass.

        Without users, a browser on this machine is the way in from outside: a name that an attacker makes point to the
        loopback address is refused here.
        """
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._loopback and name.lower() not in self._hosts:
            return problem(421, f"this service does not answer to the name {name[:100]!r}", kind="host")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return problem(400, "Content-Length is no number", kind="content-length")
        if len(length) > 18 or int(length) > max_bytes:
            return problem(413, f"a request body has at most {max_bytes} bytes", kind="too-large")
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        key = (scope["method"] if scope["method"] in _METHODS else "other", getattr(route, "path", "none"), status)
        counted = self._counted.get(
            key
        )  # as many as there are routes: looking them up by labels costs as much as a 304
        if counted is None:
            metrics = self._deps.metrics
            counted = metrics.requests.labels(key[0], key[1], str(status)), metrics.latency.labels(key[1])
            self._counted[key] = counted
        counted[0].inc()
        counted[1].observe(seconds)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Limited:
    """Counts what a body without Content-Length brings, and ends it where it is too much."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._left = receive, limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.disconnect"}
        return message
