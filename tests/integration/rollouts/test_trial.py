"""A bad set in a rollout, calibrate a program of its own on a real broker; in full `python -m tests.rollouts.trial`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rollouts.trial import PLAN, Trial, bad_set
from tests.servers_mosquitto import Mosquitto

N = 40
STAGES = {**PLAN, "stages": [{"share": 0.05, "soak_s": 20.0}, {"share": 1.0, "soak_s": 20.0}]}


@pytest.mark.mosquitto
@pytest.mark.parametrize("kill", [False, True], ids=["lives", "killed"])
async def test_a_bad_set_is_aborted_soon_touches_little_and_is_gone_in_the_end(
    tmp_path: Path, mosquitto: Mosquitto, kill: bool
) -> None:
    trial = Trial(tmp_path / "var", mosquitto, N, bad=range(N))
    try:
        outcome = await bad_set(trial, STAGES, kill=kill)
    finally:
        trial.close()
    assert outcome.state == "aborted"
    assert outcome.abort_s <= 30
    assert 0 < outcome.touched <= 0.05 * N
    assert outcome.still_bad == 0
