"""What correctors of a stream have in common: they take over from one another, and tell no instant twice."""

from __future__ import annotations

import abc
import math
from typing import Final

import numpy as np

from dyncal.correction.inputs import masked
from dyncal.domain.errors import InvalidData
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import CorrectedSpan, FloatArray
from dyncal.domain.time import InstantNs, Int64Array, axis_of

NO_TIMES: Final = np.empty(0, np.int64)
NO_VALUES: Final = np.empty(0)
INSTANT, VALUE, CODE = np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.uint32)

Corrected = tuple[Int64Array, FloatArray, FloatArray]
"""Instants, values and standard uncertainties, each of shape (n,)."""


class Corrector(abc.ABC):
    """Corrects one stream with one coefficient set; each raw sample gets one entry, some time later.

    Parameters
    ----------
    set_id : str
        Names the set in the spans that come out.
    """

    def __init__(self, set_id: str) -> None:
        self._id = set_id
        self._emitted_to: int | None = None
        self._owed: Corrected = (NO_TIMES, NO_VALUES, NO_VALUES)

    @property
    @abc.abstractmethod
    def history_length(self) -> int:
        """Number of raw samples after which nothing older matters: what `prime` needs for a bumpless switch."""

    @property
    @abc.abstractmethod
    def last_ns(self) -> InstantNs | None:
        """Instant of the last raw sample taken."""

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
        check_arrays(t_ns, raw, quality_codes)
        self._reset()
        self._emitted_to = emitted_to_ns
        if t_ns.size == 0:
            check_block(t_ns, raw, quality_codes, u_t_ns, None)
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
            Instants of raw samples of this block and earlier ones, up to one latency ago.

        Raises
        ------
        InvalidData
            If instants repeat or go back, or shapes and types do not fit; the state is then unchanged.
        """
        check_arrays(t_ns, raw, quality_codes)
        if t_ns.size == 0:
            check_block(t_ns, raw, quality_codes, u_t_ns, None)
            return None
        t, value, u = self._take(*self._run(t_ns, raw, quality_codes, u_t_ns))
        if self._owed[0].size:
            t, value, u = (np.concatenate(pair) for pair in zip(self._owed, (t, value, u), strict=True))
            self._owed = (NO_TIMES, NO_VALUES, NO_VALUES)
        if t.size == 0:
            return None
        return CorrectedSpan(axis_of(t), value, u, self._id)

    @abc.abstractmethod
    def _reset(self) -> None:
        """Forget the stream."""
        self._owed = (NO_TIMES, NO_VALUES, NO_VALUES)

    @abc.abstractmethod
    def _run(self, t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float) -> Corrected:
        """Check a block of at least one sample, take it, and return what became ready with it."""

    def _take(self, t: Int64Array, value: FloatArray, u: FloatArray) -> Corrected:
        """Leave out what was emitted before."""
        if self._emitted_to is not None and t.size and t[0] <= self._emitted_to:
            new = int(np.searchsorted(t, self._emitted_to, side="right"))
            t, value, u = t[new:], value[new:], u[new:]
        if t.size:
            self._emitted_to = int(t[-1])
        return t, value, u


def check_arrays(t_ns: object, raw: object, codes: object) -> None:
    """Raise `InvalidData` unless all are arrays; a mask would be passed over."""
    for array in (t_ns, raw) if codes is None else (t_ns, raw, codes):
        if not isinstance(array, np.ndarray) or masked(array):
            kind = type(array).__name__
            raise InvalidData(f"a block is made of numpy arrays, NaN where there is no value, not of {kind}")


def check_block(
    t_ns: Int64Array, raw: FloatArray, codes: UInt32Array | None, u_t_ns: float, last_ns: int | None
) -> None:
    """Raise `InvalidData` unless a block can follow `last_ns`."""
    if t_ns.dtype != INSTANT or t_ns.ndim != 1:
        raise InvalidData(f"instants must be int64 of one dimension, not {t_ns.dtype} of shape {t_ns.shape}")
    if raw.dtype != VALUE or raw.shape != t_ns.shape:
        raise InvalidData(f"{t_ns.size} instants need as many float64 values, not {raw.dtype} of shape {raw.shape}")
    if codes is not None and (codes.dtype != CODE or codes.shape != t_ns.shape):
        raise InvalidData(f"{t_ns.size} instants need as many uint32 codes, not {codes.dtype} of shape {codes.shape}")
    if not 0 <= u_t_ns < math.inf:
        raise InvalidData(f"u_t_ns must be finite and not negative, not {u_t_ns}")
    if t_ns.size and int(t_ns[0]) <= (-1 if last_ns is None else last_ns):
        raise InvalidData(f"instant {int(t_ns[0])} does not come after {last_ns}")
    if t_ns.size > 1 and np.count_nonzero(t_ns[1:] <= t_ns[:-1]):
        raise InvalidData("instants must increase strictly")
