"""Looks at blocks that grow: whether they say enough yet, from where the last look at them ended.

A block is looked at when it has its first few samples, and again each time it has grown by what its u asks for. What
is known, and so the pass at it, is the same at all of these looks: the pass goes on at the last sample but one of the
look before (the slope of the reference at a block's last sample is one-sided), and gives what a pass over the whole
block gives, to the last bit. Where that is not so (the interval changes, references are bridged, values were found to
be leaps, the initial state is sought) the whole is passed over again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.fleet.leaps import leave_out_of
from dyncal.identification.online.passes.blocks import compact, observed, solve
from dyncal.identification.online.passes.layout import ROWS
from dyncal.identification.online.passes.recursion import advance, evaluate, modelled, sound
from dyncal.identification.online.passes.reference import prepare
from dyncal.kernels import kernel

FINE: Final = 0
OWN_VARIANCE: Final = 1
ENOUGH: Final = 2
OBSERVED: Final = 3
N_SUMMARY: Final = 4
"""Columns of what `look` says of a block."""

_LEAST_GROWTH: Final = 1.1
_MOST_GROWTH: Final = 2.0
_MORE: Final = 1.05  # than what u asks for: or many blocks would miss it by a little
_BACK: Final = 3  # samples before the end of the last look from which the reference is prepared again


@kernel()
def _even(t_ns: Int64Array, r: FloatArray, step_ns: int) -> bool:
    """Tell whether all samples are there, an interval apart."""
    odd = 0
    for k in range(1, t_ns.size):
        odd += t_ns[k] - t_ns[k - 1] != step_ns
    for k in range(r.size):
        odd += r[k] != r[k]
    return odd == 0


@kernel()
def _summarise(
    kind: int, gram: FloatArray, n: int, variance: float, dispersion: float, a: FloatArray, b: FloatArray,
    step: FloatArray, summary: FloatArray,
) -> float:  # fmt: skip
    """Write the noise variance of a block of n indications that was passed over; return its u (`look`)."""
    m, lag = b.size, 2 if kind == 1 else 1
    compact(gram, m, a, b)
    solve(a, b, 1e-12, m, step)
    free = gram[ROWS - 1, ROWS - 1]
    for i in range(m):
        free -= b[i] * step[i]
    own = max(free, 0.0) / max(n - m, 1)
    summary[OWN_VARIANCE] = own if own > 2 * variance else variance
    usual = variance * dispersion
    efficient = (a[lag, lag] - (a[0, lag] ** 2 / a[0, 0] if a[0, 0] > 0 else 0.0)) / usual if a[0, 0] > 0 else 0.0
    return 1 / np.sqrt(efficient) if efficient > 0 else np.inf


@kernel(
    "void(i8, i8[::1], i8[::1], i8[:, ::1], f8[:, :, ::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[::1], f8[::1], b1,"
    " b1[::1], i8[::1], f8[:, :, ::1], f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], i8[::1],"
    " f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1], b1[::1])"
)
def look(
    kind: int, who: Int64Array, n: Int64Array, t_ns: Int64Array, values: FloatArray, head: Int64Array,
    count: Int64Array, behind: Int64Array, longest: Int64Array, longest_ns: FloatArray, target_u: FloatArray,
    final: bool, fresh: npt.NDArray[np.bool_], interpolation: Int64Array, taps: FloatArray, h: FloatArray,
    variance: FloatArray, dispersion: FloatArray, known: FloatArray, left_out: Int64Array,
    x: FloatArray, s: FloatArray, gram: FloatArray, summary: FloatArray, closed: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Look at the next block of each of many sensors, at what is known of it, and let it grow until it closes.

    Parameters
    ----------
    kind : int
        `passes.CODES`.
    who : int64, shape (k,)
        Rows of the arrays over all sensors: `t_ns` (rows, capacity), `values` (2, rows, capacity), `head`, `count` and
        `behind` (rows,), as in the fleet and its buffers; `longest` and `longest_ns` (rows,), the longest block in
        samples and time; `target_u` (rows,), at which one closes; `known` (rows, 2) and `left_out` (rows,) of
        `leaps.leave_out`, in and out.
    n : int64, shape (k,)
        In: samples at the first look, all of which wait. On return those of the closed block, or those which the block
        is to be looked at with next.
    final : bool
        The blocks close whatever they say.
    fresh : bool, shape (k,); interpolation : int64, shape (k,); taps
        As for `evaluate` and `prepare`.
    h : float64, shape (k, p + 1); variance, dispersion : float64, shape (k,)
        What is known.
    x : float64, shape (k, 2); s : float64, shape (k, 2, ROWS); gram : float64, shape (k, ROWS, ROWS)
        State, in and out, and Gram matrices, of use where a block has closed.
    summary : float64, shape (k, N_SUMMARY)
        On return of closed blocks: `FINE`, 1 where the pass went well; `OWN_VARIANCE`, the noise variance to weigh the
        block with (its own where it is clearly noisier than those before), without dispersion; `ENOUGH`, 1 where it
        says enough to be fitted; `OBSERVED`, number of indications. What it says is the u of the lag's logarithm with
        only the gain unknown, by the usual noise: a block that fits nothing must be looked at, not waited for.
    closed : bool, shape (k,)
        On return.
    """
    context, room, m = taps.shape[2] // 2, t_ns.shape[1], h.shape[1]
    fine, slope = np.empty(2 * room), np.empty(2 * room)
    index, steps_s, some_s = np.empty(room, dtype=np.int64), np.empty(room + 1), np.empty(room + 1)
    e, gain, gain_slope = np.empty(room), np.empty(2), np.empty(2)
    base, slopes = np.empty((1, 2, 5)), np.empty((1, 4, 2, 5))
    a, b, step = np.empty((m, m)), np.empty(m), np.empty(m)
    z, initial = np.zeros((2, 2)), np.empty((2, 2 + ROWS))
    kept_x, kept_s, kept_gram = np.empty(2), np.empty((2, ROWS)), np.empty((ROWS, ROWS))
    for k in range(who.size):
        i = who[k]
        first = head[i] + behind[i] - (0 if fresh[k] else 1)  # sample 0
        start_x, start_s = x[k].copy(), s[k].copy()
        step_ns = t_ns[i, first + 1] - t_ns[i, first]
        stride, seen = 1, 0  # samples of which the pass is kept, to be gone on with
        while True:
            before = left_out[i]
            leave_out_of(i, head[i] + behind[i] - context, n[k] + 2 * context, values, known, left_out)
            end = head[i] + behind[i] + n[k]
            size = end - first
            y, raw = values[0, i, first:end], values[1, i, first - context : end + context]
            if seen <= _BACK or left_out[i] != before:
                seen = 0
            since = max(seen - _BACK, 0)
            again = slice(first + since - context, end + context)
            even = not fresh[k] and _even(t_ns[i, again], raw[since:], step_ns)
            if seen and not even:
                seen, since, again = 0, 0, slice(first - context, end + context)
            stride, n_steps = prepare(
                t_ns[i, again], raw[since:], taps, interpolation[k], fine[stride * since :], slope[stride * since :],
                index[since:], some_s if seen else steps_s,
            )  # fmt: skip
            points = stride * (size - 1) + 1
            if even:
                ok = True
                if seen:
                    x[k], s[k], gram[k] = kept_x, kept_s, kept_gram
                else:
                    x[k], s[k] = start_x, start_s
                    ok = modelled(
                        kind, h[k], h[k], steps_s[:1], stride, steps_s[1], base, slopes, gain, gain_slope
                    )  # fmt: skip
                if ok:
                    for part in range(2):
                        advance(
                            kind, (max(seen - 1, 0) if part == 0 else size - 1), size - 1 + part, y, fine[:points],
                            slope[:points], index[: size - 1], base, slopes, gain, gain_slope, stride, fresh[k],
                            x[k], s[k], z, gram[k], initial, e,
                        )  # fmt: skip
                        if part == 0:
                            kept_x[:], kept_s[:], kept_gram[:] = x[k], s[k], gram[k]
                    ok = sound(x[k], gram[k])
                seen = size
            else:
                x[k], s[k] = start_x, start_s
                ok = evaluate(
                    kind, h[k], h[k], y, fine[:points], slope[:points], index[: size - 1], steps_s[:n_steps], stride,
                    steps_s[n_steps], fresh[k], x[k], s[k], gram[k], e[:size], gain,
                )  # fmt: skip
            there = observed(y, fresh[k])
            full = final or n[k] >= longest[i] or t_ns[i, end - 1] - t_ns[i, first] >= longest_ns[i]
            u = _summarise(kind, gram[k], there, variance[k], dispersion[k], a, b, step, summary[k]) if ok else np.inf
            enough = ok and (u <= target_u[i] or (full and u <= 3 * target_u[i]))
            closed[k] = enough or full or not ok
            if closed[k]:
                summary[k, FINE], summary[k, ENOUGH], summary[k, OBSERVED] = ok, enough, there
                break
            growth = min(max(_MORE * (u / target_u[i]) ** 2, _LEAST_GROWTH), _MOST_GROWTH)
            n[k] = min(int(n[k] * growth) + 1, longest[i])
            if behind[i] + n[k] + context > count[i]:
                break
