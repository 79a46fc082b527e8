"""Sensors whose reference is too noisy, or too slowly sampled, for the innovations form: the full Kalman likelihood.

The innovations form takes what the reference does not show of the measurand for white noise at the sensor's input. That
holds while it is little; where it dominates, or an interval is no small part of the sensor's memory, its covariance is
several times too small. The Kalman likelihood models the measurand itself, of which both indications are noisy
measurements (`dyncal.identification.kalman`), and its block has the same form: information, score, state. So blocks are
judged, forgotten and taken in by the same kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification import report, standstill
from dyncal.identification.kalman.block import (
    KalmanBlockProblem,
    KalmanData,
    KalmanForm,
    KalmanPass,
    KalmanState,
    begin,
)
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.online import passes, saturation, start
from dyncal.identification.online.block import BlockData, BlockProblem, Prior, fit
from dyncal.identification.online.courses import beside_courses, weigh_courses
from dyncal.identification.online.doubts import Evidence
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.renewal import JUMP, QUIET, judge_blocks, renew_blocks, significant
from dyncal.identification.online.shifts import allowed_for, weigh_shifts
from dyncal.identification.online.snapshot import Array, FullState
from dyncal.identification.records import AlignedRecord, BlockOutcome
from dyncal.identification.settings import Likelihood, OnlineSettings
from dyncal.models import SensorModel

LARGEST_GAIN: Final = 0.2
LONGEST_INTERVAL: Final = 0.1
LARGEST_NOISE: Final = 0.3
LARGEST_BEND: Final = 1.0
"""Up to which the innovations form holds: innovation gain cK, interval over the sensor's shortest time, noise of the
reference over that of the sensor; and the second of these times the indications' scatter over their noise, for what the
measurand does between two samples of the reference must stay below the noise."""

FEWEST: Final = 144
"""Samples of a first record: fewer do not tell one kind of measurand from another."""

ANEW: Final = (2 * FEWEST, 4 * FEWEST, 8 * FEWEST)
"""Samples of the first record at which it is fitted anew, as a whole. Noise and process from so few samples are too
rough to weigh blocks by: followed on from 144, an estimate scatters 10 % to 20 % more than it says."""

COMMANDED: Final = 0.5
"""Share of samples that are what their predecessor was, above which a reference has no noise of its own."""

_ODD: Final = 0.02
_AT_REST: Final = 0.1  # χ² of a reference whose measurand moves far less than it used to: its noise is taken for moves
_NOISY: Final = 2.0  # χ² of a block above which it is weighed by its own noise
_LEAST_LOG: Final = -5.0  # a noise far below the other is kept where its score still says something

_ARRAYS: Final = (
    "h",
    "information",
    "considered",
    "trend",
    "shift_weight",
    "shift_score",
    "motion",
    "newest",
    "course",
    "course_weight",
    "course_score",
)

Samples = tuple[Int64Array, FloatArray, FloatArray]


NOTHING: Final[Samples] = (np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))

MOST: Final = 4 * FEWEST
"""Samples that are kept for a first record."""


def joined(before: Samples, new: Samples) -> Samples:
    """Return samples and those that follow them, the newest of a bounded number."""
    t_ns, y, r = (np.concatenate(pair)[-max(MOST, len(pair[1])) :] for pair in zip(before, new, strict=True))
    return t_ns, y, r


def needed(model: SensorModel, fit: start.Started, dt_s: float, settings: OnlineSettings) -> bool:
    """Tell whether a first fit in the innovations form, at intervals of dt, lies beyond where that form holds.

    A gain cK estimated from a short record says little (its score vanishes with it), so the reference's noise must be
    stated, and negligible beside the sensor's own, for the innovations form to be taken without asking. A reference
    that mostly repeats itself exactly (a command, a calibrator at rest between shocks) has none to speak of.
    """
    if settings.likelihood is not Likelihood.AUTO:
        return settings.likelihood is Likelihood.KALMAN
    share = 1 - float(np.asarray(model.output)[:2] @ fit.fit.last.gain)
    noise_std = np.sqrt(fit.variance * max(share, 0.0))
    intervals = dt_s / start.fastest(model, fit.fit.h)
    commanded = float(np.mean(np.diff(fit.data.r[:: fit.data.stride]) == 0)) > COMMANDED
    quiet = 0 < settings.u_reference_noise * abs(fit.fit.h[0]) <= LARGEST_NOISE * noise_std
    smooth = intervals * float(np.std(fit.data.y)) <= LARGEST_BEND * noise_std
    return not (commanded or (quiet and smooth)) or 1 - share > LARGEST_GAIN or intervals > LONGEST_INTERVAL


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What is known of one sensor; m coordinates (η, logarithms of noise and process), as in `kalman.block`."""

    form: KalmanForm
    h: FloatArray
    information: FloatArray
    considered: FloatArray
    trend: FloatArray
    dispersion: float
    state: KalmanState | None
    residuals: report.Residuals
    shift_weight: FloatArray
    shift_score: FloatArray
    motion: FloatArray
    newest: FloatArray
    course: FloatArray
    course_weight: FloatArray
    course_score: FloatArray
    until_ns: int
    """End of the last block that was taken in [ns]; 0 before the first."""

    @property
    def posterior(self) -> Posterior:
        """The same as reports want it: the variance is that of the sensor's own noise."""
        variance = float(np.exp(self.h[self.trend.size]))
        return Posterior(
            self.h, self.information, self.considered, variance, 0.0, self.trend, self.dispersion
        )  # fmt: skip

    @property
    def evidence(self) -> Evidence:
        """What the blocks say of offsets."""
        return Evidence(self.shift_weight, self.shift_score, self.course_weight, self.course_score, self.motion)


@dataclass(frozen=True, slots=True, eq=False)
class Considered:
    """What came of a block: how much longer it should be (0: it is closed), and if it is closed, what it says."""

    followed: Followed
    grow: float = 0.0
    outcome: BlockOutcome | None = None
    trouble: str = ""


def found(
    model: SensorModel, samples: Samples, eta: FloatArray, settings: OnlineSettings, process: Process | None = None
) -> Considered | None:
    """Begin to follow a sensor from its first record and rough coordinates; None where that says too little.

    The process of the measurand is chosen where none is given.
    """
    u_reference_noise = settings.u_reference_noise or None
    begun = begin(model, AlignedRecord(*samples), eta, u_reference_noise=u_reference_noise, process=process)
    if begun is None:
        return None
    p, data = model.n_parameters, KalmanData(*samples, fresh=True)
    h = begun.h + _lifted(begun.h, p, begun.form)
    first = KalmanBlockProblem(model, data, h, None, form=begun.form).evaluate(h)
    if first is None or start.lag_u(model, first.a) > start.U_START:
        return None
    m = h.size
    empty = Followed(
        begun.form, h, begun.prior_information, np.zeros((m, 2)), np.zeros(p), 1.0, None,
        report.Residuals(1.0, 0.0, 0.0, 0.0, 1.0), np.zeros((2, 2)), np.zeros(2), np.zeros(3),
        np.zeros((p, p + 1)), np.zeros((m, p)), np.zeros((p, p + 2)), np.zeros(p), 0,
    )  # fmt: skip
    return _taken(model, empty, data, samples, first, np.zeros(m), np.inf)


def consider(
    model: SensorModel, now: Followed, samples: Samples, settings: OnlineSettings, limits: FloatArray, *, full: bool
) -> Considered:
    """Close a block of samples, the first of which is the last one used unless the segment is new, or let it grow."""
    data = KalmanData(*samples, fresh=now.state is None)
    problem = KalmanBlockProblem(model, data, now.h, now.state, form=now.form)
    first = problem.evaluate(now.h)
    if first is None:
        return _closed(model, now, data, None, trouble="the estimate is not finite")
    scatter = float(significant(np.array(now.dispersion)))
    u = start.lag_u(model, first.a / scatter)
    rests = first.chi2_reference < _AT_REST
    if rests or (u > settings.target_u and not (full and u <= 3 * settings.target_u)):
        if full:
            return _closed(model, replace(now, state=first.end), data, first)
        return Considered(now, grow=2.0 if rests else float(np.clip(1.05 * (u / settings.target_u) ** 2, 1.1, 2.0)))
    variance = (first.chi2 if first.chi2 > _NOISY else 1.0) * scatter
    p, m = model.n_parameters, now.h.size
    information, trend, dispersion = now.information[None].copy(), now.trend[None].copy(), np.array([now.dispersion])
    newest, judged = now.newest[None].copy(), np.empty(1, dtype=np.int64)
    b = first.b[None].copy()
    weight, score = now.shift_weight[None].copy(), now.shift_score[None].copy()
    beside_courses(weight, score, now.course_weight[None], now.course_score[None])
    allowed_for(first.a[None], b, np.ascontiguousarray(first.cross)[None], now.considered[None], weight, score)
    floor = np.diag(np.full(m - p, 1 / start.U_KAPPA**2))
    judge_blocks(
        p, now.h[None], first.a[None], b, np.array([variance]), floor, limits, information, trend, dispersion, newest,
        judged,
    )  # fmt: skip
    reset = bool(judged[0] == JUMP)
    done = fit(problem, Prior(now.h, information[0], variance), first)
    last = done.last
    missing = _unexplained(model, samples, done.h)
    trouble = _saturated(model, now, data, done.last.h) or standstill.of_block(
        data.t_ns, data.y, data.r, first.e, scatter * max(1.0, now.residuals.chi2)
    )
    if not trouble and missing > start.UNEXPLAINED and last.chi2 <= _NOISY:
        return _closed(model, replace(now, state=first.end), data, first)  # nothing but the usual noise
    strange = (reset and last.chi2 > 2 * _NOISY) or not done.converged
    if not trouble and (missing > start.UNEXPLAINED or (strange and missing > _ODD)):
        trouble = f"the newest block fits no parameters of a {model.kind} sensor"
    if trouble:
        return _closed(model, replace(now, state=None), data, first, trouble=trouble)
    before = replace(now, information=information[0], trend=trend[0], dispersion=float(dispersion[0]), newest=newest[0])
    return _taken(
        model, before, data, samples, last, done.step, settings.memory_blocks, variance, int(judged[0]), missing
    )


def _taken(
    model: SensorModel,
    before: Followed,
    data: KalmanData,
    samples: Samples,
    last: KalmanPass,
    step: FloatArray,
    memory_blocks: float,
    variance: float = 1.0,
    judged: int = QUIET,
    missing: float | None = None,
) -> Considered:
    """Take a block in: its last pass, and the small step from there.

    `judged` is what `judge_blocks` found of it, `missing` what is unexplained after the step.
    """
    p = model.n_parameters
    lifted = _lifted(last.h + step, p, before.form)
    step = step + lifted
    h = last.h + step
    information, considered = before.information[None].copy(), before.considered[None].copy()
    theta, cov, score, evidence = np.empty((1, p)), np.empty((1, p, p)), np.empty((1, p)), np.empty((1, p, p))
    rate, b, cross = np.array([1 / memory_blocks]), (last.b - last.a @ step)[None], np.ascontiguousarray(last.cross)
    renew_blocks(
        passes.CODES[model.kind], rate, h[None], last.a[None], b, cross[None], np.array([variance]),
        information, considered, theta, cov, score, evidence,
    )  # fmt: skip
    weight, pull, motion = before.shift_weight[None].copy(), before.shift_score[None].copy(), before.motion[None].copy()
    moved, shares = np.empty((1, 3)), np.empty((1, 2))
    passes.motion(np.ascontiguousarray(data.r), moved[0])
    weigh_shifts(
        p, last.a[None], b, cross[None], np.ascontiguousarray(last.own)[None], (last.pull - step @ cross)[None],
        np.array([variance]), np.array([min(before.posterior.scatter, variance)]),
        np.array([last.chi2 * _observed(data)]), rate, np.array([judged]), information, before.considered[None],
        considered, moved, weight, pull, motion, np.empty(1, dtype=np.int64), shares,
    )  # fmt: skip
    course, known = before.course[None].copy(), before.course_weight[None].copy()
    slope, (_, until_ns) = before.course_score[None].copy(), _span(data)
    elapsed_s = (until_ns - before.until_ns) / NS_PER_S if before.until_ns else 0.0
    weigh_courses(
        p, last.a[None], b, cross[None], np.array([variance]), shares, information, before.considered[None], considered,
        np.array([elapsed_s]), course, known, slope,
    )  # fmt: skip
    own = last.e if data.fresh else last.e[1:]
    statistic, lags = report.portmanteau(own)
    if missing is None or lifted.any():
        missing = _unexplained(model, samples, h)
    residuals = report.Residuals(last.chi2, statistic, float(lags), missing, 1.0)
    now = replace(
        before,
        h=h,
        information=information[0],
        considered=considered[0],
        state=last.end.moved(step),
        residuals=residuals,
        shift_weight=weight[0],
        shift_score=pull[0],
        motion=motion[0],
        course=course[0],
        course_weight=known[0],
        course_score=slope[0],
        until_ns=until_ns,
    )
    rms = float(np.sqrt(last.chi2 * np.exp(h[p])))
    outcome = BlockOutcome(
        *_span(data), _observed(data), excited=True, reset=judged == JUMP, rejected=False, theta=theta[0], cov=cov[0],
        score=score[0], information=evidence[0], residual_rms=rms,
    )  # fmt: skip
    return Considered(now, outcome=outcome)


def _closed(
    model: SensorModel, now: Followed, data: KalmanData, first: KalmanPass | None, trouble: str = ""
) -> Considered:
    """Leave a block out: it says nothing, or nothing that any parameters explain."""
    p = model.n_parameters
    theta, cov = report.physical(model, now.h, now.posterior.cov)
    rms = float(np.sqrt(first.chi2 * np.exp(now.h[p]))) if first is not None else float("nan")
    outcome = BlockOutcome(
        *_span(data), _observed(data), excited=False, reset=False, rejected=bool(trouble), theta=theta, cov=cov,
        score=np.zeros(p), information=np.zeros((p, p)), residual_rms=rms,
    )  # fmt: skip
    return Considered(replace(now, state=None) if trouble else now, outcome=outcome, trouble=trouble)


def without_shifts(now: Followed) -> Followed:
    """Return it with what the blocks have said of offsets and of a steady course forgotten."""
    return replace(
        now, shift_weight=np.zeros_like(now.shift_weight), shift_score=np.zeros_like(now.shift_score),
        course_weight=np.zeros_like(now.course_weight), course_score=np.zeros_like(now.course_score),
    )  # fmt: skip


def pack(now: Followed) -> FullState:
    """Return what is followed as a part of a snapshot."""
    arrays = {name: getattr(now, name) for name in _ARRAYS}
    if now.state is not None:
        arrays |= {f"state_{name}": getattr(now.state, name) for name in KalmanState.__slots__}
    form = now.form
    packed = {name: Array.of(array) for name, array in arrays.items()}
    return FullState(
        form.process, form.scale_s, form.reference_noise, now.dispersion, now.residuals, packed, now.until_ns
    )


def unpack(state: FullState) -> Followed:
    """Return what `pack` packed; raises KeyError or ValueError where something is missing."""
    arrays = {name: packed.array() for name, packed in state.arrays.items()}
    begun, p = "state_x" in arrays, arrays["trend"].size
    return Followed(
        KalmanForm(state.process, state.scale_s, state.reference_noise),
        arrays["h"], arrays["information"], arrays["considered"], arrays["trend"],
        state.dispersion,
        KalmanState(*(arrays[f"state_{name}"] for name in KalmanState.__slots__)) if begun else None,
        state.residuals, arrays.get("shift_weight", np.zeros((2, 2))), arrays.get("shift_score", np.zeros(2)),
        arrays.get("motion", np.zeros(3)), arrays.get("newest", np.zeros((p, p + 1))),
        arrays.get("course", np.zeros((arrays["h"].size, p))), arrays.get("course_weight", np.zeros((p, p + 2))),
        arrays.get("course_score", np.zeros(p)), state.until_ns,
    )  # fmt: skip


def _observed(data: KalmanData) -> int:
    return int(np.count_nonzero(np.isfinite(data.y[0 if data.fresh else 1 :])))


def _span(data: KalmanData) -> tuple[int, int]:
    return int(data.t_ns[0 if data.fresh else 1]), int(data.t_ns[-1])


def _unexplained(model: SensorModel, samples: Samples, h: FloatArray) -> float:
    data = BlockData.of(*samples, fresh=True)
    return BlockProblem(model, data, h, None).unexplained(h[: model.n_parameters])


def _saturated(model: SensorModel, now: Followed, data: KalmanData, fitted: FloatArray) -> str:
    """Name a channel that stays at an end of its range while the other shows that it should not."""

    def predictor(h: FloatArray) -> saturation.Predictor:
        def innovations(y: FloatArray, r: FloatArray) -> FloatArray | None:
            changed = replace(data, y=y, r=r)
            there = KalmanBlockProblem(model, changed, now.h, now.state, form=now.form).evaluate(h)
            return None if there is None else there.e

        return innovations

    return saturation.of_block(data.y, data.r, predictor(now.h), predictor(fitted))


def _lifted(h: FloatArray, p: int, form: KalmanForm) -> FloatArray:
    """Return the step that lifts a noise that is lost below the other one to where it can still be found again."""
    step = np.zeros_like(h)
    if form.reference_noise is None:
        own, other = p, p + 1
        step[other] = max(h[own] + _LEAST_LOG - h[other], 0.0)
        step[own] = max(h[other] + _LEAST_LOG - h[own], 0.0)
    return step
