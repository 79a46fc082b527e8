"""How a Monte Carlo is run."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData

BLOCK: Final = 10_000
"""Draws between two looks at the numerical stability (JCGM 101, 7.9.4 b)."""


class Interval(enum.StrEnum):
    """Which of the intervals that cover as much (JCGM 101, 7.7)."""

    SYMMETRIC = "symmetric"
    """As much probability below as above."""

    SHORTEST = "shortest"
    """The narrowest."""


@dataclass(frozen=True, slots=True)
class MonteCarloSettings:
    """How many draws, and what is made of them.

    Attributes
    ----------
    n_draws : int, optional
        Draws; without it the adaptive procedure draws until estimates, standard uncertainties and interval ends are
        stable (JCGM 101, 7.9).
    digits : int
        Significant decimal digits of u that shall be right: 1 or 2, at most 6.
    tolerance_share : float
        The share of the numerical tolerance δ that is aimed at: 1, or 0.2 for a validation (8.2).
    max_draws : int
        Where the adaptive procedure gives up, and says so.
    coverage : float
        Coverage probability of the intervals.
    interval : Interval
    covariance : bool
        Whether to accumulate the covariance of all outputs with each other.
    threads : int
        Blocks that are drawn at the same time. The result does not depend on it.
    max_invalid_share : float
        Largest share of draws whose outputs are no finite numbers; those are counted and left out.
    batch_bytes : int
        Outputs in memory at a time, for each thread.
    """

    n_draws: int | None = None
    digits: int = 2
    tolerance_share: float = 1.0
    max_draws: int = 2_000_000
    coverage: float = 0.95
    interval: Interval = Interval.SYMMETRIC
    covariance: bool = False
    threads: int = 1
    max_invalid_share: float = 0.0
    batch_bytes: int = 1 << 22

    def __post_init__(self) -> None:
        object.__setattr__(self, "interval", choice(Interval, self.interval, "interval"))
        if self.n_draws is not None and self.n_draws < 100:
            raise InvalidData(f"a Monte Carlo needs at least 100 draws, not {self.n_draws}")
        if not 1 <= self.digits <= 6:
            raise InvalidData(f"1 to 6 digits of u are significant, not {self.digits}")
        if not 0 < self.tolerance_share <= 1:
            raise InvalidData(f"tolerance_share lies between 0 and 1, not at {self.tolerance_share}")
        if not 0 < self.coverage < 1:
            raise InvalidData(f"a coverage probability lies between 0 and 1, not at {self.coverage}")
        if self.max_draws < 2 * self.block:
            raise InvalidData(f"{self.max_draws} draws are fewer than two blocks of {self.block}")
        if self.threads < 1 or self.batch_bytes < 1 or not 0 <= self.max_invalid_share < 1:
            raise InvalidData("threads and batch_bytes are positive, and max_invalid_share below 1")

    @property
    def block(self) -> int:
        """Draws of a block: 10 000, more for a coverage probability near 1; a quarter of few draws."""
        needed = int(-(-100 // (1 - self.coverage)))
        if self.n_draws is not None:
            return min(max(BLOCK, needed), -(-self.n_draws // 4))
        return max(BLOCK, needed)
