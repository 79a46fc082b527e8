"""Samples of one sensor that wait for the rest of their block."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, InstantNs, Int64Array


class Pending:
    """At most a block of samples, the receipts of what they came in, and when the last came."""

    def __init__(self) -> None:
        self._t: list[Int64Array] = []
        self._raw: list[FloatArray] = []
        self._codes: list[UInt32Array] = []
        self._n = 0
        self._since: InstantNs | None = None
        self.arrival_ns = InstantNs(0)
        self.server_ns: InstantNs | None = None
        self.receipts: list[Hashable] = []

    def __len__(self) -> int:
        return self._n

    def add(
        self,
        t_ns: Int64Array,
        raw: FloatArray,
        codes: UInt32Array,
        arrival_ns: InstantNs,
        server_ns: InstantNs | None,
    ) -> None:
        """Add samples that go on from the last."""
        self._t.append(t_ns)
        self._raw.append(raw)
        self._codes.append(codes)
        self._n += t_ns.size
        if self._since is None:
            self._since = arrival_ns
        self.arrival_ns = arrival_ns
        self.server_ns = server_ns

    def due(self, now: InstantNs, flush_ns: DurationNs) -> bool:
        """Tell whether the oldest has waited for `flush_ns`; a clock that was set back counts as waiting too."""
        return self._since is not None and not 0 <= now - self._since < flush_ns

    def arrays(self) -> tuple[Int64Array, FloatArray, UInt32Array]:
        """Return instants, raw values and codes."""
        if len(self._t) == 1:
            return self._t[0], self._raw[0], self._codes[0]
        return np.concatenate(self._t), np.concatenate(self._raw), np.concatenate(self._codes)

    def clear(self) -> tuple[Hashable, ...]:
        """Forget the samples, and return the receipts."""
        self._t, self._raw, self._codes = [], [], []
        self._n = 0
        self._since = None
        receipts, self.receipts = tuple(self.receipts), []
        return receipts
