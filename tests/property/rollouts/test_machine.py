from __future__ import annotations

from tests.property.rollouts.machine import run


def test_rollouts_hold_what_they_promise_whatever_happens() -> None:
    assert run(2_000) > 2_000
