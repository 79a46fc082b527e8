from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.contracts import samples as wire
from dyncal.domain.time import LATEST, DurationNs, InstantNs
from edge_agent import plausibility
from edge_agent.events import AgentLimits, Append, Drain, Effect, SamplesRead
from tests.unit.edge_agent.helpers import DT, T0, engine, read, times

GAP_AFTER = DurationNs(5 * DT // 2)
SKEW = AgentLimits().max_skew_ns
NEWEST = InstantNs(T0 - DT)


def ordinary(samples: SamplesRead, newest: InstantNs | None = NEWEST, gap_after: DurationNs = GAP_AFTER) -> bool:
    return plausibility.ordinary(samples, newest, SKEW, gap_after)


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_good_samples_that_go_on_are_ordinary(n: int) -> None:
    assert ordinary(read(times(n)))


@pytest.mark.parametrize("n", [1, 3])
def test_the_first_samples_of_a_stream_are_looked_at(n: int) -> None:
    assert not ordinary(read(times(n)), None)
    assert not ordinary(read(times(0)))


@pytest.mark.parametrize("y", [np.nan, np.inf, -np.inf, 1e100, -1e100])
@pytest.mark.parametrize("k", [0, 2, 4])
def test_a_value_that_is_none_is_not_ordinary(y: float, k: int) -> None:
    raw = np.ones(5)
    raw[k] = y
    assert not ordinary(read(times(5), raw))


def test_a_code_is_not_ordinary() -> None:
    codes = np.zeros(5, np.uint32)
    codes[3] = 0x0480
    assert not ordinary(read(times(5), codes=codes))


@pytest.mark.parametrize("steps", [[4], [1, 3], [0], [1, 0], [-1], [2, -1]])
def test_holes_repetitions_and_steps_back_are_not_ordinary(steps: list[int]) -> None:
    assert not ordinary(read(T0 - DT + DT * np.cumsum(np.array(steps, np.int64))))


def test_samples_from_the_future_are_not_ordinary() -> None:
    assert not ordinary(read(times(5), arrival=T0 - SKEW))


@pytest.mark.parametrize("gap_after", [GAP_AFTER, DurationNs(int(LATEST))])
def test_instants_that_leave_int64_and_come_back_are_not_ordinary(gap_after: DurationNs) -> None:
    there = np.array([T0, 2**63 - 1, -(2**63) + 5, T0 + DT], np.int64)
    assert not ordinary(read(there, arrival=T0 + DT), gap_after=gap_after)


PIECE = st.tuples(
    st.sampled_from([1, 1, 1, 1, 0, 2, 9, -3, 2**61]),  # steps from the newest instant to the piece
    st.integers(1, 40),
    st.sampled_from([None, None, None, np.nan, 1e200]),
    st.sampled_from([0, 0, 0, 0x0480, 0x80000000]),
    st.integers(0, 39),
)


def _pieces(drawn: list[tuple[int, int, float | None, int, int]]) -> list[SamplesRead]:
    found, at = [], 0
    for step, n, y, code, where in drawn:
        piece = read(times(n, at + (step if step < 2**61 else 0)))
        raw, codes, t_ns = piece.raw.copy(), piece.codes.copy(), piece.t_ns.copy()
        arrival = InstantNs(T0 + (at + n) * DT)
        if y is not None:
            raw[where % n] = y
        codes[where % n] = code
        if step == 2**61:
            t_ns[where % n] = step
        found.append(replace(piece, raw=raw, codes=codes, t_ns=t_ns, arrival_ns=arrival))
        at = max(at, at + step + n - 1) if step < 2**61 else at + n
    return found


@settings(max_examples=80, deadline=None)
@given(drawn=st.lists(PIECE, min_size=1, max_size=12))
def test_what_is_ordinary_has_the_same_effects_as_when_it_is_looked_at_in_full(drawn: list[Any]) -> None:
    def run() -> list[object]:
        agent = engine(limits=AgentLimits(block_samples=16))
        effects = list(itertools.chain.from_iterable(map(agent.handle, _pieces(drawn))))
        return [_said(effect) for effect in [*effects, *agent.handle(Drain(T0))]]

    quick = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plausibility, "ordinary", lambda *_: False)
        assert run() == quick


def _said(effect: Effect) -> object:
    return wire.encode(effect.record) if isinstance(effect, Append) else repr(effect)
