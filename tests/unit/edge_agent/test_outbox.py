from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyncal.contracts import samples as wire
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from edge_agent import outbox as outbox_module
from edge_agent.outbox import Outbox
from edge_agent.spool import Entry, EntryKind, Spool

EDGE = EdgeId("edge1")
A, B = SensorId("A"), SensorId("B")
T0 = InstantNs(1_700_000_000_000_000_000)
TIMEOUT_S = 10.0


class Rig:
    """An outbox on a spool, with a broker that is there and a store that has what it is told to have."""

    def __init__(self, directory: Path, seed: int = 1) -> None:
        self.spool = Spool.open(directory, EDGE, T0)
        self.outbox = Outbox(
            self.spool, replay_per_s=1000.0, commit_timeout_s=TIMEOUT_S, rng=np.random.default_rng(seed)
        )
        self.outbox.connected(0.0)

    def write(self, sensor: SensorId, sequence: int, now_s: float) -> None:
        axis = UniformAxis(InstantNs(T0 + sequence * 10), DurationNs(10), 1)
        record = SampleBlock(sensor, EDGE, self.spool.epoch, sequence, axis, np.zeros(1), ((0, 1),), T0)
        t_ns = int(axis.t0_ns)
        self.spool.append(Entry(EntryKind.BLOCK, sensor, sequence, sequence, t_ns, t_ns, 1, wire.encode(record)))
        self.outbox.written(self.spool.flush(), now_s)

    def sent(self, now_s: float) -> list[tuple[SensorId, int, bool]]:
        out = []
        while (outgoing := self.outbox.next(now_s)) is not None:
            out.append((outgoing.entry.sensor, outgoing.entry.first, outgoing.replayed))
        return out


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_hole_in_one_stream_is_sent_again_while_others_get_on(rig: Rig) -> None:
    """The first record of A was lost at the broker; B is committed all the time."""
    again: list[tuple[float, int]] = []
    for step in range(300):
        now_s = step * 0.1
        rig.write(A, step, now_s)
        rig.write(B, step, now_s)
        for sensor, sequence, replayed in rig.sent(now_s):
            if sensor == A and replayed:
                again.append((now_s, sequence))
        rig.spool.commit({B: step})
        if again and again[-1][1] >= 0:
            rig.spool.commit({A: step - 1})
    assert again[0][1] == 0
    assert TIMEOUT_S <= again[0][0] <= 1.2 * TIMEOUT_S
    assert rig.outbox.n_resends == 1
    assert all(sequence <= 110 for _, sequence in again)


def test_without_any_word_it_sends_again_less_and_less_often(rig: Rig) -> None:
    rig.write(A, 0, 0.0)
    assert rig.sent(0.0) == [(A, 0, False)]
    times = [now_s / 10 for now_s in range(1, 10_000) if rig.sent(now_s / 10)]
    assert len(times) == rig.outbox.n_resends
    gaps = np.diff([0.0, *times])
    assert gaps[:4] == pytest.approx(TIMEOUT_S * np.array([1, 2, 4, 8]), rel=0.15, abs=2.1)
    assert np.all(gaps <= 17 * TIMEOUT_S)


def test_who_waits_for_the_store_is_told_once_for_each_time(rig: Rig) -> None:
    for sensor in (A, B):
        rig.write(sensor, 0, 0.0)
    rig.sent(0.0)
    rig.spool.commit({A: 0})
    assert rig.outbox.missed == []
    for k in range(25):
        rig.sent(0.5 * k)
    assert rig.outbox.missed == [B]


def test_nothing_is_sent_again_while_all_is_committed_in_time(rig: Rig) -> None:
    for step in range(500):
        now_s = step * 0.1
        rig.write(A, step, now_s)
        assert rig.sent(now_s) == [(A, step, False)]
        rig.spool.commit({A: step - 5})  # half a second behind
    rig.spool.commit({A: 499})
    assert rig.sent(1000.0) == []
    assert rig.outbox.n_resends == 0


def test_a_stream_that_the_store_never_takes_does_not_disturb_the_others(rig: Rig) -> None:
    """A is refused for ever; long after, one record of B is lost."""
    again: dict[SensorId, list[float]] = {A: [], B: []}
    lost_at = 6000
    for step in range(8000):
        now_s = step * 0.1
        if step % 10 == 0:
            rig.write(A, step // 10, now_s)
        rig.write(B, step, now_s)
        for sensor, _, replayed in rig.sent(now_s):
            if replayed:
                again[sensor].append(now_s)
        arrived = step < lost_at or again[B]
        rig.spool.commit({B: step if arrived else lost_at - 1})
    assert again[B], "the lost record was not sent again"
    assert 0.1 * lost_at + TIMEOUT_S <= min(again[B]) <= 0.1 * lost_at + 1.3 * TIMEOUT_S
    assert max(again[B]) - min(again[B]) < 1
    assert rig.outbox.n_resends < 10


def test_a_lost_connection_sends_everything_again_and_live_goes_first(rig: Rig) -> None:
    for sequence in range(3):
        rig.write(A, sequence, 0.0)
        rig.write(B, sequence, 0.0)
    assert len(rig.sent(0.0)) == 6
    rig.outbox.disconnected()
    rig.write(A, 3, 1.0)
    assert rig.sent(1.0) == []
    rig.spool.commit({A: 1, B: 0})
    rig.outbox.connected(2.0)
    rig.write(B, 3, 2.0)
    assert rig.sent(2.1) == [(B, 3, False), (B, 1, True), (A, 2, True), (B, 2, True), (A, 3, True)]
    assert not rig.outbox.backlogged


def test_the_backlog_keeps_to_its_rate(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.outbox.disconnected()
    for sequence in range(5000):
        rig.write(A, sequence, 0.0)
    rig.outbox.connected(10.0)
    n_sent = []
    for k in range(1, 61):
        n_sent.append(len(rig.sent(10 + 0.1 * k)))
        rig.spool.commit({A: sum(n_sent) - 1})
    assert n_sent[:40] == pytest.approx([100] * 40, abs=1)
    assert sum(n_sent) == 5000


def test_more_live_records_than_memory_allows_are_read_again_from_the_spool(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_LIVE_BYTES", 1000)
    for sequence in range(100):
        rig.write(A, sequence, 0.0)
    assert rig.outbox.n_live < 20
    sent = [sequence for now_s in (1.0, 2.0) for _, sequence, _ in rig.sent(now_s)]
    assert sorted(sent) == list(range(100))


def test_what_ingest_was_not_there_for_is_sent_again_soon_after_it_listens(rig: Rig) -> None:
    """Long after the last try; what it had taken by then is not sent again, nor what is sent after its word."""
    for sensor in (A, B):
        rig.write(sensor, 0, 0.0)
    for k in range(1, 200):
        rig.sent(float(k))
    assert rig.outbox.n_resends > 3
    n_before = rig.outbox.n_resends
    rig.outbox.listened_to(T0, 200.0)
    rig.spool.commit({B: 0})
    rig.write(B, 1, 200.1)
    again = {0.1 * k: found for k in range(2001, 2060) if (found := rig.sent(0.1 * k))}
    assert list(again.values()) == [[(B, 1, False)], [(A, 0, True)]]
    assert 201 <= max(again) <= 205.2
    assert (rig.outbox.n_resends, rig.outbox.missed) == (n_before + 1, [A])
    rig.spool.commit({A: 0, B: 1})
    rig.outbox.listened_to(T0, 210.0)
    assert rig.sent(220.0) == []


def test_a_backlog_begins_anew_when_ingest_listens_and_has_none_of_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.outbox.disconnected()
    for sequence in range(2000):
        rig.write(A, sequence, 0.0)
    rig.outbox.connected(0.0)
    for k in range(1, 300):
        rig.sent(0.1 * k)
    assert rig.outbox.backlogged
    rig.outbox.listened_to(T0, 30.0)
    numbers = [number for k in range(300, 360) for _, number, _ in rig.sent(0.1 * k)]
    assert 0 in numbers
    assert numbers[numbers.index(0) :] == list(range(len(numbers) - numbers.index(0)))


def test_the_word_that_ingest_listens_disturbs_nothing_that_it_gets(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.outbox.disconnected()
    for sequence in range(5000):
        rig.write(A, sequence, 0.0)
    rig.outbox.connected(0.0)
    numbers: list[int] = []
    for k in range(1, 80):
        if k == 5:
            rig.outbox.listened_to(T0, 0.1 * k)
        numbers += [number for _, number, _ in rig.sent(0.1 * k)]
        rig.spool.commit({A: len(numbers) - 1})
    assert numbers == list(range(5000))
    assert rig.outbox.n_resends == 0


def test_edges_do_not_come_all_at_once_when_ingest_listens(tmp_path: Path) -> None:
    times = []
    for seed in range(30):
        rig = Rig(tmp_path / str(seed), seed)
        rig.write(A, 0, 0.0)
        rig.sent(0.0)
        rig.outbox.listened_to(T0, 0.5)
        times.append(next(k / 10 for k in range(6, 100) if rig.sent(k / 10)))
    assert min(times) >= 1.5
    assert max(times) <= 5.7
    assert np.ptp(times) > 2
