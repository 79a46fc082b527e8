"""The fixed-lag smoother over a stream: corrected values with uncertainty for instants of any spacing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from dyncal.correction.smoother import kernels, plain
from dyncal.correction.smoother.intervals import Intervals, tick_ns
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.streaming.corrector import NO_TIMES, NO_VALUES, Corrected, Corrector, check_block
from dyncal.correction.streaming.slots import NO_SAMPLE, usable
from dyncal.domain import covariances, quality
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, InstantNs, Int64Array
from dyncal.kernels import HAVE_NUMBA

_SPARE: Final = 64
_MOST_BETWEEN: Final = 64  # entries in a gap: the sensitivities remember no more
_MOST_ENTRIES: Final = 16_384
_LARGEST: Final = 1e100  # of a sensitivity times u of its parameter: to be squared
_TICK_VARIANCE: Final = 1 / 12
"""Of an instant's rounding, in ticks squared."""


class Kernels(Protocol):
    """What runs a smoother: `dyncal.correction.smoother.kernels`, or what takes their place."""

    @property
    def advance(self) -> Callable[..., int]:
        """Run the filter over events."""

    @property
    def propagate(self) -> Callable[..., None]:
        """Run the sensitivities over the values told."""


class StreamingSmoother(Corrector):
    """Corrects one stream; state of bounded size, result independent of the cut into blocks.

    Each raw sample gets one entry, told with the first sample about an instant `lag_s` (and the sensor's dead time)
    later: at a gap that is the sample after the gap. With more samples in a lag than twice what the nominal interval
    gives, the oldest are told before their lag is over, with the u that they have by then. Values are told from the
    first sample on. A sample that is bad, NaN or beyond 1e100 teaches nothing and its entry is NaN, unless `fill`.

    Parameters
    ----------
    model : SmootherModel
    parameters : Parameters
        For their covariance.
    set_id : str
        Names the set in the spans that come out.
    fill : bool
        Whether to estimate the measurand also where nothing was measured; u says how well.
    follow_jumps : bool
        Whether innovations that stay on one side for long (8 standard deviations of a running mean over 32) mean that
        the measurand has jumped as its process does not: the state is then as uncertain as at the start or more, and
        so is what waits for its lag. Without it the smoother is linear in the indications.
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Raises
    ------
    InvalidData
        If model and parameters do not fit, or the covariance is none.
    """

    def __init__(
        self,
        model: SmootherModel,
        parameters: Parameters,
        set_id: str,
        *,
        fill: bool = False,
        follow_jumps: bool = True,
        compiled: bool | None = None,
    ) -> None:
        if len(parameters.names) != model.n_parameters:
            raise InvalidData(f"a smoother of {model.n_parameters} parameters and {len(parameters.names)} do not fit")
        super().__init__(set_id)
        self._model, self._fill = model, fill
        self._most_bias = kernels.MOST_BIAS if follow_jumps else math.inf
        self._kernels: Kernels = kernels if (HAVE_NUMBA if compiled is None else compiled) else plain
        self._tick = tick_ns(model.dt_ns)
        self._tick_s = self._tick / NS_PER_S
        self._lag = round(model.lag_s * NS_PER_S / self._tick)
        self._dead = round(model.dead_time_s * NS_PER_S / self._tick)
        root = covariances.root(parameters.cov, "the parameters' covariance")
        with np.errstate(all="ignore"):
            self._output = np.ascontiguousarray(root @ model.s_output)
            self._direct, self._slope = root @ model.s_direct, root @ model.s_slope
        if not all(bool(np.all(np.abs(part) < _LARGEST)) for part in (self._output, self._direct, self._slope)):
            raise InvalidData("the parameters' covariance leaves the range of numbers")
        nominal = model.dt_ns // self._tick
        self._between_ticks = min(max(int(model.line_s / self._tick_s), -(-nominal // 4)), nominal)
        per_lag = (model.lag_s + model.dead_time_s) * NS_PER_S / model.dt_ns
        between = nominal / self._between_ticks if self._between_ticks < nominal else 0.0
        self._capacity = min(math.ceil((2 + between) * per_lag), _MOST_ENTRIES) + _SPARE
        self._history = 10 * (min(math.ceil(2 * per_lag), _MOST_ENTRIES) + _SPARE)
        self._intervals = Intervals(model)
        self._reset()

    @property
    def history_length(self) -> int:
        """Number of raw samples that a `prime` should have: ten times the lag, or what the sensor needs."""
        return self._history

    @property
    def last_ns(self) -> InstantNs | None:
        """Instant of the last raw sample taken."""
        return None if self._last is None else InstantNs(self._last)

    @property
    def innovation_ratio(self) -> tuple[float, int]:
        """Mean ν²/S of the innovations since the start, and their number: about 1 where measurand and noise are so."""
        n = int(self._innovations[1])
        return (float(self._innovations[0] / n) if n else math.nan), n

    @property
    def innovation_changes(self) -> tuple[float, int]:
        """Sum of half the squared differences of successive ν/√S since the start, and their number.

        Their mean is about 1 too, but a level that is still being learnt, which biases innovations for long, does not
        show in it, and none counts for more than `kernels.MOST_SQUARE`.
        """
        return float(self._innovations[3]), max(int(self._innovations[1]) - 1, 0)

    def _reset(self) -> None:
        super()._reset()
        n, rows = self._model.observe.size, 2 * self._capacity
        self._x, self._p = np.zeros(n), self._model.beginning
        self._counters = np.zeros(2, np.int64)
        self._entry, self._estimate = np.zeros((rows, 3), np.int64), np.zeros((rows, 3))
        self._shared = np.zeros((rows, n))
        self._innovations = np.zeros(6)
        self._s_state, self._previous = np.zeros(self._model.s_input.size), np.zeros(1)
        self._started = False
        self._last: int | None = None
        self._last_tick: int | None = None  # of the last raw sample
        self._now = 0  # tick of the last event
        self._last_told: int | None = None
        self._waiting = np.empty((0, 3), np.int64)  # instants within the dead time: tick, instant, good
        self._time_variance = np.empty(0)  # of theirs [s²]

    def _run(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float) -> Corrected:
        check_block(t_ns, raw, codes, u_t_ns, self._last)
        good = usable(raw)
        if codes is not None and np.count_nonzero(codes):
            good &= ~quality.is_bad(codes)
        self._last = int(t_ns[-1])
        variance = (u_t_ns / NS_PER_S) ** 2 + _TICK_VARIANCE * self._tick_s**2
        self._time_variance = np.append(self._time_variance, np.full(t_ns.size, variance))
        ticks = (t_ns + self._tick // 2) // self._tick
        new = np.stack([ticks, t_ns, good.astype(np.int64)], axis=1)
        between = self._between(ticks)
        if between.shape[0]:
            new = np.concatenate([new, between])
            order = np.argsort(new[:, 0], kind="stable")
            new = new[order]
            self._time_variance = np.append(self._time_variance, np.full(between.shape[0], variance))
        rows = np.concatenate([self._waiting, new])
        if not self._started:
            able = np.flatnonzero(good)
            if able.size:
                self._begin(float(raw[able[0]]), int(rows[0, 0]) - self._dead)
        return self._events(rows, ticks - self._dead, np.where(good, raw, np.nan))

    def _between(self, ticks: Int64Array) -> Int64Array:
        """Return entries for instants without a sample, where a straight line would miss what the measurand does."""
        line, before = self._between_ticks, self._last_tick
        self._last_tick = int(ticks[-1])
        steps = np.diff(ticks, prepend=int(ticks[0]) if before is None else before)
        long = steps > 1.5 * line
        rows = [
            [int(tick) - j * line, NO_SAMPLE, 0]
            for tick, step in zip(ticks[long].tolist(), steps[long].tolist(), strict=True)
            for j in range(min(math.ceil(step / line) - 1, _MOST_BETWEEN), 0, -1)
        ]
        return np.array(rows, np.int64).reshape(-1, 3)

    def _begin(self, y0: float, tick: int) -> None:
        self._started = True
        self._x = self._model.rest * y0
        self._now = tick

    def _events(self, rows: Int64Array, measured: Int64Array, y: FloatArray) -> Corrected:
        """Put instants to tell and instants that are measured in order of time, and run the filter over them."""
        if not self._started:  # nothing known yet
            self._waiting, self._time_variance = rows[-self._capacity :], self._time_variance[-self._capacity :]
            return NO_TIMES, NO_VALUES, NO_VALUES
        reached = int(np.searchsorted(rows[:, 0], measured[-1], side="right"))
        due, self._waiting = rows[:reached], rows[reached:].copy()  # a view would keep the whole block in memory
        variance, self._time_variance = self._time_variance[:reached], self._time_variance[reached:].copy()
        tick = np.concatenate([due[:, 0], measured])
        action = np.repeat([kernels.REGISTER, kernels.MEASURE], [reached, measured.size]).astype(np.int64)
        # of one instant the entry comes first, so that its own indication is for it too
        order = np.lexsort([action, tick])
        none = np.zeros(measured.size, np.int64)
        instant, good = np.concatenate([due[:, 1], none])[order], np.concatenate([due[:, 2], none])[order]
        variance = np.concatenate([variance, none])[order]
        values = np.concatenate([np.full(reached, np.nan), y])[order]
        tick, action = tick[order], action[order]
        steps, index = self._intervals.solve(np.diff(tick, prepend=self._now))
        self._now = int(tick[-1])
        most = tick.size + self._capacity + 1
        told, value = np.zeros((most, 3), np.int64), np.zeros((most, 5))
        m = self._model
        with np.errstate(all="ignore"):
            n = self._kernels.advance(
                index, action, values, tick, instant, good, variance, steps.phi, steps.noise, m.observe, m.measurand,
                m.start, m.noise_variance, self._most_bias, self._lag, self._x, self._p, self._counters, self._entry,
                self._estimate, self._shared, self._innovations, told, value,
            )  # fmt: skip
            return self._finished(told[:n], value[:n])

    def _finished(self, told: Int64Array, value: FloatArray) -> Corrected:
        """Return instants, values and u, with the parts of u that parameters and time have."""
        if told.shape[0] == 0:
            return NO_TIMES, NO_VALUES, NO_VALUES
        estimate = np.ascontiguousarray(value[:, 0])
        before = self._last_told
        if before is None:  # at rest with the first value
            before = int(told[0, 0])
            self._previous[0] = estimate[0]
            if self._s_state.size:
                self._s_state[:] = -np.linalg.solve(self._model.s_drift, self._model.s_input) * estimate[0]
        self._last_told = int(told[-1, 0])
        rise = np.diff(told[:, 0], prepend=before)
        rate = (
            slopes(np.diff(estimate, prepend=self._previous), rise, value[:, 3] - estimate, value[:, 4]) / self._tick_s
        )
        steps, index = self._intervals.solve(rise)
        parameters = np.empty(estimate.size)
        self._kernels.propagate(
            estimate, index, rate, steps.s_phi, steps.s_old, steps.s_new, self._output, self._direct, self._slope,
            self._s_state, self._previous, parameters,
        )  # fmt: skip
        # rounding may make a variance negative; what has left the range of numbers is none
        variance = np.where(np.isfinite(value[:, 1]), np.maximum(value[:, 1], 0.0), np.nan)
        u = np.sqrt(variance + parameters + value[:, 2] * rate**2)
        ok = np.isfinite(estimate) & np.isfinite(u)
        if not self._fill:
            ok &= told[:, 2] != 0
        asked = told[:, 1] != NO_SAMPLE
        return told[asked, 1], np.where(ok, estimate, np.nan)[asked], np.where(ok, u, np.nan)[asked]


def slopes(
    change: FloatArray, before: Int64Array | FloatArray, change_after: FloatArray, after: FloatArray
) -> FloatArray:
    """Return the slopes of parabolas through a value, the one `before` it and the one `after` it, shape (n,).

    Where there is one neighbour only, or none at another instant, it is that of the line, or 0.
    """
    back = np.divide(change, before, out=np.zeros(change.size), where=before > 0)
    ahead = np.divide(change_after, after, out=np.zeros(change.size), where=after > 0)
    # the nearer one counts more; a neighbour that is not there does not
    weight = np.where(after > 0, before, 0.0), np.where(before > 0, after, 0.0)
    total = before + after
    both = (before > 0) & (after > 0)
    mean = np.divide(weight[0] * ahead + weight[1] * back, total, out=np.zeros(change.size), where=both)
    return np.where(both, mean, back + ahead)
