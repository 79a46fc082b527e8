"""The streaming corrector: corrected values with uncertainty, block by block."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from dyncal.correction.streaming.corrector import CODE, INSTANT, VALUE, Corrected, Corrector, check_block
from dyncal.correction.streaming.grid import SamplingGrid
from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.running import RunningFilter
from dyncal.correction.streaming.slots import NO_SAMPLE, usable
from dyncal.domain import quality
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import CorrectedSpan, FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, ExplicitAxis, InstantNs, Int64Array, UniformAxis


class Carried(Protocol):
    """What a corrector takes of a coefficient set."""

    @property
    def id(self) -> str:
        """Names the set in the spans that come out."""

    @property
    def filter(self) -> CorrectionFilter:
        """The filter."""

    @property
    def parameters(self) -> Parameters:
        """The sensor's, for their covariance."""


class StreamingCorrector(Corrector):
    """Corrects one stream with one coefficient set.

    Each raw sample gets one corrected entry, `delay` samples later, with its u (`dyncal.domain.coefficients`); after a
    gap the entries that can no longer be made are NaN. What becomes of jitter, holes, gaps and bad samples is told in
    `dyncal.correction.streaming.grid`. The result does not depend on how the stream is cut into blocks: to the last bit
    with the compiled kernels, to 1e-12 with numpy. The state is bounded by `history_length`.

    Parameters
    ----------
    coefficients : CoefficientSet
        Or what carries a filter like one. A set that has passed `dyncal.correction.safety.check`.
    max_jitter : float
        Largest distance of an instant from the sampling grid, as a share of dt, 0 to 0.5.
    max_bridge : int
        Longest hole that is filled [samples].
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Raises
    ------
    InvalidData
        If a filter cannot be run: a pole on or outside the unit circle, settings out of range.
    """

    def __init__(
        self,
        coefficients: Carried,
        *,
        max_jitter: float = 0.25,
        max_bridge: int = 3,
        compiled: bool | None = None,
    ) -> None:
        if not 0 <= max_jitter < 0.5 or max_bridge < 0:
            raise InvalidData("max_jitter must be 0 to below 0.5, and max_bridge not negative")
        super().__init__(coefficients.id)
        self._prepared = prepare(coefficients.filter, coefficients.parameters)
        self._dt_ns = int(coefficients.filter.dt_ns)
        self._lag_ns = self._prepared.delay * self._dt_ns
        self._options = (max_jitter, max_bridge, compiled)
        self._reset()

    @property
    def history_length(self) -> int:
        """Number of raw samples after which nothing older matters: what `prime` needs for a bumpless switch."""
        return self._prepared.history_length

    @property
    def last_ns(self) -> InstantNs | None:
        """Instant of the last raw sample taken."""
        last = self._grid.last_ns
        return None if last is None else InstantNs(last)

    def process(
        self, t_ns: Int64Array, raw: FloatArray, quality_codes: UInt32Array | None = None, u_t_ns: float = 0
    ) -> CorrectedSpan | None:
        """As `Corrector.process`; the newest entry is about the sample `delay` before the last."""
        if self._steady and self._continues(t_ns, raw, quality_codes, u_t_ns):
            return self._go_on(t_ns, raw, u_t_ns)
        return super().process(t_ns, raw, quality_codes, u_t_ns)

    def _reset(self) -> None:
        super()._reset()
        max_jitter, max_bridge, compiled = self._options
        delay = self._prepared.delay
        self._grid = SamplingGrid(DurationNs(self._dt_ns), delay, max_jitter, max_bridge, compiled=compiled)
        self._filter = RunningFilter(self._prepared, compiled=compiled)
        self._pending = np.full(delay, NO_SAMPLE, np.int64)  # instants of the slots that are still to be corrected
        self._steady = False  # whether a sample lies in each slot that is still to be corrected, and on the grid

    def _continues(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float) -> bool:
        """Tell whether a block is what a steady stream brings; if not, nothing is said on what it is."""
        return (
            type(t_ns) is np.ndarray
            and type(raw) is np.ndarray
            and t_ns.size > 0
            and t_ns.dtype is INSTANT
            and raw.dtype is VALUE
            and raw.shape == t_ns.shape == (t_ns.size,)
            and 0 <= u_t_ns < math.inf
            and (codes is None or _all_good(codes, t_ns.shape))
            and self._emitted_to == int(t_ns[0]) - self._lag_ns - self._dt_ns
            and not self._owed[0].size
            and self._grid.continues(t_ns)
        )

    def _go_on(self, t_ns: Int64Array, raw: FloatArray, u_t_ns: float) -> CorrectedSpan:
        """Do as `process` for a block that `_continues` a steady stream: nothing has to be placed or put off."""
        self._grid.follow(t_ns, raw)
        value, u = self._filter.advance(raw, (u_t_ns / NS_PER_S) ** 2)
        self._emitted_to = int(t_ns[-1]) - self._lag_ns
        if t_ns.size == 1:
            return CorrectedSpan(ExplicitAxis(t_ns - self._lag_ns), value, u, self._id)
        axis = UniformAxis(InstantNs(int(t_ns[0]) - self._lag_ns), DurationNs(self._dt_ns), t_ns.size)
        return CorrectedSpan(axis, value, u, self._id)

    def _run(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float) -> Corrected:
        check_block(t_ns, raw, codes, u_t_ns, self._grid.last_ns)
        good = usable(raw)
        if codes is not None and np.count_nonzero(codes):
            good &= ~quality.is_bad(codes)
        y = raw if np.count_nonzero(good) == good.size else np.where(good, raw, np.nan)
        last = self._grid.last_ns
        if self._steady and last is not None:
            self._pending = self._instants_before(last)
        slots = self._grid.place(t_ns, y, u_t_ns)
        value, u = self._filter.advance(slots.y, slots.time_variance, slots.input_variance)
        instants = np.concatenate([self._pending, slots.t_ns]) if self._pending.size else slots.t_ns.copy()
        about = instants[: value.size]
        if self._pending.size:
            self._pending = instants[value.size :].copy()
        self._steady = self._grid.exact and np.array_equal(self._pending, self._instants_before(int(t_ns[-1])))
        held = about != NO_SAMPLE
        if np.count_nonzero(held) == held.size:
            return about, value, u
        return about[held], value[held], u[held]

    def _instants_before(self, last: int) -> Int64Array:
        """Return the instants of the slots still to be corrected where a sample lies in each, up to `last`."""
        return last - self._dt_ns * np.arange(self._pending.size - 1, -1, -1, dtype=np.int64)


def _all_good(codes: UInt32Array, shape: tuple[int, ...]) -> bool:
    return type(codes) is np.ndarray and codes.dtype is CODE and codes.shape == shape and not np.count_nonzero(codes)
