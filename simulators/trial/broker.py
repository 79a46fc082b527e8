"""`python -m simulators.trial.broker --port P`: the embedded broker in a process of its own.

A trial on two cores needs it there: beside fitting threads, the broker would wait for the interpreter's lock at every
one of its many small sends, and coefficient sets would reach the edge seconds late.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from dyncal.adapters.mqtt import EmbeddedBroker
from dyncal.runtime import logging
from dyncal.runtime.service import Health, run_service
from dyncal.runtime.settings import LogSettings


class BrokerService:
    """See `dyncal.runtime.service.Service`."""

    name = "broker"

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self._running = False

    def health(self) -> Health:
        """Tell whether it listens."""
        return Health(self._running)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Raises `BusUnavailable` if it cannot listen."""
        async with EmbeddedBroker(self._host, self._port):
            self._running = True
            await stop.wait()
        self._running = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m simulators.trial.broker")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    options = parser.parse_args(arguments)
    logging.configure(LogSettings(level=options.log_level))
    return run_service(BrokerService(options.port))


if __name__ == "__main__":
    raise SystemExit(main())
