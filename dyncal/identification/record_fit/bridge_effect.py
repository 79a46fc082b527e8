"""What the bridges in a reference do to an estimate, as the record itself shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.bridges import bridged
from dyncal.identification.record_fit.problem import Point
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.segments import Segment
from dyncal.identification.record_fit.stages import Setup, Stage

_REPEATS: Final = 8


def moved_by_bridges(setup: Setup, stage: Stage) -> FloatArray:
    """Return E δh δhᵀ (m, m), δh what the bridges move: the mean over as many others where the reference was measured.

    The same pattern of holes is laid over other places of the record, is bridged, and the step to where the estimate
    would then be is taken: bias and scatter of what the bridges do.
    """
    m, core = stage.problem.m, stage.core
    moved = np.zeros((m, m))
    if not any(reading.segment.bridged.any() for reading in stage.problem.readings):
        return moved
    last, setup = stage.done.last, replace(setup, noise=stage.problem.noise)
    variance = max(last.sse / stage.problem.n_y, 1e-300)
    own = inverse((last.a / variance + np.diag(stage.prior.information))[np.ix_(core, core)])
    for k in range(_REPEATS):
        others = [_elsewhere(reading.segment, (k + 1) / (_REPEATS + 1)) for reading in stage.problem.readings]
        problem = setup.problem_of(others, stage.between)
        there = problem.evaluate(Point(last.at.h, last.at.x0)) if problem.n_y == stage.problem.n_y else None
        if there is not None:
            step = own @ (there.b - last.b)[core] / variance
            moved[np.ix_(core, core)] += np.outer(step, step) / _REPEATS
    return moved


def _elsewhere(segment: Segment, share: float) -> Segment:
    """Return a segment with its bridges, and once more as many elsewhere, moved on by a share of it, round its end."""
    if not segment.bridged.any():
        return segment
    holes = np.roll(segment.bridged, round(share * segment.t_ns.size)) & ~segment.bridged
    t_ns, _, r, _ = bridged(segment.t_ns, segment.y, np.where(holes, np.nan, segment.r))
    # where there are too few neighbours at an end
    return replace(segment, r=np.where(np.isfinite(r), r, segment.r)) if t_ns.size == segment.t_ns.size else segment
