"""Readable references of the kernels."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray


def tally(
    values: FloatArray, centre: FloatArray, low: FloatArray, per_width: FloatArray, n_bins: int
) -> tuple[FloatArray, FloatArray]:
    """Counts (n, bins + 2) and sums (n, 4), as `dyncal.uncertainty.kernels.tally` adds them to nothing."""
    counts, sums = np.zeros((values.shape[0], n_bins + 2)), np.zeros((values.shape[0], 4))
    for i, row in enumerate(values):
        place = np.floor((row - low[i]) * per_width[i])
        bins = np.clip(place, -1, n_bins).astype(int) + 1
        counts[i] = np.bincount(bins, minlength=n_bins + 2)
        d = row - centre[i]
        sums[i] = d.sum(), (d * d).sum(), row.min(), row.max()
    return counts, sums


def filter_one(b: FloatArray, a: FloatArray, x: FloatArray) -> FloatArray:
    """y[k] = Σ b[i] x[k-i] - Σ a[i] y[k-i], a without its leading 1."""
    y = np.zeros(x.size)
    for k in range(x.size):
        y[k] = sum(b[i] * x[k - i] for i in range(b.size) if k >= i)
        y[k] -= sum(a[i] * y[k - 1 - i] for i in range(a.size) if k >= 1 + i)
    return y


def locate(counts: FloatArray, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bins and counts below them (n, q), as `dyncal.uncertainty.kernels.locate` finds them."""
    up_to = np.cumsum(counts, axis=1)
    bins = np.array([[min(np.searchsorted(row, t), row.size - 1) for t in targets] for row in up_to])
    return bins, np.take_along_axis(up_to - counts, bins, axis=1)
