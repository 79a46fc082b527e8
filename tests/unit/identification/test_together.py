"""Estimators that share fleets: each says what it would alone, to the last bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.first_record import first_estimate
from dyncal.identification.online.together import MOST, Chunk, share, update_together
from dyncal.identification.records import BlockOutcome
from dyncal.identification.settings import Likelihood
from tests.unit.identification.plant import THERMOCOUPLE, part

FAST = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
MIXED = (FAST, OnlineSettings(), OnlineSettings(u_reference_noise=0.001, u_reference=0.02))


def estimators(n: int) -> list[OnlineEstimator]:
    return [OnlineEstimator(ModelKind.FIRST_ORDER, THERMOCOUPLE.dt_ns, MIXED[k % len(MIXED)]) for k in range(n)]


def bits(block: BlockOutcome) -> list[Any]:
    values = [getattr(block, field.name) for field in fields(block)]
    return [value.tobytes() if isinstance(value, np.ndarray) else repr(value) for value in values]


@pytest.fixture(scope="module")
def records() -> list[AlignedRecord]:
    return [THERMOCOUPLE.record(900, seed, (400, (1.0, 0.9)) if seed else None) for seed in range(3)]


def test_each_says_what_it_would_alone(records: list[AlignedRecord]) -> None:
    sharing, alone = estimators(3), estimators(3)
    n_blocks = 0
    for begin in range(0, 900, 45):
        if begin in (90, 450):  # before there is anything to say, and when there is
            share(sharing)
        if begin == 540:
            share([sharing[0], *estimators(2)])  # one goes elsewhere
        parts = [part(record, begin, begin + 45) for record in records]
        found = update_together([Chunk(e, p, begin == 720) for e, p in zip(sharing, parts, strict=True)])
        for one, other, samples, blocks in zip(alone, sharing, parts, found, strict=True):
            assert not isinstance(blocks, Exception)
            assert [bits(b) for b in blocks] == [bits(b) for b in one.update(samples, new_segment=begin == 720)]
            assert repr(other.estimate) == repr(one.estimate)
            assert other.snapshot() == one.snapshot()
            n_blocks += len(blocks)
    assert n_blocks > 30


def test_fleets_are_bounded_and_stay_while_they_are_half_full() -> None:
    several = estimators(MOST + MOST // 2)
    share(several)
    assert sorted({len(each.fleet) for each in several}) == [MOST // 2, MOST]
    before = [each.fleet for each in several]
    share(several[1:])
    assert [each.fleet for each in several] == before
    other = OnlineEstimator(ModelKind.SECOND_ORDER, THERMOCOUPLE.dt_ns)
    share([several[0], other])
    assert len(other.fleet) == 1


def test_what_goes_wrong_with_one_is_said_of_that_one(
    records: list[AlignedRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing, alone = estimators(3), estimators(3)
    share(sharing)

    def wrong(model: Any, t_ns: Any, y: Any, *rest: Any) -> Any:
        if y[-1] in records[1].indication:
            raise InvalidData("these numbers")
        return first_estimate(model, t_ns, y, *rest)

    monkeypatch.setattr("dyncal.identification.online.first_record.first_estimate", wrong)
    found = update_together([Chunk(e, part(r, 0, 300), False) for e, r in zip(sharing, records, strict=True)])
    assert repr(found[1]) == "InvalidData('these numbers')"
    for k in (0, 2):
        blocks = found[k]
        assert not isinstance(blocks, Exception)
        assert [bits(b) for b in blocks] == [bits(b) for b in alone[k].update(part(records[k], 0, 300))] != []
    with pytest.raises(InvalidData, match="these numbers"):
        alone[1].update(part(records[1], 0, 300))
