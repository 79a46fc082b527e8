"""Rows of many sensors at once against the rows that `dyncal.adapters.series` makes of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.adapters.influx import lines
from dyncal.adapters.influx.columns import columns
from dyncal.adapters.series import CorrectedRows, RawRows, newest_corrected, newest_raw
from dyncal.contracts.samples import message_of
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import axis_of
from dyncal.testing.records import block

RNG = np.random.default_rng


def blocks_of(rng: np.random.Generator, sensor: str, *, repeated: bool) -> list[SampleBlock]:
    """Return blocks that follow each other, or overlap; some without corrected values, some of them NaN."""
    made, start = [], 1000
    for k in range(int(rng.integers(1, 6))):
        n = int(rng.integers(1, 30))
        t = start + (np.arange(n) * 10 if rng.random() < 0.7 else np.cumsum(rng.integers(1, 20, n)))
        value = np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
        corrected = None if rng.random() < 0.3 else CorrectedSpan(axis_of(t - 5), value, np.abs(value), f"set-{k % 2}")
        codes = quality.runs_of(rng.choice([0, 7], n).tolist())
        made.append(block(rng.normal(size=n), sensor=SensorId(sensor), sequence=k, axis=axis_of(t)))
        made[-1] = SampleBlock(
            made[-1].sensor, made[-1].edge, 1, k, axis_of(t), made[-1].raw, codes, made[-1].arrival_ns,
            corrected=corrected,
        )  # fmt: skip
        start = int(t[-1]) + (-40 if repeated else 1)
    return made


def same(ours: RawRows | CorrectedRows, theirs: RawRows | CorrectedRows) -> bool:
    columns_ = [(np.asarray(a), np.asarray(b)) for a, b in zip(ours, theirs, strict=True)]
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype == np.float64) for a, b in columns_)


@pytest.mark.parametrize("seed", range(30))
def test_rows_are_those_of_each_sensor_alone(seed: int) -> None:
    rng = RNG(seed)
    by_sensor = [blocks_of(rng, f"s{k}", repeated=rng.random() < 0.3) for k in range(int(rng.integers(1, 5)))]
    found = columns([[message_of(b) for b in of_sensor] for of_sensor in by_sensor])
    begin = [0, 0]
    for of_sensor, end in zip(by_sensor, found.ends.tolist(), strict=True):
        raw = newest_raw([RawRows(b.axis.t_ns, b.raw, quality.expand(b.quality)) for b in of_sensor])
        assert same(found.raw.at(slice(begin[0], end[0])), raw)
        parts = []
        for b in of_sensor:
            if b.corrected is not None:
                index = np.full(len(b.corrected), found.set_ids.index(b.corrected.set_id), np.int32)
                rows = CorrectedRows(b.corrected.axis.t_ns, b.corrected.value, b.corrected.u, index)
                parts.append(rows.at(~np.isnan(rows.value)))
        ours = found.corrected.at(slice(begin[1], end[1]))
        assert same(ours.at(~np.isnan(ours.value)), newest_corrected(parts))
        begin = end


def test_an_encoder_that_is_used_again_says_the_same() -> None:
    rng = RNG(1)
    encoder = lines.Encoder()
    for _ in range(20):
        records = [b for k in range(3) for b in blocks_of(rng, f"s{k}", repeated=rng.random() < 0.3)]
        assert bytes(encoder.encode(lines.packed(records))) == lines.encode(records)
    assert bytes(encoder.encode([])) == b""
