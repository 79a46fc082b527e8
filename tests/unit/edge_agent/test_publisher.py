"""Marks of records that are sent again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.contracts import samples as wire
from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, Gap, GapCause, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, ExplicitAxis, InstantNs, UniformAxis
from edge_agent.publisher import replayed

FULL = SampleBlock(
    sensor=SensorId("TT-101"),
    edge=EdgeId("edge1"),
    epoch=2**62,
    sequence=7,
    axis=UniformAxis(InstantNs(10), DurationNs(5), 3),
    raw=np.array([1.0, np.nan, -2.0]),
    quality=((0, 2), (quality.BAD, 1)),
    arrival_ns=InstantNs(100),
    u_t_ns=DurationNs(3),
    server_ns=InstantNs(99),
    corrected=CorrectedSpan(UniformAxis(InstantNs(5), DurationNs(5), 2), np.ones(2), np.ones(2), "a-set"),
)


@pytest.mark.parametrize(
    "record",
    [
        FULL,
        replace(FULL, server_ns=None, corrected=None, u_t_ns=DurationNs(0)),
        replace(FULL, axis=ExplicitAxis(np.array([1, 2, 9], np.int64))),
        GapRecord(FULL.sensor, FULL.edge, 1, 5, 9, Gap(InstantNs(1), InstantNs(2), GapCause.SPOOL_CAPPED, 12)),
        GapRecord(FULL.sensor, FULL.edge, 1, 5, 5, Gap(InstantNs(1), InstantNs(2), GapCause.CLOCK_STEP)),
    ],
)
def test_a_record_is_marked_as_its_encoder_would(record: Record) -> None:
    marked = replayed(wire.encode(record))
    assert marked == wire.encode(replace(record, replayed=True))
    assert wire.decode(marked).replayed
    assert replayed(marked) == marked


@pytest.mark.parametrize("payload", [b"", b"\xc0", b"\xde\x00\x01\xa1a\x01", b"\x8f", b"nonsense"])
def test_what_is_no_record_of_ours_goes_as_it_is(payload: bytes) -> None:
    assert replayed(payload) == payload
