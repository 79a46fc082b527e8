"""The pipeline, event by event, on a clock of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from dyncal.contracts import codec, samples
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.testing.records import TC, block
from services.ingest import pipeline as ingest_pipeline
from services.ingest.announcer import Announcer
from services.ingest.intake import Birth
from services.ingest.pipeline import (
    AWAY_S,
    Ack,
    Announce,
    Arrived,
    Connected,
    Effect,
    Failed,
    IngestPipeline,
    Limits,
    LookedUp,
    LookUp,
    Persist,
    Persisted,
    Stopping,
    Tick,
)

EDGE = EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
NOW = InstantNs(1)
LIMITS = Limits(batch_records=5, linger_s=0.05, quiet_s=0.01, pending_records=8, retry_first_s=1, retry_longest_s=8)


@dataclass
class Message:
    topic: str
    payload: bytes
    retained: bool = False
    acks: list[None] = field(default_factory=list)

    def ack(self) -> None:
        self.acks.append(None)


def message(k: int) -> Message:
    return Message(EDGE.samples(TC), samples.encode(block([1.0], sequence=k)))


def pipeline(limits: Limits = LIMITS) -> IngestPipeline:
    return IngestPipeline(limits, np.random.default_rng(1))


def test_messages_that_arrive_together_are_as_good_as_one_by_one() -> None:
    messages = [Message(EDGE.status, b""), *map(message, range(8))]
    one_by_one, together = pipeline(), pipeline()
    singly = [effect for one in messages for effect in one_by_one.handle(Arrived([one], 0.0))]
    at_once = together.handle(Arrived(messages, 0.0))
    for ack, persist in (singly, at_once):
        assert isinstance(ack, Ack)
        assert isinstance(persist, Persist)
        assert ack.deliveries == (messages[0],)
        assert [item.delivery for item in persist.batch.items] == messages[1:6]
    assert (together.n_pending, together.room) == (one_by_one.n_pending, one_by_one.room) == (8, 5)


def test_a_batch_begins_when_it_is_quiet() -> None:
    p = pipeline()
    assert p.next_s() is None
    assert p.handle(Arrived([message(0)], 0.0)) == []
    assert p.next_s() == 0.01
    assert p.handle(Tick(0.009, NOW)) == []
    (effect,) = p.handle(Tick(0.01, NOW))
    assert isinstance(effect, Persist)
    assert len(effect.batch.items) == 1


def test_a_batch_begins_at_the_latest_after_linger() -> None:
    p = pipeline(Limits(linger_s=0.05, quiet_s=0.04))
    for k in range(3):
        assert p.handle(Arrived([message(k)], 0.02 * k)) == []
    assert p.next_s() == 0.05
    assert len(p.handle(Tick(0.05, NOW))) == 1


def test_a_batch_begins_when_it_is_full_and_the_rest_waits() -> None:
    p = pipeline()
    effects = [effect for k in range(8) for effect in p.handle(Arrived([message(k)], 0.0))]
    assert [len(effect.batch.items) for effect in effects if isinstance(effect, Persist)] == [5]
    assert (p.n_pending, p.full) == (8, False)
    for k in range(8, 13):
        assert p.handle(Arrived([message(k)], 0.0)) == []
    assert p.full
    ack, second = p.handle(Persisted({}, 0.1))
    assert isinstance(ack, Ack)
    assert len(ack.deliveries) == 5
    assert isinstance(second, Persist)
    assert not p.full


def test_bytes_limit_a_batch() -> None:
    size = len(message(0).payload)
    p = pipeline(Limits(batch_bytes=2 * size + 1, linger_s=0, quiet_s=0))
    p.handle(Arrived([message(0)], 0.0))
    for k in range(1, 5):
        p.handle(Arrived([message(k)], 0.0))
    persist = p.handle(Persisted({}, 0.1))[1]
    assert isinstance(persist, Persist)
    assert len(persist.batch.items) == 2


def test_a_failed_batch_comes_again_whole_later_and_later() -> None:
    p = pipeline()
    p.handle(Arrived([message(0)], 0.0))
    (first,) = p.handle(Tick(0.01, NOW))
    at, waits = 0.01, []
    for _ in range(6):
        assert p.handle(Failed(at)) == []
        due = p.next_s()
        assert due is not None
        waits.append(due - at)
        assert p.handle(Tick(due - 0.001, NOW)) == []
        (again,) = p.handle(Tick(due, NOW))
        assert isinstance(again, Persist)
        assert isinstance(first, Persist)
        assert again.batch is first.batch
        at = due
    for wait, longest in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert 0.5 * longest <= wait <= longest


def test_retry_after_is_honoured_and_patience_kept() -> None:
    p = pipeline()
    p.handle(Arrived([message(0)], 0.0))
    p.handle(Tick(0.01, NOW))
    p.handle(Failed(1.0, retry_after_s=30))
    due = p.next_s()
    assert due is not None
    assert 31.0 <= due <= 38.5  # never before, and not all clients at once
    assert p.handle(Tick(31.0 - 1e-9, NOW)) == []
    p.handle(Tick(due, NOW))
    p.handle(Failed(31.0, patient=True))
    due = p.next_s()
    assert due is not None
    assert 35 <= due <= 39


def test_stopping_hurries_and_settles() -> None:
    p = pipeline()
    p.handle(Arrived([message(0)], 0.0))
    assert not p.settled
    p.handle(Stopping())
    (persist,) = p.handle(Tick(0.0001, NOW))
    assert isinstance(persist, Persist)
    p.handle(Persisted({(EDGE, 1): {TC: 0}}, 0.001))
    assert not p.settled
    (announce,) = p.handle(Tick(0.0012, NOW))
    assert isinstance(announce, Announce)
    assert p.settled


def upto(payload: bytes) -> dict[str, int]:
    return codec.from_json(payload, CommittedMessage).upto


def test_an_edge_is_told_at_most_once_in_an_interval() -> None:
    announcer = Announcer(0.2)
    announcer.moved(EDGE, 1, {TC: 0}, 10.0)
    assert [upto(said) for _, said in announcer.due(10.0, NOW)] == [{TC: 0}]
    announcer.moved(EDGE, 1, {TC: 1}, 10.05)
    announcer.moved(EDGE, 1, {TC: 2, SensorId("b"): 5}, 10.1)
    assert announcer.due(10.19, NOW) == []
    assert announcer.next_s() == 10.2
    assert [upto(said) for _, said in announcer.due(10.2, NOW)] == [{TC: 2, "b": 5}]
    announcer.moved(EDGE, 1, {TC: 2}, 11.0)
    assert announcer.next_s() is None
    announcer.failed(EDGE, 11.0)
    assert len(announcer.due(11.2, NOW)) == 1


def test_an_older_epoch_does_not_speak_over_a_newer_one() -> None:
    announcer = Announcer(0)
    announcer.born(EDGE, 2, {}, 0.0)
    announcer.moved(EDGE, 1, {TC: 77}, 1.0)
    assert [upto(said) for _, said in announcer.due(1.0, NOW)] == [{}]


def test_after_a_birth_only_its_epoch_speaks_even_a_lower_one() -> None:
    announcer = Announcer(0)
    announcer.moved(EDGE, 9, {TC: 70}, 0.0)
    announcer.born(EDGE, 5, {}, 1.0)  # a new spool, begun before the clock was set
    announcer.moved(EDGE, 9, {TC: 77}, 1.1)  # what the old one still had on its way
    announcer.moved(EDGE, 5, {TC: 3}, 1.2)
    ((_, said),) = announcer.due(1.2, NOW)
    assert (codec.from_json(said, CommittedMessage).epoch, upto(said)) == (5, {TC: 3})


def since(effects: Sequence[Effect]) -> list[int]:
    return [codec.from_json(e.payload, CommittedMessage).since_ns for e in effects if isinstance(e, Announce)]


def test_edges_are_told_since_when_ingest_listens() -> None:
    p = pipeline()
    p.handle(Connected(0.0))
    assert p.handle(LookedUp(Birth(EDGE, 1), {}, 0.1)) == []
    assert since(p.handle(Tick(0.1, NOW))) == [NOW]
    p.handle(LookedUp(Birth(EDGE, 1), {}, 5.0))
    assert since(p.handle(Tick(5.0, InstantNs(NOW + 5)))) == [NOW]
    p.handle(Connected(9.0))
    assert since(p.handle(Tick(9.0, InstantNs(NOW + 9)))) == [NOW + 9]


@pytest.mark.parametrize(("failing_s", "n_told"), [(1.0, 0), (AWAY_S + 1, 1)])
def test_edges_are_told_when_the_store_was_away_for_long(failing_s: float, n_told: int) -> None:
    """The broker may have dropped what it could not hand over meanwhile."""
    p = pipeline()
    p.handle(LookedUp(Birth(EDGE, 1), {TC: 4}, 0.0))
    assert since(p.handle(Tick(0.0, NOW))) == [NOW]
    p.handle(Arrived([message(7)], 10.0))
    p.handle(Tick(11.0, NOW))
    p.handle(Failed(11.0))
    p.handle(Tick(11 + failing_s, NOW))
    p.handle(Persisted({(EDGE, 1): {TC: 4}}, 11 + failing_s))
    assert since(p.handle(Tick(12 + failing_s, InstantNs(NOW + 99)))) == [NOW + 99] * n_told


def birth(edge: str, epoch: int = 1) -> Message:
    address = EdgeAddress(SiteId("plant"), EdgeId(edge))
    return Message(address.status, codec.to_json(StatusMessage(1, "online", epoch=epoch)))


def test_acknowledgements_keep_the_order_of_receipt() -> None:
    p = pipeline()
    sent = [
        message(0),
        birth("e1"),
        message(1),
        Message(EDGE.status, b""),
        Message(EDGE.status, b"nonsense"),
        message(2),
    ]
    acknowledged: list[object] = []

    def note(effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Ack):
                acknowledged.extend(effect.deliveries)

    for one in sent:
        note(p.handle(Arrived([one], 0.0)))
    assert acknowledged == []
    for _ in range(2):
        note(p.handle(Tick(1.0, NOW)))
        note(p.handle(Persisted({}, 1.0)))
    assert acknowledged == sent
    assert p.idle
    note(p.handle(Arrived([birth("e2")], 2.0)))  # nothing is before it
    assert len(acknowledged) == 7


def test_births_are_looked_up_one_after_the_other_and_only_the_last_of_an_edge() -> None:
    p = pipeline()
    asked: list[LookUp] = []

    def note(effects: list[Effect]) -> None:
        asked.extend(effect for effect in effects if isinstance(effect, LookUp))

    for k in range(50):
        for edge in ("a", "b", "c"):
            note(p.handle(Arrived([birth(edge, k)], 0.0)))
    assert len(asked) == 1
    for _ in range(9):
        note(p.handle(LookedUp(asked[-1].birth, {}, 1.0)))
    assert [(look.birth.address.edge, look.birth.epoch) for look in asked] == [
        ("a", 0),
        ("a", 49),
        ("b", 49),
        ("c", 49),
    ]


def test_births_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_pipeline, "MAX_BIRTHS", 3)
    p = pipeline()
    asked = [
        effect for k in range(9) for effect in p.handle(Arrived([birth(f"e{k}")], 0.0)) if isinstance(effect, LookUp)
    ]
    for _ in range(9):
        asked += [e for e in p.handle(LookedUp(asked[-1].birth, {}, 1.0)) if isinstance(e, LookUp)]
    assert [look.birth.address.edge for look in asked] == ["e0", "e6", "e7", "e8"]


def test_the_announcer_forgets_the_edge_that_was_quiet_for_longest() -> None:
    announcer = Announcer(0, max_edges=2)
    a, b, c = (EdgeAddress(SiteId("plant"), EdgeId(name)) for name in "abc")
    announcer.moved(a, 1, {TC: 1}, 0.0)
    announcer.moved(b, 1, {TC: 2}, 0.0)
    announcer.moved(a, 1, {TC: 3}, 0.0)
    announcer.moved(c, 1, {TC: 4}, 0.0)
    assert [(address, upto(said)) for address, said in announcer.due(1.0, NOW)] == [(a, {TC: 3}), (c, {TC: 4})]
    announcer.moved(b, 1, {TC: 2, SensorId("other"): 7}, 2.0)  # its next commit brings all it has
    assert [(address, upto(said)) for address, said in announcer.due(3.0, NOW)] == [(b, {TC: 2, "other": 7})]
