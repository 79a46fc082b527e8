from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.rollouts import Failure, Residual, RolloutPlan, Stage
from services.calibrate.rollout.judge import Known, ResidualBook, joined, judge


def test_equal_sets_are_hardly_ever_told_to_be_worse() -> None:
    """2 000 sensors with 8 windows before and after, looked at without a margin: none may be found, at 1e-6 each."""
    rng = np.random.default_rng(1)
    rms = np.sqrt(np.mean(rng.normal(size=(2000, 2, 8)) ** 2, axis=2))
    wrong = [
        judge(Known(new := Residual(after, 0.0, 8), new), Residual(before, 0.0, 8), 1.0)
        for before, after in rms.tolist()
    ]
    assert wrong == [None] * 2000


def test_four_times_the_residual_is_found_in_forty_windows() -> None:
    """The threshold is a ratio of mean squares of 4.8; ln(16/4.8) is 3.8 standard deviations, √(4/40), off."""
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=(500, 40)), 4 * rng.normal(size=(500, 40))
    found = 0
    for a, b in zip(after, before, strict=True):
        new, old = (Residual(float(np.sqrt(np.mean(x**2))), 0.0, x.size) for x in (a, b))
        found += judge(Known(new, new), old, 2.0) is not None
    assert found >= 495


def test_the_limit_is_held_against_the_newest_windows_and_not_against_too_few() -> None:
    total = Residual(0.2, 1.0, 100)
    assert (judge(Known(Residual(1.5, 1.0, 8), total), None, 2.0) or (None,))[0] is Failure.ABOVE_LIMIT
    assert judge(Known(Residual(1.5, 0.0, 8), total), None, 2.0) is None
    assert judge(Known(Residual(1.5, 1.0, 7), total), None, 2.0) is None


def test_windows_that_exceed_the_limit_alone_are_no_failure() -> None:
    """A limit of 4 normal rms is exceeded by one window in 16 000, and 1 000 sensors have many: by no eight of them."""
    rng = np.random.default_rng(3)
    found = 0
    for means in rng.normal(size=(1000, 200)):
        book = ResidualBook()
        for mean in means:
            known = book.add("s", "a", Residual(abs(float(mean)), 4.0, 1))  # type: ignore[arg-type]
            found += judge(known, None, 2.0) is not None
    assert found == 0


def test_a_residual_that_was_nothing_before_is_worse_by_any_amount() -> None:
    new = Residual(1e-3, 0.0, 8)
    assert (judge(Known(new, new), Residual(0.0, 0.0, 8), 2.0) or (None,))[0] is Failure.WORSE


def test_the_book_forgets_what_is_old_and_what_was_of_another_set() -> None:
    book = ResidualBook()
    for _ in range(100):
        book.add("s", "a", Residual(1.0, 5.0, 10))  # type: ignore[arg-type]
    for _ in range(100):
        recent, total = book.add("s", "a", Residual(2.0, 5.0, 10))  # type: ignore[arg-type]
    assert total.n == 256
    assert total.rms == pytest.approx(2.0, rel=0.02)
    assert (recent.n, recent.rms) == (10, 2.0)
    assert book.of("s", "b") is None  # type: ignore[arg-type]
    assert book.add("s", "b", Residual(3.0, 5.0, 1)).total == Residual(3.0, 5.0, 1)  # type: ignore[arg-type]
    assert joined(Residual(0.0, 1.0, 0), Residual(0.0, 1.0, 0), 8).n == 0


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.2, 1.0), (0.5, 0.5, 1.0), (0.1, 1.1)])
def test_plans_that_make_no_sense_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InvalidData):
        RolloutPlan(tuple(Stage(share, 1.0) for share in shares))


def test_a_canary_group_is_never_more_than_its_share_but_at_least_one() -> None:
    plan = RolloutPlan((Stage(0.05, 1.0), Stage(1.0, 1.0)))
    assert [plan.target(0, n) for n in (1, 19, 20, 100, 119)] == [1, 1, 1, 5, 5]
    assert plan.target(1, 119) == 119


def test_figures_that_cannot_be_are_judged_like_others() -> None:
    """An edge may tell any number: its square must not be an error each time."""
    absurd, small = Residual(1e200, 1.0, 20), Residual(1e-200, 1.0, 20)
    assert joined(absurd, absurd, 256.0).rms == np.inf
    assert (judge(Known(small, absurd), small, 2.0) or (None,))[0] is Failure.WORSE
