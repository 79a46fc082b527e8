"""The HTTP server inside somebody else's event loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dyncal.domain.errors import InvalidSetting
from services.api.certificate import Certificate
from services.api.settings import ApiSection

GRACE_S: Final = 2
"""Time that open requests have to end when the service stops; live streams end at once."""


def bind(settings: ApiSection) -> socket.socket:
    """Return a listening socket. Raises `InvalidSetting` if the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise InvalidSetting(
            f"api.host = {settings.host!r}, api.port = {settings.port}: cannot listen there: {error.strerror}"
        ) from error
    listener.settimeout(0)
    return listener


MAX_HEAD_BYTES: Final = 32 << 10
"""Longest head of a request, and longest of what chunked bodies say beside their content."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's faster parser, which by itself keeps a head without end; it does not let its user see one grow."""

    _n_idle = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes; end the connection where too many came since a part of a body did."""
        self._n_idle += len(data)
        super().data_received(data)
        if self._n_idle > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of a request is too long.")

    def on_headers_complete(self) -> None:
        """Begin to count anew."""
        self._n_idle = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begin to count anew."""
        self._n_idle = 0
        super().on_body(body)


class HttpServer(uvicorn.Server):
    """uvicorn that leaves signals to the program around it."""

    def __init__(self, app: FastAPI, settings: ApiSection | None = None) -> None:
        settings = settings or ApiSection()
        self._certificate = None if settings.tls is None else Certificate(settings.tls)
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                # Only who is named may say whom a request is from: limits and the audit trail go by that.
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                ssl_context_factory=None if self._certificate is None else self._certificate.context_for,
                ws="none",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=GRACE_S,
                http=BoundedHttp,
                limit_concurrency=2000,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def renew(self) -> None:
        """Take up a certificate whose files have changed; blocks."""
        if self._certificate is not None:
            self._certificate.renew()

    def stop(self) -> None:
        """Take no more connections, and end when those that are open have been answered."""
        self.should_exit = True
