"""What something says of this machine's clock, and the port behind which it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.errors import DyncalError


class Unreadable(DyncalError):
    """What a clock service answered cannot be understood."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source says of the clock now.

    Attributes
    ----------
    source : str
        Who says it.
    offset_ns : float
        Clock minus reference as the source sees it [ns]; positive: the clock is ahead.
    u_ns : float
        Standard uncertainty of the clock's instants [ns]. What is known of the offset and not yet slewed away is in it:
        nobody corrects time stamps by it.
    reference : str
        What the clock follows: an address, an id, a grandmaster.
    rate : float
        Standard uncertainty of the clock's frequency, relative; 0 where the source does not say.
    synchronised : bool
        Whether the clock is disciplined now. Where not, the figures mean nothing.
    """

    source: str
    offset_ns: float = 0.0
    u_ns: float = math.inf
    reference: str = ""
    rate: float = 0.0
    synchronised: bool = True


class ClockSource(Protocol):
    """Something that knows how good this machine's clock is."""

    @property
    def name(self) -> str:
        """Its name, as the settings and the metrics have it."""
        ...

    async def read(self) -> Reading | None:
        """Return what it says; None where it is not there. Bounded in time.

        Raises
        ------
        Unreadable
            If it answers what cannot be understood.
        """
        ...


def u_of_bound(bound_ns: float, offset_ns: float = 0.0) -> float:
    """Return the standard uncertainty [ns] of a clock whose error is within ±`bound_ns` about a known `offset_ns`.

    Rectangular (JCGM 100:2008, 4.3.7); the offset counts in full, since it is not corrected (F.2.4.5).
    """
    return math.hypot(bound_ns / math.sqrt(3), offset_ns)
