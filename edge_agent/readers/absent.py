"""A source that cannot even be tried: a file of its settings is not there."""

from __future__ import annotations

import asyncio

from dyncal.ports.clock import Clock
from edge_agent.events import Kind, Notice
from edge_agent.readers.sink import Sink


class Absent:
    """Stands where a reader would: tells why there is none, and reads nothing until the edge is told anew, or starts.

    Parameters
    ----------
    name : str
        Of the source.
    why : str
        What is wrong with it.
    """

    def __init__(self, name: str, why: str, sink: Sink, clock: Clock) -> None:
        self.name = name
        self.trouble = why
        self.n_messages = 0
        self._sink = sink
        self._clock = clock

    async def run(self) -> None:
        """Tell, and wait to be cancelled."""
        self._sink.notice(Notice(Kind.SOURCE_LOST, self._clock.now(), None, f"{self.name}: {self.trouble}"))
        await asyncio.Event().wait()
