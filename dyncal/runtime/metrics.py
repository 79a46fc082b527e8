"""Prometheus metrics of a program, on an address of its own where the program has no HTTP interface."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from dyncal.domain.errors import InvalidSetting


def serve(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> Callable[[], None]:
    """Serve `registry` at http://host:port/metrics from a daemon thread; call what is returned to end it.

    Raises
    ------
    InvalidSetting
        If the address cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InvalidSetting(f"metrics_port = {port}: cannot listen on {host}: {error.strerror}") from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close
