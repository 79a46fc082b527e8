"""Two-sided CUSUM of one parameter, with an estimate of the change since it began."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dyncal.drift.arl import CLIP

_FADE: Final = 0.85  # weight of the past in the estimate of the change: it may still be growing


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of a chart.

    Attributes
    ----------
    value : float
        The CUSUM.
    since_ns : int
        Instant at which it left 0 last: the likely begin of a change.
    weight, moment, square : float
        Σw/v, Σwx/v and Σw²/v of the deviations x with variances v since then, w fading.
    """

    value: float = 0.0
    since_ns: int = 0
    weight: float = 0.0
    moment: float = 0.0
    square: float = 0.0

    def after(self, score: float, k: float, cap: float, deviation: float, variance: float, at_ns: int) -> Side:
        """Return the side after a score in its direction."""
        value = min(max(self.value + min(score, CLIP) - k, 0.0), cap)
        if value == 0.0:
            return Side()
        return Side(
            value,
            self.since_ns if self.value > 0 else at_ns,
            _FADE * self.weight + 1 / variance,
            _FADE * self.moment + deviation / variance,
            _FADE**2 * self.square + 1 / variance,
        )

    def change(self, baseline_variance: float) -> tuple[float, float]:
        """Return the deviation from the baseline and its standard uncertainty; NaN where the side rests."""
        if self.weight <= 0:
            return float("nan"), float("nan")
        return self.moment / self.weight, math.sqrt(self.square / self.weight**2 + baseline_variance)


@dataclass(frozen=True, slots=True)
class Chart:
    """Both directions, and how scattered the scores were while the baseline was learnt."""

    up: Side = Side()
    down: Side = Side()
    n_scores: int = 0
    sum_squares: float = 0.0
    latched: bool = False

    @property
    def worst(self) -> Side:
        """The direction nearer to its limit."""
        return self.up if self.up.value >= self.down.value else self.down

    def scale(self, n_assumed: float = 20.0) -> float:
        """Return the standard deviation to divide scores by: never below 1, which is what it is by theory."""
        return math.sqrt(max(1.0, (n_assumed + self.sum_squares) / (n_assumed + self.n_scores)))
