"""`python -m dyncal.adapters.mqtt.broker --host H --port P`: the embedded broker as a program of its own.

It says ``ready`` on standard output when it listens, or why it cannot, and serves until SIGTERM or until its standard
input ends: so it does not outlive the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Final

from dyncal.adapters.mqtt.embedded import EmbeddedBroker
from dyncal.domain.errors import BusUnavailable

READY: Final = "ready"


async def serve(host: str, port: int) -> int:
    """Serve until told to stop; return the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.create_task(_at_end(reader, stop))
    try:
        async with EmbeddedBroker(host, port):
            _say(READY)
            await stop.wait()
    except BusUnavailable as error:
        _say(str(error))
        return 1
    finally:
        ended.cancel()
    return 0


async def _at_end(reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    while await reader.read(1024):
        pass
    stop.set()


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m dyncal.adapters.mqtt.broker")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    return asyncio.run(serve(options.host, options.port))


if __name__ == "__main__":
    raise SystemExit(main())
