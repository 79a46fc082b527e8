"""A set with a smoother at the edge: instants on no grid, switches, gaps, restarts, and when it must not go on."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cache

import msgspec
import numpy as np
import pytest

from dyncal.contracts.coefficients import seal
from dyncal.correction.smoother import stream as smoothing
from dyncal.correction.smoother.design import design_smoother
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother, Outcome
from dyncal.domain.samples import FloatArray, SampleBlock
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.events import DesiredSet, Drain, Effect, StreamConfig
from tests.unit.correction.examples import ALL, FINE, irregular, sampled
from tests.unit.edge_agent.helpers import (
    KEY,
    SENSOR,
    T0,
    Content,
    coefficient_set,
    config,
    engine,
    kept,
    read,
    records,
    reports,
)

CASE = ALL["thermocouple"]
LIMIT = 4 * CASE.noise_std


@cache
def smoother(latency_s: float | None = None) -> CorrectionSmoother:
    return design_smoother(
        CASE.parameters,
        dt_ns=CASE.dt_ns,
        noise_std=CASE.noise_std,
        spectrum=CASE.spectrum,
        max_latency_s=latency_s,
    ).correction


def smoother_set(sequence: int = 1, latency_s: float | None = None, **changes: object) -> CoefficientSet:
    values: dict[str, object] = {
        "parameters": CASE.parameters,
        "correction": smoother(latency_s),
        "residual_limit": LIMIT,
        "gain_limits": (0.9, 1.1),
    }
    return dataclasses.replace(coefficient_set(sequence), **(values | changes))  # type: ignore[arg-type]  # values by name


def irregular_config() -> StreamConfig:
    """A sensor that may be silent for a while without anything being missing."""
    return dataclasses.replace(config(), gap_after_ns=DurationNs(100 * CASE.dt_ns))


@cache
def record(n: int = 2000, seed: int = 1) -> tuple[Int64Array, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    at = irregular(rng, n)
    measurand, y = sampled(CASE, rng, at)
    return T0 + at * (CASE.dt_ns // FINE), measurand + 20, y + 20 * CASE.theta[0]


def desire(agent: AgentEngine, coefficients: CoefficientSet, at: int = T0) -> list[Effect]:
    return agent.handle(DesiredSet(SENSOR, seal(coefficients, KEY), InstantNs(at)))


def fed(agent: AgentEngine, t: Int64Array, y: FloatArray, block: int = 37, codes: FloatArray | None = None) -> Content:
    """Read samples block by block; what the records say."""
    effects: list[Effect] = []
    for a in range(0, t.size, block):
        part = slice(a, a + block)
        effects += agent.handle(read(t[part], y[part], None if codes is None else codes[part].astype(np.uint32)))
    return Content.of(records([*effects, *agent.handle(Drain(InstantNs(int(t[-1]))))]))


def corrected(content: Content, t: Int64Array) -> tuple[FloatArray, FloatArray]:
    rows = [content.corrected.get(instant, (np.nan, np.nan, "")) for instant in t.tolist()]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


@pytest.mark.parametrize("compiled", [True, False])
def test_what_lies_on_no_grid_is_corrected_with_its_uncertainty(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The light edge too, without compiler."""
    monkeypatch.setattr(smoothing, "HAVE_NUMBA", compiled)
    t, measurand, y = record()
    agent = engine(irregular_config())
    desire(agent, smoother_set())
    value, u = corrected(fed(agent, t, y), t)
    told = np.isfinite(value)
    assert np.count_nonzero(~told) <= 2 * 20  # the newest wait for their lag
    error, spread = (value - measurand)[told][200:], u[told][200:]
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.std(y - measurand)
    assert np.mean(np.abs(error) < 2 * spread) > 0.93
    assert np.max(np.abs(error) / spread) < 6


def test_a_filter_says_nothing_of_them() -> None:
    """Why there is a smoother."""
    t, _, y = record()
    agent = engine(irregular_config())
    desire(agent, coefficient_set())
    value, _ = corrected(fed(agent, t, y), t)
    assert np.mean(np.isfinite(value)) < 0.5


@pytest.mark.parametrize("latencies", [(None, None), (None, 0.05), (0.05, None)], ids=str)
def test_a_switch_leaves_out_no_instant_doubles_none_and_makes_no_step(
    latencies: tuple[float | None, float | None],
) -> None:
    t, _, y = record()
    agent, steady = engine(irregular_config()), engine(irregular_config())
    desire(agent, smoother_set(1, latencies[0]))
    desire(steady, smoother_set(1, latencies[1]))
    effects: list[Effect] = agent.handle(read(t[:1500], y[:1500]))
    effects += desire(agent, smoother_set(2, latencies[1]), int(t[1499]))
    effects += agent.handle(read(t[1500:], y[1500:]))
    effects += agent.handle(Drain(InstantNs(int(t[-1]))))
    blocks = [r for r in records(effects) if isinstance(r, SampleBlock)]
    told = np.concatenate([block.corrected.axis.t_ns for block in blocks if block.corrected is not None])
    assert np.array_equal(told, t[: told.size])
    value, u = corrected(Content.of(records(effects)), t)
    expected, _ = corrected(fed(steady, t, y, block=1500), t)
    after = np.isfinite(expected) & (t > t[1500])
    assert np.max(np.abs(value - expected)[after] / u[after]) < 0.02


def test_from_a_filter_to_a_smoother_and_back() -> None:
    t, measurand, y = record(1200)
    agent = engine(irregular_config())
    desire(agent, coefficient_set(1))
    content = [fed(agent, t[:400], y[:400])]
    assert reports(desire(agent, smoother_set(2), int(t[399])))[0].outcome is Outcome.APPLIED
    content.append(fed(agent, t[400:800], y[400:800]))
    assert reports(desire(agent, coefficient_set(3), int(t[799])))[0].outcome is Outcome.APPLIED
    content.append(fed(agent, t[800:], y[800:]))
    value, u = corrected(content[1], t)
    told = np.isfinite(value)
    assert {row[2] for row in content[1].corrected.values()} == {"set-2"}
    assert np.max(np.abs(value - measurand)[told] / u[told]) < 6
    assert {row[2] for row in content[2].corrected.values()} == {"set-3"}


def test_gaps_and_bad_samples() -> None:
    t, measurand, y = record()
    t = np.where(np.arange(t.size) >= 1000, t + 60 * 10**9, t)  # a minute without a word
    codes = np.where(np.arange(t.size) % 50 == 7, quality.BAD, 0)
    agent = engine(irregular_config())
    desire(agent, smoother_set())
    content = fed(agent, t, y, codes=codes)
    value, u = corrected(content, t)
    assert len(content.gaps) == 1
    told, bad = np.isfinite(value), codes != 0
    assert not np.any(told[bad])
    assert np.all(told[~bad & (t < t[-1] - 10**9)])
    error = np.abs(value - measurand) / u
    apart = np.abs(np.arange(t.size) - 1000) > 5  # the measurand of these tests jumps there
    assert np.nanmax(error[apart][200:]) < 6


def test_a_source_whose_clock_is_set_back_is_corrected_anew() -> None:
    t, measurand, y = record()
    agent = engine(irregular_config())
    desire(agent, smoother_set())
    fed(agent, t[1000:], y[1000:])
    content = fed(agent, t[:1000], y[:1000])
    value, u = corrected(content, t[:1000])
    told = np.isfinite(value)
    assert np.count_nonzero(told) > 800
    assert np.max(np.abs(value - measurand[:1000])[told][100:] / u[told][100:]) < 6


def test_a_restart_goes_on_with_the_smoother_on_disk() -> None:
    t, _, y = record()
    content = kept(desire(engine(irregular_config()), smoother_set(5)))
    again = engine(irregular_config())
    assert reports(again.restore({SENSOR: content}, T0))[0].outcome is Outcome.APPLIED
    assert {row[2] for row in fed(again, t, y).corrected.values()} == {"set-5"}


def test_a_smoother_that_does_not_know_its_stream_is_reverted_to_the_last_good_one() -> None:
    t, _, y = record()
    agent = engine(irregular_config())
    desire(agent, smoother_set(1))
    fed(agent, t[:500], y[:500])
    quiet = dataclasses.replace(smoother(), noise_std=CASE.noise_std / 10)
    told = desire(agent, smoother_set(2, correction=quiet, residual_limit=LIMIT / 10), int(t[499]))
    assert reports(told)[0].outcome is Outcome.APPLIED
    effects: list[Effect] = []
    for a in range(500, 2000, 50):
        effects += agent.handle(read(t[a : a + 50], y[a : a + 50]))
        effects += agent.handle(Drain(InstantNs(int(t[a + 49]))))
    reverted = [report for report in reports(effects) if report.outcome is Outcome.REVERTED]
    assert [report.set_id for report in reverted] == ["set-2"]
    assert reverted[0].reason.startswith("innovations of")
    assert reverted[0].reason.endswith("set-1 runs again")
    assert reverted[0].running == "set-1"


def test_a_good_set_survives_steps_holes_and_what_is_no_number() -> None:
    t, _, y = record()
    y = y + np.where(np.arange(t.size) > 900, 1000.0, 0.0)  # a thousand standard deviations of the measurand
    y = np.where(np.arange(t.size) % 40 == 3, np.nan, y)
    t = np.where(np.arange(t.size) >= 1200, t + 10**10, t)
    agent = engine(irregular_config())
    effects: list[Effect] = desire(agent, smoother_set())
    for a in range(0, t.size, 50):
        effects += agent.handle(read(t[a : a + 50], y[a : a + 50]))
        effects += agent.handle(Drain(InstantNs(int(t[a + 49]))))
    assert [report.outcome for report in reports(effects)] == [Outcome.APPLIED]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("latency", {"latency_ns": DurationNs(4000 * 10**9)}),
        ("interval", {"dt_ns": DurationNs(2 * CASE.dt_ns)}),
        ("model", {"corner_rad_s": 1e300}),
    ],
)
def test_unfit_smoothers_are_refused_with_their_reason(reason: str, changes: dict[str, object]) -> None:
    unfit = dataclasses.replace(smoother(), **changes)  # type: ignore[arg-type]  # values by name
    report = reports(desire(engine(irregular_config()), smoother_set(correction=unfit)))[0]
    assert report.outcome is Outcome.REJECTED
    assert report.reason.startswith(f"{reason}:")
    assert report.set_id == "set-1"


def test_the_edges_own_latency_holds_for_smoothers_too() -> None:
    policy = Policy(KEY, max_latency_ns=10**8)
    report = reports(desire(engine(irregular_config(), policy=policy), smoother_set()))[0]
    assert report.reason.startswith("latency: 1")


def test_a_form_to_come_is_refused_by_name() -> None:
    outer = msgspec.json.decode(seal(smoother_set(), KEY))
    content = msgspec.json.decode(outer["set"]) | {"v": 9, "neural": {"weights": [1.0]}}
    agent = engine(irregular_config(), policy=Policy(None))
    text = msgspec.json.encode(content)
    outer["set"], outer["sha256"] = text.decode(), hashlib.sha256(text).hexdigest()
    report = reports(agent.handle(DesiredSet(SENSOR, msgspec.json.encode(outer), T0)))[0]
    assert (report.set_id, report.outcome) == ("set-1", Outcome.REJECTED)
    assert report.reason == "malformed: set of version 9; this program reads 1, 2, 3, 4"
