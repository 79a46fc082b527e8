"""What is kept of draws: moments, histograms and, where asked for, the covariance; memory does not grow with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.uncertainty.kernels import locate, tally
from dyncal.uncertainty.settings import Interval

_FEWEST_BINS: Final = 256
_MOST_BINS: Final = 16_384
_HISTOGRAM_BYTES: Final = 1 << 23
_SHORTEST_TRIED: Final = 101
_WIDE: Final = 6.0
_TENTHS: Final = 2.563  # from the tenth to the ninetieth percentile of a normal distribution, in σ


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where the histograms lie, and about what sums are taken; from the first draws.

    Attributes
    ----------
    centre, low, width : float64, shape (n,)
        Width is that of one bin; 0 where an output does not vary.
    n_bins : int
    """

    centre: FloatArray
    low: FloatArray
    width: FloatArray
    n_bins: int

    @classmethod
    def of(cls, pilot: FloatArray, coverage: float) -> Frame:
        """Return the frame for pilot draws (n, m): half as wide again as they are, 6 standard deviations at least.

        Of long tails only what lies within twice the coverage interval is divided into bins.
        """
        n, m = pilot.shape
        tail = max((1 - coverage) / 4, min(10 / m, 0.25))
        low, tenth, centre, ninth, high = np.quantile(pilot, [tail, 0.1, 0.5, 0.9, 1 - tail], axis=1)
        farthest = np.maximum(pilot.max(axis=1) - centre, centre - pilot.min(axis=1))
        reach = np.minimum(1.5 * farthest, 2 * np.maximum(high - centre, centre - low))
        reach = np.maximum(reach, _WIDE * (1 + 3 / np.sqrt(m)) * (ninth - tenth) / _TENTHS)
        reach = np.where(reach > 0, reach, farthest)
        room = _HISTOGRAM_BYTES // (4 * n)
        bins = min(max(1 << max(room.bit_length() - 1, 0), _FEWEST_BINS), _MOST_BINS)
        # a spread within rounding is none
        width = np.where(reach > 1e-14 * np.abs(centre), 2 * reach / bins, 0.0)
        return cls(centre, centre - width * bins / 2, width, bins)


class Accumulator:
    """Sums and counts of draws within a frame."""

    def __init__(self, frame: Frame, *, covariance: bool) -> None:
        n = frame.centre.size
        self.frame = frame
        self.n_draws = 0
        self.n_invalid = 0
        self._sums = np.zeros((n, 4))
        self._sums[:, 2], self._sums[:, 3] = np.inf, -np.inf
        self._counts: npt.NDArray[np.int32] = np.zeros((n, frame.n_bins + 2), np.int32)
        self._total: npt.NDArray[np.int64] | None = None
        self._products: FloatArray | None = np.zeros((n, n), order="F") if covariance else None
        self._per_width = np.divide(1.0, frame.width, out=np.zeros(n), where=frame.width > 0)

    def add(self, values: FloatArray) -> None:
        """Take draws (n, m); those with a number that is not finite are counted and left out."""
        kept = values
        if not np.isfinite(values.sum()):
            good = np.isfinite(values).all(axis=0)
            self.n_invalid += int(good.size - np.count_nonzero(good))
            kept = values[:, good]
        kept = np.ascontiguousarray(kept)
        tally(kept, self.frame.centre, self.frame.low, self._per_width, self._counts, self._sums)
        self.n_draws += kept.shape[1]
        if self._products is not None:
            from scipy.linalg.blas import dsyrk  # noqa: PLC0415 - only where a covariance is asked for

            deviation = kept - self.frame.centre[:, None]
            # onto the lower triangle alone
            self._products = dsyrk(1.0, deviation.T, 1.0, self._products, trans=1, lower=1, overwrite_c=1)

    def merge(self, other: Accumulator) -> None:
        """Take all that another of the same frame has."""
        self.n_draws += other.n_draws
        self.n_invalid += other.n_invalid
        self._sums[:, :2] += other._sums[:, :2]
        self._sums[:, 2] = np.minimum(self._sums[:, 2], other._sums[:, 2])
        self._sums[:, 3] = np.maximum(self._sums[:, 3], other._sums[:, 3])
        if self._total is None:
            self._total = self._counts.astype(np.int64)
        self._total += other._counts
        if self._products is not None and other._products is not None:
            self._products += other._products

    @property
    def value(self) -> FloatArray:
        """Means, shape (n,)."""
        return np.asarray(self.frame.centre + self._sums[:, 0] / self.n_draws)

    @property
    def u(self) -> FloatArray:
        """Standard deviations, shape (n,)."""
        mean = self._sums[:, 0] / self.n_draws
        squares = self._sums[:, 1] - self.n_draws * mean**2
        u = np.sqrt(np.maximum(squares, 0.0) / (self.n_draws - 1))
        return np.where(self._sums[:, 2] == self._sums[:, 3], 0.0, u)

    @property
    def cov(self) -> FloatArray | None:
        """Covariance of the outputs, shape (n, n), where it was asked for."""
        if self._products is None:
            return None
        mean = self._sums[:, 0] / self.n_draws
        lower = np.tril(self._products)
        products = lower + np.tril(lower, -1).T
        return (products - self.n_draws * np.outer(mean, mean)) / (self.n_draws - 1)

    def interval(self, coverage: float, kind: Interval) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the coverage intervals, each of shape (n,) (JCGM 101, 7.7)."""
        if kind is Interval.SYMMETRIC:
            low, high = self.quantiles(np.array([(1 - coverage) / 2, (1 + coverage) / 2]))
            return low, high
        below = np.linspace(0.0, 1 - coverage, _SHORTEST_TRIED)
        ends = self.quantiles(np.concatenate([below, below + coverage]))
        lows, highs = ends[: below.size], ends[below.size :]
        best = np.argmin(highs - lows, axis=0)
        each = np.arange(best.size)
        return lows[best, each], highs[best, each]

    def quantiles(self, shares: FloatArray) -> FloatArray:
        """Return quantiles, shape (n_shares, n): straight lines within a bin, and beyond the bins to the extremes."""
        frame = self.frame
        counts = self._counts if self._total is None else self._total
        ascending = np.argsort(shares, kind="stable")
        targets = np.clip(shares, 0.0, 1.0)[ascending] * self.n_draws
        bin_ = np.empty((frame.centre.size, shares.size), np.int64)
        below = np.empty(bin_.shape)
        locate(counts, targets, bin_, below)
        inside: Int64Array = np.take_along_axis(counts, bin_, axis=1).astype(np.int64)
        least, largest = self._sums[:, 2:3], self._sums[:, 3:4]
        width, first = frame.width[:, None], frame.low[:, None]
        low = np.where(bin_ == 0, least, first + (bin_ - 1) * width)
        high = np.where(bin_ == frame.n_bins + 1, largest, first + bin_ * width)
        part = np.divide(targets - below, inside, out=np.zeros(bin_.shape), where=inside > 0)
        found = np.empty((shares.size, frame.centre.size))
        found[ascending] = np.clip(low + part * (high - low), least, largest).T
        return found
