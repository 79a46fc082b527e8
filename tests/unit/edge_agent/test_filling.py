"""The spool's fill as a condition: when it comes, how it goes on, when it goes."""

from __future__ import annotations

from dyncal.contracts import conditions
from dyncal.contracts.conditions import ConditionMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import EdgeId, SiteId
from dyncal.domain.time import InstantNs, duration
from edge_agent.filling import FillingWatch


class Told:
    """A watch that begins at half, and what it said last."""

    def __init__(self) -> None:
        self.watch = FillingWatch(EdgeAddress(SiteId("plant"), EdgeId("edge1")), at=0.5)

    def look(self, fill: float, s: float = 0.0) -> ConditionMessage | None:
        payload = self.watch.look(fill, InstantNs(duration(s)), s)
        return None if payload is None else conditions.decode(self.watch.topic, payload)[1]


def test_it_begins_at_the_limit_goes_on_in_steps_and_ends_well_below() -> None:
    told = Told()
    first = told.look(0.1)
    assert first is not None
    assert (first.holds, first.reporter, first.source, first.edge) == (False, "edge1", "edge1", "edge1")
    assert told.look(0.49, 1) is None
    begun = told.look(0.5, 2)
    assert begun is not None
    assert (begun.holds, begun.at_ns, begun.value, begun.limit) == (True, duration(2), 0.5, 0.5)
    assert told.look(0.52, 3) is None
    grown = told.look(0.56, 4)
    assert grown is not None
    assert (grown.holds, grown.at_ns, grown.value) == (True, duration(2), 0.56)
    assert told.look(0.52, 5) is None
    assert [told.look(fill, 6) is not None for fill in (0.49, 0.45, 0.41)] == [True, False, True]
    ended = told.look(0.39, 7)
    assert ended is not None
    assert (ended.holds, ended.at_ns, ended.cause) == (False, duration(7), "")
    assert [told.look(fill, 8) for fill in (0.3, 0.41, 0.49)] == [None, None, None]


def test_a_former_life_that_left_it_full_is_told_of() -> None:
    told = Told()
    full = told.look(1.2)
    assert full is not None
    assert (full.holds, full.cause) == (True, "the spool is 120% full")


def test_it_says_how_long_there_is_left_at_the_rate_of_the_last_minutes() -> None:
    told = Told()
    for k in range(100):
        told.look(0.4 + k / 1000, 10.0 * k)
    said = told.look(0.5, 1000)
    assert said is not None
    assert said.cause == "the spool is 50% full; at this rate it has no room in about 1.4 h"
    told = Told()
    told.look(0.499)
    slowly = told.look(0.5, 250)
    assert slowly is not None
    assert slowly.cause == "the spool is 50% full; at this rate it has no room in about 35 h"
