"""How the parameters of each sensor have moved over its last calibrations: what of it fits into one row of a table."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.registry import CalibrationRegistry

MOST_READ: Final = 20_000
"""Calibrations that are read at most when a service starts: the newest of all sensors."""

POINTS: Final = 12
_PAGE: Final = 1000
_LATE_NS: Final = 3600 * NS_PER_S
"""A calibration may be written so much after others that were fitted later."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The parameter that moved most, for its uncertainty, from the first to the last of some calibrations.

    `change` is relative to the first, `u` its standard uncertainty, the two taken as independent; `points` are all
    changes, oldest first, the first being 0.
    """

    parameter: str
    change: float
    u: float
    since_ns: InstantNs
    to_ns: InstantNs
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Point:
    id: str
    at_ns: InstantNs
    names: tuple[str, ...]
    values: tuple[float, ...]
    u: tuple[float, ...]


@dataclass(slots=True)
class TrendBook:
    """Trends by sensor, kept up to date by reading what is new. Blocks; safe to call from several threads."""

    _points: dict[SensorId, deque[_Point]] = field(default_factory=dict)
    _trends: dict[SensorId, Trend] = field(default_factory=dict)
    _newest_ns: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, registry: CalibrationRegistry) -> Mapping[SensorId, Trend]:
        """Return the trends of all sensors that have two accepted calibrations of one model, or more."""
        with self._lock:
            touched: set[SensorId] = set()
            for calibration in reversed(list(self._unread(registry))):
                self._newest_ns = max(self._newest_ns, calibration.fitted_at_ns)
                if calibration.verdict is Verdict.ACCEPTED and self._take(calibration):
                    touched.add(calibration.sensor)
            for sensor in touched:
                trend = trend_of(self._points[sensor])
                if trend is None:
                    self._trends.pop(sensor, None)
                else:
                    self._trends[sensor] = trend
            return dict(self._trends)

    def _unread(self, registry: CalibrationRegistry) -> Iterator[Calibration]:
        """Yield what may be new, newest first."""
        before: InstantNs | None = None
        before_id = ""
        for _ in range(MOST_READ // _PAGE):
            page = registry.calibrations(before=before, before_id=before_id, limit=_PAGE)
            for calibration in page:
                if calibration.fitted_at_ns < self._newest_ns - _LATE_NS:
                    return
                yield calibration
            if len(page) < _PAGE:
                return
            before, before_id = page[-1].fitted_at_ns, page[-1].id

    def _take(self, calibration: Calibration) -> bool:
        """Put a calibration in its place; return False where it is known, or older than all that are kept."""
        found = calibration.parameters
        point = _Point(
            calibration.id,
            calibration.fitted_at_ns,
            found.names,
            tuple(found.values.tolist()),
            tuple(math.sqrt(max(variance, 0.0)) for variance in found.cov.diagonal().tolist()),
        )
        kept = self._points.get(calibration.sensor, deque())
        if any(other.id == point.id for other in kept):
            return False
        merged = sorted((*kept, point), key=lambda each: (each.at_ns, each.id))[-POINTS:]
        # Another model begins a history of its own.
        begin = max((k + 1 for k, each in enumerate(merged) if each.names != merged[-1].names), default=0)
        self._points[calibration.sensor] = deque(merged[begin:])
        return True


def trend_of(points: deque[_Point]) -> Trend | None:
    """Return the trend over `points`, oldest first; None where there is nothing to compare."""
    if len(points) < 2:
        return None
    first, last = points[0], points[-1]
    best: tuple[float, int] | None = None
    for k, (old, new) in enumerate(zip(first.values, last.values, strict=True)):
        u = math.hypot(first.u[k], last.u[k])
        if old and u > 0 and math.isfinite(old) and math.isfinite(new) and math.isfinite(u):
            best = max(best or (-1.0, 0), (abs(new - old) / u, k), key=lambda pair: pair[0])
    if best is None:
        return None
    k = best[1]
    reference = first.values[k]
    return Trend(
        first.names[k],
        last.values[k] / reference - 1,
        math.hypot(first.u[k], last.u[k]) / abs(reference),
        first.at_ns,
        last.at_ns,
        tuple(point.values[k] / reference - 1 for point in points),
    )
