"""A publish on its way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dyncal.domain.errors import BusUnavailable


@dataclass(slots=True)
class Posted:
    """A publish on its way: since when nothing became of it [s, loop's clock]; `there` when `there_at` is delivered."""

    topic: str
    payload: bytes
    retain: bool
    answer: asyncio.Future[None]
    since_s: float
    there_at: int = 0
    there: bool = False

    def fail(self, error: BusUnavailable) -> None:
        """Let who waits know."""
        if not self.answer.done():
            self.answer.set_exception(error)
