"""What edges said last of the residuals of their sets."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs

MOST: Final = 100_000
_KEPT: Final = 4  # sets of a sensor: the one in force, the one before, a trial, and one more
_WINDOWS: Final = 256  # that a figure stands for, at most


@dataclass(frozen=True, slots=True)
class Figure:
    """All that was told of one set: rms over `n` windows, the older ones with less weight where they are many."""

    rms: float
    n: float
    limit: float
    shadow: bool
    difference: float | None
    fault: str
    at_ns: InstantNs


class ResidualFigures:
    """The newest figures of the sets of each sensor, bounded; read from other threads too."""

    def __init__(self, limit: int = MOST) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: dict[tuple[EdgeId, SensorId], dict[str, Figure]] = {}

    def put(self, edge: EdgeId, found: Sequence[ResidualReport], now: InstantNs) -> bool:
        """Take in what an edge said; return False where some of its sensors were too many."""
        with self._lock:
            room = True
            for report in found:
                key = (edge, report.sensor)
                if key not in self._known and len(self._known) >= self._limit:
                    room = False
                    continue
                sets = self._known.setdefault(key, {})
                before = sets.pop(report.set_id, None)
                sets[report.set_id] = _joined(
                    before if before and before.shadow == report.shadow else None, report, now
                )
                while len(sets) > _KEPT:
                    del sets[next(iter(sets))]
            return room

    def of(self, edge: EdgeId, sensor: SensorId) -> dict[str, Figure]:
        """Return the figures of a sensor's sets by id, as its own edge told them."""
        with self._lock:
            return dict(self._known.get((edge, sensor), {}))


def _joined(before: Figure | None, new: ResidualReport, now: InstantNs) -> Figure:
    keep = 0.0 if before is None else min(before.n, max(_WINDOWS - new.n, 0.0))
    n = keep + new.n
    square = (0.0 if before is None else before.rms * before.rms * keep) + new.rms * new.rms * new.n
    return Figure(
        rms=math.sqrt(square / n) if n else 0.0,
        n=n,
        limit=new.limit,
        shadow=new.shadow,
        difference=new.difference if new.difference is not None or before is None else before.difference,
        fault=new.fault,
        at_ns=now,
    )
