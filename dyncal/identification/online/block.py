"""One block of data: its fit around a prior, by Levenberg-Marquardt on the innovations."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import CONTEXT, Interpolation, taps
from dyncal.identification.online.passes import CLOCK, CODES, KAPPA, OFFSET, ROWS, evaluate, prepare, unexplained
from dyncal.models import SensorModel

_MAX_PASSES: Final = 12
_GOOD_STEP: Final = 1e-3  # squared length of a last step, in posterior standard deviations
_SHORT_STEP: Final = 0.1  # in logarithms: the linear model is trusted that far
_LONGEST_STEP: Final = 2.0


@functools.cache
def interpolations() -> FloatArray:
    """Return the filters of all interpolations, in the order of their codes, (kinds, 2, 2·CONTEXT + 1)."""
    both = np.zeros((len(Interpolation), 2, 2 * CONTEXT + 1))
    for code, kind in enumerate(Interpolation):
        if kind is not Interpolation.LINEAR:
            both[code, 0], both[code, 1, :-1] = taps(kind)
    return both


@functools.cache
def rows(p: int) -> tuple[int, ...]:
    """Return where the coordinates (η, κ) of a model with p parameters are among the rows of `passes`."""
    return (*range(p), KAPPA)


@dataclass(frozen=True, slots=True, eq=False)
class BlockData:
    """Samples of one block; sample 0 belongs to the block before unless `fresh`.

    Attributes
    ----------
    t_ns, y : shape (n + 1,)
        Instants, and indications (NaN: none).
    r, slope : float64, shape (n·stride + 1,)
        Reference and its time derivative, with stride - 1 values between samples.
    index : int64, shape (n,)
        Which of the intervals `steps_s` lies between samples k and k + 1.
    middle_s : float
        Mean interval [s].
    """

    t_ns: Int64Array
    y: FloatArray
    r: FloatArray
    slope: FloatArray
    fresh: bool
    stride: int
    steps_s: FloatArray
    index: Int64Array
    middle_s: float

    @classmethod
    def of(cls, t_ns: Int64Array, y: FloatArray, r: FloatArray, *, fresh: bool) -> BlockData:
        """Return a block whose reference moves in straight lines from sample to sample."""
        return cls._on(t_ns, y, r, np.zeros((1, 2, 1)), 0, fresh)

    @classmethod
    def between(cls, t_ns: Int64Array, y: FloatArray, r: FloatArray, kind: Interpolation, *, fresh: bool) -> BlockData:
        """Return a block from samples with `CONTEXT` more of them at either end, the reference interpolated by `kind`.

        Unevenly spaced samples are always joined by straight lines.
        """
        return cls._on(t_ns, y[CONTEXT:-CONTEXT].copy(), r, interpolations(), kind.code, fresh)

    @classmethod
    def _on(
        cls, t_ns: Int64Array, y: FloatArray, r: FloatArray, filters: FloatArray, code: int, fresh: bool
    ) -> BlockData:
        n = y.size
        fine, slope = np.empty(2 * n), np.empty(2 * n)
        index, steps_s = np.empty(n, dtype=np.int64), np.empty(n + 1)
        stride, n_steps = prepare(
            np.ascontiguousarray(t_ns), np.ascontiguousarray(r), filters, code, fine, slope, index, steps_s
        )
        points = stride * (n - 1) + 1
        around = (t_ns.size - n) // 2
        return cls(
            t_ns[around : around + n], y, fine[:points], slope[:points], fresh, stride,
            steps_s[:n_steps], index[: n - 1], float(steps_s[n_steps]),
        )  # fmt: skip

    @property
    def n(self) -> int:
        """Number of observations."""
        return int(np.count_nonzero(np.isfinite(self.y[0 if self.fresh else 1 :])))


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a block begins: filtered state x (2,) at sample 0 and its sensitivities s (2, ROWS)."""

    x: FloatArray
    s: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What was known before: coordinates h̄ (m,), information L (m, m), noise variance σ²."""

    h: FloatArray
    information: FloatArray
    variance: float


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One evaluation at `h`, the initial state of a fresh block eliminated.

    gain (2,): K there. a (m, m) and b (m,): ΣψψT and Σψe; cross (m, 2): Σψ ψ_considered; own (2, 2) and pull (2,): the
    same of what is considered with itself and with e; sse: Σe². Nothing is divided by σ² yet.
    """

    h: FloatArray
    a: FloatArray
    b: FloatArray
    cross: FloatArray
    own: FloatArray
    pull: FloatArray
    sse: float
    end: Start
    e: FloatArray
    gain: FloatArray


class Evaluated(Protocol):
    """What `fit` needs of a pass."""

    @property
    def h(self) -> FloatArray:
        """Where it was made, (m,)."""

    @property
    def a(self) -> FloatArray:
        """Curvature, (m, m)."""

    @property
    def b(self) -> FloatArray:
        """Descent, (m,)."""

    @property
    def sse(self) -> float:
        """Cost."""


P_co = TypeVar("P_co", bound=Evaluated, covariant=True)
P = TypeVar("P", bound=Evaluated)


class Problem(Protocol[P_co]):
    """What `fit` needs of a block."""

    def evaluate(self, h: FloatArray) -> P_co | None:
        """Run one pass at `h`; None where there is none."""


class BlockProblem:
    """The innovations of one block as a function of h = (η, κ), around `prior_h`, whose η also shapes K(κ)."""

    def __init__(self, model: SensorModel, data: BlockData, prior_h: FloatArray, start: Start | None) -> None:
        self._code = CODES[model.kind]
        self._rows = rows(model.n_parameters)
        self._data, self._origin, self._start = data, np.array(prior_h, dtype=np.float64), start

    def evaluate(self, h: FloatArray) -> Pass | None:
        """Run one pass at `h`; None where the filter is unstable or the numbers overflow there."""
        data = self._data
        x, s = (
            (np.zeros(2), np.zeros((2, ROWS))) if self._start is None else (self._start.x.copy(), self._start.s.copy())
        )
        gram, e, gain = np.empty((ROWS, ROWS)), np.empty(data.y.size), np.empty(2)
        if not evaluate(
            self._code, h, self._origin, data.y, data.r, data.slope, data.index, data.steps_s, data.stride,
            data.middle_s, data.fresh, x, s, gram, e, gain,
        ):  # fmt: skip
            return None
        at = list(self._rows)
        return Pass(
            h, gram[np.ix_(at, at)], gram[at, ROWS - 1], gram[np.ix_(at, [OFFSET, CLOCK])],
            gram[OFFSET : CLOCK + 1, OFFSET : CLOCK + 1], gram[OFFSET : CLOCK + 1, ROWS - 1], float(gram[-1, -1]),
            Start(x, s), e, gain,
        )  # fmt: skip

    def unexplained(self, eta: FloatArray) -> float:
        """Return the share of the indication's variance that the reference does not explain (`passes.unexplained`)."""
        data = self._data
        eta = np.ascontiguousarray(eta)
        return float(unexplained(self._code, eta, data.y, data.r, data.index, data.steps_s, data.stride))


@dataclass(frozen=True, slots=True, eq=False)
class Fit(Generic[P]):
    """A block fitted around a prior: the last pass, moved by the last (small) step to `h`."""

    h: FloatArray
    last: P
    step: FloatArray
    b: FloatArray
    sse: float
    converged: bool


def fit(problem: Problem[P], prior: Prior, first: P) -> Fit[P]:
    """Minimise Σe²/σ² + (h - h̄)ᵀL(h - h̄), beginning with `first`, evaluated anywhere.

    The last step, when it is small against the posterior, is made by the linear model without another pass. The fleet
    does the same in `passes.fit_blocks`; here it is for starts, and for likelihoods of other kinds.
    """
    here, damping = first, 0.0
    cost = _cost(here, prior)
    converged = False
    for _ in range(_MAX_PASSES):
        step, hessian = _step(here, prior, damping)
        if float(step @ hessian @ step) < _GOOD_STEP and float(np.abs(step[1:]).max()) < _SHORT_STEP:
            converged = True
            break
        there = problem.evaluate(here.h + step)
        new = _cost(there, prior) if there is not None else np.inf
        if there is not None and new < cost:
            here, cost, damping = there, new, (damping / 10 if damping > 1e-6 else 0.0)
        else:
            damping = max(10 * damping, 1e-3)
    else:
        step = np.zeros_like(here.h)
    h = here.h + step
    b = here.b - here.a @ step
    sse = here.sse - float(2 * here.b @ step - step @ here.a @ step)
    return Fit(h, here, step, b, sse, converged)


def end_of(done: Fit[Pass], p: int) -> Start:
    """Return where a fitted block ends, moved with the last step."""
    end = done.last.end
    return Start(end.x + end.s[:, list(rows(p))] @ done.step, end.s)


def _cost(at: Evaluated, prior: Prior) -> float:
    away = at.h - prior.h
    return at.sse / prior.variance + float(away @ prior.information @ away)


def _step(at: Evaluated, prior: Prior, damping: float) -> tuple[FloatArray, FloatArray]:
    hessian = at.a / prior.variance + prior.information
    gradient = at.b / prior.variance - prior.information @ (at.h - prior.h)
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    unit = hessian / np.outer(scale, scale) + (damping + 1e-13) * np.eye(scale.size)
    step = np.linalg.solve(unit, gradient / scale) / scale
    # a direction without information must not be run along
    return step * min(1.0, _LONGEST_STEP / max(float(np.abs(step[1:]).max()), 1e-300)), hessian
