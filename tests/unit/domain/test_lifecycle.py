"""The table of moves, and what a policy may say."""

from __future__ import annotations

import itertools

import pytest

from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import Conflict, IllegalMove, InvalidData
from dyncal.domain.lifecycle import MOVES, ReleaseMode, ReleasePolicy, check_move, check_path

S = SetState
LEGAL = {
    (S.CANDIDATE, S.VERIFIED),
    (S.CANDIDATE, S.REJECTED),
    (S.VERIFIED, S.PUBLISHED),
    (S.VERIFIED, S.REJECTED),
    (S.PUBLISHED, S.ACTIVE),
    (S.PUBLISHED, S.REJECTED),
    (S.PUBLISHED, S.REVERTED),
    (S.PUBLISHED, S.SUPERSEDED),
    (S.ACTIVE, S.SUPERSEDED),
    (S.ACTIVE, S.REVERTED),
    (S.ACTIVE, S.REJECTED),
    (S.SUPERSEDED, S.ACTIVE),
}


@pytest.mark.parametrize(("before", "to"), list(itertools.product(SetState, SetState)))
def test_moves_are_those_of_the_table_and_no_others(before: SetState, to: SetState) -> None:
    if (before, to) in LEGAL:
        check_move("s.1", before, to)
    else:
        with pytest.raises(IllegalMove, match=f"s.1 is {before}: it cannot become {to}") as refused:
            check_move("s.1", before, to)
        assert isinstance(refused.value, Conflict)


def test_nothing_becomes_active_that_was_not_published_before() -> None:
    """Whatever way is taken: no path from candidate to active leaves out verified or published."""
    paths: list[tuple[SetState, ...]] = [(S.CANDIDATE,)]
    while paths:
        path = paths.pop()
        for to in MOVES[path[-1]] - set(path):
            if to is S.ACTIVE:
                assert {S.VERIFIED, S.PUBLISHED} <= set(path)
            paths.append((*path, to))


def test_what_is_rejected_or_reverted_stays_so() -> None:
    assert MOVES[S.REJECTED] == MOVES[S.REVERTED] == frozenset()
    assert set(MOVES) == set(SetState)


def test_a_path_is_legal_if_each_of_its_steps_is() -> None:
    check_path("s.1", [S.CANDIDATE, S.VERIFIED, S.PUBLISHED])
    check_path("s.1", [S.ACTIVE])
    with pytest.raises(IllegalMove):
        check_path("s.1", [S.CANDIDATE, S.PUBLISHED])


@pytest.mark.parametrize(
    ("mode", "parameters", "response", "shadow_s"),
    [
        (ReleaseMode.WITHIN_BOUNDS, {}, None, 0.0),
        (ReleaseMode.WITHIN_BOUNDS, {"tau_s": 0.0}, None, 0.0),
        (ReleaseMode.WITHIN_BOUNDS, {"tau_s": float("nan")}, None, 0.0),
        (ReleaseMode.WITHIN_BOUNDS, {}, 11.0, 0.0),
        (ReleaseMode.AUTOMATIC, {}, None, -1.0),
        (ReleaseMode.AUTOMATIC, {}, None, float("nan")),
    ],
)
def test_a_policy_that_says_nothing_sensible_is_refused(
    mode: ReleaseMode, parameters: dict[str, float], response: float | None, shadow_s: float
) -> None:
    with pytest.raises(InvalidData):
        ReleasePolicy(mode, parameters, response, shadow_s)
