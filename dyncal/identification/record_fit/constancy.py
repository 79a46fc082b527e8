"""Whether parameters stay what they are while a record is taken.

A fit to a sensor that changes finds something between what it was and what it is. Its residuals' scores say so: of
constant parameters their sum is zero in every part of a record but for chance, and the largest Lagrange-multiplier
statistic over all instants of a change has a known law (Andrews, Econometrica 61 (1993) 821; Nyblom, J. Am. Stat.
Assoc. 84 (1989) 223). It assumes white residuals, so here it only says where to look: the parts before and after are
fitted each by itself, by whichever likelihood is right for it, and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.record_fit.stages import Setup, Stage, n_independent
from dyncal.identification.shift import MATTERS

_SUSPECT: Final = 25.0
_SUSPECT_EACH: Final = 3.0  # more for each coordinate: above what chance exceeds once in 1 000 white records
_STEADY: Final = 4.0  # standard deviations of the blocks' scatter
_SURE: Final = 5.0  # standard uncertainties of the difference between two parts
_LEAST_SHARE: Final = 0.05  # of the information on each coordinate, in either part
_LEAST_BLOCKS: Final = 6


@dataclass(frozen=True, slots=True)
class Change:
    """A parameter that is another one after an instant than before it."""

    at_ns: int
    name: str
    before: float
    after: float
    u: float

    @property
    def words(self) -> str:
        """What is to be said of it."""
        values = f"{self.before:.4g} before, {self.after:.4g} after {self.at_ns} ns (u of the difference {self.u:.2g})"
        return f"the sensor, or what it is compared with, changes within the record: {self.name} is {values}"


def suspect(setup: Setup, stage: Stage) -> int | None:
    """Return the instant [ns] at which a change of parameters would best explain the residuals; None for none.

    The statistic is that of a step in all coordinates at once, δ at the beginning of a block, over all blocks; and the
    scatter of the blocks about it must bear out one coordinate of δ at least.
    """
    core, problem = stage.core[stage.core < stage.problem.p + 1], stage.problem
    each = max(1, n_independent(setup, stage, problem.n_y) // problem.n_segments)
    scores, information = problem.parts(stage.done.last, each)
    if len(scores) < _LEAST_BLOCKS:
        return None
    s, j = scores[:, core], information[:, core][:, :, core]
    scale = np.sqrt(np.maximum(np.sum(j, axis=0).diagonal(), 1e-300))
    s, j = s / scale, j / np.outer(scale, scale)
    variance = stage.done.last.sse / problem.n_y
    tried = [(_step(s, j, k), k) for k in range(1, len(s)) if _told(j, k)]
    best = max(tried, key=lambda each: each[0].statistic, default=None)
    if best is None or best[0].statistic < (_SUSPECT + _SUSPECT_EACH * core.size) * variance:
        return None
    if best[0].surest < _STEADY:
        return None
    return int(problem.part_begins(stage.done.last, each)[best[1]])


@dataclass(frozen=True, slots=True)
class _Step:
    """A step δ of the coordinates: its statistic (times the variance), and the most that δ is of its scatter."""

    statistic: float
    surest: float


def _told(information: FloatArray, k: int) -> bool:
    """Tell whether enough is known of every coordinate before and after block k."""
    share = information[k:].sum(axis=0).diagonal()
    return bool(np.all(share > _LEAST_SHARE) and np.all(share < 1 - _LEAST_SHARE))


def _step(s: FloatArray, j: FloatArray, k: int) -> _Step:
    """Return the step at block k, for scores (K, q) and information (K, q, q) of the blocks."""
    after, cov = j[k:].sum(axis=0), inverse(j.sum(axis=0))
    pull = after @ cov
    left = inverse(after - pull @ after)
    own = s - s.sum(axis=0) @ cov @ j  # of blocks at what fits all of them best
    delta = left @ own[k:].sum(axis=0)
    # what remains of each block's score when the step is allowed for, and what it weighs in δ
    steps = np.where((np.arange(len(s)) >= k)[:, None], delta, 0.0) - cov @ after @ delta
    weights = np.where((np.arange(len(s)) >= k)[:, None, None], np.eye(len(delta)), 0.0) - pull
    each = np.einsum("ij,bjk,bk->bi", left, weights, own - np.einsum("bij,bj->bi", j, steps))
    scatter = np.sqrt(np.sum(each**2, axis=0) * len(s) / max(len(s) - len(delta), 1))
    return _Step(float(delta @ inverse(left) @ delta), float(np.max(np.abs(delta) / np.maximum(scatter, 1e-300))))


def cut(taken: Taken, at_ns: int) -> tuple[Taken, Taken]:
    """Return what lies before an instant [ns], and the rest."""
    before, after = [], []
    for segment in taken.segments:
        k = int(np.searchsorted(segment.t_ns, at_ns))
        before += [_piece(segment, slice(0, k))] if k else []
        after += [_piece(segment, slice(k, None))] if k < segment.t_ns.size else []
    return Taken(tuple(before), 0, taken.dt_s), Taken(tuple(after), 0, taken.dt_s)


def _piece(segment: Segment, part: slice) -> Segment:
    return Segment(segment.t_ns[part], segment.y[part], segment.r[part], segment.bridged[part])


def change_between(at_ns: int, before: RecordFit, after: RecordFit, whole: Parameters) -> Change | None:
    """Return the parameter that differs most between two parts' fits; None if none does beyond chance.

    It must differ by more than the whole record's u allows for as well.
    """
    if before.parameters is None or after.parameters is None:
        return None
    if before.cov_statistical is None or after.cov_statistical is None:
        return None
    apart = after.parameters.values - before.parameters.values
    u = np.sqrt(np.maximum(np.diag(before.cov_statistical + after.cov_statistical), 1e-300))
    counts = (np.abs(apart) > _SURE * u) & (np.abs(apart) > MATTERS * whole.u)
    if not counts.any():
        return None
    i = int(np.argmax(np.where(counts, np.abs(apart) / u, 0.0)))
    values = float(before.parameters.values[i]), float(after.parameters.values[i])
    return Change(at_ns, whole.names[i], *values, float(u[i]))
