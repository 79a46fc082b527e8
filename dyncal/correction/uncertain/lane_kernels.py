"""Compiled kernel of many recursive filters of order 2 side by side (`dyncal.correction.uncertain.bank`).

Samples lie time-major: a row is one instant of all sensors. A block of `LANES` neighbours is filtered row by row, so
that the loop over them runs on vectors; operations and their order are those of `recursive_kernels.second_order`,
which gives the same bits. Coefficients, factor and states of a block lie in one array at constant distances: LLVM then
has few pointers to tell apart (with an array for each it gives up, and the loop runs one sensor at a time).
"""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.fused import fma
from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

LANES = 128  # a constant, or the loop over them is no vector loop
ROWS = 25  # of a block's table: a1 a2 b0 b1 b2, variance, 15 of the factor, w1 w2 q1 q2
MARKS = 4  # numbers for each lane: live, age, settle, whether the past was constant
TILE = 12  # instants that a block takes in turn: all blocks then work on the same few pages of memory
_LARGEST = 1e100  # as `dyncal.correction.streaming.slots.LARGEST`
_W1, _W2, _Q1, _Q2 = 21 * LANES, 22 * LANES, 23 * LANES, 24 * LANES
_LIVE, _AGE, _SETTLE, _CONSTANT = 0, LANES, 2 * LANES, 3 * LANES


@kernel(inline=True)
def _row(t: FloatArray, x: FloatArray, y: FloatArray, u: FloatArray, at: int) -> None:
    """Take one instant through the block with table `t`, whatever the values; `at` is its place in x, y and u."""
    first = np.uint64(at)  # an index without sign needs no look whether it counts from the end
    for i in range(LANES):
        k = first + np.uint64(i)
        w1, w2, q1, q2 = t[_W1 + i], t[_W2 + i], t[_Q1 + i], t[_Q2 + i]
        a1, a2 = t[i], t[LANES + i]
        value = x[k]
        value = value if abs(value) < _LARGEST else np.nan
        w0 = fma(-a1, w1, fma(-a2, w2, value))
        out = fma(t[2 * LANES + i], w0, fma(t[3 * LANES + i], w1, t[4 * LANES + i] * w2))
        g0 = fma(t[8 * LANES + i], w0, fma(t[9 * LANES + i], w1, t[10 * LANES + i] * w2))
        g0 = fma(t[6 * LANES + i], q1, fma(t[7 * LANES + i], q2, g0))
        g1 = fma(t[12 * LANES + i], w0, fma(t[13 * LANES + i], w1, t[14 * LANES + i] * w2))
        g1 = fma(t[11 * LANES + i], q2, g1)
        g2 = fma(t[15 * LANES + i], w0, fma(t[16 * LANES + i], w1, t[17 * LANES + i] * w2))
        g3 = fma(t[18 * LANES + i], w1, t[19 * LANES + i] * w2)
        g4 = t[20 * LANES + i] * w2
        u[k] = math.sqrt(fma(g0, g0, g1 * g1) + fma(g2, g2, g3 * g3) + fma(g4, g4, t[5 * LANES + i]))
        y[k] = out
        q0 = fma(-a1, q1, fma(-a2, q2, out))
        t[_W2 + i], t[_W1 + i], t[_Q2 + i], t[_Q1 + i] = w1, w0, q1, q0


@kernel(inline=True)
def _lane(
    t: FloatArray,
    marks: FloatArray,
    i: int,
    before: FloatArray,
    x: FloatArray,
    y: FloatArray,
    u: FloatArray,
    at: int,
    width: int,
    h: int,
) -> None:
    """Take one lane through a tile again from its state `before`, with starts and gaps."""
    a1, a2, b0, b1, b2 = t[i], t[LANES + i], t[2 * LANES + i], t[3 * LANES + i], t[4 * LANES + i]
    w1, w2, q1, q2 = before[i], before[LANES + i], before[2 * LANES + i], before[3 * LANES + i]
    for k in range(h):
        here = at + k * width + i
        value = x[here]
        if not abs(value) < _LARGEST:
            y[here] = u[here] = np.nan
            marks[_LIVE + i] = marks[_CONSTANT + i] = 0.0
            continue
        if marks[_LIVE + i] == 0.0:
            w1 = value / (1.0 + a1 + a2)
            q1 = w1 * (b0 + b1 + b2) / (1.0 + a1 + a2)
            w2, q2 = w1, q1
            marks[_AGE + i] = marks[_SETTLE + i] * marks[_CONSTANT + i]
            marks[_LIVE + i], marks[_CONSTANT + i] = 1.0, 0.0
        w0 = fma(-a1, w1, fma(-a2, w2, value))
        out = fma(b0, w0, fma(b1, w1, b2 * w2))
        g0 = fma(t[8 * LANES + i], w0, fma(t[9 * LANES + i], w1, t[10 * LANES + i] * w2))
        g0 = fma(t[6 * LANES + i], q1, fma(t[7 * LANES + i], q2, g0))
        g1 = fma(t[12 * LANES + i], w0, fma(t[13 * LANES + i], w1, t[14 * LANES + i] * w2))
        g1 = fma(t[11 * LANES + i], q2, g1)
        g2 = fma(t[15 * LANES + i], w0, fma(t[16 * LANES + i], w1, t[17 * LANES + i] * w2))
        g3 = fma(t[18 * LANES + i], w1, t[19 * LANES + i] * w2)
        g4 = t[20 * LANES + i] * w2
        square = fma(g0, g0, g1 * g1) + fma(g2, g2, g3 * g3) + fma(g4, g4, t[5 * LANES + i])
        q0 = fma(-a1, q1, fma(-a2, q2, out))
        w2, w1, q2, q1 = w1, w0, q1, q0
        if marks[_AGE + i] < marks[_SETTLE + i]:
            marks[_AGE + i] += 1.0
            y[here] = u[here] = np.nan
        else:
            y[here], u[here] = out, math.sqrt(square)
    t[_W1 + i], t[_W2 + i], t[_Q1 + i], t[_Q2 + i] = w1, w2, q1, q2


@kernel("void(f8[::1], f8[::1], i8, i8, i8, f8[::1], f8[::1], f8[::1])")
def second_order_lanes(
    tables: FloatArray,
    marks: FloatArray,
    first: int,
    last: int,
    width: int,
    x: FloatArray,
    y: FloatArray,
    u: FloatArray,
) -> None:
    """Filter blocks [first, last) of a bank; x, y, u of shape (n, width) laid flat, tables (blocks, ROWS, LANES)."""
    n = x.size // width
    before = np.empty(4 * LANES)
    px, py, pu = np.zeros(LANES), np.empty(LANES), np.empty(LANES)  # for a block with fewer sensors
    for low in range(0, n, TILE):
        h = min(TILE, n - low)
        for block in range(first, last):
            t = tables[block * ROWS * LANES : (block + 1) * ROWS * LANES]
            mark = marks[block * MARKS * LANES : (block + 1) * MARKS * LANES]
            lanes = min(LANES, width - block * LANES)
            at = low * width + block * LANES
            before[:] = t[_W1:]
            for k in range(at, at + h * width, width):
                if lanes == LANES:
                    _row(t, x, y, u, k)
                else:
                    px[:lanes] = x[k : k + lanes]
                    _row(t, px, py, pu, 0)
                    y[k : k + lanes] = py[:lanes]
                    u[k : k + lanes] = pu[:lanes]
            # A value worth nothing stays in both recursions for good: the states tell whether there was one.
            calm = 0
            for i in range(LANES):
                settled = mark[_LIVE + i] == 1.0 and mark[_AGE + i] >= mark[_SETTLE + i]
                calm += 1 if settled and abs(t[_W1 + i]) < np.inf else 0
            if calm == LANES:
                continue
            for i in range(lanes):
                settled = mark[_LIVE + i] == 1.0 and mark[_AGE + i] >= mark[_SETTLE + i]
                if not (settled and abs(t[_W1 + i]) < np.inf):
                    _lane(t, mark, i, before, x, y, u, at, width, h)
