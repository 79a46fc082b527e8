"""Two-sided CUSUM of one parameter, with an estimate of the change since it began."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from dyncal.drift.arl import CLIP

_FADE: Final = 0.85  # weight of the past in the estimate of the change: it may still be growing
_ASSUMED: Final = 30.0  # comparisons that the theory counts for
_LEAST_SCALE: Final = 0.8
_LARGEST_SQUARE: Final = 25.0


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
    """Both directions, and how scattered the scores were while the baseline was learnt.

    Attributes
    ----------
    up, down : Side
    n_differences : int
        Successive scores compared in training.
    sum_squares : float
        Sum of ½(z_b - z_{b-1})² over them: each the variance in expectation, wherever the mean lies, so that a drift
        while the baseline is learnt is not taken for scatter (von Neumann et al., Ann. Math. Stat. 12 (1941) 153).
    before : float
        The score before; NaN where there was none.
    latched : bool
        Drift has been found, and has not gone.
    """

    up: Side = Side()
    down: Side = Side()
    n_differences: int = 0
    sum_squares: float = 0.0
    before: float = float("nan")
    latched: bool = False

    @property
    def worst(self) -> Side:
        """The direction nearer to its limit."""
        return self.up if self.up.value >= self.down.value else self.down

    @property
    def scale(self) -> float:
        """Standard deviation to divide scores by: 1 by theory, which counts like `_ASSUMED` comparisons."""
        found = math.sqrt((_ASSUMED + self.sum_squares) / (_ASSUMED + self.n_differences))
        return max(found, _LEAST_SCALE)

    def learnt(self, raw: float) -> Chart:
        """Return the chart after it has learnt from a score, not yet divided by anything, how they scatter."""
        if math.isnan(self.before):
            return replace(self, before=raw)
        square = min((raw - self.before) ** 2 / 2, _LARGEST_SQUARE)
        return replace(self, before=raw, n_differences=self.n_differences + 1, sum_squares=self.sum_squares + square)
