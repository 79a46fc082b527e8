"""What becomes of the data values of a server."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from asyncua import ua

from dyncal.domain import quality
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs
from edge_agent.readers.values import BAD_TYPE_MISMATCH, Gathered, Item, instant_of

ARRIVAL = InstantNs(1_700_000_000_500_000_000)
TAKEN = datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC)
DOUBLE = ua.VariantType.Double


def gathered(*, array: bool = False) -> Gathered:
    return Gathered(Item(SensorId("PT"), DurationNs(10_000_000), DurationNs(25_000_000), array, ua.NodeId("PT", 2)))


def value(
    number: object, status: int, variant: ua.VariantType = DOUBLE, *, at: datetime.datetime | None = None
) -> object:
    return ua.DataValue(ua.Variant(number, variant), ua.StatusCode(status), SourceTimestamp=at)


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("info", [0, 0x400])
@pytest.mark.parametrize(
    ("status", "at"),
    [
        (ua.StatusCodes.BadWaitingForInitialData, None),
        (ua.StatusCodes.UncertainInitialValue, TAKEN - datetime.timedelta(days=7)),  # node-opcua: when it was started
    ],
)
def test_what_comes_before_the_first_value_is_no_sample(
    array: bool, info: int, status: int, at: datetime.datetime | None
) -> None:
    """A sample at its arrival would stand in the way of those that were taken before; an old one would be a gap."""
    into = gathered(array=array)
    into.add(value(None, status | info, ua.VariantType.Null, at=at), ARRIVAL)
    assert not into.t
    assert not into.faults
    into.add(value([1.5] if array else 1.5, 0, at=TAKEN), ARRIVAL)
    part = into.part()
    assert part.t_ns.tolist() == [instant_of(TAKEN)]
    assert part.raw.tolist() == [1.5]
    assert part.codes.tolist() == [quality.GOOD]


def test_an_initial_value_that_there_is_counts() -> None:
    into = gathered()
    into.add(value(7.5, ua.StatusCodes.UncertainInitialValue, at=TAKEN), ARRIVAL)
    part = into.part()
    assert part.raw.tolist() == [7.5]
    assert part.codes.tolist() == [ua.StatusCodes.UncertainInitialValue]


def test_a_value_that_is_missing_for_another_reason_is_a_hole() -> None:
    into = gathered()
    into.add(value(None, ua.StatusCodes.BadNoCommunication, ua.VariantType.Null, at=TAKEN), ARRIVAL)
    part = into.part()
    assert np.isnan(part.raw).tolist() == [True]
    assert part.codes.tolist() == [ua.StatusCodes.BadNoCommunication]


@pytest.mark.parametrize("values", [["a", "b"], [[1.0, 2.0], [3.0, 4.0]], [None, {}], [0.0] * 1_000_001])
def test_an_array_that_is_none_of_samples_is_a_bad_one(values: list[Any]) -> None:
    into = gathered(array=True)
    into.add(value(values, 0, at=TAKEN), ARRIVAL)
    part = into.part()
    assert np.isnan(part.raw).tolist() == [True]
    assert part.codes.tolist() == [BAD_TYPE_MISMATCH]
    assert len(into.faults) == 1
