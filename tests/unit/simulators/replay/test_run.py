"""A scenario through the engines, without network: what comes of it, and that it comes again."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from dyncal.domain.time import InstantNs, duration
from simulators.replay import Effects, Options, replay, run_scenario
from simulators.replay.simulated import T0, SimulatedSource
from simulators.scenarios.scenario import load_scenario
from tests.unit.simulators.replay.scenarios import small

SECONDS = 38.0
_AGAIN = """
import sys
from simulators.replay import run_scenario
from tests.unit.simulators.replay.scenarios import small
sys.stdout.write(run_scenario(small(), 12.0).digest)
"""


@pytest.fixture(scope="module")
def effects() -> Effects:
    return run_scenario(small(), SECONDS)


@pytest.fixture(scope="module")
def short() -> Effects:
    return run_scenario(small(), 12.0)


def test_sets_are_found_signed_and_applied(effects: Effects) -> None:
    assert effects.complete
    first = {made.sensor: made for made in reversed(effects.sets)}
    for sensor, name, truth in (("T1", "tau_s", 0.5), ("P1", "f0_hz", 4.0)):
        made = first[sensor]
        at = made.names.index(name)
        assert abs(made.values[at] - truth) < 5 * made.u[at]
    applied = [report for report in effects.reports if report.outcome == "applied"]
    assert {report.sensor for report in applied} == {"T1", "P1"}
    assert len(applied) == len(effects.reports)


def test_the_drift_is_found(effects: Effects) -> None:
    drifts = [alarm for alarm in effects.alarms if alarm.kind == "drift" and alarm.holds]
    assert drifts
    assert {(alarm.source, alarm.parameter) for alarm in drifts} == {("T1", "tau_s")}
    assert T0 + duration(30.0) < drifts[0].at_ns < T0 + duration(37.0)


def test_every_sample_is_stored_and_corrected_after_the_first_set(effects: Effects) -> None:
    stored = {found.sensor: found for found in effects.samples}
    assert stored["P1"].n_raw == SECONDS * 100
    assert stored["T1"].n_raw == SECONDS * 20
    assert 0.5 * stored["P1"].n_raw < stored["P1"].n_corrected < stored["P1"].n_raw
    n_lost = sum(gap.n_lost or 0 for gap in effects.gaps)
    assert stored["T1-ref"].n_raw == SECONDS * 20 - n_lost - 4 * (n_lost == 0)  # the last block may be on its way
    assert effects.n_quarantined == 0


def test_the_same_again_in_another_process_with_other_hashes(short: Effects) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    again = subprocess.run(
        [sys.executable, "-c", _AGAIN], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert again.stdout == short.digest


@pytest.mark.parametrize("name", ["dropouts-and-duplicates", "gas-bubble", "reference-lost", "reordering"])
def test_twice_is_the_same(name: str) -> None:
    scenario = load_scenario(name)
    first = run_scenario(scenario, 12.0)
    assert run_scenario(scenario, 12.0) == first
    assert first.complete


def test_another_seed_of_the_plant_gives_another_digest_and_tells_where(effects: Effects) -> None:
    content = small().model_copy(update={"seed": 8})
    other = run_scenario(content, 5.0)
    assert other.digest != effects.digest


def test_it_ends_where_it_is_told_to_and_says_so() -> None:
    ticks: list[InstantNs] = []
    done = replay(
        SimulatedSource(small(), duration(SECONDS)),
        progress=lambda now, _: ticks.append(now),
        stop=lambda: bool(ticks) and ticks[-1] - ticks[0] >= duration(2.0),
    )
    assert not done.effects.complete
    assert duration(1.9) <= done.span_ns <= duration(2.2)
    n = {found.sensor: found.n_raw for found in done.effects.samples}
    assert 180 <= n["P1"] <= 220  # what was begun is stored


def test_samples_taken_together_come_to_the_same_store(short: Effects) -> None:
    plain = short
    together = replay(SimulatedSource(small(), duration(12.0)), Options(gather_ns=duration(4.0))).effects
    assert together.digests["stored"]["P1"] == plain.digests["stored"]["P1"]
    assert together.settings != plain.settings


def test_corrected_samples_are_handed_on() -> None:
    got: list[tuple[str, int]] = []

    def take(sensor: str, t_ns: np.ndarray, value: np.ndarray, u: np.ndarray) -> None:
        assert t_ns.shape == value.shape == u.shape
        assert np.all(u > 0)
        got.append((sensor, t_ns.size))

    done = replay(SimulatedSource(small(), duration(8.0), InstantNs(T0)), on_corrected=take)
    n = {found.sensor: found.n_corrected for found in done.effects.samples}
    assert {name: sum(k for s, k in got if s == name) for name in ("T1", "P1")} == {k: n[k] for k in ("T1", "P1")}
