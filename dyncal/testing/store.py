"""The reference of what a sample store does: a dictionary of rows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dyncal.adapters.series import decimate
from dyncal.domain import aggregates, quality
from dyncal.domain.aggregates import Aggregates
from dyncal.domain.errors import Conflict
from dyncal.domain.quality import GOOD
from dyncal.domain.samples import (
    CorrectedSpan,
    Gap,
    GapCause,
    GapRecord,
    Record,
    SampleSeries,
)
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import Writable, WriteReport, unpacked


@dataclass(slots=True)
class _Row:
    raw: float = np.nan
    corrected: float = np.nan
    u: float = np.nan
    quality: int = GOOD
    set_id: str | None = None


@dataclass(slots=True)
class MemorySampleStore:
    """A `SampleStore` of plain dictionaries, row by row: slow, and easy to see through."""

    _rows: dict[SensorId, dict[int, _Row]] = field(default_factory=dict)
    _gaps: dict[SensorId, dict[tuple[int, GapCause], Gap]] = field(default_factory=dict)
    _aggregates: dict[SensorId, Aggregates] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, records: Sequence[Writable]) -> WriteReport:
        """Write; see the port."""
        with self._lock:
            counts = np.array([self._write(record) for record in unpacked(records)]).reshape(-1, 3).sum(axis=0)
        return WriteReport(*counts.tolist())

    def _write(self, record: Record) -> tuple[int, int, int]:
        if isinstance(record, GapRecord):
            self._gaps.setdefault(record.sensor, {})[record.gap.after_ns, record.gap.cause] = record.gap
            return 0, 0, 1
        rows = self._rows.setdefault(record.sensor, {})
        codes = quality.expand(record.quality).tolist()
        for t, raw, code in zip(record.axis.t_ns.tolist(), record.raw.tolist(), codes, strict=True):
            row = rows.setdefault(t, _Row())
            row.quality = code
            row.raw = row.raw if np.isnan(raw) else raw
        n_corrected = 0 if record.corrected is None else self._write_span(rows, record.corrected)
        return len(record), n_corrected, 0

    @staticmethod
    def _write_span(rows: dict[int, _Row], span: CorrectedSpan) -> int:
        given = [
            (t, value, u)
            for t, value, u in zip(span.axis.t_ns.tolist(), span.value.tolist(), span.u.tolist(), strict=True)
            if not np.isnan(value)
        ]
        for t, value, u in given:
            row = rows.setdefault(t, _Row())
            row.corrected, row.u, row.set_id = value, u, span.set_id
        return len(given)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return a range; see the port."""
        with self._lock:
            chosen = [(t, row) for t, row in sorted(self._rows.get(sensor, {}).items()) if start <= t < end]
            return decimate(_series(chosen), max_points)

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Return the newest row with a raw value and the newest with a corrected one."""
        with self._lock:
            rows = self._rows.get(sensor, {})
            newest = {
                max((t for t, row in rows.items() if not np.isnan(getattr(row, column))), default=-1)
                for column in ("raw", "corrected")
            }
            return _series([(t, rows[t]) for t in sorted(newest - {-1})])

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch a range; see the port."""
        with self._lock:
            found = [g for g in self._gaps.get(sensor, {}).values() if g.after_ns < end and g.before_ns >= start]
        found.sort(key=lambda gap: (gap.after_ns, gap.before_ns))
        return found if limit is None else found[-limit:]

    def sensors(self) -> list[SensorId]:
        """Return the sensors that have rows, in order of name."""
        with self._lock:
            return sorted(sensor for sensor, rows in self._rows.items() if rows)

    def aggregates(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> Aggregates:
        """Return aggregates of all widths; see the port."""
        with self._lock:
            kept = self._aggregates.get(sensor, aggregates.NONE)
        return aggregates.oldest(kept.at((kept.t_ns >= start) & (kept.t_ns < end)), limit)

    def first(self, sensor: SensorId, width_ns: int) -> InstantNs | None:
        """Return the oldest instant; see the port."""
        with self._lock:
            kept = self._aggregates.get(sensor, aggregates.NONE)
            of_width = kept.t_ns[kept.width_ns == width_ns].tolist()
            found = self._rows.get(sensor, {}) if width_ns == aggregates.SAMPLES else of_width
            return InstantNs(min(found)) if found else None

    def held(self) -> list[SensorId]:
        """Return the sensors that have samples or aggregates, in order of name."""
        with self._lock:
            return sorted(
                {s for s, rows in self._rows.items() if rows} | {s for s, a in self._aggregates.items() if len(a)}
            )

    def settle(self) -> None:
        """Do nothing."""

    def replace(
        self, sensor: SensorId, width_ns: int, start: InstantNs, end: InstantNs, by: Aggregates, n_rows: int
    ) -> None:
        """Replace; see the port."""
        with self._lock:
            kept = self._aggregates.get(sensor, aggregates.NONE)
            gone = (kept.width_ns == width_ns) & (kept.t_ns >= start) & (kept.t_ns < end)
            rows = self._rows.get(sensor, {})
            old = [t for t in rows if start <= t < end] if width_ns == aggregates.SAMPLES else []
            n_there = len(old) + int(gone.sum())
            if n_there != n_rows:
                raise Conflict(f"{sensor}: {n_there} rows from {start} to {end}, not {n_rows}")
            self._aggregates[sensor] = aggregates.merged([kept.at(~gone), by])
            for t in old:
                del rows[t]

    def check(self) -> str:
        """Return a line that names the store."""
        return "memory"

    def tidy(self, now: InstantNs) -> bool:
        """Keep everything."""
        del now
        return False

    def close(self) -> None:
        """Do nothing."""


def _series(rows: list[tuple[int, _Row]]) -> SampleSeries:
    names = sorted({row.set_id for _, row in rows if row.set_id is not None})
    return SampleSeries(
        t_ns=np.array([t for t, _ in rows], np.int64),
        raw=np.array([row.raw for _, row in rows], np.float64),
        corrected=np.array([row.corrected for _, row in rows], np.float64),
        u=np.array([row.u for _, row in rows], np.float64),
        quality=np.array([row.quality for _, row in rows], np.uint32),
        set_index=np.array([-1 if row.set_id is None else names.index(row.set_id) for _, row in rows], np.int32),
        set_ids=tuple(names),
    )
