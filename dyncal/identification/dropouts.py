"""Values that are no measurements: one same value again and again far from its neighbours, and lone spikes.

A source that loses its sensor for a sample gives 0, or an end of its range; a disturbance gives a spike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design.screen import lone_spike
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_MOST: Final = 0.1  # share of the samples: more are a level of the measurand
_FINE: Final = 0.5  # share of different values among the others: below, values that come again are nothing special
_LEAPS: Final = 1.5  # the largest step that the others make
_CANDIDATES: Final = 4  # values looked at, those that come most often
_MOST_KINDS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Dropouts:
    """Samples of one channel that are none: their indices, int64 (k,), and words on what they are."""

    index: Int64Array
    said: str


def dropouts(name: str, t_ns: Int64Array, values: FloatArray) -> Dropouts | None:
    """Return what of a channel, instants and values (n,) with NaN, is no measurement; None where nothing is.

    Each time the channel must leap to the value and back again, further than it ever steps otherwise: what is clipped
    is not left like that, and what is commanded takes few values. A leap of the measurand looks the same, though:
    whether leaving it out explains the other channel better only a fit tells.
    """
    x, found, words = values.copy(), [], []
    for _ in range(_MOST_KINDS):
        seen = np.flatnonzero(np.isfinite(x))
        at = seen[_repeated(x[seen])]
        if at.size:
            words.append(f"the {name} drops out to {values[at[0]]:.6g} ({at.size} samples)")
        else:
            spike = lone_spike(x[seen])
            if spike is None:
                break
            at = seen[spike : spike + 1]
            words.append(f"the {name} has a lone spike of {values[at[0]]:.6g} at {int(t_ns[at[0]])} ns")
        found.append(at)
        x[at] = np.nan
    return Dropouts(np.sort(np.concatenate(found)).astype(np.int64), "; ".join(words)) if found else None


def _repeated(x: FloatArray) -> Int64Array:
    """Return where a finite record (n,) leaps to one same value; the one that it leaps to furthest."""
    levels, counts = np.unique(x, return_counts=True)
    often = np.flatnonzero((counts > 1) & (counts <= _MOST * x.size))
    often = often[np.argsort(counts[often])[-_CANDIDATES:]]
    best, furthest = np.empty(0, dtype=np.int64), 0.0
    for level in levels[often]:
        at = x == level
        rest = x[~at]
        if np.unique(rest).size < _FINE * rest.size:
            continue
        edges = np.flatnonzero(np.diff(at, prepend=False, append=False))
        begin, end = edges[::2], edges[1::2]
        inner = (begin > 0) & (end < x.size)
        if np.count_nonzero(inner) < 2:
            continue
        before, after = x[begin[inner] - 1], x[end[inner]]
        leap = np.where((before > level) == (after > level), np.minimum(abs(before - level), abs(after - level)), 0.0)
        steps = np.abs(np.diff(x))[~(at[1:] | at[:-1])]
        least = float(np.median(leap))
        if least > max(_LEAPS * float(steps.max(initial=0.0)), furthest):
            best, furthest = np.flatnonzero(at), least
    return best
