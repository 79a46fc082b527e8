"""Prometheus metrics of a program, and its health, on an address of its own where it has no HTTP interface."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any, Final, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import dyncal
from dyncal import kernels
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.families import Family, described
from dyncal.runtime.health import Health
from dyncal.runtime.pulse import LAG

PATIENCE_S: Final = 2.0
"""Time that an event loop has to answer before its program is not alive [s]."""

_LOOK_S: Final = 0.1  # that it takes to end

_BUILD: Final = Family("gauge", "dyncal_build_info", "1; the labels say what runs", ("program", "version"))
_READY: Final = Family("gauge", "dyncal_ready", "1 while the program can do its work", ("program",))
_PART: Final = Family(
    "gauge", "dyncal_part_up", "1 while nothing is wrong with a part that the program needs", ("program", "part")
)
_KERNELS: Final = Family(
    "gauge", "dyncal_kernels", "Compiled kernels that are ready, by whether the cache had them", ("from",)
)
_WARM_UP: Final = Family("gauge", "dyncal_kernels_warm_up_seconds", "Time that it took to make all kernels ready")

COMMON: Final = (_BUILD, _READY, _PART, _KERNELS, _WARM_UP)

Asked = Callable[[], Health]
_Start = Callable[..., Any]


class ProgramCollector(Collector):
    """What every program tells of itself: what it is, how it stands, its kernels, its event loop."""

    def __init__(self, program: str, health: Asked) -> None:
        self._program, self._health = program, health

    def describe(self) -> Iterator[Metric]:
        """Yield what there is, without values."""
        yield from described(COMMON)
        yield from LAG.describe()

    def collect(self) -> Iterator[Metric]:
        """Yield everything."""
        health = self._health()
        yield _BUILD.each([((self._program, dyncal.__version__), 1)])
        yield _READY.each([((self._program,), health.ready)])
        yield _PART.each([((self._program, part), not fault) for part, fault in health.parts.items()])
        done = kernels.warmed()
        if done is not None:
            loaded = done.n_kernels - min(done.n_compiled, done.n_kernels)
            yield _KERNELS.each([(("cache",), loaded), (("compiler",), done.n_kernels - loaded)])
            yield _WARM_UP.of(done.seconds)
        yield from LAG.collect()


def tell_of_program(registry: CollectorRegistry, program: str, health: Asked) -> None:
    """Add to a registry what every program tells, and what the system says of its process."""
    registry.register(ProgramCollector(program, health))
    ProcessCollector(registry=registry)


def serve(
    registry: CollectorRegistry, port: int, host: str = "127.0.0.1", health: Asked | None = None
) -> Callable[[], None]:
    """Serve `registry` at http://host:port/metrics from a daemon thread; call what is returned to end it.

    With `health`, which is asked in the running event loop, also ``/healthz`` (200 while the loop turns, 503 if it
    has not answered in 2 s) and ``/readyz`` (200 while the program does its work, else 503), with the reasons as JSON.

    Raises
    ------
    InvalidSetting
        If the address cannot be listened on.
    """
    told = None if health is None else _Asking(health, asyncio.get_running_loop())
    try:
        server = make_server(host, port, _app(registry, told), _Threading, handler_class=_Silent)
    except OSError as error:
        raise InvalidSetting(f"metrics_port = {port}: cannot listen on {host}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="metrics", daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


class _Asking:
    """Has the event loop tell how a program stands, from another thread."""

    def __init__(self, health: Asked, loop: asyncio.AbstractEventLoop) -> None:
        self._health, self._loop = health, loop

    def __call__(self) -> Health | None:
        """Return how it stands; None where the loop does not turn."""
        answer: concurrent.futures.Future[Health] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, answer)
            return answer.result(PATIENCE_S)
        except (TimeoutError, RuntimeError):  # it does not turn, or is closed
            return None

    def _answer(self, answer: concurrent.futures.Future[Health]) -> None:
        answer.set_result(self._health())


def _app(registry: CollectorRegistry, told: _Asking | None) -> Callable[[dict[str, Any], _Start], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if told is None or path not in ("/healthz", "/readyz"):
            return cast("Iterable[bytes]", metrics(environ, start))
        health = told()
        good = health is not None and (path == "/healthz" or health.ready)
        parts = {"event loop": f"has not answered in {PATIENCE_S:g} s"} if health is None else dict(health.parts)
        body = json.dumps({"ready": health is not None and health.ready, "parts": parts}).encode()
        start(
            "200 OK" if good else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")],
        )
        return [body]

    return app


class _Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    timeout = 10  # of one that connects and says nothing

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is named there
        """Say nothing."""
