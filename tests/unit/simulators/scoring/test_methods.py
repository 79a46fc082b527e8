"""The methods that come with dyncal, each on a record that it must do well on, and none with a word of truth."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from simulators.datasets.definitions import load_family
from simulators.datasets.store import MemberData, about
from simulators.datasets.trials import Trial, make_trial
from simulators.scoring import board
from simulators.scoring.figures import score
from simulators.scoring.methods import baselines, ours
from simulators.scoring.records import answer_of, record_of
from simulators.scoring.running import Method

FAMILY = load_family(1)
Function = Callable[[dict[str, Any]], dict[str, Any]]


@cache
def member(name: str) -> MemberData:
    spec = FAMILY.of("open")[name]
    return MemberData(about(spec, FAMILY, "open"), (make_trial(spec, FAMILY.seed.encode(), 0),))


def cut(data: MemberData, n: int) -> MemberData:
    trial = data.trials[0]
    channels = {key: values[:n] for key, values in trial.channels.items()}
    return MemberData(data.about, (replace(trial, t_ns=trial.t_ns[:n], channels=channels),))


def scored(function: Function, data: MemberData) -> Any:
    trial: Trial = data.trials[0]
    return score("m", data, [answer_of(function(record_of(data, trial)), data, trial)])


@pytest.mark.parametrize(
    ("function", "name", "most"),
    [
        (ours.record_fit, "first-step-40db", 4.0),
        (ours.record_fit, "first-noise-60db", 4.0),
        (ours.frequency_response, "points-second-17", 4.0),
        (ours.frequency_response, "points-second-dead-time-49", 4.0),
        (baselines.curve_fit_points, "points-first-17", 4.0),
        # what they do not model, they pay for: hundreds of the bound, yet a time constant to some percent
        (baselines.rls_arx, "first-step-40db", 200.0),
        (baselines.curve_fit, "first-step-40db", 50.0),
    ],
)
def test_estimators(function: Function, name: str, most: float) -> None:
    got = scored(function, member(name))
    assert got.failed == got.refused == 0
    assert max(p.efficiency for p in got.parameters.values()) < most


@pytest.mark.parametrize(("function", "least"), [(ours.wiener, 30.0), (baselines.inverse_filter, 10.0)])
def test_correctors(function: Function, least: float) -> None:
    got = scored(function, member("correct-first-noise-40db"))
    assert got.correction.gain > least
    assert got.correction.given > 0.99


def test_detectors_answer_within_the_record() -> None:
    data = cut(member("drift-ramp-reference"), 6000)
    for function in (ours.drift_monitor, baselines.cusum_on_estimates):
        assert scored(function, data).failed == 0


def test_physical_parameters_of_discrete_models() -> None:
    a = float(np.exp(-0.02 / 0.5))
    values = baselines._physical(np.array([a, 0.0, 1 - a]), 1, 0.02, ["gain", "tau_s"])
    np.testing.assert_allclose(values, [1.0, 0.5], rtol=1e-9)
    with pytest.raises(ValueError, match="no stable"):
        baselines._physical(np.array([1.1, 0.0, 1.0]), 1, 0.02, ["gain", "tau_s"])


def test_a_model_that_is_none_of_theirs_is_refused() -> None:
    record = record_of(member("first-step-40db"), member("first-step-40db").trials[0])
    assert "refused" in baselines.rls_arx({**record, "parameters": ["gain", "tau_s", "delay_s"]})
    assert "refused" in ours.online({**record, "model": "lead_lag"})


def test_the_standard_methods_are_there() -> None:
    for contestant in board.standard("/usr/bin/python3"):
        assert isinstance(contestant.source, Method)
        module, _, function = contestant.source.entry.rpartition(":")
        if not module.endswith(".py"):
            known = {"ours": ours, "baselines": baselines}[module.rpartition(".")[2]]
            assert inspect.isfunction(getattr(known, function))


def test_baselines_know_nothing_of_dyncal() -> None:
    for module in ("baselines.py", "pydynamic.py"):
        source = (board._PYDYNAMIC.parent / module).read_text()
        assert "import dyncal" not in source
        assert "from dyncal" not in source
        assert "from simulators" not in source
