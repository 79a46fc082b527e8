"""The stages of a fit: a course between samples, what is freed of the reference, the likelihood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.coloured import Noise
from dyncal.identification.record_fit.descent import BoolArray, Descent, Prior, descend, promised
from dyncal.identification.record_fit.gain import NO_NOISE
from dyncal.identification.record_fit.method import WHITE, time_constants
from dyncal.identification.record_fit.problem import Point, RecordProblem
from dyncal.identification.record_fit.reference import MOST_INFLATION, inflation, inverse
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.record_fit.settings import FARTHEST_CLOCK, SPLINES, InterSample, RecordSettings
from dyncal.identification.record_fit.smoothness import course_of_reference, long_enough, spline_fits
from dyncal.identification.record_fit.start import Begin
from dyncal.identification.record_fit.track import Reading
from dyncal.identification.report import ljung_box
from dyncal.models import SensorModel

KAPPA: Final = -2.0
U_KAPPA: Final = 5.0  # prior of ln(input noise / sensor noise): from a perfect reference to a useless one
_KAPPAS: Final = (-9.0, -7.0, -5.0, -3.0, -1.0, 2.0)
_MIDDLE: Final = 1  # of the grid, from which it is searched
_CLEARLY_BETTER: Final = 6.0  # twice a log-likelihood ratio
_HOPELESS: Final = 60.0  # the same: a course so much worse after one step is not followed up
_FIRST_PASSES: Final = 14
_NOTHING: Final = 1e-20
_MOST_BLOCKS: Final = 32
_LEAST_SAMPLES: Final = 20
_MEMORIES: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What is to be fitted: `delayed` where the model has a dead time of its own, `noise` the sensor's, if coloured."""

    model: SensorModel
    delayed: bool
    taken: Taken
    settings: RecordSettings
    noise: Noise | None = None

    @property
    def reach(self) -> tuple[float, float]:
        """Range of T [s] that is looked at."""
        clock = FARTHEST_CLOCK * self.settings.u_clock_s
        if not self.delayed:
            return -clock, clock
        longest = self.settings.max_delay_s or 0.1 * self.taken.length_s
        return -max(clock, 2 * self.taken.dt_s), longest + clock

    def problem(self, between: InterSample) -> RecordProblem:
        """Return the problem for a course between samples, of the segments that can take it."""
        return self.problem_of(self.taken.segments, between)

    def problem_of(self, segments: Iterable[Segment], between: InterSample) -> RecordProblem:
        """Return the problem of these segments of the record, or of others in their place."""
        every = list(segments)
        if between in SPLINES:
            # splines may be asked for on what is not quite even
            every = [each for each in every if spline_fits(each)] or [each for each in every if long_enough(each)]
        readings = [Reading(each, between, self.reach) for each in every]
        return RecordProblem(self.model, [each for each in readings if each.n], self.taken.dt_s, self.noise)

    def free(self) -> BoolArray:
        """Return which coordinates are estimated in any case: η, and T where the model has a dead time."""
        p = self.model.n_parameters
        free = np.zeros(p + 3, dtype=np.bool_)
        free[:p] = True
        free[p] = self.delayed
        return free


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Another course between samples that the data do not rule out: by how much it moves h (m,), and its weight."""

    between: InterSample
    moved: FloatArray
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A fit so far: which coordinates are free (m,), with which priors, where it ended, and what would do as well."""

    problem: RecordProblem
    between: InterSample
    free: BoolArray
    prior: Prior
    done: Descent
    rivals: tuple[Rival, ...] = ()

    @property
    def h(self) -> FloatArray:
        """Coordinates (η, T, offset, κ)."""
        return self.done.last.at.h

    @property
    def core(self) -> Int64Array:
        """Indices of the free coordinates."""
        return np.flatnonzero(self.free).astype(np.int64)

    @property
    def e(self) -> FloatArray:
        """Residuals of all segments, whitened where the sensor's noise is coloured."""
        return np.concatenate(self.done.last.e)

    @property
    def y(self) -> FloatArray:
        """The indications that the residuals are of."""
        return np.concatenate([reading.y for reading in self.problem.readings])


def first_stage(setup: Setup, begins: Iterable[Begin]) -> Stage | None:
    """Return the best output-error fit from any start, with the course between samples that the data ask for."""
    fixed = setup.settings.between
    course = fixed or course_of_reference(setup.taken)
    problem = setup.problem(course)
    if not _enough(problem):
        return None
    free, prior = setup.free(), _no_prior(setup)
    best: Descent | None = None
    for start in begins:
        begin = problem.begin(start.eta, start.delay_s)
        there = None if begin is None else descend(problem, begin, free, prior, _FIRST_PASSES)
        if there is not None and (best is None or there.cost < best.cost - 1e-6):
            best = there
        if best is not None and best.converged and _good_enough(problem, best):
            break
    if best is None:
        return None
    if not best.converged:
        best = descend(problem, best.last.at, free, prior) or best
    stage = Stage(problem, course, free, prior, best)
    return stage if fixed is not None else with_course(setup, stage)


def _enough(problem: RecordProblem) -> bool:
    """Tell whether indications are left of which the whole reach of the reference is known: more than unknowns."""
    return problem.n_y > problem.p + problem.n * problem.n_segments


def _good_enough(problem: RecordProblem, done: Descent) -> bool:
    """Tell whether no other start can be better: only noise is left, or nothing."""
    return done.last.sse <= _NOTHING * problem.power or ljung_box(np.concatenate(done.last.e)) >= WHITE


def with_course(setup: Setup, begin: Stage) -> Stage:
    """Return the fit with another course between samples where that leaves clearly smaller residuals."""
    best, margin, tried = begin, _CLEARLY_BETTER, [begin]
    splines = SPLINES if any(spline_fits(each) for each in setup.taken.segments) else ()
    for between in (InterSample.ZERO, InterSample.LINEAR, *splines):
        if between is begin.between or (between is InterSample.QUINTIC and best.between is not InterSample.CUBIC):
            continue
        problem = setup.problem(between)
        if not _enough(problem):
            continue
        most = problem.n_y * begin.done.cost / begin.problem.n_y + _HOPELESS
        at = _carried(begin, problem)
        first = None if at is None else promised(problem, at, begin.free, begin.prior, most + _HOPELESS)
        if first is None or first[1] > most:
            continue
        done = descend(problem, first[0], begin.free, begin.prior)
        if done is None:
            continue
        own = replace(begin, problem=problem, between=between, done=done)
        tried.append(own)
        if better_by(own, best) > margin:
            best, margin = own, 0.0
    return replace(best, rivals=_rivals(best, tried))


def _carried(stage: Stage, problem: RecordProblem) -> Point | None:
    """Return where a fit ended as a point of another problem; at rest where a segment begins that it did not have."""
    p, at = problem.p, stage.done.last.at
    begin = problem.begin(at.h[:p], float(at.h[p]))
    if begin is None:
        return None
    known = {id(reading.segment): k for k, reading in enumerate(stage.problem.readings)}
    for i, reading in enumerate(problem.readings):
        if id(reading.segment) in known:
            begin.x0[i] = at.x0[known[id(reading.segment)]]
    return Point(at.h, begin.x0)


def _rivals(best: Stage, tried: list[Stage]) -> tuple[Rival, ...]:
    """Return the courses that are not clearly worse than the best, weighed by their likelihood."""
    found = [(other, better_by(other, best)) for other in tried if other is not best]
    close = [(other, by) for other, by in found if by > -_CLEARLY_BETTER]
    total = 1 + sum(float(np.exp(by / 2)) for _, by in close)
    return tuple(Rival(other.between, other.h - best.h, float(np.exp(by / 2)) / total) for other, by in close)


def better_by(one: Stage, other: Stage) -> float:
    """Return twice the log-likelihood ratio of two fits on the indications that both have."""
    squares = np.zeros(2)
    n = 0
    places = {id(reading.segment): k for k, reading in enumerate(other.problem.readings)}
    for k, a in enumerate(one.problem.readings):
        if id(a.segment) not in places:
            continue
        b = other.problem.readings[places[id(a.segment)]]
        same = np.array_equal(a.t_ns, b.t_ns)
        common = a.t_ns if same else np.intersect1d(a.t_ns, b.t_ns, assume_unique=True)
        n += common.size
        for i, (reading, e) in enumerate(((a, one.done.last.e[k]), (b, other.done.last.e[places[id(a.segment)]]))):
            own = e if same else e[np.searchsorted(reading.t_ns, common)]
            squares[i] += float(own @ own)
    return n * float(np.log(max(squares[1], 1e-300) / max(squares[0], 1e-300)))


@dataclass(frozen=True, slots=True)
class Unknowns:
    """Inflation by the clock's and the reference's offset, and whether they are freed."""

    clock: float
    clock_freed: bool
    offset: float
    offset_freed: bool


def second_stage(setup: Setup, stage: Stage) -> tuple[Stage, Unknowns]:
    """Free, with their priors, those unknowns of the reference that the data tell from the sensor."""
    p, settings = setup.model.n_parameters, setup.settings
    a, core = stage.done.last.a, stage.core
    every = np.arange(p, dtype=np.int64)
    clock = float("nan") if setup.delayed else inflation(a, core, every[1:], p)
    offset = inflation(a, core, every, p + 1)
    unknowns = Unknowns(
        clock,
        not setup.delayed and settings.u_clock_s > 0 and clock < MOST_INFLATION,
        offset,
        settings.u_reference > 0 and offset < MOST_INFLATION,
    )
    free, information = stage.free.copy(), stage.prior.information.copy()
    if unknowns.clock_freed:
        free[p], information[p] = True, settings.u_clock_s**-2
    if unknowns.offset_freed:
        free[p + 1], information[p + 1] = True, settings.u_reference**-2
    if np.array_equal(free, stage.free):
        return stage, unknowns
    prior = Prior(stage.prior.mean, information)
    done = descend(stage.problem, stage.done.last.at, free, prior)
    if done is None:
        return stage, replace(unknowns, clock_freed=False, offset_freed=False)
    return replace(stage, free=free, prior=prior, done=done), unknowns


def n_independent(setup: Setup, stage: Stage, n: int) -> int:
    """Return into how many blocks n samples can be cut whose scatter says what their mean is worth.

    Of 20 samples and three of the sensor's longest memories at least, 32 at most; 0 where not even one is that long.
    """
    _, slow = time_constants(setup.model, stage.h[: setup.model.n_parameters])
    longest = n * setup.taken.dt_s / (_MEMORIES * max(slow, setup.taken.dt_s))
    return int(min(_MOST_BLOCKS, n // _LEAST_SAMPLES, longest))


def input_noise(stage: Stage) -> float:
    """Return by how much noise at the sensor's input would raise twice the log-likelihood, κ from a grid.

    Far sharper than a test of whiteness: what the reference does not show is hidden in few per cent of the residuals.
    """
    known: dict[int, float] = {}

    def better_by(k: int) -> float:
        if not 0 <= k < len(_KAPPAS):
            return -float("inf")
        if k not in known:
            known[k] = _input_noise_of(stage, _KAPPAS[k])
        return known[k]

    # with κ it rises to one maximum and falls: from a low κ on, as most sensors have no such noise
    k = _MIDDLE
    while (best := max((k, k - 1, k + 1), key=better_by)) != k:
        k = best
    return max(0.0, better_by(k))


def _input_noise_of(stage: Stage, kappa: float) -> float:
    problem, at, core = stage.problem, stage.done.last.at, stage.core
    there = problem.evaluate(Point(np.append(at.h[:-1], kappa), at.x0))
    if there is None:
        return -float("inf")
    gain = there.b[core] @ inverse(there.a[np.ix_(core, core)]) @ there.b[core]
    left = max(there.free_sse - float(gain), 1e-300)
    return problem.n_y * float(np.log(stage.done.last.sse / left))


def innovations_stage(stage: Stage) -> Stage | None:
    """Return the fit with κ freed as well, from where output error ended."""
    problem, h = stage.problem, stage.h
    free, prior = stage.free.copy(), Prior(stage.prior.mean.copy(), stage.prior.information.copy())
    free[-1], prior.mean[-1], prior.information[-1] = True, KAPPA, U_KAPPA**-2
    tried = []
    for kappa in _KAPPAS:
        at = problem.evaluate(Point(np.append(h[:-1], kappa), stage.done.last.at.x0))
        if at is not None:
            tried.append((at.free_sse, kappa))
    if not tried:
        return None
    begin = Point(np.append(h[:-1], min(tried)[1]), stage.done.last.at.x0)
    done = descend(problem, begin, free, prior)
    return None if done is None else replace(stage, free=free, prior=prior, done=done)


def _no_prior(setup: Setup) -> Prior:
    m = setup.model.n_parameters + 3
    mean = np.zeros(m)
    mean[-1] = -NO_NOISE
    return Prior(mean, np.zeros(m))
