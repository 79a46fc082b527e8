"""Steps of a block through the programs, and the role of what takes them out of a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


@dataclass(frozen=True, slots=True)
class Step:
    """What a program did with a block: a span.

    Attributes
    ----------
    name : str
        One of those in `dyncal.runtime.following`.
    begun_ns, ended_ns : int
        By the program's clock.
    parent : str
        Name of the span from which it follows; '' of the first.
    """

    name: str
    trace: str
    sensor: SensorId
    sequence: int
    first_ns: int
    n: int
    begun_ns: InstantNs
    ended_ns: InstantNs
    parent: str


class Exporter(Protocol):
    """Takes steps out of the program."""

    def put(self, step: Step) -> None:
        """Take a step; never waits, never raises."""
        ...

    def close(self) -> None:
        """Send what waits, within a bounded time."""
        ...
