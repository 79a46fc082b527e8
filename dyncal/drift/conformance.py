"""What a decision on conformity risks: specific risk of one value, global risks of the rule (JCGM 106:2012, 9)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from dyncal.domain.errors import InvalidData

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_FAR: Final = 8.0  # standard deviations that are all of a distribution


@dataclass(frozen=True, slots=True)
class Risks:
    """Probabilities that a true change lies outside and is called conforming, or within and is called failing.

    `undecided` is that of neither being said.
    """

    false_conforms: float
    false_fails: float
    undecided: float


def global_risks(limit: float, u: float, expected: float, guard: float = 1.645) -> Risks:
    """Return what the rule with guard bands risks for changes that are N(0, `expected`²) (JCGM 106:2012, 9.5).

    Conforming is said of a measured |change| of at most `limit` - `guard` u, failing beyond `limit` + `guard` u. With a
    guard of 0 it is simple acceptance.

    Raises
    ------
    InvalidData
        If limit, u or expected are not positive, or the guard is negative.
    """
    if not (limit > 0 and u > 0 and expected > 0 and guard >= 0 and math.isfinite(limit + u + expected + guard)):
        raise InvalidData("limit, u and expected change must be positive, and the guard not negative")
    most = max(_FAR * expected, limit)
    inner, outer = max(limit - guard * u, 0.0), limit + guard * u

    def over(low: float, high: float, accepted: float) -> float:
        """Return the probability of a true |change| of low … high of which less than `accepted` is measured."""
        edges = [low, *(e for e in (limit - _FAR * u, limit + _FAR * u) if low < e < high), high]
        total = 0.0
        for a, b in itertools.pairwise(edges):
            true = (a + b) / 2 + (b - a) / 2 * _NODES
            density = np.exp(-((true / expected) ** 2) / 2) / (expected * math.sqrt(2 * math.pi))
            seen = ndtr((accepted - true) / u) - ndtr((-accepted - true) / u)
            total += (b - a) * float(np.sum(_WEIGHTS * density * seen))  # both signs
        return total

    within = 2 * float(ndtr(limit / expected)) - 1
    false_conforms = over(limit, max(most, limit + _FAR * u), inner)
    accepted = over(0.0, limit, inner) + false_conforms
    not_failing_within = over(0.0, limit, outer)
    not_failing = not_failing_within + over(limit, max(most, limit + _FAR * u), outer)
    return Risks(false_conforms, within - not_failing_within, not_failing - accepted)
