"""An edge agent without a broker, to be killed: ``python -m tests.cuts.agent SETTINGS.json``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from dyncal.runtime import logging
from dyncal.testing.bus import FakeBroker
from edge_agent.settings import EdgeSettings
from tests.integration.edge_agent.plant import running


async def main() -> None:
    """Run until killed."""
    settings = EdgeSettings.model_validate_json(Path(sys.argv[1]).read_bytes())
    logging.configure(settings.log)
    broker = FakeBroker()
    broker.cut()
    with contextlib.suppress(asyncio.CancelledError):
        async with running(settings, broker):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
