"""One closed block of each of many sensors: fitted, judged, taken in; a compiled call each for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification import standstill
from dyncal.identification.interpolation import CONTEXT, Interpolation
from dyncal.identification.online import passes, saturation
from dyncal.identification.online.block import BlockData, BlockProblem, Start, interpolations, rows
from dyncal.identification.online.changes import Known
from dyncal.identification.online.courses import beside_courses, weigh_courses
from dyncal.identification.online.fleet import looks
from dyncal.identification.online.fleet.buffers import Buffers
from dyncal.identification.online.fleet.outcomes import Outcomes
from dyncal.identification.online.fleet.state import FleetState
from dyncal.identification.online.renewal import JUMP, judge_blocks, renew_blocks, significant
from dyncal.identification.online.shifts import allowed_for, weigh_shifts
from dyncal.identification.online.start import UNEXPLAINED, kappa_prior
from dyncal.models import SensorModel

_ODD: Final = 0.02  # unexplained share above which a noisy block is no sensor that changes while the block lasts

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Where k blocks lie in the buffers' flat arrays: sample 0 with context before it, samples with context."""

    who: Int64Array
    begin: Int64Array
    size: Int64Array
    fresh: BoolArray
    interpolation: Int64Array

    def at(self, where: BoolArray | Int64Array) -> Blocks:
        """Return some of them."""
        return Blocks(*(getattr(self, name)[where] for name in self.__slots__))

    @property
    def samples(self) -> tuple[Int64Array, Int64Array]:
        """First and last sample of each block, without context."""
        return self.begin + CONTEXT, self.begin + self.size - CONTEXT - 1


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the last look at k blocks has left (`fleet.looks`): states, sensitivities, Gram matrices, summaries."""

    x: FloatArray
    s: FloatArray
    gram: FloatArray
    summary: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What decides of a block; arrays over all sensors.

    Attributes
    ----------
    model : SensorModel
    code, p, n_states : int
        `passes.CODES`, numbers of parameters and of states.
    limits : float64, shape (2,)
        Of D for a jump and for a trend.
    target_u, rate : float64, shape (n,)
        u at which a block closes; largest share that it may make the past be forgotten by.
    longest, longest_ns : int64 and float64, shape (n,)
        The longest block, in samples and in time.
    """

    model: SensorModel
    code: int
    p: int
    n_states: int
    limits: FloatArray
    target_u: FloatArray
    rate: FloatArray
    longest: Int64Array
    longest_ns: FloatArray


class Step:
    """Blocks of k sensors, which have closed, on their way from the buffers into the state.

    Attributes
    ----------
    taken, rejected : bool, shape (k,)
        Blocks that renewed the estimate; that no parameters explain.
    stale : dict of int to str
        Which of these have a channel that was not measured anew.
    before : dict of int to Known
        What was known before of those that have jumped.
    shifted : int64, shape (k,)
        1 for blocks after which an offset of zero or clock seems to be there (`online.shifts`).
    result : float64, shape (k, `passes.N_RESULT`)
        What the fit said; zeros where there was none.
    """

    def __init__(
        self, state: FleetState, blocks: Blocks, seen: Seen, t_ns: Int64Array, values: FloatArray, rules: Rules
    ) -> None:
        self.blocks, self._state, self._rules = blocks, state, rules
        self._samples = t_ns, values
        who, k = blocks.who, blocks.who.size
        self._x, self._s, self._gram, self._h = seen.x, seen.s, seen.gram, state.h[who]
        self._variance, self._dispersion = state.variance[who], state.dispersion[who]
        self._information, self._trend, self._newest = state.information[who], state.trend[who], state.newest[who]
        self._weigh = np.full(k, np.inf)
        self._found = np.zeros(k, dtype=np.int64)
        self.result = np.zeros((k, passes.N_RESULT))
        self.taken = np.zeros(k, dtype=np.bool_)
        self.shifted = np.zeros(k, dtype=np.int64)
        self.stale: dict[int, str] = {}
        self.before: dict[int, Known] = {}
        self._n = np.maximum(seen.summary[:, looks.OBSERVED].astype(np.int64), 1)
        fine = seen.summary[:, looks.FINE] > 0
        self.rejected = ~fine
        self._sse = np.where(fine, self._gram[:, -1, -1], np.nan)
        take = np.flatnonzero(seen.summary[:, looks.ENOUGH])
        if take.size:
            self._fit(take, seen.summary[:, looks.OWN_VARIANCE])

    @property
    def jumped(self) -> BoolArray:
        """Blocks that were taken in, and nothing of what was known before them; shape (k,)."""
        jumped: BoolArray = self._found == JUMP
        return self.taken & jumped

    def trouble(self, k: int) -> str:
        """Say why a block was rejected."""
        clipped = saturation.named(self.result[k][passes.CLIPPED :])
        return (
            self.stale.get(k) or clipped or f"the newest block fits no parameters of a {self._rules.model.kind} sensor"
        )

    def _fit(self, at: Int64Array, own_variance: FloatArray) -> None:
        """Judge and fit the blocks that say enough."""
        blocks, rules, (t_ns, values) = self.blocks.at(at), self._rules, self._samples
        m = rules.p + 1
        self._weigh[at] = own_variance[at] * significant(self._dispersion[at])
        h, gram, weigh = self._h[at], self._gram[at], self._weigh[at]
        x, s = self._x[at], self._s[at]
        information, trend, dispersion = self._information[at], self._trend[at], self._dispersion[at]
        newest, found = self._newest[at], np.empty(at.size, dtype=np.int64)
        a, b, cross = self._parts(gram)
        state = self._state
        who = blocks.who
        weight, score = state.shift_weight[who], state.shift_score[who]
        beside_courses(weight, score, state.course_weight[who], state.course_score[who])
        allowed_for(a, b, cross, state.considered[who], weight, score)
        floor = kappa_prior(m)[rules.p :, rules.p :]
        judge_blocks(rules.p, h, a, b, weigh, floor, rules.limits, information, trend, dispersion, newest, found)
        result = np.empty((at.size, m + passes.N_RESULT))
        passes.fit_blocks(
            rules.code, t_ns, values, blocks.begin, blocks.size, blocks.fresh, blocks.interpolation, interpolations(),
            h, h, information, weigh, state.x[blocks.who], state.s[blocks.who], x, s, gram, result,
        )  # fmt: skip
        good, bad = self._sorted(blocks, self._n[at], result[:, m:], found == JUMP)
        for k in np.flatnonzero(good & (result[:, m + passes.REPEATED] >= standstill.FEWEST_REPEATS)).tolist():
            stale = self._not_measured(blocks, k, self._h[at[k]])
            if stale:
                self.stale[int(at[k])] = stale
                good[k], bad[k] = False, True
        self.result[at], self.rejected[at] = result[:, m:], bad
        self._weigh[at[~good]] = np.inf
        self._sse[at] = np.where(good | bad, result[:, m + passes.SSE], self._sse[at])
        at, kept = at[good], good
        self.taken[at], self._found[at] = True, found[kept]
        self._h[at], self._x[at], self._s[at], self._gram[at] = result[kept, :m], x[kept], s[kept], gram[kept]
        self._information[at], self._trend[at], self._dispersion[at] = information[kept], trend[kept], dispersion[kept]
        self._newest[at] = newest[kept]

    def _sorted(
        self, blocks: Blocks, n: Int64Array, result: FloatArray, reset: BoolArray
    ) -> tuple[BoolArray, BoolArray]:
        """Tell of fitted blocks which are to be taken in, and which no parameters explain; the others say nothing."""
        who, state = blocks.who, self._state
        own = result[:, passes.SSE] / np.maximum(n - 1, 1)
        clipped = (result[:, passes.CLIPPED] != 0) | (result[:, passes.CLIPPED + 3] != 0)
        missing = result[:, passes.UNEXPLAINED]
        noise = ~clipped & (missing > UNEXPLAINED) & (own <= 2 * state.variance[who])
        strange = (reset & (own > 4 * state.variance[who] * significant(state.dispersion[who]))) | (
            result[:, passes.CONVERGED] == 0
        )
        bad = clipped | (~noise & ((missing > UNEXPLAINED) | (strange & (missing > _ODD))))
        return ~bad & ~noise, bad

    def _not_measured(self, blocks: Blocks, k: int, h: FloatArray) -> str:
        """Name a channel of a block that was not measured anew, by its innovations at what was known."""
        state, i, (t_ns, values) = self._state, int(blocks.who[k]), self._samples
        whole = slice(int(blocks.begin[k]), int(blocks.begin[k] + blocks.size[k]))
        y, r, fresh = values[0, whole], values[1, whole], bool(blocks.fresh[k])
        kind = tuple(Interpolation)[int(blocks.interpolation[k])]
        data = BlockData.between(t_ns[whole], y, r, kind, fresh=fresh)
        begin = None if fresh else Start(state.x[i], state.s[i])
        there = BlockProblem(self._rules.model, data, h, begin).evaluate(h)
        if there is None:
            return ""
        usual = float(state.variance[i] * significant(state.dispersion[i]))
        inner = slice(CONTEXT, -CONTEXT)
        return standstill.of_block(data.t_ns, y[inner], r[inner], there.e, usual)

    def _parts(self, gram: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        at = np.array(rows(self._rules.p))
        a = gram[:, at[:, None], at]
        return (
            np.ascontiguousarray(a),
            np.ascontiguousarray(gram[:, at, passes.ROWS - 1]),
            np.ascontiguousarray(gram[:, at[:, None], np.array([passes.OFFSET, passes.CLOCK])]),
        )

    def conclude(self) -> Outcomes:
        """Renew the state with the blocks, and return what they say."""
        blocks, rules, state = self.blocks, self._rules, self._state
        who, k, p = blocks.who, blocks.who.size, rules.p
        before, considered = state.considered[who], state.considered[who]
        theta, cov, score, evidence = np.empty((k, p)), np.empty((k, p, p)), np.empty((k, p)), np.empty((k, p, p))
        a, b, cross = self._parts(self._gram)
        renew_blocks(
            rules.code, rules.rate[who], self._h, a, b, cross, self._weigh, self._information, considered,
            theta, cov, score, evidence,
        )  # fmt: skip
        at = slice(passes.OFFSET, passes.CLOCK + 1)
        weight, pull, motion = state.shift_weight[who], state.shift_score[who], state.motion[who]
        moved = np.ascontiguousarray(self.result[:, passes.MOTION : passes.MOTION + 3])
        usual, shares = state.variance[who] * significant(state.dispersion[who]), np.empty((k, 2))
        weigh_shifts(
            p, a, b, cross, np.ascontiguousarray(self._gram[:, at, at]),
            np.ascontiguousarray(self._gram[:, at, passes.ROWS - 1]), self._weigh, usual,
            np.ascontiguousarray(self.result[:, passes.SSE]), rules.rate[who], self._found,
            self._information, before, considered, moved, weight, pull, motion, self.shifted, shares,
        )  # fmt: skip
        state.shift_weight[who], state.shift_score[who], state.motion[who] = weight, pull, motion
        first, last = blocks.samples
        t_ns = self._samples[0]
        from_ns, to_ns = t_ns[np.where(blocks.fresh, first, first + 1)], t_ns[last]
        course, known, slope = state.course[who], state.course_weight[who], state.course_score[who]
        weigh_courses(
            p, a, b, cross, self._weigh, shares, self._information, before, considered,
            (to_ns - state.window[who, 2]) / NS_PER_S, course, known, slope,
        )  # fmt: skip
        state.course[who], state.course_weight[who], state.course_score[who] = course, known, slope
        reset = self._found == JUMP
        for j in np.flatnonzero(self.jumped).tolist():
            self.before[j] = Known.of(state.posterior(int(who[j])))
        self._write(considered, reset, from_ns, to_ns)
        going = ~self.rejected
        state.x[who[going]], state.s[who[going]] = self._x[going], self._s[going]
        state.under_way[who] = going
        return Outcomes(
            who, from_ns, to_ns, self._n, self.taken, reset, self.rejected, theta, cov, score, evidence,
            np.sqrt(self._sse / self._n),
        )  # fmt: skip

    def _write(self, considered: FloatArray, reset: BoolArray, from_ns: Int64Array, to_ns: Int64Array) -> None:
        """Write what the blocks that were taken in have made of the estimates."""
        state, rules, at = self._state, self._rules, self.taken
        who, n, result = self.blocks.who[at], self._n[at], self.result[at]
        before = state.variance[who]
        state.h[who], state.information[who], state.considered[who] = self._h[at], self._information[at], considered[at]
        state.trend[who], state.dispersion[who], state.newest[who] = (
            self._trend[at], self._dispersion[at], self._newest[at],
        )  # fmt: skip
        state.dof[who] = np.minimum(state.dof[who], 40.0 * n) + n
        # what was known before costs a block no degrees of freedom; its own initial state does
        spent = np.where(self.blocks.fresh[at], rules.n_states, 0)
        own = result[:, passes.SSE] / np.maximum(n - spent, 1)
        state.variance[who] = before + (own - before) * n / state.dof[who]
        state.residuals[who] = np.stack(
            [
                result[:, passes.POWER] / before,
                result[:, passes.LJUNG_BOX],
                result[:, passes.LAGS],
                result[:, passes.UNEXPLAINED],
                result[:, passes.NOISE_SHARE],
            ],
            axis=1,
        )
        anew = reset[at]
        state.window[who, 0] = np.where(anew, 0, state.window[who, 0]) + n
        state.window[who, 1] = np.where(anew, from_ns[at], state.window[who, 1])
        state.window[who, 2] = to_ns[at]
        state.n_rejected[who] = 0


def look_at(
    state: FleetState,
    buffers: Buffers,
    behind: Int64Array,
    rules: Rules,
    who: Int64Array,
    n: Int64Array,
    *,
    final: bool,
) -> tuple[BoolArray, Int64Array, Step | None]:  # fmt: skip
    """Look at the next blocks of sensors, of n samples each which wait, and let them grow (`looks.look`).

    Parameters
    ----------
    behind : int64, shape (rows,)
        Samples of each row of the buffers that are used already.
    who, n : int64, shape (k,)
        Rows; samples of each.
    final : bool
        The blocks close whatever they say.

    Returns
    -------
    closed : bool, shape (k,)
    n : int64, shape (k,)
        Samples of the blocks that have closed, and those which the others are to be looked at with next.
    step : Step, optional
        The blocks that have closed; None without any.
    """
    n, k, fresh, interpolation = n.copy(), who.size, ~state.under_way[who], state.interpolation[who]
    x, s, gram = state.x[who], state.s[who], np.empty((k, passes.ROWS, passes.ROWS))
    summary, closed = np.zeros((k, looks.N_SUMMARY)), np.zeros(k, dtype=np.bool_)
    looks.look(
        rules.code, who, n, buffers.t_ns, buffers.values, buffers.head, buffers.count, behind, rules.longest,
        rules.longest_ns, rules.target_u, final, fresh, interpolation, interpolations(), state.h[who],
        state.variance[who], significant(state.dispersion[who]), buffers.dropped_to, buffers.left_out,
        x, s, gram, summary, closed,
    )  # fmt: skip
    at = np.flatnonzero(closed)
    if not at.size:
        return closed, n, None
    rows, fresh = who[at], fresh[at]
    used = np.where(fresh, 0, 1)  # sample 0 is the last one of the block before
    begin = buffers.capacity * rows + buffers.head[rows] + behind[rows] - used - CONTEXT
    blocks = Blocks(rows, begin, n[at] + used + 2 * CONTEXT, fresh, interpolation[at])
    seen = Seen(x[at], s[at], gram[at], summary[at])
    return closed, n, Step(state, blocks, seen, buffers.t_ns.reshape(-1), buffers.values.reshape(2, -1), rules)
