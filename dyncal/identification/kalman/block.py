"""The Kalman likelihood of one block after another, for an estimator that carries (ĥ, information, state) between them.

Coordinates are h = (η (p), ln R_y[, ln R_r], ln q[, ln λ]); R_r is among them where the reference's noise is not known.
Everything is in units of likelihood already, so that the estimator's noise variance is 1::

    minimise  sse(h) + (h - h̄)ᵀ L (h - h̄),    sse = -2 ln L + const,    b = score,    a = Fisher information

The state at the end of a block is Gaussian, with mean and covariance to first order in h; the next block starts from
``x̄ + s (h - h̄)`` and ``P̄ + ∂P (h - h̄)``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.kalman.fit import fit_kalman
from dyncal.identification.kalman.joint import REFERENCE, SENSOR, Layout
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.kalman.problem import solved_out
from dyncal.identification.kalman.segments import FilterState, Segment, SegmentPass, run
from dyncal.identification.kalman.settings import KalmanSettings
from dyncal.identification.records import AlignedRecord
from dyncal.models import SensorModel

N_CONSIDERED: Final = 2  # offset of the reference, offset of its clock
_FOLLOW: Final = 0.1  # share of a block's mean in the level that the measurand is modelled about
_LEAST_SHARE: Final = 0.1  # of a covariance that is left of it in any direction when it is moved along its derivative
_U_LOG: Final = 5.0
"""Prior standard uncertainty of logarithms of noise and process: from nothing to everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where h (m,) and what is considered are among the coordinates and rows of a layout.

    Attributes
    ----------
    at, considered : int64, shapes (m,), (2,)
    square, cross, own
        Indices of a matrix that pick h by h, h by what is considered, and that by itself.
    """

    at: Int64Array
    considered: Int64Array
    square: tuple[Int64Array, ...]
    cross: tuple[Int64Array, ...]
    own: tuple[Int64Array, ...]

    @classmethod
    @functools.cache
    def of(cls, layout: Layout, reference_noise_known: bool) -> Places:
        """Return the places; those of a layout are made once."""
        left_out = {layout.clock} | ({layout.reference_noise} if reference_noise_known else set())
        at = np.array([i for i in range(layout.n_coordinates) if i not in left_out], dtype=np.int64)
        considered = np.array([layout.offset, layout.clock], dtype=np.int64)
        return cls(at, considered, np.ix_(at, at), np.ix_(at, considered), np.ix_(considered, considered))


@dataclass(frozen=True, slots=True)
class KalmanForm:
    """What stays the same from block to block.

    Attributes
    ----------
    process : Process
    scale_s : float
        Time scale of the process's state [s]; the nominal interval will do.
    reference_noise : float, optional
        Standard deviation of the reference's white noise where it is known; None makes it a coordinate.
    """

    process: Process
    scale_s: float
    reference_noise: float | None = None

    def layout(self, model: SensorModel) -> Layout:
        """Return where everything is."""
        return Layout(model.n_parameters, model.n_states, self.process)

    def places(self, model: SensorModel) -> Places:
        """Return which of the coordinates of `Layout` are this module's h."""
        return Places.of(self.layout(model), self.reference_noise is not None)

    def positions(self, model: SensorModel) -> Int64Array:
        """Return the positions of this module's h, (m,), among the coordinates of `Layout`."""
        return self.places(model).at

    def whole(self, model: SensorModel, h: FloatArray) -> FloatArray:
        """Return all coordinates of `Layout` for h (m,)."""
        layout = self.layout(model)
        full = np.zeros(layout.n_coordinates)
        if self.reference_noise is not None:
            full[layout.reference_noise] = 2 * np.log(max(self.reference_noise, 1e-20))
        full[self.positions(model)] = h
        return full


@dataclass(frozen=True, slots=True, eq=False)
class KalmanData:
    """Samples of one block; sample 0 belongs to the block before, and is not used again, unless `fresh`.

    NaN in `y` or `r` says that it was not measured. All of shape (n + 1,).
    """

    t_ns: Int64Array
    y: FloatArray
    r: FloatArray
    fresh: bool

    @property
    def n(self) -> int:
        """Number of instants that count."""
        return int(self.t_ns.size) - (0 if self.fresh else 1)


@dataclass(frozen=True, slots=True, eq=False)
class KalmanState:
    """The filtered state at the last sample of a block, as a function of h near where it was computed.

    Attributes
    ----------
    x, p : float64, shapes (n,), (n, n)
        Mean (of sensor and measurand, about `level`) and covariance.
    s : float64, shape (m + 2, n)
        Derivatives of x with respect to h, the reference's offset and its clock's.
    dp : float64, shape (m, n, n)
        Derivatives of p with respect to h.
    level : float64, shape (1,)
        Value that the measurand is modelled about.
    """

    x: FloatArray
    s: FloatArray
    p: FloatArray
    dp: FloatArray
    level: FloatArray

    def moved(self, step: FloatArray) -> KalmanState:
        """Return the state for coordinates a step (m,) away; the covariance stays positive."""
        if not step.any():
            return self
        x = self.x + step @ self.s[: step.size]
        change = (step @ self.dp.reshape(step.size, -1)).reshape(self.p.shape)
        return KalmanState(x, self.s, self.p + _share(self.p, change) * change, self.dp, self.level)


@dataclass(frozen=True, slots=True, eq=False)
class KalmanPass:
    """One evaluation at `h`, the initial state of a fresh block at its best.

    Attributes
    ----------
    h : float64, shape (m,)
    a, b : float64, shapes (m, m), (m,)
        Fisher information and score of the block alone.
    cross : float64, shape (m, 2)
        Information between h and (offset of the reference, offset of its clock [s]).
    own, pull : float64, shapes (2, 2), (2,)
        Information and score of these two themselves.
    sse : float
        -2 ln L, up to a constant.
    end : KalmanState
    e : float64, shape (n + 1,)
        Standardised innovations of the sensor; 0 at sample 0 of a block that is not fresh, and where nothing was
        measured.
    gain : float64, shape (2,)
        Zeros; what an innovations form has here, this one has not.
    chi2, chi2_reference : float
        Mean squares of the standardised innovations of sensor and reference; 0 where there are none.
    """

    h: FloatArray
    a: FloatArray
    b: FloatArray
    cross: FloatArray
    own: FloatArray
    pull: FloatArray
    sse: float
    end: KalmanState
    e: FloatArray
    gain: FloatArray
    chi2: float
    chi2_reference: float


class KalmanBlockProblem:
    """The likelihood of one block as a function of h.

    Parameters
    ----------
    model : SensorModel
    data : KalmanData
    prior_h : float64, shape (m,)
        Where `start` was computed.
    start : KalmanState, optional
        Filtered state at sample 0; None for a fresh block.
    form : KalmanForm
    """

    def __init__(
        self,
        model: SensorModel,
        data: KalmanData,
        prior_h: FloatArray,
        start: KalmanState | None,
        *,
        form: KalmanForm,
    ) -> None:
        if data.fresh is not (start is None):
            raise InvalidData("a block is fresh where it has no state to start from, and only there")
        self._model, self._data, self._origin, self._form = model, data, prior_h, form
        self._layout, self._places = form.layout(model), form.places(model)
        mean = _mean(data.r)
        record = AlignedRecord(data.t_ns, data.y, data.r)
        if start is None:
            self._segment = Segment.of(record, mean)
        else:
            old = float(start.level[0])
            level = old if mean is None else old + _FOLLOW * (mean - old)
            self._segment = Segment.of(record, level, keep=True)
            start = _about(model, start, prior_h, level)
        self._start = start

    def evaluate(self, h: FloatArray) -> KalmanPass | None:
        """Run one pass at `h` (two for a fresh block); None where the numbers overflow there."""
        if not bool(np.isfinite(h).all()):
            return None
        whole = self._form.whole(self._model, h)
        if self._start is None:
            return self._fresh(h, whole)
        moved = self._start.moved(h - self._origin)
        done = run(
            self._model, self._layout, self._segment, whole, scale_s=self._form.scale_s, start=self._unpacked(moved)
        )
        return None if done is None else self._packed(h, done, done.information, done.score, done.end.s)

    def _fresh(self, h: FloatArray, whole: FloatArray) -> KalmanPass | None:
        first = self._run(whole, np.zeros(self._layout.n_initial))
        # the cost is quadratic in the initial state: the second pass is at its best
        done = None if first is None else self._run(whole, solved_out(first, self._layout)[1])
        if done is None:
            return None
        solved, left = solved_out(done, self._layout)
        inside = slice(self._layout.initial, None)
        outer = done.information[:, inside]
        information, score = done.information - outer @ solved, done.score - outer @ left
        # the best initial state moves with everything else
        return self._packed(h, done, information, score, done.end.s - done.end.s[:, inside] @ solved)

    def _run(self, whole: FloatArray, initial: FloatArray) -> SegmentPass | None:
        return run(self._model, self._layout, self._segment, whole, scale_s=self._form.scale_s, initial=initial)

    def _unpacked(self, state: KalmanState) -> FilterState:
        layout, at = self._layout, self._places.at
        n, m = layout.n_states, at.size
        s, dp = np.zeros((n, layout.n_rows)), np.zeros((n, n, layout.n_coordinates))
        s[:, at] = state.s[:m].T
        s[:, self._places.considered] = -state.s[m:].T
        dp[:, :, at] = state.dp.transpose(1, 2, 0)
        return FilterState(state.x, s, state.p, dp)

    def _packed(
        self, h: FloatArray, done: SegmentPass, information: FloatArray, score: FloatArray, s: FloatArray
    ) -> KalmanPass:
        places, m = self._places, h.size
        rows = np.empty((m + N_CONSIDERED, self._layout.n_states))
        rows[:m], rows[m:] = s.T[places.at], -s.T[places.considered]
        dp = np.ascontiguousarray(done.end.dp.transpose(2, 0, 1)[places.at])
        own = done.eps[:, SENSOR]
        there = np.isfinite(own)
        e, n = np.where(there, own, 0.0), int(np.count_nonzero(there))
        if self._segment.kept is not None:
            kept, e = e, np.zeros(self._data.t_ns.size)
            e[self._segment.kept] = kept
        return KalmanPass(
            h=h,
            a=np.ascontiguousarray(information[places.square]),
            b=score[places.at],
            cross=-information[places.cross],
            own=information[places.own],
            pull=-score[places.considered],
            sse=done.cost,
            end=KalmanState(done.end.x, rows, done.end.p, dp, np.array([self._segment.level])),
            e=e,
            gain=np.zeros(2),
            chi2=float(e @ e) / n if n else 0.0,
            chi2_reference=_mean(done.eps[:, REFERENCE] ** 2) or 0.0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A first estimate from a record: form, h (m,) at the maximum, and the information (m, m) there before any data."""

    form: KalmanForm
    h: FloatArray
    prior_information: FloatArray


def begin(
    model: SensorModel,
    record: AlignedRecord,
    eta: FloatArray,
    *,
    u_reference_noise: float | None,
    process: Process | None = None,
) -> Begun | None:
    """Fit a first record, from a rough η on, and return what blocks go on from; None where no fit was found.

    Parameters
    ----------
    record : AlignedRecord
        Enough to determine everything; a fresh block of it, evaluated at the result, gives the first information.
    process : Process, optional
        None: chosen by likelihood, and then kept.

    Raises
    ------
    InvalidData
        As `fit_kalman` does.
    """
    settings = KalmanSettings(u_reference_noise=u_reference_noise, process=process)
    found = fit_kalman([record], model, eta, settings=settings)
    if not found.converged:
        return None
    form = KalmanForm(found.process, found.scale_s, u_reference_noise)
    h = found.coordinates[form.positions(model)]
    information = np.zeros((h.size, h.size))
    noise = np.arange(model.n_parameters, h.size)
    information[noise, noise] = 1 / _U_LOG**2
    return Begun(form, h, information)


def _mean(values: FloatArray) -> float | None:
    """Return the mean of the numbers among values; None where there are none."""
    mean = float(values.mean())
    if not np.isfinite(mean):
        values = values[np.isfinite(values)]
        return float(values.mean()) if values.size else None
    return mean


def _about(model: SensorModel, state: KalmanState, h: FloatArray, level: float) -> KalmanState:
    """Return the same state about another level."""
    n, p = model.n_states, model.n_parameters
    change = float(state.level[0]) - level
    x, s = state.x.copy(), state.s.copy()
    x[n] += change
    if n:
        space = model.state_space(h[:p])
        inverse = np.linalg.inv(space.a)
        rest = -inverse @ space.b
        x[:n] += rest * change
        s[:p, :n] -= change * (space.db + space.da @ rest) @ inverse.T
    return KalmanState(x, s, state.p, state.dp, np.array([level]))


def _share(p: FloatArray, change: FloatArray) -> float:
    """Return the largest share up to 1 of a change of P that leaves at least a tenth of it in every direction."""
    scale = 1 / np.sqrt(np.maximum(np.diag(p), 1e-300))
    outer = scale[:, None] * scale
    try:
        np.linalg.cholesky(((1 - _LEAST_SHARE) * p + change) * outer)
    except np.linalg.LinAlgError:
        return _longest(p * outer, change * outer)
    return 1.0


def _longest(p: FloatArray, change: FloatArray) -> float:
    values, vectors = np.linalg.eigh(p)
    root = vectors / np.sqrt(np.maximum(values, 1e-12))
    least = float(np.linalg.eigvalsh(root.T @ change @ root)[0])
    return 1.0 if least >= _LEAST_SHARE - 1 else (_LEAST_SHARE - 1) / least
