"""The way from the converter to the surface: what is lost, doubled, delayed, or silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.time import DurationNs, Int64Array

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Transport:
    """What happens to samples between being taken and being published.

    Attributes
    ----------
    delay_ns : int
        Constant delay of every publication.
    jitter_ns : int
        Largest further delay of a publication, uniformly distributed.
    dropout : float
        Probability that a publication is lost.
    duplicate : float
        Probability that a publication is made twice.
    silent_ns : sequence of (from, to)
        Spans since the start in which nothing is published.
    """

    delay_ns: DurationNs = DurationNs(0)
    jitter_ns: DurationNs = DurationNs(0)
    dropout: float = 0.0
    duplicate: float = 0.0
    silent_ns: Sequence[tuple[int, int]] = ()

    def is_silent(self, since_start_ns: Int64Array) -> BoolArray:
        """Tell which instants, counted from the start, fall into a silent span; shape (n,)."""
        silent = np.zeros(since_start_ns.shape, dtype=np.bool_)
        for first, last in self.silent_ns:
            silent |= (since_start_ns >= first) & (since_start_ns < last)
        return silent

    def fate(self, rng: np.random.Generator) -> Fate:
        """Draw what happens to one publication; draws three numbers whatever the settings."""
        lost, doubled, late = rng.uniform(size=3)
        copies = 0 if lost < self.dropout else 2 if doubled < self.duplicate else 1
        return Fate(copies, DurationNs(self.delay_ns + int(late * self.jitter_ns)))


@dataclass(frozen=True, slots=True)
class Fate:
    """How many copies of a publication arrive, and how late."""

    copies: int
    delay_ns: DurationNs
