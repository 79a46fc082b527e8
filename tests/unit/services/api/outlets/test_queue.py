from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dyncal.domain.alarms import AlarmKind, AlarmState, Priority
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.time import InstantNs, duration
from services.api.outlets.news import Filter, News
from services.api.outlets.queue import OutletQueue
from tests.unit.services.api.outlets.alarms import FakeFeed, change, picture

NOW = InstantNs(10_000)


def every(news: News) -> bool:
    return bool(news.id)


def numbers(queue: OutletQueue, now: int = NOW, limit: int = 100) -> list[int]:
    return [w.number for w in queue.due("t", InstantNs(now), limit)]


def test_a_new_target_begins_with_what_stands_and_goes_on_with_what_happens(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    feed.add(change(1), change(2, event="cleared", state="normal"), change(3, "TT-102"))
    feed.stand = [picture(3, "TT-102")]
    assert queue.fill("t", feed, every, NOW) == 1
    feed.add(change(4, "TT-103"), change(5, "TT-104"))
    assert queue.fill("t", feed, every, NOW) == 2
    assert queue.fill("t", feed, every, NOW) == 0
    assert numbers(queue) == [3, 4, 5]
    queue.close()


def test_what_waits_outlives_a_restart_and_is_taken_over_once(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1), change(2, "TT-102"))
    queue.fill("t", feed, every, NOW)
    queue.delivered("t", [1])
    queue.close()
    queue = OutletQueue(tmp_path / "q.sqlite")
    feed.add(change(3, "TT-103"))
    queue.fill("t", feed, every, NOW)
    assert numbers(queue) == [2, 3]
    assert queue.account("t").n_delivered == 1
    queue.close()


def test_the_window_is_bounded_and_what_has_no_room_stays_in_the_history(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(*(change(n, f"TT-{n}") for n in range(1, 26)))
    seen: list[int] = []
    while len(seen) < 25:
        queue.fill("t", feed, every, NOW, window=10)
        assert queue.account("t").n_waiting <= 10
        took = numbers(queue, limit=4)
        queue.delivered("t", took)
        seen += took
    assert seen == list(range(1, 26))
    queue.close()


def test_of_one_alarm_only_the_oldest_change_is_due_and_others_go_on(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1), change(2, event="cleared"), change(3, "TT-102"))
    queue.fill("t", feed, every, NOW)
    assert numbers(queue) == [1, 3]
    queue.failed("t", 1, InstantNs(NOW + 500))
    assert numbers(queue) == [3]
    queue.delivered("t", [3])
    assert queue.next_due("t") == NOW + 500  # not that of change 2, which is behind it
    assert numbers(queue, NOW + 500) == [1]
    queue.delivered("t", [1])
    assert numbers(queue) == [2]
    queue.close()


def test_what_is_given_up_is_counted_until_the_receiver_knows(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1), change(2))
    queue.fill("t", feed, every, NOW)
    queue.give_up("t", 1)
    assert (queue.account("t").n_given_up, queue.account("t").n_untold) == (1, 1)
    queue.told("t", 1)
    assert (queue.account("t").n_given_up, queue.account("t").n_untold) == (1, 0)
    assert numbers(queue) == [2]
    queue.close()


def test_another_registry_begins_anew_and_what_is_lost_with_it_is_counted(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(*(change(n, f"TT-{n}") for n in range(1, 6)))
    queue.fill("t", feed, every, NOW)
    other = FakeFeed()
    other.add(change(1, "PT-1"), change(2, "PT-2"))
    other.stand = [picture(2, "PT-2")]
    queue.fill("t", other, every, NOW)
    assert numbers(queue) == [2]
    assert queue.account("t").n_untold == 5
    queue.close()


def test_history_that_was_forgotten_before_a_target_came_to_it_is_counted(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(*(change(n, f"TT-{n}") for n in range(1, 9)))
    del feed.changes[:5]
    assert queue.fill("t", feed, every, NOW) == 3
    assert numbers(queue) == [6, 7, 8]
    assert queue.account("t").n_untold == 5
    feed.add(change(9))
    queue.fill("t", feed, every, NOW)
    feed.stand, feed.changes = [picture(11)], []
    assert queue.fill("t", feed, every, NOW) == 0
    account = queue.account("t")
    assert (account.last, account.n_untold) == (11, 7)
    queue.close()


def test_a_refusal_counts_from_its_first_and_an_outage_ends_it(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1))
    queue.fill("t", feed, every, NOW)

    def refused() -> list[int | None]:
        return [w.refused_ns for w in queue.due("t", NOW, 9)]

    seen = [refused()]
    for refused_ns in (5, 7, None, 9):
        queue.failed("t", 1, NOW, refused_ns=None if refused_ns is None else InstantNs(refused_ns))
        seen.append(refused())
    assert seen == [[None], [5], [5], [None], [9]]
    queue.close()


def test_a_file_from_before_refusals_were_dated_is_read(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1))
    queue.fill("t", feed, every, NOW)
    queue.close()
    with closing(sqlite3.connect(tmp_path / "q.sqlite")) as raw:
        raw.execute("ALTER TABLE waiting DROP COLUMN refused_ns")
    queue = OutletQueue(tmp_path / "q.sqlite")
    assert numbers(queue) == [1]
    queue.close()


class LateFeed(FakeFeed):
    """The newest number is known a little after the history has it."""

    def newest(self) -> int:
        return super().newest() - 2


def test_what_is_in_the_history_before_its_number_is_known_is_no_other_registry(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    late = LateFeed()
    late.add(*(change(n, f"TT-{n}") for n in range(1, 6)))
    assert [queue.fill("t", late, every, NOW) for _ in range(3)] == [5, 0, 0]
    assert numbers(queue) == [1, 2, 3, 4, 5]
    assert queue.account("t").n_untold == 0
    queue.close()


def test_what_a_clock_that_was_ahead_put_off_is_due(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    queue.fill("t", feed, every, NOW)
    feed.add(change(1), change(2, "TT-102"))
    queue.fill("t", feed, every, NOW)
    queue.failed("t", 1, InstantNs(NOW + duration(365 * 86_400.0)))
    queue.failed("t", 2, InstantNs(NOW + duration(6 * 3600.0)))
    assert numbers(queue) == [1]
    queue.close()


def test_targets_do_not_see_each_other(tmp_path: Path) -> None:
    feed, queue = FakeFeed(), OutletQueue(tmp_path / "q.sqlite")
    for target in ("t", "other"):
        queue.fill(target, feed, every, NOW)
    feed.add(change(1))
    queue.fill("t", feed, every, NOW)
    queue.delivered("t", [1])
    assert queue.fill("other", feed, every, NOW) == 1
    assert [w.number for w in queue.due("other", NOW, 9)] == [1]
    queue.close()


def test_a_file_that_cannot_be_had_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        OutletQueue(tmp_path / "file" / "q.sqlite")


def test_filters_meet_every_condition() -> None:
    news = change(1)
    assert Filter().takes(news)
    assert Filter(Priority.MEDIUM, frozenset({AlarmKind.DRIFT}), frozenset({AlarmState.UNACKNOWLEDGED})).takes(news)
    assert not Filter(Priority.HIGH).takes(news)
    assert not Filter(kinds=frozenset({AlarmKind.EDGE_OFFLINE})).takes(news)
    assert not Filter(states=frozenset({AlarmState.NORMAL})).takes(news)
    assert not Filter(sources=frozenset({"TT-999"})).takes(news)
