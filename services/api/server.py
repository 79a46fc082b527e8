"""The HTTP server inside somebody else's event loop."""

from __future__ import annotations

import asyncio
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


LATE_S: Final = 20.0
"""Time that a request may take to come, from its first byte or, the first one, from the connection [s] ..."""

LEAST_BYTES_HZ: Final = 4096.0
"""... and, if it is long, its least rate beyond that [bytes/s]."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's faster parser, which by itself keeps a head without end, and waits without end for what does not come.

    It does not let its user see a head grow: what counts is how much came since a part of a body did. A request that
    comes in one piece, as nearly all do, costs no timer.
    """

    _n_idle = 0
    _whole = True
    _late: asyncio.TimerHandle | None = None
    _since_s = 0.0
    _n_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request, and not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; end the connection where too many came since a part of a body did."""
        self._n_idle += len(data)
        self._n_bytes += len(data)
        super().data_received(data)
        if self._n_idle > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of a request is too long.")
        if self._whole:
            self._wait_no_more()
        elif self._late is None and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self._since_s, self._n_bytes = self.loop.time(), 0
        self._late = self.loop.call_later(LATE_S, self._look)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _look(self) -> None:
        """End the connection where the request is late; who does not read it is not the caller's fault."""
        self._late = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._wait()
            return
        left_s = self._since_s + LATE_S + self._n_bytes / LEAST_BYTES_HZ - self.loop.time()
        if left_s <= 0:
            self.transport.close()
        else:
            self._late = self.loop.call_later(left_s, self._look)

    def on_message_begin(self) -> None:
        """Wait for the rest."""
        self._whole = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Wait for nothing any more."""
        self._whole = True
        super().on_message_complete()

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
