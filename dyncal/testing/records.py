"""Records for tests of what stores and carries them: blocks, spans and gaps of one sensor that began at T0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.domain import quality
from dyncal.domain.quality import QualityRuns
from dyncal.domain.samples import CorrectedSpan, FloatArray, Gap, GapCause, GapRecord, Record, SampleBlock, SampleSeries
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, TimeAxis, UniformAxis

T0 = 1_760_000_000 * NS_PER_S
DT = 10_000_000
TC = SensorId("tc-1")


def uniform(n: int, first: int = 0, dt_ns: int = DT) -> UniformAxis:
    """Return the instants of samples first … first + n - 1 of a sensor that began at T0."""
    return UniformAxis(InstantNs(T0 + first * dt_ns), DurationNs(dt_ns), n)


def block(
    raw: Sequence[float] | FloatArray,
    *,
    sensor: str = TC,
    sequence: int = 0,
    axis: TimeAxis | None = None,
    runs: QualityRuns | None = None,
    corrected: CorrectedSpan | None = None,
) -> SampleBlock:
    """Return a block; from T0 on and good, unless said otherwise."""
    values = np.asarray(raw, np.float64)
    return SampleBlock(
        sensor=SensorId(sensor),
        edge=EdgeId("edge-1"),
        epoch=1,
        sequence=sequence,
        axis=uniform(values.size) if axis is None else axis,
        raw=values,
        quality=quality.good(values.size) if runs is None else runs,
        arrival_ns=InstantNs(T0),
        u_t_ns=DurationNs(1_000),
        server_ns=InstantNs(T0 + 5),
        corrected=corrected,
    )


def span(axis: TimeAxis, value: Sequence[float] | FloatArray, set_id: str = "set-1", u: float = 0.5) -> CorrectedSpan:
    """Return a corrected span with a constant uncertainty."""
    values = np.asarray(value, np.float64)
    return CorrectedSpan(axis, values, np.where(np.isnan(values), np.nan, u), set_id)


def gap(after: int, before: int, *, sequence: int = 0, cause: GapCause = GapCause.CONNECTION_LOST) -> GapRecord:
    """Return a gap record between two instants given in ns after T0."""
    return GapRecord(
        TC, EdgeId("edge-1"), 1, sequence, sequence, Gap(InstantNs(T0 + after), InstantNs(T0 + before), cause, 3)
    )


def assert_same(found: SampleSeries, expected: SampleSeries) -> None:
    """Assert that two series hold the same rows, bit for bit, and the same sets."""
    np.testing.assert_array_equal(found.t_ns, expected.t_ns)
    for column in ("raw", "corrected", "u"):
        a, b = getattr(found, column), getattr(expected, column)
        np.testing.assert_array_equal(a, b, err_msg=column)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b), err_msg=f"sign of {column}")
    np.testing.assert_array_equal(found.quality, expected.quality)
    assert set_names(found) == set_names(expected)


def set_names(series: SampleSeries) -> list[str | None]:
    """Return the set of each row by name."""
    return [None if k < 0 else series.set_ids[k] for k in series.set_index.tolist()]


def history(rng: np.random.Generator) -> list[Record]:
    """Return blocks in disorder, some again with other values, with holes, equal extremes and stretches of no value."""
    records: list[Record] = []
    for k in [*rng.permutation(280).tolist(), *rng.integers(0, 280, 60).tolist()]:
        if 90 <= k < 100:  # a hole
            continue
        values = np.round(rng.normal(size=100), 1)
        values[rng.random(100) < 0.05] = np.nan
        if 200 <= k < 210:
            values[:] = np.nan
        corrected = span(uniform(100, max(100 * k - 7, 0)), np.round(rng.normal(size=100), 1), f"set-{k // 50}")
        codes = quality.runs_of(np.where(np.isnan(values), quality.BAD, quality.GOOD).tolist())
        given = None if 150 <= k < 155 else corrected
        records.append(block(values, sequence=k, axis=uniform(100, 100 * k), runs=codes, corrected=given))
    return records
