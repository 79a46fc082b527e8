"""Sensor and reference brought to the same instants.

Both come in blocks of their own rate, in their own time, sometimes late and out of order. The aligner keeps both in
bounded buffers, and gives out gap-free runs at the sensor's instants with the reference interpolated linearly between
its neighbours. Where a block is missing it waits for a stated time of data; then it cuts the record. A sensor that
keeps to no grid (`services.calibrate.rhythm`) may have longer pauses and closer samples than one that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.instants import in_step
from dyncal.identification.records import AlignedRecord
from services.calibrate.rhythm import Rhythm

_SENSOR_GAP: Final = 1.6  # intervals; one lost sample is a gap, jitter is none
_IRREGULAR_GAP: Final = 10.0
_REFERENCE_GAP: Final = 2.5  # one lost reference sample is bridged
_TOO_CLOSE: Final = 0.4  # intervals; a sample that follows another this closely is none of the sensor's own rhythm
_IRREGULAR_TOO_CLOSE: Final = 0.02
_BLOCKS: Final = 3  # of the largest length that came: what one holds is there until the other stream's has come
_NOTHING: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A gap-free run; `new_segment` where it does not continue the one before, `irregular` where it is on no grid."""

    record: AlignedRecord
    new_segment: bool
    irregular: bool = False


class Stream:
    """The samples of one source that are still needed, in order of time; bounded.

    Parameters
    ----------
    capacity : int
        Samples kept at most; or as many as three blocks have, where they come in longer ones.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing
    value : float64, shape (n,)
    n_late, n_overflow : int
        Samples refused for being older than what was used already, and dropped because the buffer was full.
    """

    def __init__(self, capacity: int) -> None:
        self.t_ns: Int64Array = np.empty(0, np.int64)
        self.value: FloatArray = np.empty(0, np.float64)
        self.n_late = 0
        self.n_overflow = 0
        self._capacity = capacity
        self._floor = int(_NOTHING)

    @property
    def filled(self) -> float:
        """Share of the capacity that is used."""
        return self.t_ns.size / self._capacity

    @property
    def span_ns(self) -> int:
        """From the oldest sample to the newest [ns]."""
        return int(self.t_ns[-1] - self.t_ns[0]) if self.t_ns.size else 0

    def add(self, t_ns: Int64Array, value: FloatArray) -> None:
        """Take in samples, strictly increasing in time; one whose instant is there already replaces nothing."""
        self._capacity = max(self._capacity, _BLOCKS * t_ns.size)
        t, v = t_ns, value
        if t.size and t[0] <= self._floor:
            start = int(np.searchsorted(t, self._floor, side="right"))
            self.n_late += start
            t, v = t[start:], v[start:]
        if t.size == 0:
            return
        in_order = self.t_ns.size == 0 or t[0] > self.t_ns[-1]
        self.t_ns = np.concatenate((self.t_ns, t))
        self.value = np.concatenate((self.value, v))
        if not in_order:
            self.t_ns, first = np.unique(self.t_ns, return_index=True)
            self.value = self.value[first]
        surplus = self.t_ns.size - self._capacity
        if surplus > 0:
            self.n_overflow += surplus
            self.forget(int(self.t_ns[surplus - 1]))

    def forget(self, upto_ns: int) -> None:
        """Drop what is at or before `upto_ns`, and refuse such samples from now on."""
        keep = int(np.searchsorted(self.t_ns, upto_ns, side="right"))
        self.t_ns, self.value = self.t_ns[keep:], self.value[keep:]
        self._floor = max(self._floor, upto_ns)


class Aligner:
    """Aligns one sensor with its reference.

    Parameters
    ----------
    dt_ns : int
        Nominal interval of the sensor [ns].
    reference_dt_ns : int, optional
        Nominal interval of the reference [ns]; taken from the data where it is not known.
    patience_ns : int
        Time of data for which a missing block is waited for.
    capacity, reference_capacity : int
        Samples kept of each, at most.
    """

    def __init__(
        self, dt_ns: int, reference_dt_ns: int | None, patience_ns: int, capacity: int, reference_capacity: int
    ) -> None:
        self._dt_ns = dt_ns
        self._reference_dt_ns = reference_dt_ns
        self._patience_ns = patience_ns
        self.sensor = Stream(capacity)
        self.reference = Stream(reference_capacity)
        self.n_too_close = 0
        self._rhythm = Rhythm(dt_ns)
        self._last_ns: int | None = None

    @property
    def last_ns(self) -> int | None:
        """The newest instant that was given out."""
        return self._last_ns

    def start_after(self, instant_ns: int) -> None:
        """Treat everything up to `instant_ns` as given out already."""
        self.sensor.forget(instant_ns)
        self._last_ns = None

    @property
    def has_pairs(self) -> bool:
        """Whether `pull` has anything to look at: a sample of the sensor that the reference has come as far as."""
        s, r = self.sensor.t_ns, self.reference.t_ns
        return s.size > 0 and r.size > 0 and bool(s[0] <= r[-1])

    def pull(self) -> list[Aligned]:
        """Return what can be aligned now, oldest first."""
        if not self.has_pairs:
            return []
        s, r = self.sensor.t_ns, self.reference.t_ns
        self._rhythm.add(s)
        if self._in_step(s, r):
            return [self._whole(s)]
        self._thin_out()
        s = self.sensor.t_ns
        end = int(np.searchsorted(s, r[-1], side="right"))
        if end == 0:
            return []
        bridged = self._bridged(s[:end], r)
        end = self._wait_at(s[:end], bridged)
        runs = self._runs(s[:end], bridged[:end])
        if end:
            self.sensor.forget(int(s[end - 1]))
            self._forget_reference(int(s[end - 1]))
        return runs

    @property
    def _gap_ns(self) -> float:
        """Longest pause within a run."""
        return (_IRREGULAR_GAP if self._rhythm.irregular else _SENSOR_GAP) * self._dt_ns

    @property
    def _nearest_ns(self) -> int:
        """Shortest interval between two samples that are both used."""
        return round((_IRREGULAR_TOO_CLOSE if self._rhythm.irregular else _TOO_CLOSE) * self._dt_ns)

    def _in_step(self, s: Int64Array, r: Int64Array) -> bool:
        """Tell whether all that is there goes on without a gap and has reference samples at the same instants."""
        return self._last_ns is not None and in_step(s, r, self._last_ns, self._nearest_ns, self._gap_ns)

    def _whole(self, s: Int64Array) -> Aligned:
        """Give out all of the sensor's samples, with the reference samples at the same instants."""
        record = AlignedRecord(s, self.sensor.value, self.reference.value[-s.size :])
        self._last_ns = int(s[-1])
        self.sensor.forget(self._last_ns)
        self._forget_reference(self._last_ns)
        return Aligned(record, new_segment=False, irregular=self._rhythm.irregular)

    def _thin_out(self) -> None:
        """Drop sensor samples that follow the one before too closely."""
        t, nearest = self.sensor.t_ns, self._nearest_ns
        last = self._last_ns
        close_to_last = t.size > 0 and last is not None and t[0] - last < nearest
        if not close_to_last and not bool(np.any(np.diff(t) < nearest)):
            return
        keep = np.zeros(t.size, np.bool_)
        for k, instant in enumerate(t.tolist()):
            if last is None or instant - last >= nearest:
                keep[k], last = True, instant
        self.n_too_close += int(np.count_nonzero(~keep))
        self.sensor.t_ns, self.sensor.value = t[keep], self.sensor.value[keep]

    def _bridged(self, s: Int64Array, r: Int64Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Tell which instants lie on, or close enough between, two reference samples."""
        right = np.searchsorted(r, s, side="left")
        left = np.maximum(right - 1, 0)
        gap = r[right] - r[left]
        close = (gap <= _REFERENCE_GAP * self._reference_interval(r)) & (r[left] <= s)
        return np.asarray(close | (r[right] == s))

    def _reference_interval(self, r: Int64Array) -> float:
        if self._reference_dt_ns is not None:
            return float(self._reference_dt_ns)
        return float(np.median(np.diff(r))) if r.size >= 3 else float(self._dt_ns)

    def _wait_at(self, s: Int64Array, bridged: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
        """Return how many samples may be used now: those before the first hole that may still be filled."""
        newest = max(int(self.sensor.t_ns[-1]), int(self.reference.t_ns[-1]))
        hole = ~bridged
        if self._last_ns is not None:
            hole[0] |= s[0] - self._last_ns > self._gap_ns
        hole[1:] |= np.diff(s) > self._gap_ns
        fresh = np.flatnonzero(hole & (s > newest - self._patience_ns))
        return int(fresh[0]) if fresh.size else int(s.size)

    def _runs(self, s: Int64Array, bridged: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[Aligned]:
        where = np.flatnonzero(bridged)
        if where.size == 0:
            return []
        t = s[where]
        cuts = np.flatnonzero((np.diff(where) > 1) | (np.diff(t) > self._gap_ns)) + 1
        runs: list[Aligned] = []
        for part in np.split(where, cuts):
            instants = s[part]
            first = int(instants[0])
            joined = not runs and part[0] == 0 and self._last_ns is not None
            continues = joined and first - int(self._last_ns or 0) <= self._gap_ns
            record = AlignedRecord(instants, self.sensor.value[part], self._interpolate(instants))
            runs.append(Aligned(record, new_segment=not continues, irregular=self._rhythm.irregular))
            self._last_ns = int(instants[-1])
        return runs

    def _interpolate(self, t: Int64Array) -> FloatArray:
        # Differences of int64 first: float64 does not resolve today's date to better than 240 ns.
        origin = t[0]
        axis = (self.reference.t_ns - origin).astype(np.float64)
        return np.asarray(np.interp((t - origin).astype(np.float64), axis, self.reference.value), np.float64)

    def _forget_reference(self, instant_ns: int) -> None:
        """Keep the last reference sample at or before `instant_ns`: the next interval begins there."""
        left = int(np.searchsorted(self.reference.t_ns, instant_ns, side="right")) - 2
        if left >= 0:
            self.reference.forget(int(self.reference.t_ns[left]))
