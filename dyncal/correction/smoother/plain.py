"""The smoother's kernels in numpy, for an edge without numba: agreement to 1e-12 of the largest at even intervals.

What is linear in the indications' noise can be carried `along`: for budgets and Monte Carlo, not for streams.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np

from dyncal.correction.smoother.kernels import BIAS_OVER, MEASURE, MOST_SQUARE, REGISTER
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array


class Along(Protocol):
    """What goes through the filter beside it, with the gains that it has; rows are those of its entries."""

    def move(self, phi: FloatArray, first: int, last: int) -> None:
        """Let time pass: x becomes Φ x."""

    def register(self, row: int, measurand: FloatArray) -> None:
        """Make an entry of m·x."""

    def compact(self, first: int, last: int) -> None:
        """Bring rows first to last to the front."""

    def measure(self, observe: FloatArray, gain: FloatArray, learnt: FloatArray, first: int, last: int) -> None:
        """Take an indication: x grows by `gain`, shape (n,), and entries by `learnt`, times its surprise."""

    def tell(self, first: int, n: int) -> None:
        """Give away n entries."""


class _Nothing:
    """Nothing goes along."""

    def move(self, phi: FloatArray, first: int, last: int) -> None: ...
    def register(self, row: int, measurand: FloatArray) -> None: ...
    def compact(self, first: int, last: int) -> None: ...
    def measure(self, observe: FloatArray, gain: FloatArray, learnt: FloatArray, first: int, last: int) -> None: ...
    def tell(self, first: int, n: int) -> None: ...


NOTHING: Final = _Nothing()


def advance(
    step: Int64Array,
    action: Int64Array,
    y: FloatArray,
    tick: Int64Array,
    instant: Int64Array,
    good: Int64Array,
    time_variance: FloatArray,
    phi: FloatArray,
    noise: FloatArray,
    observe: FloatArray,
    measurand: FloatArray,
    start: FloatArray,
    variance: float,
    most_bias: float,
    lag: int,
    x: FloatArray,
    p: FloatArray,
    counters: Int64Array,
    entry: Int64Array,
    estimate: FloatArray,
    shared: FloatArray,
    innovations: FloatArray,
    told: Int64Array,
    value: FloatArray,
    along: Along = NOTHING,
) -> int:
    """Do as `dyncal.correction.smoother.kernels.advance`."""
    first, last = int(counters[0]), int(counters[1])
    half, n_told = entry.shape[0] // 2, 0

    def tell(n: int) -> None:
        nonlocal first, n_told
        along.tell(first, n)
        put = slice(n_told, n_told + n)
        told[put], value[put, :3] = entry[first : first + n], estimate[first : first + n]
        for k in range(first, min(first + n, last - 1)):
            value[n_told + k - first, 3:] = estimate[k + 1, 0], entry[k + 1, 0] - entry[k, 0]
        first, n_told = first + n, n_told + n

    for i, (k, act) in enumerate(zip(step.tolist(), action.tolist(), strict=True)):
        move = phi[k]
        x[:] = _product(move, x)
        p[:] = _symmetric(noise[k], _product(move, p), move)
        shared[first:last] = _product(move, shared[first:last].T).T
        along.move(move, first, last)
        if act & REGISTER:
            if last - first == half:
                tell(1)
            if last == entry.shape[0]:
                for rows in (entry, estimate, shared):
                    rows[: last - first] = rows[first:last].copy()
                along.compact(first, last)
                first, last = 0, last - first
            shared[last] = _product(p, measurand)
            entry[last] = tick[i], instant[i], good[i]
            estimate[last] = _dot(0.0, measurand, x), _dot(0.0, measurand, shared[last]), time_variance[i]
            along.register(last, measurand)
            last += 1
        if act & MEASURE:
            if np.isfinite(y[i]):
                gain = _product(p, observe)
                scale = _dot(variance, observe, gain)
                surprise = float(y[i]) - _dot(0.0, observe, x)
                unit = surprise / math.sqrt(scale)
                change = min((unit - innovations[4]) ** 2 / 2, MOST_SQUARE) if innovations[1] > 0 else 0.0
                innovations[:4] += unit * unit, 1.0, math.log(scale), change
                innovations[4] = unit
                innovations[5] += (unit - innovations[5]) / BIAS_OVER
                jumped = abs(innovations[5]) > most_bias
                learnt = _product(shared[first:last], observe)
                along.measure(observe, gain / scale, learnt / scale, first, last)
                moved_by = learnt / scale * surprise
                estimate[first:last, 0] += moved_by
                estimate[first:last, 1] -= learnt * learnt / scale
                if jumped:
                    estimate[first:last, 1] += moved_by * moved_by
                shared[first:last] -= np.outer(learnt, gain) / scale
                x += gain * surprise / scale
                p -= np.outer(gain, gain) / scale
                if jumped:
                    innovations[5] = 0.0
                    p += max(1.0, surprise**2 / (variance + float(observe @ start @ observe))) * start
            tell(int(np.searchsorted(entry[first:last, 0], tick[i] - lag, side="right")))
    counters[:2] = first, last
    return n_told


def _product(matrix: FloatArray, other: FloatArray) -> FloatArray:
    """Return their product, shape (m,) or (m, k), each entry added up in the order of the compiled kernel's loop.

    At the start the states' variance is a thousand times and more what the first indication leaves of it: where sums
    are rounded in another order, as BLAS does, so many digits of the two forms differ.
    """
    left = matrix.T if other.ndim == 1 else matrix.T[:, :, np.newaxis]
    right = other[:, np.newaxis] if other.ndim == 1 else other[:, np.newaxis, :]
    total: FloatArray = np.add.reduce(np.multiply(left, right, order="C"), axis=0)
    return total


def _dot(total: float, one: FloatArray, other: FloatArray) -> float:
    """Return the total and their scalar product, in that order."""
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        total += a * b
    return total


def _symmetric(noise: FloatArray, work: FloatArray, move: FloatArray) -> FloatArray:
    """Return noise + work moveᵀ, of which the upper half is worked out."""
    terms = np.concatenate(([noise], work.T[:, :, np.newaxis] * move.T[:, np.newaxis, :]))
    upper: FloatArray = np.triu(np.add.reduce(terms, axis=0))
    both: FloatArray = upper + np.triu(upper, 1).T
    return both


def propagate(
    value: FloatArray,
    step: Int64Array,
    rate: FloatArray,
    phi: FloatArray,
    old: FloatArray,
    new: FloatArray,
    output: FloatArray,
    direct: FloatArray,
    slope: FloatArray,
    state: FloatArray,
    previous: FloatArray,
    parameters: FloatArray,
) -> None:
    """Do as `dyncal.correction.smoother.kernels.propagate`."""
    states = follow(value, step, phi, old, new, state, previous[0])
    parameters[:] = np.sum(sensitivities(states, value, rate, output, direct, slope) ** 2, axis=1)
    state[:], previous[0] = states[-1], value[-1]


def follow(
    value: FloatArray,
    step: Int64Array,
    phi: FloatArray,
    old: FloatArray,
    new: FloatArray,
    state: FloatArray,
    previous: float,
) -> FloatArray:
    """Return the states of the sensitivities at values, at least one, joined by straight lines, shape (n, k)."""
    states = np.empty((value.size, state.size))
    for i, j in enumerate(step.tolist()):
        state = phi[j] @ state + old[j] * previous + new[j] * value[i]
        states[i], previous = state, value[i]
    return states


def sensitivities(
    states: FloatArray, value: FloatArray, rate: FloatArray, output: FloatArray, direct: FloatArray, slope: FloatArray
) -> FloatArray:
    """Return what `output`, `direct` and `slope` make of the sensitivities' states, values and rates, shape (n, p)."""
    return states @ output.T + np.outer(value, direct) + np.outer(rate, slope)
