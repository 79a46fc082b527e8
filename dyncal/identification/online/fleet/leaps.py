"""Values that a channel leaps to and back from: dropouts and spikes, in samples that wait for their blocks.

A source that loses its sensor for a sample gives 0, or an end of its range. What leaps out and back again within
`LONGEST` samples, further than anything else that the channel does around it, is taken as not measured; from then on
so is that value wherever it is, if others hardly ever come again. A channel that mostly repeats its values is
commanded, and may leap. So may a reference whose leaps the indication answers, by a step or a bend there: a blow or a
pulse of the measurand. Without it the sensor would move for no reason.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

LONGEST: Final = 3
"""Samples at one value."""

_LEAPS: Final = 2.0  # the largest step that the others make
_FEW: Final = 0.02  # share of values that come again: what has been dropped out to comes again by dropping out
_ALIKE: Final = 0.5  # of the furthest leap: what leaps as far is no step of the others
_MOST: Final = 0.1  # share of the samples: more are what the channel does
_COMMANDED: Final = 0.5  # share of steps that are none
_ROUNDS: Final = 6
_ANSWERED: Final = 4.0  # standard deviations of what the indication does elsewhere
_AROUND: Final = 9  # samples on either side that show an answer
_ELSEWHERE: Final = 8  # places without leaps that say what is usual


@kernel("void(i8[::1], i8[::1], i8[::1], f8[:, :, ::1], f8[:, ::1], i8[::1])")
def leave_out(
    who: Int64Array, begin: Int64Array, size: Int64Array, values: FloatArray, known: FloatArray, left_out: Int64Array
) -> None:
    """Make NaN of leaps, in place.

    Parameters
    ----------
    who, begin, size : int64, shape (k,)
        Rows, and which of their samples to look at; leaps that are not over at the end are left for the next time.
    values : float64, shape (2, n, capacity)
    known : float64, shape (n, 2)
        The value that each channel dropped out to last, NaN for none; in and out.
    left_out : int64, shape (n,)
        Values that have been left out; in and out.
    """
    for k in range(who.size):
        leave_out_of(who[k], begin[k], size[k], values, known, left_out)


@kernel()
def leave_out_of(i: int, begin: int, size: int, values: FloatArray, known: FloatArray, left_out: Int64Array) -> None:
    """Do as `leave_out` for one row."""
    for channel in range(2):
        x = values[channel, i, begin : begin + size]
        answers = values[0, i, begin : begin + size if channel == 1 else begin]  # none to its own
        for _ in range(0 if _ordinary(x) else _ROUNDS):  # a nearer value shows once a further one is gone
            n = _leaps_left_out(x, answers, known, i, channel)
            left_out[i] += n
            if n == 0:
                break
        if not np.isnan(known[i, channel]):
            left_out[i] += _value_left_out(x, known[i, channel])


@kernel(inline=True)
def _ordinary(x: FloatArray) -> bool:
    """Tell of a channel that is there throughout and never repeats a value that none of its leaps stands out.

    That is what `_furthest` and `_usual` find of it, in two plain passes; of another one nothing is told.
    """
    furthest, before = 0.0, x[1] - x[0]
    plain = before != 0
    for k in range(1, x.size - 1):
        after = x[k + 1] - x[k]
        plain &= after != 0 and after == after
        if (before > 0) != (after > 0):
            furthest = max(furthest, min(abs(before), abs(after)))
        before = after
    if not plain:
        return False
    far, usual, count = _ALIKE * furthest, 0.0, 0
    step, leapt, begun = np.inf, True, False  # into this sample; whether the one before was left out as a leap
    for k in range(x.size):
        after = x[k + 1] - x[k] if k + 1 < x.size else np.inf
        leap = min(abs(step), abs(after)) if 0 < k < x.size - 1 and (step > 0) != (after > 0) else 0.0
        if leap >= far:
            count += 1
            leapt = True
        else:
            if not leapt and (abs(step) < far or (begun and k + 1 < x.size)):
                usual = max(usual, abs(step))
            begun |= not leapt
            leapt = False
        step = after
    return furthest == 0.0 or furthest <= _LEAPS * usual or count > _MOST * x.size


@kernel(inline=True)
def _leaps_left_out(x: FloatArray, answers: FloatArray, known: FloatArray, i: int, channel: int) -> int:
    """Make NaN of the furthest leaps of a channel; return how many samples were."""
    furthest = _furthest(x)
    if furthest == 0.0:
        return 0
    usual, count = _usual(x, _ALIKE * furthest)
    if furthest <= _LEAPS * usual or count > _MOST * x.size:  # as a rule
        return 0
    leaps, before = np.zeros((x.size, 3), dtype=np.int64), x.copy()  # begin, end, whether it is kept
    found = 0
    for k in range(x.size):
        if np.isnan(x[k]):
            continue
        leap, end = _leap(x, k)
        if leap > _LEAPS * usual and leap >= _ALIKE * furthest:
            leaps[found, 0], leaps[found, 1] = k, end
            found += 1
            x[k:end] = np.nan
    leaps = leaps[:found]
    if answers.size:
        _keep_answered(before, answers, known[i, channel], leaps)
    n = 0
    for k in range(found):
        begin, end, kept = leaps[k]
        if kept:
            x[begin:end] = before[begin:end]
        else:
            known[i, channel] = before[begin]
            n += int(np.count_nonzero(~np.isnan(before[begin:end])))
    return n


@kernel(inline=True)
def _keep_answered(x: FloatArray, y: FloatArray, known: float, leaps: Int64Array) -> None:
    """Mark the leaps of the reference that the indication answers: those to one same value together, and the others."""
    values = x[leaps[:, 0]]
    depth = values - (x[leaps[:, 0] - 1] + x[leaps[:, 1]]) / 2
    group = np.zeros(values.size, dtype=np.int64)  # of the first leap to that value; -1 where there is no other
    for k in range(values.size):
        same = values == values[k]
        group[k] = np.argmax(same) if same.sum() > 1 or values[k] == known else -1
    for span in (0, 4, 8):
        usual = _usual_answer(y, leaps, span)
        weight, follows = np.zeros(values.size), np.zeros(values.size)
        for k in range(values.size):
            answer = _answer(y, leaps[k, 0], leaps[k, 1], span)
            if not (np.isnan(answer) or np.isnan(depth[k])):
                weight[k], follows[k] = depth[k] ** 2, depth[k] * answer
        for k in range(values.size):
            same = group == group[k]
            if np.sum(follows[same]) > _ANSWERED * usual * np.sqrt(np.sum(weight[same])):
                leaps[k, 2] = 1


@kernel(inline=True)
def _usual_answer(y: FloatArray, leaps: Int64Array, span: int) -> float:
    """Return the standard deviation of `_answer` far from leaps; infinite where there is too little of that."""
    near = np.zeros(y.size, dtype=np.bool_)
    for k in range(leaps.shape[0]):
        near[max(leaps[k, 0] - _AROUND, 0) : leaps[k, 1] + _AROUND] = True
    square, n = 0.0, 0
    for k in range(y.size):
        answer = _answer(y, k, k + 1, span)
        if not (near[k] or np.isnan(answer)):
            square += answer**2
            n += 1
    return float(np.sqrt(square / n)) if n >= _ELSEWHERE else np.inf


@kernel(inline=True)
def _answer(y: FloatArray, begin: int, end: int, span: int) -> float:
    """Return how an indication bends over a leap of the reference, or steps (no span); NaN where that is not known."""
    b, a, reach = begin - 1, end, max(span, 2)
    if b < reach or a + reach >= y.size:
        return np.nan
    if span:
        return float((y[a + span] - y[a] - y[b] + y[b - span]) / span)
    return float(y[a] - y[b] - (a - b) * (y[b] - y[b - 2] + y[a + 2] - y[a]) / 4)


@kernel(inline=True)
def _furthest(x: FloatArray) -> float:
    """Return how far a channel leaps at most; 0 for one that is commanded."""
    furthest, last, still, steps = 0.0, np.nan, 0, 0
    for k in range(x.size):
        if np.isnan(x[k]):
            continue
        if not np.isnan(last):
            steps += 1
            still += x[k] == last
        last = x[k]
        furthest = max(furthest, _leap(x, k)[0])
    return 0.0 if still > _COMMANDED * steps else furthest


@kernel(inline=True)
def _usual(x: FloatArray, far: float) -> tuple[float, int]:
    """Return the largest step that is of no leap as far as that, nor of one that began before or ends later.

    Besides, the number of samples in such leaps.
    """
    usual, last, count, end, begun = 0.0, np.nan, 0, 0, False
    for k in range(x.size):
        if np.isnan(x[k]) or k < end:
            continue
        leap, end = _leap(x, k)
        if leap >= far:
            count += end - k
            last = np.nan  # the step out of it is the leap's
            continue
        if not np.isnan(last):
            step = abs(x[k] - last)
            if step < far or (begun and end < x.size):
                usual = max(usual, step)
            begun = True
        last = x[k]
    return usual, count


@kernel(inline=True)
def _value_left_out(x: FloatArray, value: float) -> int:
    """Make NaN of a value wherever it is among others that hardly ever come again; return how many samples were."""
    there = 0
    for k in range(x.size):
        there += x[k] == value
    if there == 0:
        return 0
    others = np.sort(x[(x != value) & ~np.isnan(x)])
    twice = 0
    for k in range(1, others.size):
        twice += others[k] == others[k - 1]
    if twice > _FEW * others.size or there > _MOST * x.size:
        return 0
    n, run = 0, 0
    for k in range(x.size + 1):
        if k < x.size and x[k] == value:
            run += 1
            continue
        if run <= LONGEST:
            for j in range(k - run, k):
                x[j] = np.nan
                n += 1
        run = 0
    return n


@kernel(inline=True)
def _leap(x: FloatArray, k: int) -> tuple[float, int]:
    """Return how far a channel leaps at k to one same value and back, 0 if it does not, and where that value ends."""
    before = k - 1
    while before >= 0 and np.isnan(x[before]):
        before -= 1
    after, n = k + 1, 1
    while after < x.size and (np.isnan(x[after]) or x[after] == x[k]):
        n += x[after] == x[k]
        after += 1
    if before < 0 or after == x.size or n > LONGEST or (x[before] < x[k]) == (x[k] < x[after]):
        return 0.0, after
    return min(abs(x[k] - x[before]), abs(x[k] - x[after])), after
