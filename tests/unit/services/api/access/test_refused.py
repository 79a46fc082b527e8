"""Attempts that failed, on their way into the audit trail."""

from __future__ import annotations

import pytest

from services.api.access.refused import ENTRIES, GATHER_S, MAX_SOURCES, Refusals

NOW_NS = 1_700_000_000 * 10**9


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


def said(refusals: Refusals, now_s: float) -> list[tuple[str, str]]:
    found = [(act.actor, subject) for act, subject in refusals.due(now_s, NOW_NS)]
    refusals.written()
    return found


def test_attempts_of_a_minute_are_an_entry_for_each_source(refusals: Refusals) -> None:
    for k in range(3):
        refusals.count("192.0.2.1", 10.0 + k, "anna", held_off=k == 2)
    refusals.count("192.0.2.2", 12.0)
    assert said(refusals, 10.0 + GATHER_S - 1) == []
    assert said(refusals, 10.0 + GATHER_S) == [
        ("http:192.0.2.1", "3 attempts to get in, 1 of them held off, as anna"),
        ("http:192.0.2.2", "1 attempt to get in"),
    ]
    assert said(refusals, 1000.0) == []


def test_an_attacker_with_many_addresses_does_not_fill_the_trail(refusals: Refusals) -> None:
    """A day of a thousand attempts a second, each from another address."""
    n, entries, attempts = 0, 0, 0
    for second in range(0, 86_400, 30):
        for k in range(1000):
            n += 1
            refusals.count(f"2001:db8::{n + k}", float(second))
        for _, subject in refusals.due(second + 0.5, NOW_NS):
            entries += 1
            attempts += int(subject.split()[0])
        refusals.written()
    assert entries <= ENTRIES + 2 * 1440
    assert attempts >= n - 2 * 1000  # but for those that are still gathered


def test_those_who_try_most_are_named_when_there_are_too_many(refusals: Refusals) -> None:
    for k in range(MAX_SOURCES + 50):
        refusals.count(f"source-{k}", 1.0)
    for _ in range(100):
        refusals.count("source-7", 1.0, "anna")
    found = said(refusals, 100.0)
    assert found[0] == ("http:source-7", "101 attempts to get in, as anna")
    assert len(found) == ENTRIES
    assert sum(int(subject.split()[0]) for _, subject in found) == MAX_SOURCES + 150


def test_what_could_not_be_written_comes_again(refusals: Refusals) -> None:
    refusals.count("192.0.2.1", 0.0)
    first = list(refusals.due(70.0, NOW_NS))
    refusals.count("192.0.2.1", 71.0)
    assert list(refusals.due(200.0, NOW_NS)) == first
    refusals.written()
    assert said(refusals, 300.0) == [("http:192.0.2.1", "1 attempt to get in")]


def test_at_the_end_nothing_is_left(refusals: Refusals) -> None:
    refusals.count("192.0.2.1", 0.0)
    assert len(refusals.due(1.0, NOW_NS, at_once=True)) == 1
