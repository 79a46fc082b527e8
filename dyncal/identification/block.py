"""One block of data: its fit around a prior, by Levenberg-Marquardt on the innovations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.gain import InnovationGain
from dyncal.identification.innovations import innovations_pass
from dyncal.identification.interpolation import CONTEXT, Interpolation, is_even, refined
from dyncal.models import SensorModel

N_CONSIDERED: Final = 2  # offset of the reference, offset of its clock
_FARTHEST: Final = 45.0  # logarithms beyond this are no time constants of sensors
_MAX_PASSES: Final = 12
_GOOD_STEP: Final = 1e-3  # squared length of a last step, in posterior standard deviations
_SHORT_STEP: Final = 0.1  # in logarithms: the linear model is trusted that far
_LONGEST_STEP: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class BlockData:
    """Samples of one block; sample 0 belongs to the block before unless `fresh`.

    Attributes
    ----------
    t_ns, y : shape (n + 1,)
        Instants and indications.
    r : float64, shape (n·stride + 1,)
        Reference, with stride - 1 values between samples.
    index : int64, shape (n·stride,)
        Which of the intervals `steps_s` lies between the instants of `r`.
    d : float64, shape (2, n·stride + 1)
        Effect on `r` of a unit offset of the reference and of a unit offset of its clock [s].
    """

    t_ns: Int64Array
    y: FloatArray
    r: FloatArray
    fresh: bool
    stride: int
    steps_s: FloatArray
    index: Int64Array
    d: FloatArray

    @classmethod
    def of(cls, t_ns: Int64Array, y: FloatArray, r: FloatArray, *, fresh: bool) -> BlockData:
        """Return a block whose reference moves in straight lines from sample to sample."""
        return cls._on(t_ns, t_ns, y, r, fresh)

    @classmethod
    def between(cls, t_ns: Int64Array, y: FloatArray, r: FloatArray, kind: Interpolation, *, fresh: bool) -> BlockData:
        """Return a block from samples with `CONTEXT` more of them at either end, the reference interpolated by `kind`.

        Unevenly spaced samples are always joined by straight lines.
        """
        inner = slice(CONTEXT, t_ns.size - CONTEXT)
        t = t_ns[inner]
        if kind is Interpolation.LINEAR or not is_even(t_ns):
            return cls.of(t, y[inner], r[inner], fresh=fresh)
        fine = np.empty(2 * t.size - 1, dtype=np.int64)
        fine[::2], fine[1::2] = t, t[:-1] + np.diff(t) // 2
        return cls._on(t, fine, y[inner], refined(r, kind), fresh)

    @classmethod
    def _on(cls, t_ns: Int64Array, fine_ns: Int64Array, y: FloatArray, r: FloatArray, fresh: bool) -> BlockData:
        steps = np.diff(fine_ns)
        if steps.size and bool(np.all(steps == steps[0])):
            intervals, index = steps[:1], np.zeros(steps.size, dtype=np.int64)
        else:
            intervals, index = np.unique(steps, return_inverse=True)
        slope = np.gradient(r, (fine_ns - fine_ns[0]) / NS_PER_S)
        d = np.ascontiguousarray(np.stack([np.ones_like(r), -slope]))
        stride = 1 if fine_ns is t_ns else 2
        return cls(t_ns, y, r, fresh, stride, intervals / NS_PER_S, index.astype(np.int64), d)

    @property
    def n(self) -> int:
        """Number of observations."""
        return int(self.t_ns.size) - (0 if self.fresh else 1)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a block begins: filtered state x (2,) at sample 0 and its sensitivities s (p + 1 + 2, 2)."""

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

    gain (2,): K there. a (m, m) and b (m,): ΣψψT and Σψe; cross (m, 2): Σψ ψ_considered; sse: Σe².
    Nothing is divided by σ² yet.
    """

    h: FloatArray
    a: FloatArray
    b: FloatArray
    cross: FloatArray
    sse: float
    end: Start
    e: FloatArray
    gain: FloatArray


class BlockProblem:
    """The innovations of one block as a function of h = (η, κ), around `prior_h`, whose η also shapes K(κ)."""

    def __init__(self, model: SensorModel, data: BlockData, prior_h: FloatArray, start: Start | None) -> None:
        self._model = model
        self._data = data
        self._origin = prior_h
        self._start = start
        self._p = model.n_parameters
        self._c = np.asarray(model.output)
        self._gain = InnovationGain(model, prior_h[: self._p], float(np.median(np.diff(data.t_ns))) / NS_PER_S)

    def evaluate(self, h: FloatArray) -> Pass | None:
        """Run one pass at `h`; None where the filter is unstable or the numbers overflow there."""
        m, p = h.size, self._p
        data = self._data
        if bool(np.any(np.abs(h[1:]) > _FARTHEST)):
            return None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts = self._model.discretise(h[:p], data.steps_s)
        if not bool(np.all(np.isfinite(parts.phi)) and np.all(np.isfinite(parts.dgamma))):
            return None
        gain, slope = self._gain.at(float(h[p]))
        step = parts.phi if data.stride == 1 else np.linalg.matrix_power(parts.phi, data.stride)
        if not _stable(step, gain, self._c):
            return None
        n_initial = self._model.n_states if data.fresh else 0
        rows = m + n_initial + N_CONSIDERED
        s = np.zeros((rows, 2))
        if self._start is None:
            x = self._model.rest(h[:p]) * data.r[0]
            s[m : m + n_initial, :n_initial] = np.eye(n_initial)
        else:
            s[:m], s[m:] = self._start.s[:m], self._start.s[m:]
            x = self._start.x + self._start.s[:m].T @ (h - self._origin)
        gram, e = np.zeros((rows + 1, rows + 1)), np.empty(data.y.size)
        innovations_pass(
            data.y, data.r, data.d, data.index, parts.phi, parts.gamma, parts.dphi, parts.dgamma,
            self._c, gain, slope, data.stride, int(data.fresh), x, s, gram, e,
        )  # fmt: skip
        if not bool(np.all(np.isfinite(gram))) or not bool(np.all(np.isfinite(x))):
            return None
        if n_initial:
            gram, x, s = _eliminate(gram, x, s, m, n_initial)
        return Pass(h, gram[:m, :m], gram[:m, -1], gram[:m, m:-1], float(gram[-1, -1]), Start(x, s), e, gain)


def _stable(phi: FloatArray, gain: FloatArray, c: FloatArray) -> bool:
    """Check the poles of the predictor, Φ(I - Kc), for the intervals of a block (Jury's conditions)."""
    closed = phi @ (np.eye(2) - np.outer(gain, c))
    trace = closed[:, 0, 0] + closed[:, 1, 1]
    det = closed[:, 0, 0] * closed[:, 1, 1] - closed[:, 0, 1] * closed[:, 1, 0]
    return bool(np.all((np.abs(det) < 1) & (np.abs(trace) < 1 + det)))


def _eliminate(
    gram: FloatArray, x: FloatArray, s: FloatArray, m: int, n: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve the initial state out of the normal equations: it is linear, and different in every segment."""
    inner = slice(m, m + n)
    keep = np.r_[0:m, m + n : gram.shape[0]]
    block = gram[inner, inner]
    ridge = 1e-12 * max(float(np.trace(block)), 1e-300) * np.eye(n)
    solved = np.linalg.solve(block + ridge, gram[inner][:, keep])
    reduced = gram[np.ix_(keep, keep)] - gram[keep][:, inner] @ solved
    end = s[inner]
    # the optimal initial state moves with every other coordinate: x0 = G⁻¹(g_e - G_h δh)
    others = np.r_[0:m, m + n : s.shape[0]]
    return reduced, x + end.T @ solved[:, -1], s[others] - solved[:, :-1].T @ end


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A block fitted around a prior: the last pass, moved by the last (small) step to `h`."""

    h: FloatArray
    last: Pass
    end: Start
    b: FloatArray
    sse: float
    converged: bool


def fit(problem: BlockProblem, prior: Prior, first: Pass) -> Fit:
    """Minimise Σe²/σ² + (h - h̄)ᵀL(h - h̄), beginning with `first`, evaluated anywhere.

    The last step, when it is small against the posterior, is made by the linear model without another pass.
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
    end = Start(here.end.x + here.end.s[: h.size].T @ step, here.end.s)
    b = here.b - here.a @ step
    sse = max(here.sse - float(2 * here.b @ step - step @ here.a @ step), 0.0)
    return Fit(h, here, end, b, sse, converged)


def _cost(at: Pass, prior: Prior) -> float:
    away = at.h - prior.h
    return at.sse / prior.variance + float(away @ prior.information @ away)


def _step(at: Pass, prior: Prior, damping: float) -> tuple[FloatArray, FloatArray]:
    hessian = at.a / prior.variance + prior.information
    gradient = at.b / prior.variance - prior.information @ (at.h - prior.h)
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    unit = hessian / np.outer(scale, scale) + (damping + 1e-13) * np.eye(scale.size)
    step = np.linalg.solve(unit, gradient / scale) / scale
    # a direction without information must not be run along
    return step * min(1.0, _LONGEST_STEP / max(float(np.abs(step[1:]).max()), 1e-300)), hessian
