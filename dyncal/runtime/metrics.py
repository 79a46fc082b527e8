"""Prometheus metrics of a program, on an address of its own where the program has no HTTP interface."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server


def serve(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> None:
    """Serve `registry` at http://host:port/metrics from a daemon thread for the life of the process."""
    start_http_server(port, addr=host, registry=registry)
