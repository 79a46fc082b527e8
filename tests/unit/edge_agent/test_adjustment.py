from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from dyncal.domain.coefficients import CoefficientSet, Outcome
from dyncal.domain.samples import SampleBlock
from dyncal.domain.time import NS_PER_S, InstantNs
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.events import Committed, DesiredSet, Drain, Effect, Keep, Kind, Tick
from tests.unit.edge_agent.helpers import (
    DT,
    SENSOR,
    T0,
    Content,
    Key,
    coefficient_set,
    engine,
    envelope,
    kept,
    kinds,
    lagged,
    read,
    records,
    reports,
    times,
)


def desire(agent: AgentEngine, coefficients: CoefficientSet, key: Key | None = None, at: int = T0) -> list[Effect]:
    return agent.handle(DesiredSet(SENSOR, envelope(coefficients, key or Key()), InstantNs(at)))


def outcomes(effects: list[Effect]) -> list[tuple[str, Outcome]]:
    return [(report.set_id, report.outcome) for report in reports(effects)]


def test_a_set_corrects_from_the_next_block_on_and_is_told() -> None:
    agent = engine()
    u = np.where(np.arange(400) < 100, 20.0, 30.0)
    y = lagged(u)
    agent.handle(read(times(50), y[:50]))
    effects = desire(agent, coefficient_set())
    first = records(effects)[0]
    assert isinstance(first, SampleBlock)
    assert first.corrected is None, "what was read before goes uncorrected"
    assert outcomes(effects) == [("set-1", Outcome.APPLIED)]
    agent.handle(read(times(350, 50), y[50:]))
    content = Content.of(records(agent.handle(Drain(T0))))
    corrected = np.array([content.corrected[t][0] for t in times(350, 50).tolist()])
    assert np.max(np.abs(corrected - u[50:])) < 1e-9
    assert all(value[1] > 0 for value in content.corrected.values())


def test_switching_makes_no_step() -> None:
    y = lagged(20 + np.sin(np.arange(600) / 40))
    agent, steady = engine(), engine()
    desire(agent, coefficient_set(1))
    desire(steady, coefficient_set(1))
    agent.handle(read(times(300), y[:300]))
    steady.handle(read(times(600), y))
    effects = desire(agent, coefficient_set(2))
    effects += agent.handle(read(times(300, 300), y[300:]))
    switched = Content.of(records([*effects, *agent.handle(Drain(T0))]))
    whole = Content.of(records(steady.handle(Drain(T0))))
    for t in times(600).tolist():
        assert switched.corrected[t][:2] == pytest.approx(whole.corrected[t][:2], rel=1e-9, nan_ok=True)
        assert switched.corrected[t][2] == ("set-1" if t < T0 + 300 * DT else "set-2")


@pytest.mark.parametrize("delays", [(0, 7), (7, 0), (5, 5)])
def test_switching_between_latencies_leaves_out_no_instant_and_doubles_none(delays: tuple[int, int]) -> None:
    u = 20 + np.sin(np.arange(600) / 40)
    y = lagged(u)
    agent = engine()
    desire(agent, coefficient_set(1, delay=delays[0]))
    effects = agent.handle(read(times(300), y[:300]))
    effects += desire(agent, coefficient_set(2, delay=delays[1]))
    effects += agent.handle(read(times(300, 300), y[300:]))
    blocks = [r for r in records([*effects, *agent.handle(Drain(T0))]) if isinstance(r, SampleBlock)]
    spans = [block.corrected for block in blocks if block.corrected is not None]
    instants = np.concatenate([span.axis.t_ns for span in spans])
    assert instants.tolist() == times(600 - delays[1]).tolist()
    values = np.concatenate([span.value for span in spans])
    assert np.nanmax(np.abs(values - u[: values.size])[1:]) < 1e-9
    assert not np.any(np.isnan(values[1:]))


def test_older_sets_are_refused_even_after_a_restart() -> None:
    agent = engine()
    content = kept(desire(agent, coefficient_set(5)))
    assert outcomes(desire(agent, coefficient_set(4))) == [("set-4", Outcome.REJECTED)]
    assert outcomes(desire(agent, coefficient_set(5, set_id="other"))) == [("other", Outcome.REJECTED)]
    again = engine()
    assert outcomes(again.restore({SENSOR: content}, T0)) == [("set-5", Outcome.APPLIED)]
    refused = reports(desire(again, coefficient_set(4)))
    assert refused[0].outcome is Outcome.REJECTED
    assert refused[0].reason.startswith("sequence")
    assert outcomes(desire(again, coefficient_set(5))) == [("set-5", Outcome.APPLIED)]


def test_what_is_on_disk_is_examined_like_any_other() -> None:
    content = kept(desire(engine(), coefficient_set(5)))
    damaged = json.loads(content)
    damaged["current"] = damaged["current"].replace("set-5", "set-6")
    again = engine()
    effects = again.restore({SENSOR: json.dumps(damaged).encode()}, T0)
    assert outcomes(effects) == []
    again.handle(read(times(20)))
    block = records(again.handle(Drain(T0)))[0]
    assert isinstance(block, SampleBlock)
    assert block.corrected is None
    assert outcomes(engine().restore({SENSOR: b"\xff not json"}, T0)) == []


@pytest.mark.parametrize("content", [None, b"\xff not json", "older"])
def test_damage_to_what_is_kept_brings_no_older_set_back(content: bytes | str | None) -> None:
    older = kept(desire(engine(), coefficient_set(3)))
    on_disk = {} if content is None else {SENSOR: older if isinstance(content, str) else content}
    again = engine()
    again.restore(on_disk, T0, {SENSOR: 5})
    assert outcomes(desire(again, coefficient_set(4))) == [("set-4", Outcome.REJECTED)]
    assert outcomes(desire(again, coefficient_set(5))) == [("set-5", Outcome.APPLIED)]
    assert outcomes(desire(again, coefficient_set(5, set_id="other"))) == [("other", Outcome.REJECTED)]


class Trust:
    """Trusts the one key that it is told of."""

    def __init__(self, key: Key) -> None:
        self.key = key

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        return self.key.verify(key_id, message, signature)


def test_a_set_that_was_not_trusted_at_a_start_is_taken_up_again() -> None:
    content = kept(desire(engine(), coefficient_set(5)))
    trust = Trust(Key("another"))
    agent = engine(policy=Policy(trust))
    effects = agent.restore({SENSOR: content}, T0)
    assert kinds(effects) == [Kind.SET_REJECTED]
    assert not any(isinstance(effect, Keep) for effect in effects)  # the next start looks at it again
    assert outcomes(desire(agent, coefficient_set(5))) == [("set-5", Outcome.REJECTED)]
    trust.key = Key()
    assert outcomes(desire(agent, coefficient_set(4))) == [("set-4", Outcome.REJECTED)]
    assert outcomes(desire(agent, coefficient_set(5, set_id="other"))) == [("other", Outcome.REJECTED)]
    effects = desire(agent, coefficient_set(5))
    assert outcomes(effects) == [("set-5", Outcome.APPLIED)]
    assert json.loads(kept(effects)) == json.loads(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sensor": "other"}, "sensor"),
        ({"dt": DT * 2}, "interval"),
        ({"gain": 1e-9}, "noise_gain"),
    ],
)
def test_unfit_sets_are_refused_with_their_reason(change: dict[str, object], reason: str) -> None:
    effects = desire(engine(), coefficient_set(**change))  # type: ignore[arg-type]  # values by name
    assert [(r.outcome, r.reason.split(":")[0]) for r in reports(effects)] == [(Outcome.REJECTED, reason)]


def test_unstable_and_huge_filters_are_refused() -> None:
    good = coefficient_set()
    unstable = replace(good.filter, sos=np.array([[1.0, 0, 0, 1, -2.1, 1.1]]))
    huge = replace(good.filter, fir=np.array([1e6, 1e6]))
    for bad, reason in ((unstable, "pole_radius"), (huge, "dc_gain")):
        refused = reports(desire(engine(), replace(good, correction=bad)))
        assert [report.outcome for report in refused] == [Outcome.REJECTED]
        assert refused[0].reason.startswith(reason)


def hostile_envelopes() -> list[bytes]:
    good = envelope(coefficient_set())
    fields = json.loads(good)
    signed = json.loads(fields["set"])
    return [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\xfd",
        b"\0" * 1000,
        good[:-1],
        good + b"x",
        b"[" * 100_000,
        json.dumps({**fields, "v": 99}).encode(),
        json.dumps({**fields, "sha256": "0" * 64}).encode(),
        json.dumps({**fields, "sha256": 5}).encode(),
        json.dumps({**fields, "signature": "AAAA"}).encode(),
        json.dumps({**fields, "signature": "not base64 é"}).encode(),
        json.dumps({**fields, "key_id": "somebody"}).encode(),
        json.dumps({**fields, "set": "{}"}).encode(),
        json.dumps({**fields, "set": fields["set"].replace("set-1", "set-9")}).encode(),
        json.dumps({**fields, "set": json.dumps({**signed, "sequence": 10**400})}).encode(),
        b'{"v":1,"set":"\\ud800","sha256":"","key_id":"","signature":""}',
        envelope(coefficient_set(), Key("a stranger")),
    ]


@pytest.mark.parametrize("payload", hostile_envelopes())
def test_hostile_envelopes_are_refused_and_do_no_harm(payload: bytes) -> None:
    agent = engine()
    desire(agent, coefficient_set(1))
    effects = agent.handle(DesiredSet(SENSOR, payload, T0))
    assert [report.outcome for report in reports(effects)] == [Outcome.REJECTED]
    assert reports(effects)[0].reason
    agent.handle(read(times(20)))
    block = records(agent.handle(Drain(T0)))[0]
    assert isinstance(block, SampleBlock)
    assert block.corrected is not None
    assert block.corrected.set_id == "set-1"


def test_a_set_waits_for_its_time() -> None:
    agent = engine()
    later = coefficient_set(1, valid_from=InstantNs(T0 + 100 * DT))
    assert outcomes(desire(agent, later)) == []
    agent.handle(read(times(50)))
    assert outcomes(agent.handle(Drain(InstantNs(T0 + 50 * DT)))) == []
    agent.handle(read(times(60, 50)))
    assert outcomes(agent.handle(Drain(InstantNs(T0 + 110 * DT)))) == [("set-1", Outcome.APPLIED)]
    far = coefficient_set(2, valid_from=InstantNs(T0 + 10**15))
    assert outcomes(desire(agent, far)) == [("set-2", Outcome.REJECTED)]


def test_a_set_does_not_wait_for_an_edge_whose_clock_is_behind() -> None:
    """Sets begin, and expire, by the clock of the services, as the watermarks tell it."""
    agent, minute = engine(), 60 * NS_PER_S
    agent.handle(Committed(7, {}, T0, said_ns=T0 + minute))
    assert outcomes(desire(agent, coefficient_set(1, valid_from=InstantNs(T0 + minute)))) == [
        ("set-1", Outcome.APPLIED)
    ]
    late = replace(coefficient_set(2), apply_until_ns=InstantNs(T0 + minute - 1))
    assert outcomes(desire(agent, late)) == [("set-2", Outcome.REJECTED)]
    agent.handle(Committed(7, {}, T0, said_ns=T0 - minute))  # an old word, or a clock that is ahead: nothing is sooner
    assert outcomes(desire(agent, coefficient_set(3, valid_from=InstantNs(T0 + 1)))) == []


# The residual check


def run(agent: AgentEngine, y: np.ndarray[tuple[int], np.dtype[np.float64]], start: int = 0) -> list[Effect]:
    effects: list[Effect] = []
    for a in range(0, y.size, 100):
        part = y[a : a + 100]
        effects += agent.handle(read(times(part.size, start + a), part))
        effects += agent.handle(Drain(InstantNs(T0 + (start + a + part.size) * DT)))
    return effects


def test_a_filter_that_does_not_fit_its_parameters_is_reverted_to_the_last_good_one() -> None:
    rng = np.random.default_rng(5)
    y = lagged(20 + np.cumsum(rng.normal(0, 0.05, 6000))) + rng.normal(0, 0.01, 6000)
    agent = engine()
    desire(agent, coefficient_set(1, residual_limit=0.05))
    assert Outcome.REVERTED not in [outcome for _, outcome in outcomes(run(agent, y[:3000]))]
    stray = coefficient_set(2, residual_limit=0.05)
    off = replace(stray.filter, fir=stray.filter.fir * 1.01)  # 1 % of 20 degrees
    effects = desire(agent, replace(stray, correction=off))
    effects += run(agent, y[3000:], 3000)
    assert outcomes(effects) == [("set-2", Outcome.APPLIED), ("set-2", Outcome.REVERTED)]
    assert "set-1 runs again" in reports(effects)[-1].reason
    assert [report.running for report in reports(effects)] == ["set-2", "set-1"]
    last = [record for record in records(effects) if isinstance(record, SampleBlock)][-1]
    assert last.corrected is not None
    assert last.corrected.set_id == "set-1"
    # It is remembered: neither the broker's retained message nor a restart brings it back.
    again = engine()
    assert outcomes(again.restore({SENSOR: kept(effects)}, T0)) == [("set-1", Outcome.APPLIED)]
    repeated = desire(again, replace(stray, correction=off))
    assert outcomes(repeated) == [("set-2", Outcome.REVERTED)]
    assert reports(repeated)[0].running == "set-1"
    assert reports(again.handle(DesiredSet(SENSOR, b"{", T0)))[0].running == "set-1"


def test_without_a_set_before_the_correction_ends() -> None:
    agent = engine()
    stray = coefficient_set(1, residual_limit=0.05)
    desire(agent, replace(stray, correction=replace(stray.filter, fir=stray.filter.fir * 1.5)))
    effects = run(agent, np.full(3000, 20.0))
    assert outcomes(effects) == [("set-1", Outcome.REVERTED)]
    assert reports(effects)[0].running == ""
    last = records(effects)[-1]
    assert isinstance(last, SampleBlock)
    assert last.corrected is None
    assert last.sequence == len(records(effects)) - 1


def test_where_the_last_good_set_cannot_run_any_more_the_correction_ends_and_it_is_said() -> None:
    """Its key was withdrawn since."""
    trust = Trust(Key())
    agent = engine(policy=Policy(trust))
    desire(agent, coefficient_set(1, residual_limit=0.05))
    stray = coefficient_set(2, residual_limit=0.05)
    desire(agent, replace(stray, correction=replace(stray.filter, fir=stray.filter.fir * 1.5)))
    trust.key = Key("another")
    effects = run(agent, np.full(3000, 20.0))
    assert outcomes(effects) == [("set-2", Outcome.REVERTED)]
    assert reports(effects)[0].reason.endswith("; no correction now")
    assert reports(effects)[0].running == ""
    assert Kind.SET_REJECTED.value in kinds(effects)
    assert agent.streams[SENSOR].adjustment.set_id is None
    (refused,) = reports(desire(agent, coefficient_set(1, residual_limit=0.05), Key("another")))
    assert refused.reason.startswith("sequence: 1 is not above 2")  # not even now an older one


def test_a_good_set_survives_gaps_holes_steps_and_noise() -> None:
    rng = np.random.default_rng(1)
    u = 20 + 5 * (rng.random(40) > 0.5).repeat(500).astype(np.float64)
    y = lagged(u) + rng.normal(0, 0.02, u.size)
    y[rng.integers(0, u.size, 50)] = np.nan
    agent = engine()
    effects = desire(agent, coefficient_set(1, residual_limit=0.03))
    at = 0
    for k in range(40):
        effects += run(agent, y[k * 500 : (k + 1) * 500], at)
        at += 500 + (20 if k % 10 == 9 else 0)
    assert outcomes(effects) == [("set-1", Outcome.APPLIED)]


def test_reports_decode_as_the_contract_says() -> None:
    from dyncal.contracts.coefficients import decode_report, encode_report

    report = reports(desire(engine(), coefficient_set()))[0]
    assert decode_report(encode_report(report)) == report
    assert msgspec.json.decode(encode_report(report))["outcome"] == "applied"


def test_a_set_that_waits_for_its_time_gives_way_to_no_earlier_one() -> None:
    agent = engine()
    assert outcomes(desire(agent, coefficient_set(5, valid_from=InstantNs(T0 + 10 * DT)))) == []
    effects = desire(agent, coefficient_set(4))
    assert outcomes(effects) == [("set-4", Outcome.REJECTED)]
    assert reports(effects)[0].reason == "sequence: 4 is not above 5, which waits here"
    effects = agent.handle(Tick(InstantNs(T0 + 11 * DT)))
    effects += agent.handle(Drain(InstantNs(T0 + 11 * DT)))
    assert outcomes(effects) == [("set-5", Outcome.APPLIED)]


def test_a_rejection_says_what_it_is_about_to_the_byte() -> None:
    agent = engine()
    desire(agent, coefficient_set(2))
    payload = envelope(coefficient_set(1))
    text = json.loads(payload)["set"].encode()
    (report,) = reports(agent.handle(DesiredSet(SENSOR, payload, T0)))
    assert report.digest == hashlib.sha256(text).hexdigest()
    mutated = payload.replace(b"set-1", b"set-2")
    (report,) = reports(agent.handle(DesiredSet(SENSOR, mutated, T0)))
    assert (report.set_id, report.running) == ("set-2", "set-2")
    assert report.digest == hashlib.sha256(text.replace(b"set-1", b"set-2")).hexdigest()
    (report,) = reports(agent.handle(DesiredSet(SENSOR, b"nonsense", T0)))
    assert (report.set_id, report.digest) == ("", "")
