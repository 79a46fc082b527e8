"""Compiled kernels: counting of draws into histograms, and filters of many coefficient vectors side by side.

References in numpy: tests/unit/uncertainty/naive.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

Int32Array = npt.NDArray[np.int32]


@kernel("void(f8[:,::1], f8[::1], f8[::1], f8[::1], i4[:,::1], f8[:,::1])")
def tally(
    values: FloatArray,
    centre: FloatArray,
    low: FloatArray,
    per_width: FloatArray,
    counts: Int32Array,
    sums: FloatArray,
) -> None:
    """Add finite draws (n outputs, m draws) to histograms and sums.

    Row i of `counts` is (below, bins ..., above) of output i; row i of `sums` is Σd, Σd², least and largest value, with
    d = value - centre. `per_width` is bins over the range that starts at `low`.
    """
    n_bins = counts.shape[1] - 2
    for i in range(values.shape[0]):
        row, tallies = values[i], counts[i]
        c, at, scale = centre[i], low[i], per_width[i]
        first = second = 0.0
        least, largest = sums[i, 2], sums[i, 3]
        for k in range(row.size):
            d = row[k] - c
            first += d
            second += d * d
            least = min(least, row[k])
            largest = max(largest, row[k])
        for k in range(row.size):
            place = np.floor((row[k] - at) * scale)
            bin_ = int(min(max(place, -1.0), float(n_bins))) + 1
            tallies[bin_] += 1
        sums[i, 0] += first
        sums[i, 1] += second
        sums[i, 2] = least
        sums[i, 3] = largest


@kernel(
    "void(i4[:,::1], f8[::1], i8[:,::1], f8[:,::1])",
    "void(i8[:,::1], f8[::1], i8[:,::1], f8[:,::1])",
)
def locate(counts: Int32Array | Int64Array, targets: FloatArray, places: Int64Array, below: FloatArray) -> None:
    """Find for each output the first bin up to which `targets` draws, ascending, are counted, and the count below it.

    counts (n, bins), targets (q,), places and below (n, q). The last bin takes what is never reached.
    """
    last = counts.shape[1] - 1
    for i in range(counts.shape[0]):
        row = counts[i]
        bin_, before = 0, 0.0
        for k in range(targets.size):
            while bin_ < last and before + row[bin_] < targets[k]:
                before += row[bin_]
                bin_ += 1
            places[i, k] = bin_
            below[i, k] = before


@kernel("void(f8[::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1])")
def filter_lanes(x: FloatArray, noise: FloatArray, b: FloatArray, a: FloatArray, state: FloatArray) -> None:
    """Filter x + noise with a coefficient vector for each lane; `noise` (n, lanes) becomes the output.

    b (order + 1, lanes), a (order, lanes) without the leading 1, state (order, lanes): direct form II transposed.
    """
    order, lanes = state.shape
    for k in range(x.size):
        row, level = noise[k], x[k]
        if order == 0:
            b0 = b[0]
            for j in range(lanes):
                row[j] = b0[j] * (level + row[j])
            continue
        if order == 2:  # the common one, in one pass
            b0, b1, b2, a1, a2, s0, s1 = b[0], b[1], b[2], a[0], a[1], state[0], state[1]
            for j in range(lanes):
                v = level + row[j]
                y = b0[j] * v + s0[j]
                s0[j] = b1[j] * v - a1[j] * y + s1[j]
                s1[j] = b2[j] * v - a2[j] * y
                row[j] = y
            continue
        b0, bl, al, s0, sl = b[0], b[order], a[order - 1], state[0], state[order - 1]
        for j in range(lanes):
            v = level + row[j]
            y = b0[j] * v + s0[j]
            row[j] = y
            for i in range(order - 1):
                state[i, j] = b[i + 1, j] * v - a[i, j] * y + state[i + 1, j]
            sl[j] = bl[j] * v - al[j] * y
