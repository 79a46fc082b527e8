"""Whether a sensor keeps to the grid of its nominal interval, or says something when there is something to say."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.time import Int64Array
from dyncal.identification.instants import off_grid

_OFF: Final = 0.25  # of an interval: how far off a whole number of intervals counts, as for a filter's grid
_LONGEST: Final = 20.0  # intervals; a longer silence says nothing of the rhythm
_FEWEST: Final = 32
_MEMORY: Final = 256
_IRREGULAR: Final = 0.2  # share of intervals that are off above which a stream is irregular,
_REGULAR: Final = 0.05  # and below which it is regular again


class Rhythm:
    """Judges the newest few hundred intervals; with hysteresis.

    Jitter of a tenth of an interval, losses and doubled samples leave a stream regular.
    """

    def __init__(self, dt_ns: int) -> None:
        self.irregular = False
        self._dt_ns = dt_ns
        self._last_ns: int | None = None
        self._n = self._off = 0.0

    def add(self, t_ns: Int64Array) -> None:
        """Take in instants in order of time; what is not newer than all before is passed over."""
        if self._last_ns is not None:
            t_ns = t_ns[np.searchsorted(t_ns, self._last_ns, side="left") :]
            if t_ns.size == 0 or t_ns[0] != self._last_ns:
                t_ns = np.concatenate((np.array([self._last_ns]), t_ns))
        if t_ns.size == 0:
            return
        self._last_ns = int(t_ns[-1])
        n, n_off = off_grid(t_ns, self._dt_ns, _LONGEST, _OFF)
        self._n += n
        self._off += n_off
        if self._n >= _FEWEST:
            share = self._off / self._n
            self.irregular = share > _IRREGULAR or (self.irregular and share >= _REGULAR)
        if self._n >= _MEMORY:
            self._n, self._off = self._n / 2, self._off / 2
