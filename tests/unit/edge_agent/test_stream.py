from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.domain import quality
from dyncal.domain.samples import Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from edge_agent.events import (
    AgentLimits,
    Append,
    DesiredSet,
    Drain,
    Effect,
    Refuse,
    Release,
    SamplesRead,
    SourceLost,
    StreamStart,
    Tick,
)
from tests.unit.edge_agent.helpers import (
    DT,
    SENSOR,
    T0,
    Content,
    coefficient_set,
    config,
    engine,
    envelope,
    kinds,
    read,
    receipts,
    records,
    times,
    value_at,
)


def test_blocks_are_cut_by_time_and_numbered_without_a_hole() -> None:
    agent = engine()
    effects: list[Effect] = []
    for k in range(30):
        effects += agent.handle(read(times(1, k)))
        effects += agent.handle(Tick(InstantNs(T0 + k * DT)))
    blocks = records(effects)
    assert [len(block.axis) for block in blocks if isinstance(block, SampleBlock)] == [11, 11]
    assert [block.sequence for block in blocks] == [0, 1]


def test_blocks_are_cut_by_size() -> None:
    agent = engine(limits=AgentLimits(block_samples=100))
    blocks = records(agent.handle(read(times(250))))
    assert [len(block.axis) for block in blocks if isinstance(block, SampleBlock)] == [100, 100]


def test_a_slow_sensor_is_not_held_back() -> None:
    agent = engine(config(dt=DurationNs(1_000_000_000)))
    assert len(records(agent.handle(read(times(1))))) == 1


def test_a_receipt_comes_back_after_its_samples_were_appended() -> None:
    agent = engine()
    assert receipts(agent.handle(read(times(3), receipt="a"))) == []
    assert receipts(agent.handle(read(times(3), receipt="again"))) == []
    effects = agent.handle(Drain(T0))
    assert len(records(effects)) == 1
    assert receipts(effects) == ["a", "again"]
    assert receipts(agent.handle(read(times(3), receipt="b"))) == ["b"], "nothing in it is new"


def test_a_hole_becomes_a_gap_with_the_number_that_is_missing() -> None:
    agent = engine()
    agent.handle(read(times(5)))
    effects = agent.handle(read(times(5, 9), arrival=T0 + 13 * DT))
    gaps = [record for record in records(effects) if isinstance(record, GapRecord)]
    assert [(g.gap.after_ns, g.gap.before_ns, g.gap.n_lost) for g in gaps] == [(T0 + 4 * DT, T0 + 9 * DT, 4)]
    assert gaps[0].gap.cause is GapCause.SOURCE_SILENT


def test_the_overflow_bit_makes_a_gap_whatever_the_interval() -> None:
    codes = np.zeros(5, np.uint32)
    codes[2] = 0x0480
    effects = engine().handle(read(times(5), codes=codes))
    gap = records(effects)[0]
    assert isinstance(gap, GapRecord)
    assert gap.gap.cause is GapCause.SERVER_OVERFLOW
    assert (gap.gap.after_ns, gap.gap.before_ns) == (T0 + DT, T0 + 2 * DT)


def test_a_lost_connection_is_the_cause_of_the_next_gap_only() -> None:
    agent = engine()
    agent.handle(read(times(5)))
    agent.handle(SourceLost((SENSOR,), T0))
    effects = agent.handle(read(times(5, 20)))
    effects += agent.handle(read(times(5, 40)))
    causes = [record.gap.cause for record in records(effects) if isinstance(record, GapRecord)]
    assert causes == [GapCause.CONNECTION_LOST, GapCause.SOURCE_SILENT]


@pytest.mark.parametrize("together", [False, True])
def test_what_never_had_a_value_has_not_been_silent(together: bool) -> None:
    """A server's empty first values, by the time of its start; then the sensor speaks, and falls silent once."""
    agent = engine()
    bad = np.full(2, quality.BAD, np.uint32)
    empty = np.array([T0 - 9000 * DT, T0 - 5000 * DT], np.int64)
    spoken = np.concatenate((times(5), times(5, 9)))
    if together:
        codes = np.concatenate((bad, np.zeros(10, np.uint32)))
        effects = agent.handle(read(np.concatenate((empty, spoken)), codes=codes, arrival=T0 + 14 * DT))
    else:
        effects = agent.handle(read(empty[:1], codes=bad[:1])) + agent.handle(read(empty[1:], codes=bad[1:]))
        effects += agent.handle(read(spoken, arrival=T0 + 14 * DT))
    effects += agent.handle(Drain(T0))
    assert Content.of(records(effects)).n_raw == 12
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert [(gap.after_ns, gap.before_ns, gap.n_lost) for gap in gaps] == [(T0 + 4 * DT, T0 + 9 * DT, 4)]


def test_what_is_lost_before_the_first_value_is_told_all_the_same() -> None:
    agent = engine()
    agent.handle(read(times(1), codes=np.full(1, quality.BAD, np.uint32)))
    agent.handle(SourceLost((SENSOR,), T0))
    gaps = [r.gap for r in records(agent.handle(read(times(5, 20)))) if isinstance(r, GapRecord)]
    assert [(gap.cause, gap.n_lost) for gap in gaps] == [(GapCause.CONNECTION_LOST, 19)]


def test_silence_is_noticed_once() -> None:
    agent = engine()
    agent.handle(read(times(5)))
    seen = [kind for k in range(10) for kind in kinds(agent.handle(Tick(InstantNs(T0 + k * 50 * DT))))]
    assert seen == ["source_silent"]


def test_late_samples_are_kept_and_doubles_are_not() -> None:
    agent = engine()
    agent.handle(read(times(10)))
    late = np.array([T0 + 3 * DT + 1, T0 + 2 * DT], np.int64)
    effects = agent.handle(read(late, arrival=T0 + 10 * DT))
    effects += agent.handle(read(late, arrival=T0 + 10 * DT))
    effects += agent.handle(Drain(T0))
    content = Content.of(records(effects))
    assert set(content.raw) == {*times(10).tolist(), T0 + 3 * DT + 1}
    assert content.n_raw == 11


def test_a_clock_set_back_does_not_stop_the_stream() -> None:
    agent = engine()
    agent.handle(DesiredSet(SENSOR, envelope(coefficient_set()), T0))
    back = T0 - 3_600_000_000_000
    effects = agent.handle(read(times(100)))
    t_back = back + DT * np.arange(300, dtype=np.int64)
    effects += agent.handle(read(t_back, arrival=T0 + 400 * DT))
    effects += agent.handle(Drain(T0))
    content = Content.of(records(effects))
    assert set(content.raw) == {*times(100).tolist(), *t_back.tolist()}
    assert content.n_raw == 400
    assert "clock_step" in kinds(effects)
    assert t_back[-1] in content.corrected
    assert content.sequences == list(range(len(content.sequences)))


def test_what_is_delivered_again_after_a_death_is_no_clock_step() -> None:
    agent = engine(starts={SENSOR: StreamStart(5, InstantNs(T0 + 999 * DT))})
    effects: list[Effect] = []
    for k in range(800, 1000, 20):  # written, but not acknowledged when the process died
        effects += agent.handle(read(times(20, k), arrival=T0 + 1000 * DT))
    effects += agent.handle(read(times(20, 1000), arrival=T0 + 1020 * DT))
    effects += agent.handle(Drain(T0))
    assert "clock_step" not in kinds(effects)
    content = Content.of(records(effects))
    assert sorted(content.raw) == times(220, 800).tolist()
    assert content.n_raw == 220
    # From the first newer sample on a clock set back is one.
    effects = agent.handle(read(times(100, 500), arrival=T0 + 1020 * DT))
    assert "clock_step" in kinds(effects)


def test_what_was_spooled_before_a_death_is_not_numbered_twice() -> None:
    agent = engine(
        starts={SENSOR: StreamStart(5, InstantNs(T0 + 999 * DT))},
        newest={SENSOR: times(120, 880), SensorId("gone"): times(3)},
    )
    effects: list[Effect] = []
    for k in range(800, 1000, 20):
        effects += agent.handle(read(times(20, k), arrival=T0 + 1000 * DT, receipt=k))
    effects += agent.handle(Drain(T0))
    content = Content.of(records(effects))
    assert sorted(content.raw) == times(80, 800).tolist(), "what the spool does not have"
    assert agent.streams[SENSOR].counts.n_duplicate == 120
    assert receipts(effects) == list(range(800, 1000, 20))


def test_a_clock_set_back_while_the_edge_was_away_is_found_after_a_while() -> None:
    agent = engine(starts={SENSOR: StreamStart(5, InstantNs(T0 + 500_000 * DT))})
    effects: list[Effect] = []
    for k in range(0, 6000, 100):
        effects += agent.handle(read(times(100, k)))
    assert kinds(effects).count("clock_step") == 1


def test_a_message_in_which_the_clock_is_set_back_over_and_over_is_taken_whole() -> None:
    teeth = [times(52, 6_000_000 - 60 * k) for k in range(1500)]
    t_ns = np.concatenate([times(1, 6_000_100), *teeth])
    agent = engine()
    effects = agent.handle(read(t_ns, arrival=int(t_ns[0]), receipt="r"))
    effects += agent.handle(Drain(T0))
    sent = np.concatenate([record.axis.t_ns for record in records(effects) if isinstance(record, SampleBlock)])
    assert np.array_equal(np.sort(sent), np.unique(t_ns))
    assert receipts(effects) == ["r"]
    assert agent.streams[SENSOR].counts.n_read == t_ns.size


def test_a_clock_set_forward_is_a_gap_of_that_cause() -> None:
    agent = engine()
    agent.handle(read(times(10)))
    ahead = times(10, 10) + 3_600_000_000_000
    effects = agent.handle(read(ahead, arrival=T0 + 20 * DT))
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert [(gap.cause, gap.n_lost) for gap in gaps] == [(GapCause.CLOCK_STEP, None)]


@pytest.mark.parametrize(
    ("silent", "cause", "n_lost"), [(0, GapCause.CLOCK_STEP, None), (360_000, GapCause.SOURCE_SILENT, 360_000)]
)
def test_a_clock_that_was_set_back_and_is_set_right_loses_nothing(
    silent: int, cause: GapCause, n_lost: int | None
) -> None:
    agent = engine()
    agent.handle(read(times(100)))
    slow = 3_600_000_000_000
    for k in range(100, 400, 20):
        agent.handle(read(times(20, k) - slow, arrival=T0 + (k + 20) * DT))
    behind = slow if silent else 0
    effects = agent.handle(read(times(20, 400 + silent) - behind, arrival=T0 + (420 + silent) * DT))
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert [(gap.cause, gap.n_lost) for gap in gaps] == [(cause, n_lost)]


@pytest.mark.parametrize("t", [-1, 0, 2**62, -(2**63), 2**63 - 1])
def test_impossible_times_are_refused_and_do_no_harm(t: int) -> None:
    agent = engine()
    effects = agent.handle(read(np.array([T0, t, T0 + DT], np.int64), arrival=T0 + DT))
    effects += agent.handle(Drain(T0))
    assert "samples_refused" in kinds(effects)
    assert set(Content.of(records(effects)).raw) == {T0, T0 + DT}


def test_samples_with_impossible_times_are_a_gap_and_go_into_quarantine() -> None:
    agent = engine()
    agent.handle(read(times(10)))
    reset, now = np.arange(3, dtype=np.int64) * DT, T0 + 10 * DT  # a device that forgot what time it is
    effects = agent.handle(read(reset, np.array([1.0, 2.0, 3.0]), arrival=now, receipt="message"))
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert gaps == [Gap(InstantNs(now), InstantNs(now), GapCause.REJECTED, 3)]
    refused = [effect for effect in effects if isinstance(effect, Refuse)]
    assert [(r.t_ns.tolist(), r.raw.tolist()) for r in refused] == [(reset.tolist(), [1.0, 2.0, 3.0])]
    effects += agent.handle(Drain(InstantNs(now)))
    kept = [k for k, effect in enumerate(effects) if isinstance(effect, Append)]
    assert [k for k, effect in enumerate(effects) if isinstance(effect, Release)][-1] > kept[0]


def test_what_waited_at_its_source_for_days_is_taken() -> None:
    agent = engine(starts={SENSOR: StreamStart(5, T0)})
    monday = T0 + 3 * 86_400 * NS_PER_S
    effects = agent.handle(read(times(50, 1), arrival=monday)) + agent.handle(Drain(InstantNs(monday)))
    assert Content.of(records(effects)).raw.keys() == set(times(50, 1).tolist())
    assert "samples_refused" not in kinds(effects)
    old = agent.handle(read(times(1, -1), arrival=monday))
    assert "samples_refused" in kinds(old)


def test_what_cannot_be_read_is_a_gap_of_unknown_number() -> None:
    agent = engine()
    nothing = replace(read(times(0), arrival=T0, receipt="message"), unreadable=77)
    effects = agent.handle(nothing)
    assert [record.gap for record in records(effects) if isinstance(record, GapRecord)] == [
        Gap(T0, T0, GapCause.REJECTED)
    ]
    assert isinstance(effects[-1], Release)


def rejected(effects: list[Effect]) -> list[GapRecord]:
    return [r for r in records(effects) if isinstance(r, GapRecord) and r.gap.cause is GapCause.REJECTED]


RESET = np.arange(3, dtype=np.int64) * DT
LATER = InstantNs(T0 + 60 * NS_PER_S)


def nonsense(at: int = LATER, **more: Any) -> SamplesRead:
    """Samples by a clock that forgot what time it is, in a message that is unreadable besides."""
    return replace(read(RESET, np.array([1.0, 2.0, 3.0]), arrival=at), unreadable=77, **more)


@pytest.mark.parametrize(("n_refused", "n_lost"), [(40, 60), (100, 0), (150, 0)])
def test_what_was_refused_is_not_lost_again_with_the_hole_that_it_leaves(n_refused: int, n_lost: int) -> None:
    agent = engine()
    agent.handle(read(times(10)))
    year = 365 * 86_400 * NS_PER_S  # by the device's clock, until it is set right
    effects = agent.handle(read(times(n_refused, 10) + year, arrival=T0 + (9 + n_refused) * DT))
    effects += agent.handle(read(times(10, 110)))
    effects += agent.handle(read(times(10, 150)))
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert [(gap.cause, gap.n_lost) for gap in gaps] == [
        (GapCause.REJECTED, n_refused),
        (GapCause.SOURCE_SILENT, n_lost),
        (GapCause.SOURCE_SILENT, 30),
    ]
    assert (gaps[1].after_ns, gaps[1].before_ns) == (T0 + 9 * DT, T0 + 110 * DT)


def test_what_is_refused_behind_good_ones_of_the_same_message_is_not_lost_again() -> None:
    agent, year = engine(), 365 * 86_400 * NS_PER_S
    agent.handle(read(times(10)))
    clock = np.array([0] * 3 + [year] * 7, np.int64)
    effects = agent.handle(read(times(10, 10) + clock, arrival=T0 + 19 * DT))
    effects += agent.handle(read(times(20, 20) + year, arrival=T0 + 39 * DT))
    clock = np.array([year] * 5 + [0] * 5, np.int64)
    effects += agent.handle(read(times(10, 40) + clock, arrival=T0 + 49 * DT))
    gaps = [record.gap for record in records(effects) if isinstance(record, GapRecord)]
    assert [(gap.cause, gap.n_lost) for gap in gaps] == [
        (GapCause.REJECTED, 7),
        (GapCause.REJECTED, 20),
        (GapCause.REJECTED, 5),
        (GapCause.SOURCE_SILENT, 0),
    ]


def test_what_is_refused_counts_once_when_it_is_delivered_again() -> None:
    agent = engine()
    agent.handle(read(times(1)))
    assert [r.gap.n_lost for r in rejected(agent.handle(nonsense()))] == [None, 3]
    again = InstantNs(LATER + 1)
    assert rejected(agent.handle(nonsense(again, again_since_ns=again))) == []
    assert rejected(agent.handle(nonsense(again + 1, again_since_ns=again))) == []
    other = replace(nonsense(again, again_since_ns=again), raw=np.array([1.0, 7.0, 3.0]), unreadable=78)
    assert [r.gap.n_lost for r in rejected(agent.handle(other))] == [None, 1]
    assert agent.streams[SENSOR].counts.n_refused == 4


def test_what_a_source_repeats_of_its_own_accord_counts_each_time() -> None:
    agent = engine()
    agent.handle(read(times(1)))
    effects = agent.handle(nonsense()) + agent.handle(nonsense(LATER + 1)) + agent.handle(nonsense(LATER + 2))
    assert [r.gap.n_lost for r in rejected(effects)] == [None, 3] * 3


def test_what_a_source_repeats_after_a_start_counts_each_time() -> None:
    agent = engine()
    effects = agent.handle(nonsense()) + agent.handle(nonsense(LATER + 1))
    assert [r.gap.n_lost for r in rejected(effects)] == [None, 3] * 2


def test_what_is_refused_of_a_history_counts_once_however_often_it_is_read() -> None:
    agent = engine()
    ahead = LATER + 10 * 86_400 * NS_PER_S + RESET
    effects: list[Effect] = []
    for k in range(3):
        page = read(ahead, np.array([1.0, 2.0, 3.0]), arrival=LATER + k)
        effects += agent.handle(replace(page, from_history=k > 0))
    assert [r.gap.n_lost for r in rejected(effects)] == [3]


def test_what_an_earlier_life_refused_counts_once() -> None:
    told = rejected(engine().handle(nonsense()))
    known = {digest: r.gap.after_ns for r in told for digest in r.refused}
    start = {SENSOR: StreamStart(2, T0)}
    agent = engine(starts=start, refused={SENSOR: known})
    assert rejected(agent.handle(nonsense(LATER + NS_PER_S))) == []
    long_after = LATER + 100 * NS_PER_S
    assert len(rejected(agent.handle(nonsense(long_after)))) == 2, "now the source says it again"


@pytest.mark.parametrize("y", [np.nan, np.inf, -np.inf, 1e308, -1e200])
def test_impossible_values_become_holes_with_a_reason(y: float) -> None:
    agent = engine()
    agent.handle(DesiredSet(SENSOR, envelope(coefficient_set()), T0))
    raw = value_at(times(50))
    raw[20] = y
    effects = [*agent.handle(read(times(50), raw)), *agent.handle(Drain(T0))]
    block = records(effects)[0]
    assert isinstance(block, SampleBlock)
    assert np.isnan(block.raw[20])
    assert bool(quality.is_bad(quality.expand(block.quality))[20])
    assert "set_reverted" not in kinds(effects)
    assert block.corrected is not None
    assert np.isfinite(block.corrected.value[-1])


def test_the_store_has_more_than_the_spool_remembers() -> None:
    from edge_agent.events import Committed

    agent = engine(starts={SENSOR: StreamStart(5, T0)})
    effects = agent.handle(Committed(7, {SENSOR: 9}, T0))
    assert kinds(effects) == ["sequence_jumped"]
    agent.handle(Committed(8, {SENSOR: 99}, T0))
    agent.handle(read(times(3, 1)))
    assert [record.sequence for record in records(agent.handle(Drain(T0)))] == [10]


# Properties

DISORDER = st.lists(st.integers(0, 60), min_size=1, max_size=120)


def stream_of(steps: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Instants that mostly go on, sometimes leave holes, repeat and come late."""
    at, t = 0, []
    for step in steps:
        if step < 40:
            at += 1
        elif step < 48:
            at += step - 40 + 2
        elif step >= 54:
            t.append(max(0, at - (step - 53)))
            continue
        t.append(at)
    return T0 + DT * np.array(t, np.int64)


@settings(max_examples=60)
@given(steps=DISORDER, cuts=st.lists(st.integers(0, 120), max_size=12), ticks=st.lists(st.booleans(), max_size=12))
def test_records_say_the_same_however_the_input_is_cut(steps: list[int], cuts: list[int], ticks: list[bool]) -> None:
    t_ns = stream_of(steps)
    arrival = InstantNs(int(t_ns.max()))
    raw = value_at(t_ns)

    def run(pieces: list[slice], ticked: list[bool]) -> Content:
        agent = engine(limits=AgentLimits(block_samples=32))
        effects = agent.handle(DesiredSet(SENSOR, envelope(coefficient_set()), T0))
        for k, piece in enumerate(pieces):
            effects += agent.handle(read(t_ns[piece], raw[piece], arrival=arrival))
            if k < len(ticked) and ticked[k]:
                effects += agent.handle(Drain(arrival))
        return Content.of(records([*effects, *agent.handle(Drain(arrival))]))

    edges = sorted({0, t_ns.size, *(c for c in cuts if c < t_ns.size)})
    whole = run([slice(None)], [])
    parts = run([slice(a, b) for a, b in itertools.pairwise(edges)], ticks)
    assert parts.raw == whole.raw
    assert parts.n_raw == whole.n_raw == len(set(t_ns.tolist()))
    assert sorted(parts.gaps) == sorted(whole.gaps)
    assert parts.sequences == list(range(len(parts.sequences)))
    assert parts.corrected.keys() == whole.corrected.keys()
    for t, (value, u, set_id) in whole.corrected.items():
        assert parts.corrected[t][:2] == pytest.approx((value, u), rel=1e-9, nan_ok=True)
        assert parts.corrected[t][2] == set_id


@settings(max_examples=60)
@given(steps=DISORDER, size=st.integers(1, 9), deaths=st.sets(st.integers(0, 60), max_size=4), flush=st.integers(1, 7))
def test_a_death_at_any_point_loses_and_doubles_nothing(
    steps: list[int], size: int, deaths: set[int], flush: int
) -> None:
    """Messages that were not released are delivered again after a restart, as a broker does at QoS 1."""
    t_ns = np.array(sorted(set(stream_of(steps).tolist())), np.int64)
    arrival = InstantNs(int(t_ns.max()))
    messages = [t_ns[a : a + size] for a in range(0, t_ns.size, size)]
    spooled: list[Effect] = []
    unacknowledged: dict[int, SamplesRead] = {}
    agent = engine()

    def handle(event: SamplesRead | Drain) -> None:
        effects = agent.handle(event)
        spooled.extend(effects)
        for receipt in receipts(effects):
            unacknowledged.pop(receipt, None)  # type: ignore[call-overload]  # receipts here are ints

    for k, message in enumerate(messages):
        unacknowledged[k] = read(message, arrival=arrival, receipt=k)
        handle(unacknowledged[k])
        if k % flush == flush - 1:
            handle(Drain(arrival))
        if k in deaths:
            content = Content.of(records(spooled))
            start = StreamStart(len(content.sequences), InstantNs(max(content.raw)) if content.raw else None)
            agent = engine(starts={SENSOR: start})
            for again in list(unacknowledged.values()):
                handle(again)
    handle(Drain(arrival))
    content = Content.of(records(spooled))
    assert set(content.raw) == set(t_ns.tolist())
    assert content.n_raw == t_ns.size
    assert content.sequences == list(range(len(content.sequences)))
    assert not unacknowledged
