"""The likelihood of several segments as a function of all unknowns, and its maximum by Fisher scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.kalman.joint import Layout
from dyncal.identification.kalman.segments import Segment, SegmentPass, run
from dyncal.models import SensorModel

_LEAST_SHARE: Final = 0.02
_LONGEST_STEP: Final = 2.0  # each coordinate by itself: noise on its way to nothing must not hold up the others
_GOOD_STEP: Final = 1e-4  # what a last step would gain: a hundredth of a standard uncertainty, squared
_MOST_DAMPING: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Values of all unknowns: coordinates and offset of the reference (m + 1,), and an initial state a segment."""

    h: FloatArray
    initial: tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The likelihood at a point; information (f, f) and score (f,) of what is free, initial states solved out.

    `cost` is -2 ln (likelihood × prior) without constants.
    """

    at: Point
    passes: tuple[SegmentPass, ...]
    information: FloatArray
    score: FloatArray
    cost: float
    inner: tuple[tuple[FloatArray, FloatArray], ...]


class Likelihood:
    """-2 ln L and its derivatives for segments with one sensor and one process.

    Parameters
    ----------
    free : int64, shape (f,)
        Positions of (h, offset) that are to be found; the others stay as they are.
    prior_mean, prior_information : float64, shape (m + 1,)
        Of (h, offset); 0 where there is none.
    floor : float64, shape (m + 1,)
        Smallest values that make a difference; -inf where there are none.
    """

    def __init__(
        self,
        model: SensorModel,
        layout: Layout,
        segments: Sequence[Segment],
        scale_s: float,
        free: Int64Array,
        prior_mean: FloatArray,
        prior_information: FloatArray,
        floor: FloatArray,
    ) -> None:
        self.model, self.layout, self.segments, self.scale_s = model, layout, tuple(segments), scale_s
        self.free = free
        self._mean, self._information = prior_mean, prior_information
        self.n_passes = 0
        self._floor = floor[self.free]
        variances = (layout.sensor_noise, layout.reference_noise, layout.intensity)
        self._variances = np.array([i in variances for i in self.free])
        # gain and offsets have no size of their own; the rest are logarithms
        self._longest = np.array([_LONGEST_STEP if 0 < i < layout.clock else np.inf for i in self.free])
        self._longest[self._variances] = -np.log(_LEAST_SHARE)

    def evaluate(self, at: Point) -> Evaluation | None:
        """Run all segments; None where the numbers overflow."""
        h = at.h[:-1]
        self.n_passes += 1
        passes = []
        for segment, initial in zip(self.segments, at.initial, strict=True):
            done = run(
                self.model, self.layout, segment, h,
                scale_s=self.scale_s, initial=initial, offset=float(at.h[-1]),
            )  # fmt: skip
            if done is None:
                return None
            passes.append(done)
        away = at.h - self._mean
        information = np.diag(self._information[self.free])
        score = -(self._information * away)[self.free]
        inner = []
        inside = np.arange(self.layout.initial, self.layout.n_rows)
        for done in passes:
            solved, moved = solved_out(done, self.layout)
            outer = done.information[np.ix_(self.free, inside)]
            information += done.information[np.ix_(self.free, self.free)] - outer @ solved[:, self.free]
            score += done.score[self.free] - outer @ moved
            inner.append((solved[:, self.free], moved))
        cost = sum(done.cost for done in passes) + float(away @ (self._information * away))
        return Evaluation(at, tuple(passes), (information + information.T) / 2, score, cost, tuple(inner))

    def moved(self, from_: Evaluation, step: FloatArray) -> Point:
        """Return the point a step (f,) away, with the initial states that belong to it."""
        h = from_.at.h.copy()
        h[self.free] += step
        initial = tuple(
            there + moved - solved @ step for there, (solved, moved) in zip(from_.at.initial, from_.inner, strict=True)
        )
        return Point(h, initial)

    def step(self, at: Evaluation, damping: float) -> FloatArray:
        """Return the damped scoring step (f,), no longer than can be trusted, within the floor.

        What is at its floor and wants to go lower stays there.
        """
        held = (at.at.h[self.free] <= self._floor) & (at.score < 0)
        go = np.flatnonzero(~held)
        information = at.information[np.ix_(go, go)]
        scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
        unit = information * np.outer(scale, scale) + (damping + 1e-13) * np.eye(scale.size)
        step = np.zeros(self.free.size)
        step[go] = np.linalg.solve(unit, at.score[go] * scale) * scale
        # a variance that is off by a factor ρ has the step 1/ρ - 1, and -ln ρ is right
        step[self._variances] = np.log1p(np.maximum(step[self._variances], _LEAST_SHARE - 1))
        step = np.clip(step, -self._longest, self._longest)
        return np.maximum(step, self._floor - at.at.h[self.free])

    def maximise(self, start: Point, max_passes: int) -> tuple[Evaluation, bool] | None:
        """Return the best point found and whether it is a maximum; None where not even the start can be evaluated."""
        here = self.evaluate(start)
        if here is None:
            return None
        here = self.settled(here)
        damping = 0.0
        while self.n_passes < max_passes:
            step = self.step(here, 0.0)
            if float(np.abs(step * here.score).sum()) < _GOOD_STEP and self._steady(here):
                return here, True
            step = self.step(here, damping) if damping else step
            there = self.evaluate(self.moved(here, step))
            if there is not None and there.cost <= here.cost:
                here, damping = there, (damping / 10 if damping > 1e-6 else 0.0)
            else:
                damping = max(10 * damping, 1e-3)
                if damping > _MOST_DAMPING:
                    break
        return here, False

    def settled(self, at: Evaluation) -> Evaluation:
        """Return the evaluation with the best initial states at the same h."""
        return self.evaluate(self.moved(at, np.zeros(self.free.size))) or at

    def _steady(self, at: Evaluation) -> bool:
        """Tell whether the initial states are at their best, too."""
        start = self.layout.initial
        return all(
            float(moved @ done.score[start:]) < _GOOD_STEP for done, (_, moved) in zip(at.passes, at.inner, strict=True)
        )


def solved_out(done: SegmentPass, layout: Layout) -> tuple[FloatArray, FloatArray]:
    """Return A_ll⁻¹ A_l· (n_initial, rows) and A_ll⁻¹ b_l (n_initial,) for the initial state l of a segment."""
    start = layout.initial
    block = done.information[start:, start:]
    if block.size == 0:
        return np.zeros((0, done.score.size)), np.zeros(0)
    scale = 1 / np.sqrt(np.maximum(np.diag(block), 1e-300))
    unit = block * np.outer(scale, scale) + 1e-12 * np.eye(scale.size)
    right = np.column_stack([done.information[start:], done.score[start:]]) * scale[:, None]
    solved = np.linalg.solve(unit, right) * scale[:, None]
    return solved[:, :-1], solved[:, -1]
