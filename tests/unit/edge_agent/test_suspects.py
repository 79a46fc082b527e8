"""Which record a broker is taken to end the connection over."""

from __future__ import annotations

from dyncal.domain.sensors import SensorId
from edge_agent.suspects import AGAIN_AFTER_S, ALONE_AFTER, REFUSED_AFTER, SOON_S, Key, Suspects

BAD: Key = (SensorId("A"), 5)
GOOD: Key = (SensorId("B"), 1)


def lose(suspects: Suspects, now_s: float, *keys: Key, after_s: float = 0.1) -> Key | None:
    for key in keys:
        suspects.sent(key, now_s)
    return suspects.lost(now_s + after_s)


def suspected() -> Suspects:
    suspects = Suspects()
    for k in range(ALONE_AFTER):
        assert not suspects.suspected(BAD)
        assert lose(suspects, float(k), GOOD, BAD) is None
    return suspects


def test_a_record_that_always_ends_the_connection_is_taken_for_refused_for_a_while() -> None:
    suspects = suspected()
    for k in range(REFUSED_AFTER):
        assert suspects.suspected(BAD)
        suspects.sent(BAD, 10.0 + k)
        assert suspects.one_alone
        found = suspects.lost(10.1 + k)
        assert (found == BAD) == (k == REFUSED_AFTER - 1)
    assert suspects.refused(BAD, 20.0)
    assert not suspects.refused(GOOD, 20.0)
    assert not suspects.refused(BAD, 13 + AGAIN_AFTER_S)
    assert lose(suspects, 20 + AGAIN_AFTER_S, BAD) == BAD, "one more time is enough then"


def test_what_the_broker_answers_is_not_suspected_any_more() -> None:
    suspects = suspected()
    suspects.sent(GOOD, 5.0)
    suspects.answered(GOOD)
    assert not suspects.suspected(GOOD)
    assert not suspects.one_alone
    for _ in range(REFUSED_AFTER - 1):
        assert lose(suspects, 6.0, BAD) is None
    suspects.sent(BAD, 7.0)
    suspects.answered(BAD)
    assert not suspects.suspected(BAD)
    assert lose(suspects, 8.0, BAD) is None


def test_a_connection_that_ends_long_after_is_no_answer() -> None:
    suspects = suspected()
    for k in range(10):
        assert lose(suspects, 100.0 * k, BAD, after_s=SOON_S + 1) is None
        assert lose(suspects, 100.0 * k + 50) is None
    assert not suspects.refused(BAD, 2000.0)


def test_what_is_suspected_is_bounded() -> None:
    suspects = Suspects()
    for k in range(5000):
        lose(suspects, float(k), (SensorId("A"), k))
    assert len(suspects._doubts) == 1000
