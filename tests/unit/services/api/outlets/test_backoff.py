from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.time import NS_PER_S, InstantNs
from services.api.outlets.backoff import LONGEST_S, MOST_ASKED_S, asked_s, delay_s

NOW = InstantNs(1_769_860_800 * NS_PER_S)  # 2026-01-31T12:00:00Z


def test_delays_double_up_to_a_limit_with_jitter() -> None:
    rng = np.random.default_rng(1)
    for n, ceiling in ((1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, LONGEST_S), (10_000, LONGEST_S)):
        drawn = [delay_s(n, rng) for _ in range(200)]
        assert ceiling / 2 <= min(drawn) < max(drawn) <= ceiling


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 4000, MOST_ASKED_S),
        ("Sat, 31 Jan 2026 12:01:00 GMT", 60.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_ASKED_S),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_and_bounded(text: str | None, wait_s: float | None) -> None:
    assert asked_s(text, NOW) == wait_s
