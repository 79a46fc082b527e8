"""The streaming corrector: corrected values with uncertainty, block by block."""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.streaming.grid import SamplingGrid
from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.running import RunningFilter
from dyncal.correction.streaming.slots import NO_SAMPLE, usable
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.errors import InvalidData
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import CorrectedSpan, FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, ExplicitAxis, InstantNs, Int64Array, UniformAxis, axis_of

_NO_TIMES = np.empty(0, np.int64)
_NO_VALUES = np.empty(0)
_INSTANT, _VALUE, _CODE = np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.uint32)


class StreamingCorrector:
    """Corrects one stream with one coefficient set.

    Each raw sample gets one corrected entry, `delay` samples later, with its u (`dyncal.domain.coefficients`); after a
    gap the entries that can no longer be made are NaN. What becomes of jitter, holes, gaps and bad samples is told in
    `dyncal.correction.streaming.grid`. The result does not depend on how the stream is cut into blocks: to the last bit
    with the compiled kernels, to 1e-12 with numpy. The state is bounded by `history_length`.

    Parameters
    ----------
    coefficients : CoefficientSet
        A set that has passed `dyncal.correction.safety.check`.
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
        coefficients: CoefficientSet,
        *,
        max_jitter: float = 0.25,
        max_bridge: int = 3,
        compiled: bool | None = None,
    ) -> None:
        if not 0 <= max_jitter < 0.5 or max_bridge < 0:
            raise InvalidData("max_jitter must be 0 to below 0.5, and max_bridge not negative")
        self._coefficients = coefficients
        self._prepared = prepare(coefficients.filter, coefficients.parameters)
        self._dt_ns = int(coefficients.filter.dt_ns)
        self._lag_ns = self._prepared.delay * self._dt_ns
        self._options = (max_jitter, max_bridge, compiled)
        self._emitted_to: int | None = None
        self._owed = (_NO_TIMES, _NO_VALUES, _NO_VALUES)
        self._reset()

    @property
    def coefficients(self) -> CoefficientSet:
        """The set in use."""
        return self._coefficients

    @property
    def history_length(self) -> int:
        """Number of raw samples after which nothing older matters: what `prime` needs for a bumpless switch."""
        return self._prepared.history_length

    @property
    def last_ns(self) -> InstantNs | None:
        """Instant of the last raw sample taken."""
        last = self._grid.last_ns
        return None if last is None else InstantNs(last)

    @property
    def emitted_to_ns(self) -> InstantNs | None:
        """Newest instant that has been corrected: what the `prime` of a succeeding corrector wants to know."""
        return None if self._emitted_to is None else InstantNs(self._emitted_to)

    def prime(
        self,
        t_ns: Int64Array,
        raw: FloatArray,
        quality_codes: UInt32Array | None = None,
        u_t_ns: float = 0,
        *,
        emitted_to_ns: InstantNs | None = None,
    ) -> None:
        """Start from raw history, as if it had been processed.

        Parameters
        ----------
        t_ns, raw, quality_codes, u_t_ns
            As `process`; the last `history_length` samples are enough. May be empty.
        emitted_to_ns : int, optional
            Newest instant that a preceding corrector has emitted. Nothing is emitted again up to it, and entries of
            the history beyond it come with the next `process`, so that a switch between sets of different latency
            leaves no hole and no duplicate. Without it the history's entries are dropped.

        Raises
        ------
        InvalidData
            As `process`.
        """
        self._reset()
        self._emitted_to = emitted_to_ns
        if t_ns.size == 0:
            _check(t_ns, raw, quality_codes, u_t_ns, None)
            return
        t, value, u = self._run(t_ns, raw, quality_codes, u_t_ns)
        if emitted_to_ns is not None:
            self._owed = self._take(t, value, u)

    def process(
        self, t_ns: Int64Array, raw: FloatArray, quality_codes: UInt32Array | None = None, u_t_ns: float = 0
    ) -> CorrectedSpan | None:
        """Take a block of raw samples and return what became ready with it, None where nothing did.

        Parameters
        ----------
        t_ns : int64, shape (n,)
            Instants, strictly increasing and after the last one taken.
        raw : float64, shape (n,)
            Indications; what is not finite, or beyond 1e100, is worth nothing.
        quality_codes : uint32, shape (n,), optional
            OPC UA status codes; values with a bad one are worth nothing.
        u_t_ns : float
            Standard uncertainty of the instants [ns].

        Returns
        -------
        CorrectedSpan or None
            Instants of raw samples of this block and earlier ones, the newest `delay` samples back.

        Raises
        ------
        InvalidData
            If instants repeat or go back, or shapes and types do not fit; the state is then unchanged.
        """
        if t_ns.size == 0:
            _check(t_ns, raw, quality_codes, u_t_ns, None)
            return None
        if self._steady and self._continues(t_ns, raw, quality_codes, u_t_ns):
            return self._go_on(t_ns, raw, u_t_ns)
        t, value, u = self._take(*self._run(t_ns, raw, quality_codes, u_t_ns))
        if self._owed[0].size:
            t, value, u = (np.concatenate(pair) for pair in zip(self._owed, (t, value, u), strict=True))
            self._owed = (_NO_TIMES, _NO_VALUES, _NO_VALUES)
        if t.size == 0:
            return None
        return CorrectedSpan(axis_of(t), value, u, self._coefficients.id)

    def _reset(self) -> None:
        max_jitter, max_bridge, compiled = self._options
        delay = self._prepared.delay
        self._grid = SamplingGrid(self._coefficients.filter.dt_ns, delay, max_jitter, max_bridge, compiled=compiled)
        self._filter = RunningFilter(self._prepared, compiled=compiled)
        self._pending = np.full(delay, NO_SAMPLE, np.int64)  # instants of the slots that are still to be corrected
        self._owed = (_NO_TIMES, _NO_VALUES, _NO_VALUES)
        self._steady = False  # whether a sample lies in each slot that is still to be corrected, and on the grid

    def _continues(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float) -> bool:
        """Tell whether a block is what a steady stream brings; if not, nothing is said on what it is."""
        return (
            t_ns.dtype is _INSTANT
            and raw.dtype is _VALUE
            and raw.shape == t_ns.shape == (t_ns.size,)
            and 0 <= u_t_ns < math.inf
            and (codes is None or (codes.dtype is _CODE and codes.shape == t_ns.shape and not np.count_nonzero(codes)))
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
            return CorrectedSpan(ExplicitAxis(t_ns - self._lag_ns), value, u, self._coefficients.id)
        axis = UniformAxis(InstantNs(int(t_ns[0]) - self._lag_ns), DurationNs(self._dt_ns), t_ns.size)
        return CorrectedSpan(axis, value, u, self._coefficients.id)

    def _run(
        self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float
    ) -> tuple[Int64Array, FloatArray, FloatArray]:
        _check(t_ns, raw, codes, u_t_ns, self._grid.last_ns)
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

    def _take(self, t: Int64Array, value: FloatArray, u: FloatArray) -> tuple[Int64Array, FloatArray, FloatArray]:
        if self._emitted_to is not None and t.size and t[0] <= self._emitted_to:
            new = int(np.searchsorted(t, self._emitted_to, side="right"))
            t, value, u = t[new:], value[new:], u[new:]
        if t.size:
            self._emitted_to = int(t[-1])
        return t, value, u


def _check(t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float, last_ns: int | None) -> None:
    if t_ns.dtype != _INSTANT or t_ns.ndim != 1:
        raise InvalidData(f"instants must be int64 of one dimension, not {t_ns.dtype} of shape {t_ns.shape}")
    if raw.dtype != _VALUE or raw.shape != t_ns.shape:
        raise InvalidData(f"{t_ns.size} instants need as many float64 values, not {raw.dtype} of shape {raw.shape}")
    if codes is not None and (codes.dtype != _CODE or codes.shape != t_ns.shape):
        raise InvalidData(f"{t_ns.size} instants need as many uint32 codes, not {codes.dtype} of shape {codes.shape}")
    if not 0 <= u_t_ns < float("inf"):
        raise InvalidData(f"u_t_ns must be finite and not negative, not {u_t_ns}")
    if t_ns.size and int(t_ns[0]) <= (-1 if last_ns is None else last_ns):
        raise InvalidData(f"instant {int(t_ns[0])} does not come after {last_ns}")
    if t_ns.size > 1 and np.count_nonzero(t_ns[1:] <= t_ns[:-1]):
        raise InvalidData("instants must increase strictly")
