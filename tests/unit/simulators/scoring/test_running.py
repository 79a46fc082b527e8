"""Methods in processes of their own: whatever they do, the next trial goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from simulators.scoring.records import Answer, Outcome
from simulators.scoring.running import Method, Runner
from tests.unit.simulators.scoring import made

UNRULY = """
import os, sys, time
import numpy as np
calls = 0
print("loading")

def method(record):
    global calls
    calls += 1
    marker = os.path.join(os.path.dirname(__file__), "done")
    done = open(marker).read() if os.path.exists(marker) else ""
    open(marker, "a").write("x")
    kind = len(done)
    print("on standard output", kind)
    if kind == 1:
        raise ValueError("no such luck")
    if kind == 2:
        sys.stderr.write("last words\\n")
        os._exit(3)
    if kind == 3:
        while True:
            time.sleep(0.01)
    if kind == 4:
        return {"refused": "do not like it"}
    if kind == 5:
        return {"values": {"gain": object()}}
    if kind == 6:
        sys.exit("left")
    return {"values": {"gain": np.float64(1.0), "tau_s": calls}, "u": {"gain": 0.1, "tau_s": 0.1}}
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    path = tmp_path_factory.mktemp("methods") / "unruly.py"
    path.write_text(UNRULY)
    with Runner(Method("unruly", f"{path}:method", limit_s=2.0)) as runner:
        return list(runner.answers(made.estimation(8)))


def test_a_good_answer_comes_with_its_time(answers: list[Answer]) -> None:
    assert answers[0].outcome is Outcome.ANSWERED
    assert answers[0].values == {"gain": 1.0, "tau_s": 1.0}
    assert 0 <= answers[0].seconds < 2


@pytest.mark.parametrize(
    ("k", "outcome", "reason"),
    [
        (1, Outcome.FAILED, "ValueError: no such luck"),
        (2, Outcome.FAILED, "status 3: last words"),
        (3, Outcome.FAILED, "took longer than 2 s"),
        (4, Outcome.REFUSED, "do not like it"),
        (5, Outcome.FAILED, "neither an array nor JSON"),
        (6, Outcome.FAILED, "left"),
    ],
)
def test_what_goes_wrong_is_told(answers: list[Answer], k: int, outcome: Outcome, reason: str) -> None:
    assert answers[k].outcome is outcome
    assert reason in answers[k].reason


def test_it_goes_on_afterwards(answers: list[Answer]) -> None:
    assert answers[7].outcome is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("entry", "python", "said"),
    [
        ("no_such_module:f", None, "No module named"),
        ("math:no_such", None, "no_such"),
        ("math:pi", None, "no function"),
        ("math:sqrt", "/nowhere/python", "cannot be started"),
    ],
)
def test_a_method_that_cannot_be_loaded_is_refused(entry: str, python: str | None, said: str) -> None:
    method = Method("m", entry, python or sys.executable)
    with Runner(method) as runner, pytest.raises(InvalidSetting, match=said):
        list(runner.answers(made.estimation(1)))


def test_modules_are_found_in_the_directories_given(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("def f(record):\n    return {'refused': record['model']}\n")
    with Runner(Method("m", "theirs:f", path=(str(tmp_path),))) as runner:
        assert next(iter(runner.answers(made.estimation(1)))).reason == "first_order"
