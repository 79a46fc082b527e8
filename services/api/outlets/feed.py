"""Where outlets meet the alarms: what they read, and what they may ask for.

The registry's history of alarms is the outlets' source: a change is in it, with its number, in the transaction that
made it. An outlet that was away goes on after the last number that it took; nothing is handed over in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.api.outlets.news import News


class AlarmFeed(Protocol):
    """Changes of alarms in the order of their numbers, and alarms as they stand. Every method blocks.

    All raise `Unavailable` where the registry cannot be reached.
    """

    def newest(self) -> int:
        """Return the number of the newest change; 0 where there was none."""
        ...

    def after(self, number: int, limit: int) -> Sequence[News]:
        """Return the first `limit` changes with a higher number than `number`, in order."""
        ...

    def standing(self) -> Sequence[News]:
        """Return all alarms that are not normal."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """A command for one alarm, as `POST /v1/alarms/{id}/commands` takes it."""

    alarm: str
    command: str
    reason: str = ""
    duration_s: float | None = None
    upto: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a wish: `refusal` is '' where it was carried out, otherwise the word that HTTP answers with."""

    refusal: str = ""
    detail: str = ""


class AlarmDesk(Protocol):
    """Takes the commands of people, whichever way they come."""

    async def carry_out(self, wish: Wish, actor: str) -> Answer:
        """Carry out, or refuse, a command. Raises `Unavailable`."""
        ...
