"""When a parameter leaves its tolerance: a distribution over every course that the blocks so far allow.

Either nothing has changed, or a step came at some instant, or a line began at some instant and goes on: each with the
posterior weight that the blocks give it (`dyncal.drift.evidence`), and with level and slope as uncertain as they are
there. Changes of one tolerance are expected, before anything is known. The share of courses that lie outside the
tolerance at t is the probability to be out by then; its 2.5, 50 and 97.5 % points are what is stated. Where it never
gets so far within the horizon, the answer is "never, on present evidence".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.health import Outlook
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, InstantNs, Int64Array
from dyncal.drift.evidence import courses_of, scatter
from dyncal.drift.ledger import BlockLedger
from dyncal.drift.outside import TABLE, outside

FEWEST: Final = 12
"""Blocks below which nothing is foretold."""
HORIZON: Final = 10.0
"""How far is looked ahead, in spans of what was seen."""

_NOTHING, _STEP, _LINE, _ALWAYS = 0.4, 0.2, 0.2, 0.2  # prior weights; a line from some instant, from the first block on
_POINTS: Final = 400
_LEVELS: Final = (0.025, 0.5, 0.975)
_WORTH: Final = 1.6  # excess of the scatter that is not that of few blocks
_NEGLIGIBLE: Final = 1e-6  # weight of a course
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Courses:
    """Courses of one parameter, level now + slope (t - now), normal.

    Attributes
    ----------
    each : float64, shape (n, 6)
        Weight, level, slope, the level's variance, their covariance, the slope's variance.
    """

    each: FloatArray

    def outside(self, ahead: FloatArray, low: float, high: float) -> FloatArray:
        """Return the probability to lie outside low … high after times ahead (m,), never falling: (m,).

        It is not worked out beyond the last level that is stated.
        """
        out = np.empty(ahead.size)
        outside(self.each, ahead, low, high, _LEVELS[-1], TABLE, out)
        return out

    def rate(self) -> tuple[float, float]:
        """Return the slope to be expected, and its standard uncertainty."""
        weight, slope, var_slope = self.each[:, 0], self.each[:, 2], self.each[:, 5]
        mean = float(weight @ slope)
        return mean, float(np.sqrt(max(float(weight @ (var_slope + slope**2)) - mean**2, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """What is the same for all parameters: covariances (n, p, p) and estimates (n, p) of blocks, and their scatter."""

    at_ns: Int64Array
    cov: FloatArray
    estimates: FloatArray
    excess: float

    @classmethod
    def of(cls, ledger: BlockLedger) -> _Blocks:
        cov = np.asarray(np.linalg.inv(ledger.information), dtype=np.float64)
        excess = scatter(ledger.information, ledger.vectors)
        estimates = (cov @ ledger.vectors[..., None])[..., 0]
        return cls(ledger.at_ns, cov, estimates, excess if excess > _WORTH else 1.0)


def forecast(
    ledger: BlockLedger,
    names: tuple[str, ...],
    baseline: FloatArray,
    cov: FloatArray,
    tolerance: Mapping[str, float],
) -> tuple[Outlook, ...]:
    """Return when each parameter leaves its tolerance about the baseline, counted from the newest block.

    Parameters
    ----------
    ledger : BlockLedger
        Fewer than 12 blocks foretell nothing: the answer is empty.
    names : tuple of str
    baseline : float64, shape (p,)
        What tolerances are relative to; no parameter may be 0.
    cov : float64, shape (p, p)
        Its covariance.
    tolerance : mapping of str to float
        Relative, for every name.

    Raises
    ------
    InvalidData
        If names, baseline and ledger are not about as many parameters.
    """
    p = ledger.p
    if len(names) != p or baseline.shape != (p,) or cov.shape != (p, p):
        raise InvalidData(f"a ledger of {p} parameters cannot foretell {', '.join(names)}")
    if len(ledger) < FEWEST:
        return ()
    now_ns, span_s = int(ledger.at_ns[-1]), float(ledger.at_ns[-1] - ledger.at_ns[0]) / NS_PER_S
    ahead = np.concatenate(([0.0], np.geomspace(1e-3, HORIZON, _POINTS)))
    blocks, found = _Blocks.of(ledger), []
    for i, name in enumerate(names):
        limit = tolerance[name]
        courses = _courses(blocks, baseline, cov, i, limit)
        out = courses.outside(ahead, -limit, limit)
        at = [_when(ahead, out, level) for level in _LEVELS]
        early, likely, late = (None if t is None else InstantNs(now_ns + round(t * span_s * NS_PER_S)) for t in at)
        (rate, u_rate), per_day = courses.rate(), _DAY_S / span_s
        found.append(Outlook(name, early, likely, late, rate * per_day, u_rate * per_day))
    return tuple(found)


def _when(ahead: FloatArray, out: FloatArray, level: float) -> float | None:
    if out[-1] < level:
        return None
    k = int(np.argmax(out >= level))
    if k == 0:
        return 0.0
    share = (level - out[k - 1]) / (out[k] - out[k - 1])
    return float(ahead[k - 1] + share * (ahead[k] - ahead[k - 1]))


def _courses(blocks: _Blocks, baseline: FloatArray, cov: FloatArray, i: int, limit: float) -> Courses:
    """Return the courses of parameter i relative to the baseline, whatever others do; time in spans of all blocks."""
    size, at_ns = abs(float(baseline[i])), blocks.at_ns
    value = blocks.estimates[:, i] / size - np.sign(baseline[i])
    units: FloatArray = (size**2 / (blocks.excess * blocks.cov[:, i, i]))[:, None, None].astype(np.float64)
    vectors = units[:, 0] * value[:, None]
    total, pointed = float(units.sum()), float(vectors.sum())
    first, told, second = (values.reshape(-1, 2) for values in courses_of(at_ns, units, vectors))
    n = len(first)
    # of the level before, a, and the change, d ~ N(0, limit²): total a + first d = pointed, first a + second d = told
    second = second + 1 / limit**2
    determinant = total * second - first**2
    a, d = (second * pointed - first * told) / determinant, (total * told - first * pointed) / determinant
    logarithm = (a * pointed + d * told - pointed**2 / total) / 2 - np.log(limit)
    logarithm -= np.log(determinant / total) / 2
    prior = np.full((n, 2), 1 / n) * (_STEP, _LINE)
    prior[0, 1] += _ALWAYS
    weights = np.concatenate(([np.log(_NOTHING)], (logarithm + np.log(prior)).ravel()))
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    t = (at_ns - at_ns[0]) / max(float(at_ns[-1] - at_ns[0]), 1.0)
    slope = np.stack((np.zeros(n), 1 / np.maximum(1 - t[:-1], 1e-12)), axis=1)
    var_a, var_d, mixed = second / determinant, total / determinant, -first / determinant
    kept = weights > _NEGLIGIBLE
    base = float(cov[i, i]) / size**2

    def both(nothing: float, changes: FloatArray) -> FloatArray:
        return np.asarray(np.concatenate(([nothing], changes.ravel()))[kept], dtype=np.float64)

    columns = (
        weights[kept] / weights[kept].sum(),
        both(pointed / total, a + d),
        both(0.0, d * slope),
        both(1 / total, var_a + 2 * mixed + var_d) + base,
        both(0.0, (mixed + var_d) * slope),
        both(0.0, var_d * slope**2),
    )
    return Courses(np.ascontiguousarray(np.stack(columns, axis=1)))
