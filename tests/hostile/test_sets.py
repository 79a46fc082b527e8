"""The short form of `python -m tests.hostile.sets`."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.contracts.coefficients import seal
from tests.hostile import broker, sets
from tests.unit.edge_agent.helpers import T0


def test_no_set_is_applied_that_may_not_be_and_each_is_rejected_for_its_own_reason() -> None:
    result = sets.offered_all(1200, 7)
    assert result.applied == []
    assert result.wrong_reason == []
    assert result.not_reported == []
    assert result.same_stream
    assert result.n_restarts == 1
    assert len(result.offered) >= len(sets.MAKERS)


@pytest.mark.mosquitto
def test_nor_through_a_broker_by_the_program_itself() -> None:
    result = broker.offered_through_broker(40, 7, kill_every=25)
    assert result.shown() | {"offered": {}, "samples": 0} == {
        "n": 40, "applied": 0, "wrong_reason": [], "not_reported": [], "restarts": 1, "samples": 0, "same_stream": True,
        "passed": True, "offered": {},
    }  # fmt: skip


def test_it_would_notice() -> None:
    """A set that may be applied is applied, and counted so."""
    agent, _ = sets.started()
    result, rng = sets.Result(), np.random.default_rng(1)
    good = sets.Offer("good", seal(sets.fresh(rng, T0), sets.KEY), ("signature",))
    sets.offered(agent, good, T0, result)
    assert len(result.applied) == 1
    assert len(result.wrong_reason) == 1
    assert not result.passed
