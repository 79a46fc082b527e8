"""The way from the converter to the surface: time stamps that are off, and what is lost, doubled, late, or not said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.time import DurationNs, InstantNs, Int64Array

BoolArray = npt.NDArray[np.bool_]

TICK_NS = 1_000
"""What device clocks resolve [ns]: OPC UA libraries write whole microseconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A device's clock: `offset_ns` ahead at the start, and `skew` seconds more with each second."""

    offset_ns: DurationNs = DurationNs(0)
    skew: float = 0.0

    def shown(self, t_ns: Int64Array, t0_ns: InstantNs) -> Int64Array:
        """Return what it shows at instants `t_ns`, shape (n,), in whole ticks if it is off."""
        if not self.offset_ns and not self.skew:
            return t_ns
        shown = t_ns + self.offset_ns + np.round((t_ns - t0_ns) * self.skew).astype(np.int64)
        return np.asarray(shown // TICK_NS * TICK_NS, np.int64)


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
    overtaken : float
        Probability that a publication comes so late that later ones overtake it.
    overtaken_ns : int
        How late that is.
    deadband : float
        A publication whose last value is not further than this from the last value published is not made.
    clock : Clock
        What the samples' time stamps come from.
    """

    delay_ns: DurationNs = DurationNs(0)
    jitter_ns: DurationNs = DurationNs(0)
    dropout: float = 0.0
    duplicate: float = 0.0
    silent_ns: Sequence[tuple[int, int]] = ()
    overtaken: float = 0.0
    overtaken_ns: DurationNs = DurationNs(0)
    deadband: float = 0.0
    clock: Clock = Clock()

    def is_silent(self, since_start_ns: Int64Array) -> BoolArray:
        """Tell which instants, counted from the start, fall into a silent span; shape (n,)."""
        silent = np.zeros(since_start_ns.shape, dtype=np.bool_)
        for first, last in self.silent_ns:
            silent |= (since_start_ns >= first) & (since_start_ns < last)
        return silent

    def fate(self, rng: np.random.Generator) -> Fate:
        """Draw what happens to one publication; draws as many numbers whatever the settings but `overtaken`."""
        lost, doubled, late = rng.uniform(size=3)
        copies = 0 if lost < self.dropout else 2 if doubled < self.duplicate else 1
        delay = DurationNs(self.delay_ns + int(late * self.jitter_ns))
        overtaken = self.overtaken > 0 and bool(rng.uniform() < self.overtaken)
        return Fate(copies, DurationNs(delay + self.overtaken_ns) if overtaken else delay, overtaken)


@dataclass(frozen=True, slots=True)
class Fate:
    """How many copies of a publication arrive, how late, and whether later ones may come before."""

    copies: int
    delay_ns: DurationNs
    overtaken: bool = False
