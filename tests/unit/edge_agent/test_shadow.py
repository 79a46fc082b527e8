"""What an edge tells of the residuals of its sets, and of one that runs beside the one in force."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from dyncal.contracts import residuals as contract
from dyncal.contracts.coefficients import read_envelope, seal
from dyncal.domain.coefficients import CoefficientSet, Outcome
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, InstantNs
from edge_agent.agent import AgentEngine
from edge_agent.events import DesiredSet, Drain, Effect, ShadowSet, TellResiduals, Tick
from tests.unit.edge_agent.helpers import (
    KEY,
    SENSOR,
    T0,
    Content,
    Key,
    coefficient_set,
    engine,
    envelope,
    lagged,
    read,
    records,
    reports,
    times,
)

N = 20_000


def signal(n: int = N, noise: float = 0.01) -> FloatArray:
    rng = np.random.default_rng(1)
    return lagged(20 + np.sin(np.arange(n) / 40)) + noise * rng.standard_normal(n)


def in_force(agent: AgentEngine, made: CoefficientSet) -> list[Effect]:
    return agent.handle(DesiredSet(SENSOR, envelope(made), T0))


def beside(agent: AgentEngine, made: CoefficientSet | None, key: Key = KEY, at: int = T0) -> list[Effect]:
    return agent.handle(ShadowSet(SENSOR, b"" if made is None else seal(made, key, shadow=True), InstantNs(at)))


def fed(agent: AgentEngine, y: FloatArray, start: int = 0, each: int = 500) -> list[Effect]:
    """Have it read samples, with a tick after each part."""
    effects = []
    for a in range(0, y.size, each):
        part = y[a : a + each]
        t_ns = times(part.size, start + a)
        effects += agent.handle(read(t_ns, part))
        effects += agent.handle(Tick(InstantNs(int(t_ns[-1]))))
    return effects


def told(effects: list[Effect]) -> list[ResidualReport]:
    return [report for effect in effects if isinstance(effect, TellResiduals) for report in effect.found]


def total(found: list[ResidualReport], set_id: str) -> tuple[float, int]:
    mine = [r for r in found if r.set_id == set_id]
    n = sum(r.n for r in mine)
    return float(np.sqrt(sum(r.rms**2 * r.n for r in mine) / n)), n


def test_residuals_of_the_set_in_force_are_told_every_few_seconds() -> None:
    agent = engine()
    in_force(agent, coefficient_set(1, residual_limit=0.5))
    effects = fed(agent, signal())
    at = [effect.at_ns for effect in effects if isinstance(effect, TellResiduals)]
    assert min(np.diff(at)) >= 5 * NS_PER_S
    found = told(effects)
    assert {(r.set_id, r.limit, r.shadow) for r in found} == {("set-1", 0.5, False)}
    rms, n = total(found, "set-1")
    assert n == pytest.approx(N / 100, abs=6)  # windows of two time constants of 50 samples each
    assert 0 < rms < 0.01


def test_nothing_is_told_where_nothing_runs() -> None:
    assert told(fed(engine(), signal(3000))) == []


def test_a_shadow_runs_beside_and_changes_nothing() -> None:
    y, alone, accompanied = signal(), engine(), engine()
    made = coefficient_set(1, residual_limit=0.5)
    effects = [*in_force(alone, made), *fed(alone, y), *alone.handle(Drain(T0))]
    others = [*in_force(accompanied, made), *beside(accompanied, coefficient_set(2, residual_limit=0.5, tau_s=0.6))]
    others += [*fed(accompanied, y), *accompanied.handle(Drain(T0))]
    assert repr(Content.of(records(effects))) == repr(Content.of(records(others)))  # NaN included
    assert [r.outcome for r in reports(others)] == [Outcome.APPLIED]  # nothing is said of it as if it were in force
    found = told(others)
    assert [r for r in found if not r.shadow] == told(effects)
    rms, n = total([r for r in found if r.shadow], "set-2")
    assert n > 100
    assert rms < 0.5
    differences = [r.difference for r in found if r.shadow]
    assert all(d is not None and d > 0 for d in differences)


def test_a_shadow_that_does_not_fit_itself_says_so_and_ends_alone() -> None:
    agent = engine()
    in_force(agent, coefficient_set(1, residual_limit=0.5))
    broken = coefficient_set(2, residual_limit=0.01, gain=1.0)
    wrong = dataclasses.replace(
        broken, parameters=dataclasses.replace(broken.parameters, values=np.array([1.1, 0.5]))
    )  # fmt: skip
    beside(agent, wrong)
    found = told(fed(agent, signal()))
    faults = [r.fault for r in found if r.shadow and r.fault]
    assert len(faults) == 1
    assert "exceeds the set's limit" in faults[0]
    assert [r.n for r in found if not r.shadow][-1] > 0
    assert agent.streams[SENSOR].adjustment.set_id == "set-1"


def test_without_a_set_in_force_a_shadow_still_runs() -> None:
    agent = engine()
    beside(agent, coefficient_set(1, residual_limit=0.5))
    effects = [*fed(agent, signal()), *agent.handle(Drain(T0))]
    assert Content.of(records(effects)).corrected == {}
    assert total(told(effects), "set-1")[1] > 100
    assert {r.difference for r in told(effects)} == {None}


def test_it_ends_when_nothing_is_said_or_the_set_comes_into_force() -> None:
    agent, y = engine(), signal()
    second = coefficient_set(2, residual_limit=0.5)
    in_force(agent, coefficient_set(1, residual_limit=0.5))
    beside(agent, second)
    fed(agent, y[:5000])
    beside(agent, None)
    after = told(fed(agent, y[5000:10_000], 5000))
    assert [r.shadow for r in after if r.shadow] in ([], [True])  # the last word of it, at most
    beside(agent, second)
    in_force(agent, second)
    later = told(fed(agent, y[10_000:], 10_000))
    assert {r.set_id for r in later[2:]} == {"set-2"}
    assert not any(r.shadow for r in later[2:])


def test_what_was_signed_for_a_shadow_never_corrects() -> None:
    agent = engine()
    payload = seal(coefficient_set(1), KEY, shadow=True)
    (report,) = reports(agent.handle(DesiredSet(SENSOR, payload, T0)))
    assert report.outcome is Outcome.REJECTED
    assert report.reason.startswith("use: ")
    assert agent.streams[SENSOR].adjustment.set_id is None
    text = read_envelope(payload).set
    assert msgspec.json.decode(text)["v"] == 3


@pytest.mark.parametrize(
    ("made", "key", "word"),
    [
        (coefficient_set(2), Key("another"), "signature"),
        (dataclasses.replace(coefficient_set(2), apply_until_ns=InstantNs(T0 - 1)), KEY, "expired"),
        (dataclasses.replace(coefficient_set(2), gain_limits=(5.0, 6.0)), KEY, "dc_gain"),
    ],
)
def test_a_shadow_is_examined_like_any_set(made: CoefficientSet, key: Key, word: str) -> None:
    agent = engine()
    beside(agent, made, key)
    (report,) = told(agent.handle(Tick(T0)))
    assert (report.shadow, report.n) == (True, 0)
    assert report.fault.startswith(word)
    assert told(fed(agent, signal(2000))) == []


@pytest.mark.parametrize("payload", [b"{}", b"\xff", b"null", b'{"v":1}'])
def test_what_cannot_be_read_is_no_shadow(payload: bytes) -> None:
    agent = engine()
    assert agent.handle(ShadowSet(SENSOR, payload, T0)) == []
    assert told(fed(agent, signal(2000))) == []


def test_a_set_whose_time_is_over_is_not_begun_and_what_runs_goes_on() -> None:
    agent = engine()
    made = dataclasses.replace(coefficient_set(1), apply_until_ns=InstantNs(T0 + NS_PER_S))
    payload = envelope(made)
    late = InstantNs(T0 + NS_PER_S + 1)
    (refused,) = reports(agent.handle(DesiredSet(SENSOR, payload, late)))
    assert (refused.outcome, refused.reason.split(":")[0]) == (Outcome.REJECTED, "expired")
    (applied,) = reports(agent.handle(DesiredSet(SENSOR, payload, T0)))
    assert applied.outcome is Outcome.APPLIED
    (again,) = reports(agent.handle(DesiredSet(SENSOR, payload, late)))
    assert (again.outcome, again.reason) == (Outcome.APPLIED, "runs already")


def test_reports_come_back_as_they_were_and_many_take_several_messages() -> None:
    given = [ResidualReport(SENSOR, f"set-{k}", 0.1 * k, 1.0, k) for k in range(contract.MAX_ITEMS + 1)]
    given[3] = ResidualReport(SENSOR, "set-3", 1 / 3, 0.0, 7, shadow=True, difference=0.1 + 0.2, fault="naïve")
    messages = contract.encode(given, T0)
    assert len(messages) == 2
    assert [r for m in messages for r in contract.decode(m)[1]] == given
    assert {contract.decode(m)[0] for m in messages} == {T0}
    assert contract.encode([], T0) == []


@pytest.mark.parametrize("nonsense", ["noise", "stranger", "cut"])
def test_what_nobody_has_signed_ends_no_trial(nonsense: str) -> None:
    """Neither by an end, nor by a word about the set whose name it bears."""
    agent, trial = engine(), coefficient_set(2, residual_limit=0.2)
    in_force(agent, coefficient_set(1, residual_limit=0.2))
    beside(agent, trial)
    sealed = seal(trial, KEY, shadow=True)
    hostile = {
        "noise": b"\x00noise",
        "stranger": seal(trial, Key("stranger"), shadow=True),
        "cut": sealed.replace(b'"signature":"', b'"signature":"AAAA'),
    }[nonsense]
    agent.handle(ShadowSet(SENSOR, hostile, T0))
    found = told(fed(agent, signal()))
    assert [report.fault for report in found if report.set_id == trial.id] == [""] * sum(r.shadow for r in found)
    assert total(found, trial.id)[1] >= 5
