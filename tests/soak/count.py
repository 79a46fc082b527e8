"""Whether the store has every sample that a device sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.adapters.stores import open_store
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.settings import StoreSettings

_SLICE_NS: Final = 600 * NS_PER_S
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Counted:
    """Samples sent, those of them that are missing, those that nobody sent, and corrected ones."""

    n_sent: int
    n_missing: int
    n_foreign: int
    n_corrected: int


def settled_s(data_dir: Path, last_ns: Mapping[str, int], seconds: float) -> float:
    """Wait until the store has the last sample of each channel, for at most `seconds`; return how long it took [s]."""
    began = time.monotonic()
    with closing(open_store(StoreSettings(), data_dir)) as store:
        left = dict(last_ns)
        while left and time.monotonic() - began < seconds:
            left = {name: t_ns for name, t_ns in left.items() if _newest(store, name) < t_ns}
            if left:
                time.sleep(_AGAIN_S)
    return time.monotonic() - began


def count(data_dir: Path, t0_ns: int, dt_ns: int, sent: Mapping[str, int], *, since_ns: int) -> Counted:
    """Compare the store with what was sent since an instant: samples on an even grid from `t0_ns`, `sent` of each."""
    totals = np.zeros(4, np.int64)
    with closing(open_store(StoreSettings(), data_dir)) as store:
        for name, n in sent.items():
            totals += _of(store, name, t0_ns, dt_ns, n, since_ns)
    return Counted(*(int(total) for total in totals))


def _of(store: SampleStore, name: str, t0_ns: int, dt_ns: int, n_sent: int, since_ns: int) -> tuple[int, int, int, int]:
    first = max(0, -(-(since_ns - t0_ns) // dt_ns))
    end_ns = t0_ns + n_sent * dt_ns
    start_ns = t0_ns + first * dt_ns
    found = foreign = corrected = 0
    for begin in range(start_ns, end_ns, _SLICE_NS):
        series = store.read(SensorId(name), InstantNs(begin), InstantNs(min(begin + _SLICE_NS, end_ns)))
        has_raw = np.isfinite(series.raw)
        on_grid = (series.t_ns[has_raw] - t0_ns) % dt_ns == 0
        found += int(np.unique(series.t_ns[has_raw][on_grid]).size)
        foreign += int(np.count_nonzero(~on_grid))
        corrected += int(np.count_nonzero(np.isfinite(series.corrected)))
    wanted = max(n_sent - first, 0)
    return wanted, wanted - found, foreign, corrected


def _newest(store: SampleStore, name: str) -> int:
    series = store.latest(SensorId(name))
    with_raw = series.t_ns[np.isfinite(series.raw)]
    return int(with_raw[-1]) if with_raw.size else -1
